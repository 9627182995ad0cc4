/* SPDX-License-Identifier: Apache-2.0
 *
 * One call: an easy handle with its question, its deadlines and its end. curl's own messages are kept as the reason, with
 * the method and the host in front. A call that is cancelled while curl runs is parked until it has returned.
 */
#include <curl/curl.h>
#include <string.h>
#include <sys/socket.h>

#include "base/memory.h"
#include "http/client_internal.h"
#include "http/proxy.h"

/* Large enough that a system call is worth its while; two of them a call bound the memory. */
enum { RECEIVE_BYTES = 256 * 1024, SEND_BYTES = 256 * 1024 };

static void link_call(struct fw_http_call *call, struct fw_http_call **list)
{
	call->next = *list;
	if (call->next)
		call->next->link = &call->next;
	call->link = list;
	*list = call;
}

static void unlink_call(struct fw_http_call *call)
{
	*call->link = call->next;
	if (call->next)
		call->next->link = call->link;
}

void fw_http_call_free(struct fw_http_call *call)
{
	unlink_call(call);
	curl_multi_remove_handle(call->client->multi, call->easy);
	curl_easy_cleanup(call->easy);
	for (struct curl_slist *field = call->fields; field; field = field->next)
		explicit_bzero(field->data, strlen(field->data)); /* keys and tokens may be among them */
	curl_slist_free_all(call->fields);
	free(call->method);
	free(call->url);
	free(call);
}

static size_t give_body(char *buffer, size_t size, size_t count, void *context)
{
	struct fw_http_call *call = context;
	ssize_t given;

	if (!call->done)
		return CURL_READFUNC_ABORT;
	given = call->source(call->context, buffer, size * count);
	if (given >= 0)
		return (size_t)given;
	call->source_failed = true;
	return CURL_READFUNC_ABORT;
}

static size_t take_body(char *bytes, size_t size, size_t count, void *context)
{
	struct fw_http_call *call = context;

	if (!call->done)
		return 0;
	if (!call->sink || call->sink(call->context, call, bytes, size * count))
		return size * count;
	call->refused = true;
	return 0;
}

static void set_deadlines(CURL *easy, const struct fw_http_question *question)
{
	long idle_s = (long)((question->idle_ms + 999) / 1000);

	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)question->connect_ms);
	curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
	curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, idle_s);
	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)question->total_ms);
}

static void set_body(struct fw_http_call *call, const struct fw_http_question *question)
{
	CURL *easy = call->easy;

	if (strcmp(question->method, "HEAD") == 0)
		curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, call);
	if (question->body_bytes < 0)
		return;
	curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
	curl_easy_setopt(easy, CURLOPT_READFUNCTION, give_body);
	curl_easy_setopt(easy, CURLOPT_READDATA, call);
	curl_easy_setopt(easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)question->body_bytes);
	curl_easy_setopt(easy, CURLOPT_UPLOAD_BUFFERSIZE, (long)SEND_BYTES);
}

/* A line end in it is sent as a blank: one field must not become two. */
static void add_field(struct fw_http_call *call, const char *field)
{
	fw_cleanup_free char *line = fw_strdup(field);
	struct curl_slist *longer;

	for (char *end = line; (end = strpbrk(end, "\r\n")) != NULL;)
		*end = ' ';
	longer = curl_slist_append(call->fields, line);
	if (!longer)
		fw_memory_exhausted();
	call->fields = longer;
}

static void set_question(struct fw_http_call *call, const struct fw_http_question *question)
{
	CURL *easy = call->easy;

	curl_easy_setopt(easy, CURLOPT_PRIVATE, call);
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, call->reason);
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1); /* a connection a call: side by side */
	curl_easy_setopt(easy, CURLOPT_URL, call->url);
	curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, (long)RECEIVE_BYTES);
	if (call->client->ca_file)
		curl_easy_setopt(easy, CURLOPT_CAINFO, call->client->ca_file);
	if (call->client->no_proxy)
		curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
	set_body(call, question);
	curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, call->method);
	for (size_t i = 0; i < question->field_count; i++)
		add_field(call, question->fields[i]);
	add_field(call, "Expect:"); /* no round trip before a body */
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, call->fields);
	set_deadlines(easy, question);
}

