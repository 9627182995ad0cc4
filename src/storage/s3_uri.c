/* SPDX-License-Identifier: Apache-2.0
 *
 * See s3_uri.h. Nothing is decoded: what stands there is meant, and what would need an escape has no place in it.
 */
#include "storage/s3_uri.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/str.h"

enum { BUCKET_MIN = 3, BUCKET_MAX = 63, PREFIX_MAX = 400, OPTION_MAX = 250 };

const char *const fw_s3_part_names[] = {
	[FW_S3_URI_BUCKET] = "bucket",   [FW_S3_URI_PREFIX] = "prefix",   [FW_S3_URI_ENDPOINT] = "endpoint",
	[FW_S3_URI_REGION] = "region",   [FW_S3_URI_PROFILE] = "profile", [FW_S3_URI_STYLE] = "style",
	[FW_S3_URI_PARTS] = NULL,
};

static const char lower[] = "abcdefghijklmnopqrstuvwxyz", digits[] = "0123456789";

static bool consists_of(struct fw_str text, const char *more)
{
	for (size_t i = 0; i < text.length; i++)
		if (!text.text[i] || (!strchr(lower, text.text[i]) && !strchr(digits, text.text[i]) && !strchr(more, text.text[i])))
			return false;
	return true;
}

static int check_bucket(struct fw_str name, struct fw_error **err)
{
	static const char hint[] = "s3://bucket or s3://bucket/prefix; 3 to 63 small letters, digits, '-' and '.'";
	const char *last = name.text + name.length - 1;
	int rc = FW_OK;

	if (name.length == 0)
		rc = fw_fail(err, FW_E_INVALID, "the bucket is missing");
	else if (name.length < BUCKET_MIN || name.length > BUCKET_MAX || !consists_of(name, "-.") ||
	         strchr("-.", *name.text) || strchr("-.", *last))
		rc = fw_fail(err, FW_E_INVALID, "no bucket can be named '%.*s'", name.length > 80 ? 80 : (int)name.length,
		             name.text);
	return rc == FW_OK ? rc : fw_error_hint(err, rc, "%s", hint);
}

static int check_prefix(struct fw_str prefix, struct fw_error **err)
{
	fw_cleanup_free char *path = fw_strndup(prefix.text, prefix.length);
	int rc = FW_OK;

	if (prefix.length > PREFIX_MAX)
		rc = fw_fail(err, FW_E_LIMIT, "the prefix is longer than %d bytes", PREFIX_MAX);
	else if (strlen(path) != prefix.length || !fw_path_is_inside(path) || !fw_is_utf8(path))
		rc = fw_fail(err, FW_E_INVALID, "the prefix '%.80s' has empty, '.' or '..' parts, or is no text", path);
	return rc == FW_OK ? rc : fw_error_hint(err, rc, "s3://bucket/some/prefix");
}

/* "http://host:port", nothing behind it. */
static int check_endpoint(struct fw_str text, struct fw_error **err)
{
	static const char hint[] = "endpoint=http://127.0.0.1:9000 or endpoint=https://HOST";
	size_t scheme = fw_str_starts(text, "https://") ? strlen("https://") : fw_str_starts(text, "http://") ? strlen("http://") : 0;
	struct fw_str host = {text.text + scheme, text.length - scheme};

	if (memchr(host.text, '@', host.length)) {
		int rc = fw_fail(err, FW_E_INVALID, "the endpoint holds credentials");

		return fw_error_hint(err, rc, "they come from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or from a profile");
	}
	bool is_place = scheme > 0 && host.length > 0 && consists_of(host, "-.:[]ABCDEFGHIJKLMNOPQRSTUVWXYZ_");

	if (is_place && fw_s3_has_valid_port(host))
		return FW_OK;
	if (is_place)
		return fw_error_hint(err, fw_fail(err, FW_E_INVALID, "'%.*s' has no port", (int)text.length, text.text),
		                     "ports are 1 to 65535: %s", hint);
	int rc = fw_fail(err, FW_E_INVALID, "'%.*s' is no endpoint", (int)text.length, text.text);

	return fw_error_hint(err, rc, "%s", hint);
}

static int check_style(struct fw_str text, struct fw_error **err)
{
	if (fw_str_is(text, "path") || fw_str_is(text, "virtual"))
		return FW_OK;
	int rc = fw_fail(err, FW_E_INVALID, "style '%.*s' is neither path nor virtual", (int)text.length, text.text);

	return fw_error_hint(err, rc, "path: http://host/bucket/key; virtual: http://bucket.host/key");
}

static int check_part(enum fw_s3_part part, struct fw_str value, struct fw_error **err)
{
	if (part == FW_S3_URI_BUCKET)
		return check_bucket(value, err);
	if (part == FW_S3_URI_PREFIX)
		return check_prefix(value, err);
	if (value.length == 0)
		return fw_fail(err, FW_E_INVALID, "%s is empty", fw_s3_part_names[part]);
	if (value.length > OPTION_MAX || memchr(value.text, '\0', value.length) || memchr(value.text, '&', value.length))
		return fw_fail(err, FW_E_INVALID, "%s is no such value", fw_s3_part_names[part]);
	if (part == FW_S3_URI_ENDPOINT)
		return check_endpoint(value, err);
	if (part == FW_S3_URI_STYLE)
		return check_style(value, err);
	if (part == FW_S3_URI_REGION && !consists_of(value, "-"))
		return fw_fail(err, FW_E_INVALID, "'%.*s' is no region", (int)value.length, value.text);
	fw_cleanup_free char *text = fw_strndup(value.text, value.length);

	return fw_is_utf8(text) ? FW_OK : fw_fail(err, FW_E_INVALID, "%s is no text", fw_s3_part_names[part]);
}

