/* SPDX-License-Identifier: Apache-2.0
 *
 * The endpoint that ECS and EKS give a container: AWS_CONTAINER_CREDENTIALS_RELATIVE_URI (below 169.254.170.2) or
 * AWS_CONTAINER_CREDENTIALS_FULL_URI with a token. Without TLS only addresses of the machine itself are asked: keys and
 * token must not cross a network in the clear. Never through a proxy.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "aws/credentials_internal.h"
#include "aws/settings.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/str.h"
#include "base/time.h"

enum { MAX_ANSWER_BYTES = 64 * 1024, MAX_TOKEN_BYTES = 16 * 1024, ATTEMPTS = 3, CONNECT_MS = 1000, TOTAL_MS = 5000 };
#define PAUSE_NS (200 * FW_NS_PER_MS)

static bool is_link_local(const char *host, size_t length)
{
	static const char *const known[] = {"169.254.170.2", "169.254.170.23", "[fd00:ec2::23]"};

	for (size_t i = 0; i < FW_COUNT_OF(known); i++)
		if (fw_str_is((struct fw_str){host, length}, known[i]))
			return true;
	return fw_aws_is_loopback(host, length);
}

bool fw_aws_container_may_ask(const char *url)
{
	const char *host;
	size_t length;

	if (strncmp(url, "https://", 8) == 0)
		return url[8] != '\0';
	if (strncmp(url, "http://", 7) != 0)
		return false;
	host = url + 7;
	length = strcspn(host, "/?#");
	if (memchr(host, '@', length))
		return false;
	return is_link_local(host, fw_aws_host_length(host));
}

static bool digits(struct fw_str text, size_t at, size_t count, int *value)
{
	uint64_t wide;

	if (at + count > text.length || !fw_str_to_u64((struct fw_str){text.text + at, count}, &wide))
		return false;
	*value = (int)wide;
	return true;
}

/* "2026-11-21T09:45:12Z", with or without a fraction. */
static bool read_time(struct fw_str text, uint64_t *wall_ms)
{
	struct tm broken = {0};
	int year;

	if (text.length < 20 || text.text[4] != '-' || text.text[7] != '-' || text.text[10] != 'T' || text.text[13] != ':' ||
	    text.text[16] != ':' || !fw_str_ends(text, "Z") || (text.length > 20 && text.text[19] != '.'))
		return false;
	if (!digits(text, 0, 4, &year) || !digits(text, 5, 2, &broken.tm_mon) || !digits(text, 8, 2, &broken.tm_mday) ||
	    !digits(text, 11, 2, &broken.tm_hour) || !digits(text, 14, 2, &broken.tm_min) ||
	    !digits(text, 17, 2, &broken.tm_sec) || year < 1970)
		return false;
	broken.tm_year = year - 1900;
	broken.tm_mon--;
	*wall_ms = (uint64_t)timegm(&broken) * 1000;
	return true;
}

int fw_aws_container_read(const char *text, size_t length, struct fw_aws_key_set *keys, struct fw_error **err)
{
	fw_cleanup_json json_t *answer = NULL;
	struct fw_aws_key_set read = {0};
	char *expires = NULL;
	const struct fw_json_member members[] = {
		{"AccessKeyId", 's', true, &read.access_key},
		{"SecretAccessKey", 's', true, &read.secret_key},
		{"Token", 's', false, &read.session_token},
		{"Expiration", 's', false, &expires},
	};
	int rc = fw_json_load("the answer", text, length, &answer, err);

	if (rc == FW_OK)
		rc = fw_json_read(answer, "the answer", members, FW_COUNT_OF(members), true, err);
	if (rc == FW_OK && expires && !read_time(fw_str_of(expires), &read.expires_ms))
		rc = fw_fail(err, FW_E_INVALID, "the answer: 'Expiration' is no time");
	if (rc == FW_OK && (strpbrk(read.access_key, "\r\n") || (read.session_token && strpbrk(read.session_token, "\r\n"))))
		rc = fw_fail(err, FW_E_INVALID, "the answer: a key with a line end in it");
	free(expires);
	if (rc == FW_OK)
		*keys = read;
	else
		fw_aws_key_set_done(&read);
	return rc;
}

