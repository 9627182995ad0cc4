/* SPDX-License-Identifier: Apache-2.0
 *
 * Objects of a task that are no local files, on their way to its function (POST /flexwatt/1/stage-in). Only what its own
 * event names is given out. While the function works on one object the next ones of its list are fetched, so that it
 * finds them there; all stay until the task has ended.
 */
#include <stdlib.h>
#include <string.h>

#include "backend/driver_task.h"

enum { AHEAD = 4 };

/* An object of the event; the list is made when the function asks for the first one: few ever do. */
struct fw_task_object {
	char *key, *uri;
	int64_t bytes;
	bool asked; /* is, or is being, staged as the event has it */
};

/* One range of one object, asked for once. */
struct fw_task_staging {
	struct fw_task_staging *next;
	struct fw_task_run *run;          /* NULL: it has ended, nobody wants it any more */
	struct fw_storage *storage;
	struct fw_stage_request *request; /* NULL: fetched ahead */
	struct fw_staged *staged;         /* NULL: it failed */
	bool ended;
};

static void list_objects(struct fw_task_run *run)
{
	struct fw_task_inputs inputs = {0};

	run->objects_known = true;
	fw_engine_task_inputs(run->driver->engine, run->stage_index, run->task, &inputs);
	for (size_t i = 0; i < inputs.count; i++)
		for (size_t o = 0; o < inputs.inputs[i].count; o++) {
			const struct fw_engine_object *object = &inputs.inputs[i].objects[o];

			FW_PUSH(&run->objects, (struct fw_task_object){fw_strdup(object->key),
			                                               fw_storage_object_uri(run->driver->workflow->storage, object->key),
			                                               object->bytes, false});
		}
	fw_task_inputs_done(&inputs);
}

/* Objects are mostly asked for in their order: from the last one on. */
static struct fw_task_object *find_object(struct fw_task_run *run, const char *uri)
{
	for (size_t i = 0; i < run->objects.count; i++) {
		size_t at = (run->object_at + i) % run->objects.count;

		if (strcmp(run->objects.items[at].uri, uri) == 0) {
			run->object_at = at;
			return &run->objects.items[at];
		}
	}
	return NULL;
}

static void staging_free(struct fw_task_staging *staging)
{
	if (staging->staged)
		staging->storage->ops->release(staging->storage, staging->staged);
	free(staging);
}

static void staged(void *context, int rc, struct fw_staged *range, const struct fw_error *error)
{
	struct fw_task_staging *staging = context;
	struct fw_stage_request *request = FW_TAKE(staging->request);

	if (rc == FW_OK && request)
		fw_stage_request_answer(request, range->path, range->offset, range->length);
	else if (request)
		fw_stage_request_refuse(request, rc, fw_error_message(error));
	staging->staged = range;
	staging->ended = true;
	if (!staging->run)
		staging_free(staging);
}

static void stage(struct fw_task_run *run, const struct fw_task_object *object, int64_t offset, int64_t length,
                  struct fw_stage_request *request)
{
	struct fw_storage *storage = run->driver->storage;
	struct fw_task_staging *staging = fw_alloc(sizeof *staging);

	*staging = (struct fw_task_staging){.next = run->stagings, .run = run, .storage = storage, .request = request};
	run->stagings = staging;
	storage->ops->stage_in(storage, object->key, offset, length, staged, staging);
}

static bool is_whole(const struct fw_task_object *object, int64_t offset, int64_t length)
{
	return offset == 0 && (length == -1 || length == object->bytes);
}

static void stage_ahead(struct fw_task_run *run)
{
	for (size_t i = run->object_at + 1; i < run->objects.count && i <= run->object_at + AHEAD; i++) {
		struct fw_task_object *object = &run->objects.items[i];

		if (!object->asked)
			stage(run, object, 0, object->bytes, NULL);
		object->asked = true;
	}
}

void fw_task_run_stage_in(struct fw_task_run *run, const char *uri, int64_t offset, int64_t length,
                          struct fw_stage_request *request)
{
	if (!run->objects_known)
		list_objects(run);
	struct fw_task_object *object = find_object(run, uri);

	if (!object)
		return fw_stage_request_refuse(request, FW_E_PERMISSION, "The event of this invocation names no such object");
	bool whole = is_whole(object, offset, length);

	object->asked |= whole;
	stage(run, object, offset, whole ? object->bytes : length, request);
	if (whole)
		stage_ahead(run);
}

void fw_task_run_let_go(struct fw_task_run *run)
{
	for (struct fw_task_staging *staging = FW_TAKE(run->stagings), *next; staging; staging = next) {
		next = staging->next;
		staging->run = NULL;
		if (staging->ended)
			staging_free(staging);
	}
	for (size_t i = 0; i < run->objects.count; i++) {
		free(run->objects.items[i].key);
		free(run->objects.items[i].uri);
	}
	free(FW_TAKE(run->objects.items));
	run->objects.count = 0;
}
