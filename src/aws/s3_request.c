/* SPDX-License-Identifier: Apache-2.0
 *
 * One request until it is answered or given up: waits for its turn and for keys, has its body hashed, is sent (s3_send.c),
 * and, where that can help, is tried again after a pause that grows and is drawn at random up to its length, so that many
 * who were refused together do not come back together. Retry-After is the least of it; who is told to stay away for longer
 * than anybody would wait gives up.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "aws/s3_internal.h"
#include "aws/signature.h"
#include "base/memory.h"
#include "base/time.h"
#include "http/date.h"

enum { FIRST_PAUSE_MS = 100, LONGEST_PAUSE_MS = 20000, LONGEST_RETRY_AFTER_MS = 120000 };
enum { MAX_QUERY_BYTES = 16 * 1024 };

static void unlink_request(struct fw_s3_request *request)
{
	struct fw_s3 *s3 = request->s3;

	*request->link = request->next;
	if (request->next)
		request->next->link = request->link;
	else if (s3->waiting_end == &request->next)
		s3->waiting_end = request->link;
	if (request->is_active)
		s3->active_count--;
	request->is_active = false;
	request->next = NULL;
}

static void push_front(struct fw_s3_request *request, struct fw_s3_request **list)
{
	request->next = *list;
	if (request->next)
		request->next->link = &request->next;
	request->link = list;
	*list = request;
}

static void push_waiting(struct fw_s3_request *request)
{
	struct fw_s3 *s3 = request->s3;

	request->link = s3->waiting_end;
	*s3->waiting_end = request;
	s3->waiting_end = &request->next;
	if (!s3->stopped)
		fw_timer_set(s3->pump, 0);
}

struct fw_s3_request *fw_s3_request_new(struct fw_s3 *s3, const char *method, const char *key,
                                        const struct fw_s3_request_ops *ops, void *owner)
{
	struct fw_s3_request *request = fw_alloc(sizeof *request);

	request->s3 = s3;
	request->method = method;
	request->key = fw_strdup(key);
	request->ops = ops;
	request->owner = owner;
	request->body = (struct fw_s3_body){.bytes = -1, .fd = -1};
	fw_buffer_init(&request->answer, FW_S3_MAX_XML_BYTES);
	push_waiting(request);
	return request;
}

void fw_s3_request_cancel(struct fw_s3_request *request)
{
	unlink_request(request);
	if (!request->s3->stopped)
		fw_timer_set(request->s3->pump, 0); /* its place is another's */
	fw_http_call_cancel(request->call);
	fw_s3_hash_forget(request);
	fw_timer_free(request->timer);
	fw_error_free(request->sink_error);
	fw_buffer_done(&request->answer);
	for (size_t i = 0; i < request->field_count; i++)
		free(request->fields[i].value);
	free(request->key);
	free(request->query);
	free(request);
}

/* The call is curl's to free now: what `done` asks of it is still there. */
static void finish(struct fw_s3_request *request, int rc, const struct fw_error *err)
{
	unlink_request(request);
	request->link = &request->next; /* in no list */
	request->ops->done(request, rc, err);
	request->call = NULL;
	fw_s3_request_cancel(request);
}

void fw_s3_request_field(struct fw_s3_request *request, const char *name, const char *format, ...)
{
	size_t i = 0;
	va_list arguments;

	while (i < request->field_count && strcmp(request->fields[i].name, name) != 0)
		i++;
	if (i == FW_S3_MAX_FIELDS)
		abort(); /* a verb of this module sets more than there is room for */
	if (i == request->field_count)
		request->fields[request->field_count++] = (struct fw_s3_field){.name = name};
	free(request->fields[i].value);
	va_start(arguments, format);
	request->fields[i].value = fw_vprintf(format, arguments);
	va_end(arguments);
}

void fw_s3_request_query(struct fw_s3_request *request, const char *name, const char *value)
{
	fw_cleanup_buffer struct fw_buffer query;

	fw_buffer_init(&query, MAX_QUERY_BYTES);
	if (request->query)
		fw_buffer_printf(&query, "%s&", request->query);
	fw_aws_encode(&query, name, strlen(name), false);
	fw_buffer_text(&query, "=");
	if (value)
		fw_aws_encode(&query, value, strlen(value), false);
	request->query_too_long |= query.failed;
	free(request->query);
	request->query = fw_buffer_take(&query);
}

int fw_s3_request_status(const struct fw_s3_request *request)
{
	return request->call ? fw_http_call_status(request->call) : 0;
}

const char *fw_s3_request_answer_field(const struct fw_s3_request *request, const char *name)
{
	return request->call ? fw_http_call_field(request->call, name) : NULL;
}

