/* SPDX-License-Identifier: Apache-2.0
 *
 * SigV4: canonical request → string to sign → key derived by day, region and service → HMAC-SHA256. Every escape of the
 * query is decoded and encoded again in the one way AWS counts as canonical; a '+' is a plus there, never a space.
 * Sorting is by the encoded bytes.
 */
#include "aws/signature.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "aws/settings.h"
#include "base/memory.h"
#include "base/str.h"

enum { MAC_BYTES = 32 };

struct pair {
	char *name, *value;
};
struct pairs {
	FW_VECTOR(struct pair) list;
};

static void pairs_done(struct pairs *pairs)
{
	for (size_t i = 0; i < pairs->list.count; i++) {
		free(pairs->list.items[i].name);
		free(pairs->list.items[i].value);
	}
	free(pairs->list.items);
}
#define cleanup_pairs __attribute__((cleanup(pairs_done)))

static int by_name_and_value(const void *a, const void *b)
{
	const struct pair *left = a, *right = b;
	int order = strcmp(left->name, right->name);

	return order ? order : strcmp(left->value, right->value);
}

static bool is_unreserved(unsigned char byte)
{
	return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9') ||
	       byte == '-' || byte == '.' || byte == '_' || byte == '~';
}

int fw_aws_encode(struct fw_buffer *out, const char *text, size_t length, bool keep_slash)
{
	int rc = FW_OK;

	for (size_t i = 0; i < length && rc == FW_OK; i++) {
		unsigned char byte = (unsigned char)text[i];

		if (is_unreserved(byte) || (byte == '/' && keep_slash))
			rc = fw_buffer_append(out, text + i, 1);
		else
			rc = fw_buffer_printf(out, "%%%02X", byte);
	}
	return rc;
}

/* What cannot be an escape stands for itself. */
static char *encoded_again(struct fw_str text)
{
	fw_cleanup_free char *decoded = fw_alloc(text.length + 1);
	size_t length = 0;
	fw_cleanup_buffer struct fw_buffer out;

	for (size_t i = 0; i < text.length; i++) {
		bool escape = text.text[i] == '%' && i + 2 < text.length && fw_aws_hex_digit(text.text[i + 1]) >= 0 &&
		              fw_aws_hex_digit(text.text[i + 2]) >= 0;

		decoded[length++] = escape ? (char)(fw_aws_hex_digit(text.text[i + 1]) * 16 + fw_aws_hex_digit(text.text[i + 2])) : text.text[i];
		i += escape ? 2 : 0;
	}
	fw_buffer_init(&out, 3 * text.length + 1);
	fw_aws_encode(&out, decoded, length, false);
	return fw_buffer_take(&out);
}

static void read_query(const char *query, struct pairs *pairs)
{
	struct fw_str rest = fw_str_of(query), item;

	while (rest.length > 0 && fw_str_next_field(&rest, '&', &item)) {
		const char *equals = memchr(item.text, '=', item.length);
		size_t name_length = equals ? (size_t)(equals - item.text) : item.length;

		if (item.length == 0)
			continue;
		FW_PUSH(&pairs->list, (struct pair){
		                          encoded_again((struct fw_str){item.text, name_length}),
		                          equals ? encoded_again((struct fw_str){equals + 1, item.length - name_length - 1})
		                                 : fw_strdup(""),
		                      });
	}
}

static int add_query(const char *query, struct fw_buffer *out)
{
	cleanup_pairs struct pairs pairs = {0};
	int rc = FW_OK;

	read_query(query, &pairs);
	if (pairs.list.count > 1)
		qsort(pairs.list.items, pairs.list.count, sizeof *pairs.list.items, by_name_and_value);
	for (size_t i = 0; i < pairs.list.count && rc == FW_OK; i++)
		rc = fw_buffer_printf(out, "%s%s=%s", i ? "&" : "", pairs.list.items[i].name, pairs.list.items[i].value);
	return rc;
}

/* RFC 3986 §5.2.4 for a path of segments; a doubled slash is one. */
static char *without_dots(const char *path)
{
	struct fw_str rest = fw_str_of(path), segment;
	char *out = fw_alloc(strlen(path) + 2);
	size_t length = 0;

	while (rest.length > 0 && fw_str_next_field(&rest, '/', &segment)) {
		if (fw_str_is(segment, "..")) {
			while (length > 0 && out[--length] != '/')
				;
		} else if (segment.length > 0 && !fw_str_is(segment, ".")) {
			out[length++] = '/';
			memcpy(out + length, segment.text, segment.length);
			length += segment.length;
		}
	}
	if (length == 0 || path[strlen(path) - 1] == '/' || fw_str_ends(fw_str_of(path), "/."))
		out[length++] = '/';
	out[length] = '\0';
	return out;
}

static int add_path(const struct fw_aws_signing *signing, struct fw_buffer *out)
{
	fw_cleanup_free char *normal = NULL;

	if (signing->plain_path)
		return fw_buffer_text(out, signing->path);
	normal = without_dots(signing->path);
	return fw_aws_encode(out, normal, strlen(normal), true);
}

static char *lower_case(const char *text)
{
	char *lower = fw_strdup(text);

	for (char *c = lower; *c; c++)
		*c = (char)(*c >= 'A' && *c <= 'Z' ? *c | 0x20 : *c);
	return lower;
}

static bool is_blank(char character)
{
	return character == ' ' || character == '\t' || character == '\r' || character == '\n';
}

