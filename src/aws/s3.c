/* SPDX-License-Identifier: Apache-2.0
 *
 * A bucket: where it is (endpoint, region, style), who asks (credentials), how much at once; and the frame of a verb.
 * Settings come from the caller, else from the environment, else from the profile, as for AWS's own tools.
 */
#include <stdlib.h>
#include <string.h>

#include "aws/s3_internal.h"
#include "aws/settings.h"
#include "aws/signature.h"
#include "base/memory.h"

static const char *first_of(const char *a, const char *b, const char *c, const char *d)
{
	return a ? a : b ? b : c ? c : d;
}

/* S3's own rule for names, without its finer points: such a name needs no encoding in a host or a path. */
static int check_bucket(const char *bucket, struct fw_error **err)
{
	size_t length = bucket ? strlen(bucket) : 0;

	if (length < 3 || length > 63 || strspn(bucket, "abcdefghijklmnopqrstuvwxyz0123456789.-_") != length)
		return fw_fail(err, FW_E_INVALID,
		               "'%s' is no name of a bucket (3 to 63 of lower-case letters, digits, dots and hyphens)",
		               bucket ? bucket : "");
	return FW_OK;
}

bool fw_s3_has_valid_port(struct fw_str authority)
{
	const char *bracket = memrchr(authority.text, ']', authority.length);
	const char *colon = memrchr(authority.text, ':', authority.length);
	uint64_t port = 0;

	if (!colon || (bracket && bracket > colon))
		return true;
	struct fw_str digits = {colon + 1, authority.length - (size_t)(colon + 1 - authority.text)};

	return fw_str_to_u64(digits, &port) && port > 0 && port <= UINT16_MAX;
}

static int check_endpoint(const char *endpoint, struct fw_error **err)
{
	bool plain = strncmp(endpoint, "http://", 7) == 0, tls = strncmp(endpoint, "https://", 8) == 0;
	const char *host = endpoint + (plain ? 7 : 8);

	if ((plain || tls) && *host && *host != '/' && !strpbrk(host, "@?#% \t\r\n")) {
		size_t end = strcspn(host, "/");

		if ((host[end] == '\0' || host[end + 1] == '\0') && fw_s3_has_valid_port((struct fw_str){host, end}))
			return FW_OK;
	}
	return fw_error_hint(err, fw_fail(err, FW_E_INVALID, "endpoint '%s' is not http[s]://host[:port]", endpoint),
	                     "for example http://127.0.0.1:9000; ports are 1 to 65535");
}

/* base, host and path of the bucket from the endpoint and the style. */
static void set_address(struct fw_s3 *s3, const char *endpoint, enum fw_s3_style style)
{
	fw_cleanup_free char *of_aws = fw_printf("https://s3.%s.amazonaws.com", s3->region);
	const char *url = endpoint ? endpoint : of_aws;
	const char *host = strstr(url, "://") + 3;
	size_t host_length = strcspn(host, "/");
	/* A dot in the bucket would not match the certificate of *.s3.amazonaws.com. */
	bool virtual = style == FW_S3_VIRTUAL || (style == FW_S3_AUTO && !endpoint && !strchr(s3->bucket, '.'));
	fw_cleanup_free char *authority =
		fw_printf("%s%s%.*s", virtual ? s3->bucket : "", virtual ? "." : "", (int)host_length, host);
	bool tls = strncmp(url, "https:", 6) == 0;
	const char *port = strrchr(authority, ':');

	s3->base = fw_printf("%s://%s", tls ? "https" : "http", authority);
	s3->path = virtual ? fw_strdup("") : fw_printf("/%s", s3->bucket);
	s3->sign_payload = !tls && !fw_aws_is_loopback(host, fw_aws_host_length(host));
	/* Signed as it is sent: a port that is the scheme's own is left out. */
	if (port && strcmp(port, tls ? ":443" : ":80") == 0)
		s3->host = fw_strndup(authority, (size_t)(port - authority));
	else
		s3->host = fw_strdup(authority);
}