/* The URL to ask; NULL without one. */
static char *url_of_endpoint(void)
{
	const char *relative = fw_aws_setting("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
	const char *full = fw_aws_setting("AWS_CONTAINER_CREDENTIALS_FULL_URI");

	if (relative)
		return fw_printf("http://169.254.170.2%s%s", *relative == '/' ? "" : "/", relative);
	return fw_strdup(full);
}

/* The value of Authorization, or NULL. The file is read anew each time: EKS renews it. */
static int read_token(char **token, struct fw_error **err)
{
	const char *path = fw_aws_setting("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
	__attribute__((cleanup(fw_aws_wipe))) struct fw_buffer text;
	struct fw_str trimmed;
	int rc;

	fw_buffer_init(&text, MAX_TOKEN_BYTES);
	if (!path) {
		*token = fw_strdup(fw_aws_setting("AWS_CONTAINER_AUTHORIZATION_TOKEN"));
	} else {
		rc = fw_read_file(AT_FDCWD, path, &text, err);
		if (rc != FW_OK)
			return fw_error_wrap(err, rc, "read AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
		trimmed = fw_str_trim(fw_buffer_str(&text));
		*token = fw_strndup(trimmed.text, trimmed.length);
	}
	if (!*token || !strpbrk(*token, "\r\n"))
		return FW_OK;
	free(FW_TAKE(*token));
	return fw_fail(err, FW_E_INVALID, "the container's authorization token has a line end in it");
}

static bool take_answer(void *context, struct fw_http_call *call, const char *bytes, size_t length)
{
	struct fw_aws_credentials *credentials = context;

	(void)call;
	return fw_buffer_append(&credentials->answer, bytes, length) == FW_OK;
}

static void give_up(struct fw_aws_credentials *credentials, const struct fw_error *err)
{
	fw_aws_credentials_tried(credentials, "container: %s", fw_error_message(err));
	fw_aws_credentials_none(credentials);
}

static void answered(void *context, struct fw_http_call *call, int rc, const struct fw_error *err)
{
	struct fw_aws_credentials *credentials = context;
	int status = fw_http_call_status(call);
	struct fw_aws_key_set keys = {0};
	fw_cleanup_error struct fw_error *error = NULL;
	bool over = false;

	credentials->call = NULL;
	if (rc != FW_OK)
		fw_fail(&error, rc, "%s", fw_error_message(err));
	else if (status != 200)
		fw_fail(&error, FW_E_PERMISSION, "%s answers %d", credentials->url, status);
	else
		fw_aws_container_read(credentials->answer.data, credentials->answer.length, &keys, &error);
	if (!error && fw_aws_key_set_is_over(credentials, &keys)) {
		char when[25];

		over = true;
		fw_time_iso(keys.expires_ms, when);
		fw_fail(&error, FW_E_PERMISSION, "%s gives keys that ended at %s: is this machine's clock right?",
		        credentials->url, when);
		fw_aws_key_set_done(&keys);
	}
	if (!error) {
		fw_aws_credentials_keep(credentials, &keys);
		fw_aws_credentials_finish(credentials, FW_OK, NULL);
	} else if ((rc != FW_OK || status >= 500 || over) && ++credentials->attempts < ATTEMPTS) {
		fw_timer_set(credentials->timer, PAUSE_NS);
	} else {
		give_up(credentials, error);
	}
}

static void free_secret(char **text)
{
	fw_aws_free_secret(*text);
}

static void ask(void *context)
{
	struct fw_aws_credentials *credentials = context;
	fw_cleanup_error struct fw_error *error = NULL;
	__attribute__((cleanup(free_secret))) char *token = NULL, *line = NULL;
	const char *fields[1];

	if (read_token(&token, &error) != FW_OK) {
		give_up(credentials, error);
		return;
	}
	fw_buffer_clear(&credentials->answer);
	line = token ? fw_printf("Authorization: %s", token) : NULL;
	fields[0] = line;
	credentials->call = fw_http_call(credentials->http,
	                                 &(struct fw_http_question){
										 .method = "GET",
										 .url = credentials->url,
										 .fields = fields,
										 .field_count = line ? 1 : 0,
										 .body_bytes = -1,
										 .sink = take_answer,
										 .connect_ms = CONNECT_MS,
										 .idle_ms = TOTAL_MS,
										 .total_ms = TOTAL_MS,
									 },
	                                 answered, credentials);
}

bool fw_aws_container_begin(struct fw_aws_credentials *credentials)
{
	fw_cleanup_error struct fw_error *error = NULL;

	free(credentials->url);
	credentials->url = url_of_endpoint();
	if (!credentials->url) {
		fw_aws_credentials_tried(credentials, "container: no AWS_CONTAINER_CREDENTIALS_RELATIVE_URI or _FULL_URI");
		return false;
	}
	if (!fw_aws_container_may_ask(credentials->url)) {
		fw_aws_credentials_tried(credentials, "container: %s is neither https nor an address of this machine",
		                         credentials->url);
		return false;
	}
	fw_cleanup_free char *ca_file = fw_aws_path(fw_aws_setting("AWS_CA_BUNDLE"));
	const struct fw_http_client_options http = {.ca_file = ca_file, .no_proxy = true};
	if (!credentials->http && fw_http_client_new(credentials->loop, &http, &credentials->http, &error) != FW_OK) {
		fw_aws_credentials_tried(credentials, "container: %s", fw_error_message(error));
		return false;
	}
	if (!credentials->timer)
		credentials->timer = fw_timer_new(credentials->loop, ask, credentials);
	fw_aws_wipe(&credentials->answer);
	fw_buffer_init(&credentials->answer, MAX_ANSWER_BYTES);
	credentials->attempts = 0;
	ask(credentials);
	return true;
}

void fw_aws_container_end(struct fw_aws_credentials *credentials)
{
	fw_http_call_cancel(credentials->call);
	fw_http_client_free(credentials->http);
	fw_timer_free(credentials->timer);
	fw_aws_wipe(&credentials->answer);
	free(credentials->url);
}