/* Trimmed, and every run of blanks one space. */
static char *squeezed(const char *value)
{
	char *out = fw_alloc(strlen(value) + 1);
	size_t length = 0;

	for (; *value; value++) {
		if (!is_blank(*value))
			out[length++] = *value;
		else if (length > 0 && out[length - 1] != ' ')
			out[length++] = ' ';
	}
	if (length > 0 && out[length - 1] == ' ')
		length--;
	out[length] = '\0';
	return out;
}

/* qsort() is not stable: values of one name keep their order by their index. */
struct field {
	struct pair pair;
	size_t index;
};

static int by_name_and_index(const void *a, const void *b)
{
	const struct field *left = a, *right = b;
	int order = strcmp(left->pair.name, right->pair.name);

	return order ? order : (left->index > right->index) - (left->index < right->index);
}

static int add_fields(const struct fw_aws_signing *signing, struct fw_buffer *out, struct fw_buffer *names)
{
	size_t count = signing->field_count;
	struct field *fields = fw_alloc_array(count + 1, sizeof *fields);

	for (size_t i = 0; i < count; i++)
		fields[i] = (struct field){{lower_case(signing->fields[i].name), squeezed(signing->fields[i].value)}, i};
	qsort(fields, count, sizeof *fields, by_name_and_index);
	for (size_t i = 0; i < count; i++) {
		if (i > 0 && strcmp(fields[i].pair.name, fields[i - 1].pair.name) == 0) {
			fw_buffer_printf(out, ",%s", fields[i].pair.value);
			continue;
		}
		fw_buffer_printf(out, "%s%s:%s", i ? "\n" : "", fields[i].pair.name, fields[i].pair.value);
		fw_buffer_printf(names, "%s%s", i ? ";" : "", fields[i].pair.name);
	}
	for (size_t i = 0; i < count; i++) {
		free(fields[i].pair.name);
		free(fields[i].pair.value);
	}
	free(fields);
	return fw_buffer_text(out, count ? "\n" : "");
}

int fw_aws_canonical_request(const struct fw_aws_signing *signing, struct fw_buffer *out, struct fw_buffer *signed_names)
{
	fw_buffer_printf(out, "%s\n", signing->method);
	add_path(signing, out);
	fw_buffer_text(out, "\n");
	add_query(signing->query, out);
	fw_buffer_text(out, "\n");
	add_fields(signing, out, signed_names);
	fw_buffer_printf(out, "\n%s\n%s", signed_names->data ? signed_names->data : "", signing->payload_sha256);
	return out->failed || signed_names->failed ? FW_E_LIMIT : FW_OK;
}

static void mac(const unsigned char *key, size_t key_length, const char *text, unsigned char out[MAC_BYTES])
{
	unsigned length = MAC_BYTES;

	if (!HMAC(EVP_sha256(), key, (int)key_length, (const unsigned char *)text, strlen(text), out, &length))
		fw_memory_exhausted();
}

static void derive_key(const struct fw_aws_signing *signing, unsigned char key[MAC_BYTES])
{
	char *secret = fw_printf("AWS4%s", signing->secret_key);
	char day[9];

	memcpy(day, signing->time, 8);
	day[8] = '\0';
	mac((const unsigned char *)secret, strlen(secret), day, key);
	fw_aws_free_secret(secret);
	mac(key, MAC_BYTES, signing->region, key);
	mac(key, MAC_BYTES, signing->service, key);
	mac(key, MAC_BYTES, "aws4_request", key);
}

int fw_aws_sign(const struct fw_aws_signing *signing, char **authorization, struct fw_error **err)
{
	fw_cleanup_buffer struct fw_buffer canonical, names;
	fw_cleanup_free char *scope = NULL, *to_sign = NULL;
	unsigned char key[MAC_BYTES];
	char digest[FW_DIGEST_TEXT], signature[2 * MAC_BYTES + 1];

	fw_buffer_init(&canonical, FW_AWS_MAX_SIGNED_BYTES);
	fw_buffer_init(&names, FW_AWS_MAX_SIGNED_BYTES);
	if (fw_aws_canonical_request(signing, &canonical, &names) != FW_OK)
		return fw_fail(err, FW_E_LIMIT, "sign a request: its path, query and fields have more than %d bytes",
		               FW_AWS_MAX_SIGNED_BYTES);
	fw_digest_of(canonical.data, canonical.length, digest);
	scope = fw_printf("%.8s/%s/%s/aws4_request", signing->time, signing->region, signing->service);
	to_sign = fw_printf("AWS4-HMAC-SHA256\n%s\n%s\n%s", signing->time, scope, digest);
	derive_key(signing, key);
	mac(key, MAC_BYTES, to_sign, key);
	for (size_t i = 0; i < MAC_BYTES; i++)
		snprintf(signature + 2 * i, 3, "%02x", key[i]);
	*authorization = fw_printf("AWS4-HMAC-SHA256 Credential=%s/%s, SignedHeaders=%s, Signature=%s", signing->access_key,
	                           scope, names.data ? names.data : "", signature);
	return FW_OK;
}

void fw_aws_time(uint64_t wall_ms, char out[FW_AWS_TIME])
{
	time_t seconds = (time_t)(wall_ms / 1000);
	struct tm broken;

	gmtime_r(&seconds, &broken);
	strftime(out, FW_AWS_TIME, "%Y%m%dT%H%M%SZ", &broken);
}