int64_t fw_s3_request_answer_number(const struct fw_s3_request *request, const char *name)
{
	uint64_t number;
	struct fw_str text = fw_str_of(fw_s3_request_answer_field(request, name));

	return text.length > 0 && fw_str_to_u64(fw_str_trim(text), &number) && number <= INT64_MAX ? (int64_t)number : -1;
}

static void answered(void *context, struct fw_http_call *call, int rc, const struct fw_error *err);

static void hashed(struct fw_s3_request *request, int rc, const struct fw_error *err)
{
	fw_cleanup_error struct fw_error *error = NULL;
	struct fw_aws_keys keys;

	request->hashed = rc == FW_OK;
	if (rc == FW_OK && !fw_aws_credentials_keys(request->s3->credentials, &keys)) {
		/* They ended meanwhile: no attempt was made. */
		request->attempt--;
		unlink_request(request);
		push_waiting(request);
		return;
	}
	if (rc == FW_OK) {
		rc = fw_s3_send(request, answered, &error);
		err = error;
	}
	if (rc != FW_OK)
		finish(request, rc, err);
}

static void begin_attempt(struct fw_s3_request *request)
{
	unlink_request(request);
	push_front(request, &request->s3->active);
	request->is_active = true;
	request->s3->active_count++;
	request->attempt++;
	request->sent = 0;
	request->sink_rc = FW_OK;
	fw_error_free(FW_TAKE(request->sink_error));
	fw_buffer_clear(&request->answer);
	request->answer_too_long = false;
	if (request->ops->prepare)
		request->ops->prepare(request);
	if (request->hashed)
		hashed(request, FW_OK, NULL);
	else
		fw_s3_hash_body(request, hashed);
}

/* Those that are there now: what their owners begin because of it has its own try. Owners cancel others meanwhile. */
static void fail_waiting(struct fw_s3 *s3, int rc, const struct fw_error *err)
{
	struct fw_s3_request *failing = FW_TAKE(s3->waiting);

	s3->waiting_end = &s3->waiting;
	if (failing)
		failing->link = &failing;
	while (failing)
		finish(failing, rc, err);
}

static void refreshed(void *context, int rc, const struct fw_error *err)
{
	struct fw_s3 *s3 = context;
	struct fw_aws_keys keys;

	if (rc != FW_OK && !fw_aws_credentials_keys(s3->credentials, &keys))
		fail_waiting(s3, rc, err);
	else
		fw_timer_set(s3->pump, 0);
}

void fw_s3_pump(struct fw_s3 *s3)
{
	struct fw_aws_keys keys;

	if (s3->waiting && fw_aws_credentials_due(s3->credentials))
		fw_aws_credentials_refresh(s3->credentials, refreshed, s3);
	while (s3->waiting && s3->active_count < s3->parallel && fw_aws_credentials_keys(s3->credentials, &keys))
		begin_attempt(s3->waiting);
}

static void pause_over(void *context)
{
	struct fw_s3_request *request = context;

	unlink_request(request);
	push_waiting(request);
}

static void pause_then_again(struct fw_s3_request *request, int64_t retry_after_ms)
{
	unsigned doublings = request->attempt < 10 ? request->attempt - 1 : 9;
	uint64_t longest = (uint64_t)FIRST_PAUSE_MS << doublings;
	uint64_t pause_ms;

	if (longest > LONGEST_PAUSE_MS)
		longest = LONGEST_PAUSE_MS;
	pause_ms = arc4random_uniform((uint32_t)longest + 1);
	pause_ms += (uint64_t)retry_after_ms;
	unlink_request(request);
	push_front(request, &request->s3->pausing);
	fw_timer_set(request->s3->pump, 0);
	request->s3->counts.retries++;
	if (!request->timer)
		request->timer = fw_timer_new(request->s3->loop, pause_over, request);
	fw_timer_set(request->timer, pause_ms * FW_NS_PER_MS);
}

/* Refusals of 4xx, and 503 for who asks too fast, are given before anything is done; no answer, or another, tells nothing. */
static bool may_be_done(int status)
{
	return status / 100 != 4 && status != 503;
}

static void try_again(struct fw_s3_request *request, int rc, const struct fw_error *err, int64_t retry_after_ms)
{
	if (request->attempt >= request->s3->attempts) {
		fw_cleanup_error struct fw_error *last = NULL;

		fw_fail(&last, rc, "%s (tried %u times)", fw_error_message(err), request->attempt);
		if (fw_error_hint_text(err))
			fw_error_hint(&last, rc, "%s", fw_error_hint_text(err));
		finish(request, rc, last);
		return;
	}
	request->answer_lost |= may_be_done(fw_s3_request_status(request));
	request->hashed = false; /* read again: it may be the sums that were wrong */
	request->call = NULL;
	pause_then_again(request, retry_after_ms);
}

