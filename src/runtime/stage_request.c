/* SPDX-License-Identifier: Apache-2.0
 *
 * See stage_request.h. While it is in its list somebody may wait; taken out of it, its answer goes nowhere.
 */
#include "runtime/stage_request.h"

#include <string.h>

#include "base/json.h"
#include "base/memory.h"
#include "http/server.h"
#include "runtime/error_document.h"

struct fw_stage_request {
	struct fw_stage_request *next, **link; /* link NULL: in no list */
	struct fw_http_request *http;
};

struct fw_stage_request *fw_stage_request_new(struct fw_stage_requests *list, struct fw_http_request *http)
{
	struct fw_stage_request *request = fw_alloc(sizeof *request);

	*request = (struct fw_stage_request){.next = list->first, .link = &list->first, .http = http};
	if (request->next)
		request->next->link = &request->next;
	list->first = request;
	return request;
}

/* Who waits for it, or NULL. */
static struct fw_http_request *take_out(struct fw_stage_request *request)
{
	if (!request->link)
		return NULL;
	*request->link = request->next;
	if (request->next)
		request->next->link = request->link;
	request->link = NULL;
	return request->http;
}

void fw_stage_requests_gone(struct fw_stage_requests *list, const struct fw_http_request *http)
{
	for (struct fw_stage_request *request = list->first; request; request = request->next)
		if (request->http == http) {
			take_out(request);
			return;
		}
}

void fw_stage_requests_done(struct fw_stage_requests *list)
{
	while (list->first)
		take_out(list->first);
}

static void reply(struct fw_stage_request *request, int status, const char *body)
{
	struct fw_http_request *http = take_out(request);

	if (http)
		fw_http_reply(http, status, NULL, 0, "application/json", body, strlen(body));
	free(request);
}

void fw_stage_request_answer(struct fw_stage_request *request, const char *path, int64_t offset, int64_t length)
{
	fw_cleanup_json json_t *answer = json_pack("{s:s, s:I, s:I}", "path", path, "offset", (json_int_t)offset, "length",
	                                           (json_int_t)length);

	if (!answer)
		return fw_stage_request_refuse(request, FW_E_INVALID, "The path of the object is not UTF-8");
	fw_cleanup_free char *body = fw_json_dump(answer);

	reply(request, 200, body);
}

void fw_stage_request_refuse(struct fw_stage_request *request, int code, const char *message)
{
	static const struct {
		int code, status;
		const char *type;
	} kinds[] = {
		{FW_E_ABSENT, 404, "Storage.NotFound"},       {FW_E_PERMISSION, 403, "Storage.NotPermitted"},
		{FW_E_INVALID, 400, "Storage.InvalidRange"},  {FW_E_CONFLICT, 409, "Storage.Changed"},
		{FW_E_NO_SPACE, 507, "Storage.NoSpace"},      {FW_E_TIMEOUT, 504, "Storage.Timeout"},
		{0, 502, "Storage.Failed"},
	};
	size_t i = 0;

	while (kinds[i].code && kinds[i].code != code)
		i++;
	fw_cleanup_free char *body = fw_error_document_write(kinds[i].type, message);

	reply(request, kinds[i].status, body);
}
