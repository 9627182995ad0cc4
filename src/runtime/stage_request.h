/* SPDX-License-Identifier: Apache-2.0
 *
 * A worker's wish for an object as a local file (POST /flexwatt/1/stage-in), from the call to its answer. It outlives the
 * worker: who answers need not know whether anybody still waits.
 */
#pragma once

#include <stdint.h>

struct fw_http_request;
struct fw_stage_request;

/* One of the two ends it, now or later. */
void fw_stage_request_answer(struct fw_stage_request *request, const char *path, int64_t offset, int64_t length);
/* code: of error.h; it becomes the type "Storage.*" of the error document. */
void fw_stage_request_refuse(struct fw_stage_request *request, int code, const char *message);

/* For the API, which keeps them in a list until they are answered or it goes. */
struct fw_stage_requests {
	struct fw_stage_request *first;
};
struct fw_stage_request *fw_stage_request_new(struct fw_stage_requests *list, struct fw_http_request *http);
void fw_stage_requests_gone(struct fw_stage_requests *list, const struct fw_http_request *http); /* nobody waits any more */
void fw_stage_requests_done(struct fw_stage_requests *list);