static int64_t retry_after(const struct fw_s3_request *request)
{
	struct fw_str text = fw_str_of(fw_s3_request_answer_field(request, "retry-after"));
	int64_t delay_ms;

	return text.length > 0 && fw_http_retry_after(text.text, text.length, fw_wall_ms(), &delay_ms) ? delay_ms : 0;
}

/* The server's clock, for requests to come. */
static bool set_clock(struct fw_s3_request *request)
{
	struct fw_str text = fw_str_of(fw_s3_request_answer_field(request, "date"));
	int64_t seconds;

	if (request->skewed || !fw_http_date(text.text, text.length, &seconds))
		return false;
	request->skewed = true;
	request->s3->clock_offset_ms = seconds * 1000 - (int64_t)fw_wall_ms();
	fw_aws_credentials_set_clock(request->s3->credentials, request->s3->clock_offset_ms);
	return true;
}

static void refused(struct fw_s3_request *request, int status)
{
	fw_cleanup_error struct fw_error *error = NULL;
	enum fw_s3_verdict verdict = fw_s3_judge(request, status, &error);

	if (verdict == FW_S3_AGAIN_WITH_CLOCK && !set_clock(request))
		verdict = FW_S3_FAILED;
	if (verdict == FW_S3_AGAIN_WITH_NEW_KEYS) {
		if (request->refreshed)
			verdict = FW_S3_FAILED;
		request->refreshed = true;
		fw_aws_credentials_expire(request->s3->credentials, request->keys);
	}
	int64_t retry_after_ms = retry_after(request);

	if (verdict != FW_S3_FAILED && retry_after_ms > LONGEST_RETRY_AFTER_MS) {
		verdict = FW_S3_FAILED;
		fw_error_hint(&error, fw_error_code(error), "the server asks to be left alone for %" PRId64 " s: try again then",
		              retry_after_ms / 1000);
	}
	if (verdict == FW_S3_FAILED)
		finish(request, fw_error_code(error), error);
	else
		try_again(request, fw_error_code(error), error, retry_after_ms > 0 ? retry_after_ms : 0);
}

static void succeeded(struct fw_s3_request *request, int status)
{
	fw_cleanup_error struct fw_error *error = NULL;
	int rc = FW_OK;

	if (request->may_hide_error) {
		fw_cleanup_s3_xml struct fw_s3_xml document = {0};

		rc = fw_s3_xml_read(request->answer.data, request->answer.length, &document, &error);
		if (rc == FW_OK && strcmp(document.root, "Error") == 0) {
			refused(request, status);
			return;
		}
	}
	if (rc == FW_OK && request->ops->verify)
		rc = request->ops->verify(request, &error);
	if (rc == FW_OK)
		finish(request, FW_OK, NULL);
	else if (rc == FW_E_CONFLICT)
		finish(request, rc, error);
	else
		try_again(request, rc, error, 0);
}

/* No whole answer came, and not because of the sink. */
static void broken(struct fw_s3_request *request, int rc, const struct fw_error *err)
{
	fw_cleanup_error struct fw_error *error = NULL;

	if (request->answer_too_long) {
		rc = fw_fail(&error, FW_E_LIMIT, "the server's answer has more than %d bytes", FW_S3_MAX_XML_BYTES);
		finish(request, rc, error);
	} else if (request->source_failed || (rc != FW_E_IO && rc != FW_E_TIMEOUT)) {
		finish(request, rc, err);
	} else {
		fw_fail(&error, rc, "%s", fw_error_message(err));
		if (fw_error_hint_text(err))
			fw_error_hint(&error, rc, "%s", fw_error_hint_text(err));
		else
			fw_error_hint(&error, rc, "is the endpoint %s right, and does its server run?", request->s3->base);
		try_again(request, rc, error, 0);
	}
}

static void answered(void *context, struct fw_http_call *call, int rc, const struct fw_error *err)
{
	struct fw_s3_request *request = context;
	int status = fw_http_call_status(call);

	if (request->sink_rc == FW_E_IO)
		try_again(request, FW_E_IO, request->sink_error, 0);
	else if (request->sink_rc < 0)
		finish(request, request->sink_rc, request->sink_error);
	else if ((rc == FW_OK || request->sink_rc == FW_S3_ENOUGH) && status / 100 == 2)
		succeeded(request, status);
	else if (rc == FW_OK || (request->answer_too_long && status / 100 != 2))
		refused(request, status);
	else
		broken(request, rc, err);
}