struct fw_http_call *fw_http_call(struct fw_http_client *client, const struct fw_http_question *question,
                                  fw_http_done_fn *done, void *context)
{
	struct fw_http_call *call = fw_alloc(sizeof *call);

	call->client = client;
	call->easy = curl_easy_init();
	if (!call->easy)
		fw_memory_exhausted();
	call->method = fw_strdup(question->method);
	call->url = fw_strdup(question->url);
	call->source = question->source;
	call->sink = question->sink;
	call->done = done;
	call->context = context;
	call->idle_ms = question->idle_ms;
	call->total_ms = question->total_ms;
	link_call(call, &client->calls);
	set_question(call, question);
	curl_multi_add_handle(client->multi, call->easy);
	return call;
}

void fw_http_call_cancel(struct fw_http_call *call)
{
	if (!call)
		return;
	call->done = NULL;
	if (call->client->inside == 0) {
		fw_http_call_free(call);
		return;
	}
	unlink_call(call);
	link_call(call, &call->client->cancelled);
}

/* "GET 127.0.0.1:9000": what a reader needs of a URL that may have a long path. */
static char *who(const struct fw_http_call *call)
{
	const char *host = strstr(call->url, "://");

	host = host ? host + 3 : call->url;
	return fw_printf("%s %.*s", call->method, (int)strcspn(host, "/?"), host);
}

/* Without it a dead proxy is looked for at the server's. */
static int blame_proxy(const struct fw_http_call *call, int rc, struct fw_error **err)
{
	const char *variable = call->client->no_proxy || fw_http_call_status(call) != 0 ? NULL : fw_http_proxy_variable(call->url);
	const char *host = strstr(call->url, "://");

	if (!variable || !host)
		return rc;
	host += 3;
	return fw_error_hint(err, rc, "it went through the proxy that %s names: unset it, or go around it with no_proxy=%.*s", variable,
	                     (int)strcspn(host, *host == '[' ? "/?" : ":/?"), host);
}

static int explain(const struct fw_http_call *call, CURLcode result, struct fw_error **err)
{
	fw_cleanup_free char *what = who(call);
	const char *reason = call->reason[0] ? call->reason : curl_easy_strerror(result);

	if (call->refused)
		return fw_fail(err, FW_E_CANCELLED, "%s: the answer is not wanted", what);
	if (call->source_failed)
		return fw_fail(err, FW_E_IO, "%s: the body that was to be sent cannot be read", what);
	switch (result) {
	case CURLE_OPERATION_TIMEDOUT:
		return fw_fail(err, FW_E_TIMEOUT, "%s: %s", what, reason);
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CACERT_BADFILE:
		return fw_fail(err, FW_E_PERMISSION, "%s: %s", what, reason);
	case CURLE_URL_MALFORMAT:
	case CURLE_UNSUPPORTED_PROTOCOL:
		return fw_fail(err, FW_E_INVALID, "%s: %s", what, reason);
	default:
		return fw_fail(err, FW_E_IO, "%s: %s", what, reason);
	}
}

void fw_http_call_finish(struct fw_http_call *call, CURLcode result)
{
	fw_cleanup_error struct fw_error *error = NULL;
	int rc = result == CURLE_OK ? FW_OK : blame_proxy(call, explain(call, result, &error), &error);
	fw_http_done_fn *done = FW_TAKE(call->done);

	if (done)
		done(call->context, call, rc, error);
	fw_http_call_free(call);
}

int fw_http_call_status(const struct fw_http_call *call)
{
	long status = 0;

	curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
	return (int)status;
}

const char *fw_http_call_field(const struct fw_http_call *call, const char *name)
{
	struct curl_header *field;

	return curl_easy_header(call->easy, name, 0, CURLH_HEADER, -1, &field) == CURLHE_OK ? field->value : NULL;
}

int64_t fw_http_call_sent(const struct fw_http_call *call)
{
	curl_off_t bytes = 0;

	curl_easy_getinfo(call->easy, CURLINFO_SIZE_UPLOAD_T, &bytes);
	return bytes;
}

int64_t fw_http_call_received(const struct fw_http_call *call)
{
	curl_off_t bytes = 0;

	curl_easy_getinfo(call->easy, CURLINFO_SIZE_DOWNLOAD_T, &bytes);
	return bytes;
}