static int configure(struct fw_s3 *s3, const struct fw_s3_options *options, struct fw_error **err)
{
	const struct fw_aws_profile *profile = fw_aws_credentials_profile(s3->credentials);
	const char *endpoint = first_of(options->endpoint, fw_aws_setting("AWS_ENDPOINT_URL_S3"),
	                                fw_aws_setting("AWS_ENDPOINT_URL"), profile->endpoint_url);
	const char *region = first_of(options->region, fw_aws_setting("AWS_REGION"),
	                              fw_aws_setting("AWS_DEFAULT_REGION"), profile->region);
	enum fw_s3_style style = options->style;
	int rc = endpoint ? check_endpoint(endpoint, err) : FW_OK;

	if (rc != FW_OK)
		return rc;
	if (!region && !endpoint)
		return fw_error_hint(err, fw_fail(err, FW_E_INVALID, "no region is set for s3://%s", s3->bucket),
		                     "add ?region=... to the storage, or set AWS_REGION");
	if (region && strspn(region, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") != strlen(region))
		return fw_fail(err, FW_E_INVALID, "'%s' is no name of a region", region);
	if (style == FW_S3_AUTO && profile->addressing_style)
		style = strcmp(profile->addressing_style, "virtual") == 0 ? FW_S3_VIRTUAL
		        : strcmp(profile->addressing_style, "path") == 0  ? FW_S3_PATH
		                                                          : FW_S3_AUTO;
	s3->region = fw_strdup(region ? region : "us-east-1");
	set_address(s3, endpoint, style);
	return FW_OK;
}

static void pump_soon(void *context)
{
	fw_s3_pump(context);
}

static int build(struct fw_s3 *s3, const struct fw_s3_options *options, struct fw_error **err)
{
	fw_cleanup_free char *ca_file = fw_aws_path(fw_aws_setting("AWS_CA_BUNDLE"));
	struct fw_http_client_options http = {.ca_file = ca_file};
	int rc = check_bucket(options->bucket, err);

	if (rc != FW_OK)
		return rc;
	s3->bucket = fw_strdup(options->bucket);
	s3->parallel = options->parallel ? options->parallel : FW_S3_PARALLEL;
	s3->attempts = options->attempts ? options->attempts : FW_S3_ATTEMPTS;
	s3->part_bytes = options->part_bytes ? options->part_bytes : FW_S3_PART_BYTES;
	s3->idle_ms = options->idle_ms ? options->idle_ms : FW_S3_IDLE_MS;
	s3->control_ms = options->control_ms ? options->control_ms : FW_S3_CONTROL_MS;
	rc = fw_aws_credentials_new(s3->loop, options->profile, &s3->credentials, err);
	if (rc == FW_OK)
		rc = configure(s3, options, err);
	if (rc == FW_OK)
		rc = fw_http_client_new(s3->loop, &http, &s3->http, err);
	return rc;
}

int fw_s3_open(struct fw_loop *loop, struct fw_pool *pool, const struct fw_s3_options *options, struct fw_s3 **s3,
               struct fw_error **err)
{
	struct fw_s3 *made = fw_alloc(sizeof *made);
	int rc;

	made->loop = loop;
	made->pool = pool;
	made->waiting_end = &made->waiting;
	made->pump = fw_timer_new(loop, pump_soon, made);
	rc = build(made, options, err);
	if (rc != FW_OK) {
		fw_s3_close(made);
		return fw_error_wrap(err, rc, "open the bucket");
	}
	*s3 = made;
	return FW_OK;
}

static void cancel_requests(struct fw_s3_request *first)
{
	for (struct fw_s3_request *request = first, *next; request; request = next) {
		next = request->next;
		fw_s3_request_cancel(request);
	}
}

/* What a verb begins stands before it in the list: nothing that was begun on the way is met, nor is the next one gone. */
void fw_s3_cancel_all(struct fw_s3 *s3)
{
	for (struct fw_s3_task *task = s3->tasks, *next; task; task = next) {
		next = task->next;
		if (!task->inner && (task->done || s3->stopped))
			fw_s3_cancel(task);
	}
}

bool fw_s3_is_idle(const struct fw_s3 *s3)
{
	return !s3->tasks && !s3->waiting && !s3->active && !s3->pausing;
}

void fw_s3_close(struct fw_s3 *s3)
{
	if (!s3)
		return;
	s3->stopped = true;
	fw_s3_cancel_all(s3);
	cancel_requests(s3->waiting);
	cancel_requests(s3->active);
	cancel_requests(s3->pausing);
	fw_http_client_free(s3->http);
	fw_aws_credentials_free(s3->credentials);
	fw_timer_free(s3->pump);
	free(s3->bucket);
	free(s3->region);
	free(s3->base);
	free(s3->host);
	free(s3->path);
	free(s3);
}

const char *fw_s3_bucket(const struct fw_s3 *s3)
{
	return s3->bucket;
}

struct fw_s3_counts fw_s3_counts(const struct fw_s3 *s3)
{
	return s3->counts;
}

void fw_s3_task_begin(struct fw_s3_task *task, struct fw_s3 *s3, const char *verb, const char *key,
                      void (*release)(struct fw_s3_task *task), fw_s3_done_fn *done, void *context)
{
	task->s3 = s3;
	task->what = fw_printf("%s s3://%s%s%s", verb, s3->bucket, key ? "/" : "", key ? key : "");
	task->release = release;
	task->done = done;
	task->context = context;
	task->next = s3->tasks;
	if (task->next)
		task->next->link = &task->next;
	task->link = &s3->tasks;
	s3->tasks = task;
}

static void free_task(struct fw_s3_task *task)
{
	*task->link = task->next;
	if (task->next)
		task->next->link = task->link;
	task->release(task);
	free(task->what);
	free(task);
}

void fw_s3_task_end(struct fw_s3_task *task, int rc, const struct fw_s3_answer *answer, const struct fw_error *err)
{
	fw_cleanup_error struct fw_error *whole = NULL;
	fw_s3_done_fn *done = task->done;
	void *context = task->context;

	if (rc != FW_OK) {
		fw_fail(&whole, rc, "%s: %s", task->what, fw_error_message(err));
		if (fw_error_hint_text(err))
			fw_error_hint(&whole, rc, "%s", fw_error_hint_text(err));
	}
	if (done)
		done(context, rc, rc == FW_OK ? answer : NULL, whole);
	free_task(task);
}

void fw_s3_cancel(struct fw_s3_task *task)
{
	if (task)
		free_task(task);
}