static int take_part(struct fw_s3_uri *uri, enum fw_s3_part part, struct fw_str value, struct fw_error **err)
{
	/* "http://host:9000/", as other programs spell it, is the same server. */
	if (part == FW_S3_URI_ENDPOINT && value.length > 1 && value.text[value.length - 1] == '/' &&
	    value.text[value.length - 2] != '/')
		value.length--;
	int rc = check_part(part, value, err);

	if (rc != FW_OK)
		return rc;
	free(uri->part[part]);
	uri->part[part] = fw_strndup(value.text, value.length);
	return FW_OK;
}

int fw_s3_uri_set(struct fw_s3_uri *uri, enum fw_s3_part part, const char *value, struct fw_error **err)
{
	return take_part(uri, part, fw_str_of(value), err);
}

static int fail_option(struct fw_str name, struct fw_error **err)
{
	fw_cleanup_free char *word = fw_strndup(name.text, name.length < 40 ? name.length : 40);
	const char *const *options = fw_s3_part_names + FW_S3_URI_ENDPOINT;
	const char *near = fw_nearest(word, options, FW_S3_URI_PARTS - FW_S3_URI_ENDPOINT);

	if (near)
		return fw_fail(err, FW_E_INVALID, "unknown option '%s' (did you mean '%s'?)", word, near);
	int rc = fw_fail(err, FW_E_INVALID, "unknown option '%s'", word);

	return fw_error_hint(err, rc, "options: endpoint, region, profile, style");
}

static int read_option(struct fw_s3_uri *uri, struct fw_str option, struct fw_error **err)
{
	const char *equals = memchr(option.text, '=', option.length);
	struct fw_str name = {option.text, equals ? (size_t)(equals - option.text) : option.length};
	enum fw_s3_part part = FW_S3_URI_ENDPOINT;

	while (part < FW_S3_URI_PARTS && !fw_str_is(name, fw_s3_part_names[part]))
		part++;
	if (part == FW_S3_URI_PARTS)
		return fail_option(name, err);
	if (!equals)
		return fw_fail(err, FW_E_INVALID, "%s has no value", fw_s3_part_names[part]);
	if (uri->part[part])
		return fw_fail(err, FW_E_INVALID, "%s is said twice", fw_s3_part_names[part]);
	return take_part(uri, part, (struct fw_str){equals + 1, option.length - name.length - 1}, err);
}

static int read_options(struct fw_s3_uri *uri, struct fw_str rest, const char **at, struct fw_error **err)
{
	struct fw_str option;
	int rc = FW_OK;

	while (rc == FW_OK && fw_str_next_field(&rest, '&', &option)) {
		*at = option.text;
		rc = read_option(uri, option, err);
	}
	return rc;
}

static int read_place(struct fw_s3_uri *uri, struct fw_str place, const char **at, struct fw_error **err)
{
	struct fw_str bucket;

	*at = place.text;
	(void)fw_str_next_field(&place, '/', &bucket);
	int rc = take_part(uri, FW_S3_URI_BUCKET, bucket, err);

	if (rc != FW_OK || place.length == 0)
		return rc;
	if (place.length > 1 && place.text[place.length - 1] == '/')
		place.length--;
	*at = place.text;
	return take_part(uri, FW_S3_URI_PREFIX, place, err);
}

int fw_s3_uri_parse(const char *text, size_t length, struct fw_s3_uri *uri, size_t *offset, struct fw_error **err)
{
	struct fw_s3_uri made = {0};
	const char *question = memchr(text, '?', length), *at = text;
	struct fw_str place = {text, question ? (size_t)(question - text) : length};
	int rc = FW_OK;

	if (!fw_str_starts(place, "s3://"))
		rc = fw_error_hint(err, fw_fail(err, FW_E_INVALID, "the bucket is missing"), "s3://bucket or s3://bucket/prefix");
	else
		rc = read_place(&made, (struct fw_str){place.text + strlen("s3://"), place.length - strlen("s3://")}, &at, err);
	if (rc == FW_OK && question)
		rc = read_options(&made, (struct fw_str){question + 1, length - place.length - 1}, &at, err);
	if (rc != FW_OK) {
		fw_s3_uri_done(&made);
		*offset = (size_t)(at - text);
		return rc;
	}
	*uri = made;
	return FW_OK;
}

void fw_s3_uri_done(struct fw_s3_uri *uri)
{
	for (size_t i = 0; i < FW_COUNT_OF(uri->part); i++)
		free(FW_TAKE(uri->part[i]));
}

char *fw_s3_uri_text(const struct fw_s3_uri *uri)
{
	const char *prefix = uri->part[FW_S3_URI_PREFIX];
	char *text = fw_printf("s3://%s%s%s", uri->part[FW_S3_URI_BUCKET], prefix ? "/" : "", prefix ? prefix : "");
	char separator = '?';

	for (enum fw_s3_part part = FW_S3_URI_ENDPOINT; part < FW_S3_URI_PARTS; part++)
		if (uri->part[part]) {
			char *more = fw_printf("%s%c%s=%s", text, separator, fw_s3_part_names[part], uri->part[part]);

			free(text);
			text = more;
			separator = '&';
		}
	return text;
}

struct fw_s3_options fw_s3_uri_options(const struct fw_s3_uri *uri)
{
	const char *style = uri->part[FW_S3_URI_STYLE];

	return (struct fw_s3_options){
		.bucket = uri->part[FW_S3_URI_BUCKET],
		.endpoint = uri->part[FW_S3_URI_ENDPOINT],
		.region = uri->part[FW_S3_URI_REGION],
		.profile = uri->part[FW_S3_URI_PROFILE],
		.style = !style ? FW_S3_AUTO : strcmp(style, "path") == 0 ? FW_S3_PATH : FW_S3_VIRTUAL,
	};
}
