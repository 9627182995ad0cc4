/* SPDX-License-Identifier: Apache-2.0
 *
 * What the client (curl's multi handle on the loop) and its calls (easy handles) share. A call is in one of two lists:
 * `calls`, or `cancelled` until it may be removed.
 */
#pragma once

#include <curl/curl.h>
#include <event2/event.h>

#include "http/client.h"

struct fw_http_client {
	struct fw_loop *loop;
	CURLM *multi;
	struct event *timer;
	char *ca_file;
	bool no_proxy;
	int inside; /* curl's callbacks may be running */
	struct fw_http_call *calls, *cancelled;
};

struct fw_http_call {
	struct fw_http_client *client;
	struct fw_http_call *next, **link; /* who points here */
	CURL *easy;
	struct curl_slist *fields;
	char *method, *url;
	fw_http_source_fn *source;
	fw_http_sink_fn *sink;
	fw_http_done_fn *done; /* NULL: cancelled */
	void *context;
	bool refused;       /* the sink wants no more */
	bool source_failed;
	uint64_t idle_ms, total_ms;
	char reason[CURL_ERROR_SIZE];
};

/* Tells the caller and frees the call. Not while curl is inside. */
void fw_http_call_finish(struct fw_http_call *call, CURLcode result);
void fw_http_call_free(struct fw_http_call *call);
