/* SPDX-License-Identifier: Apache-2.0
 *
 * libcurl multi on the loop's own libevent: curl says which sockets and which timer it wants, events tell it when. One
 * rule of curl's shapes all: inside one of its callbacks no call may be added or removed. What is cancelled there is
 * removed when curl has returned, and what has ended is told then.
 */
#include "http/client.h"

#include <curl/curl.h>
#include <event2/event.h>
#include <pthread.h>
#include <string.h>

#include "base/memory.h"
#include "http/client_internal.h"

enum { CONNECTIONS_KEPT = 32 };

static pthread_once_t curl_started = PTHREAD_ONCE_INIT;

static void start_curl(void)
{
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		fw_memory_exhausted();
}

static void free_calls(struct fw_http_call *first)
{
	for (struct fw_http_call *call = first, *next; call; call = next) {
		next = call->next;
		fw_http_call_free(call);
	}
}

/* Those that ended or were cancelled leave curl here, and only here. `done` may make and cancel calls. */
static void settle(struct fw_http_client *client)
{
	CURLMsg *message;
	int left;

	if (client->inside > 0)
		return;
	while ((message = curl_multi_info_read(client->multi, &left)) != NULL) {
		struct fw_http_call *call = NULL;
		CURLcode result = message->data.result;

		if (message->msg == CURLMSG_DONE && curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &call) == CURLE_OK)
			fw_http_call_finish(call, result);
	}
	free_calls(client->cancelled);
}

static void act(struct fw_http_client *client, curl_socket_t socket, int what)
{
	int running;

	client->inside++;
	curl_multi_socket_action(client->multi, socket, what, &running);
	client->inside--;
	settle(client);
}

static void socket_ready(evutil_socket_t socket, short what, void *context)
{
	act(context, socket, (what & EV_READ ? CURL_CSELECT_IN : 0) | (what & EV_WRITE ? CURL_CSELECT_OUT : 0));
}

static void timer_fired(evutil_socket_t socket, short what, void *context)
{
	(void)socket;
	(void)what;
	act(context, CURL_SOCKET_TIMEOUT, 0);
}

static void forget_socket(struct fw_http_client *client, curl_socket_t socket, struct event *event)
{
	curl_multi_assign(client->multi, socket, NULL);
	if (event)
		event_free(event);
}

static int want_socket(CURL *easy, curl_socket_t socket, int what, void *context, void *assigned)
{
	struct fw_http_client *client = context;
	struct event *event = assigned;
	short wanted = (short)((what & CURL_POLL_IN ? EV_READ : 0) | (what & CURL_POLL_OUT ? EV_WRITE : 0) | EV_PERSIST);

	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		forget_socket(client, socket, event);
		return 0;
	}
	if (event) {
		event_del(event);
		event_assign(event, fw_loop_base(client->loop), socket, wanted, socket_ready, client);
	} else {
		event = event_new(fw_loop_base(client->loop), socket, wanted, socket_ready, client);
	}
	if (!event || event_add(event, NULL) != 0)
		fw_memory_exhausted();
	curl_multi_assign(client->multi, socket, event);
	return 0;
}

static int want_timer(CURLM *multi, long delay_ms, void *context)
{
	struct fw_http_client *client = context;
	struct timeval delay = {delay_ms / 1000, (suseconds_t)(delay_ms % 1000) * 1000};

	(void)multi;
	if (delay_ms < 0)
		event_del(client->timer);
	else if (event_add(client->timer, &delay) != 0)
		fw_memory_exhausted();
	return 0;
}

int fw_http_client_new(struct fw_loop *loop, const struct fw_http_client_options *options,
                       struct fw_http_client **client, struct fw_error **err)
{
	struct fw_http_client *made;
	CURLM *multi;

	pthread_once(&curl_started, start_curl);
	multi = curl_multi_init();
	if (!multi)
		return fw_fail(err, FW_E_ENVIRONMENT, "start the HTTP client: libcurl makes no handle");
	made = fw_alloc(sizeof *made);
	made->loop = loop;
	made->multi = multi;
	made->timer = event_new(fw_loop_base(loop), -1, 0, timer_fired, made);
	if (!made->timer)
		fw_memory_exhausted();
	if (options) {
		made->ca_file = fw_strdup(options->ca_file);
		made->no_proxy = options->no_proxy;
	}
	curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, want_socket);
	curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, made);
	curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, want_timer);
	curl_multi_setopt(multi, CURLMOPT_TIMERDATA, made);
	curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, (long)CONNECTIONS_KEPT);
	*client = made;
	return FW_OK;
}

void fw_http_client_free(struct fw_http_client *client)
{
	if (!client)
		return;
	free_calls(client->calls);
	free_calls(client->cancelled);
	curl_multi_cleanup(client->multi); /* closes what is kept, by way of want_socket() */
	event_free(client->timer);
	free(client->ca_file);
	free(client);
}
