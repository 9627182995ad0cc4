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

/* An object of the event, or a range of one; the list is made when the function asks for the first: few ever do. */
struct fw_task_object {
	char *key, *version, *uri;
	int64_t bytes, offset, length;
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

static void add(struct fw_task_run *run, const struct fw_engine_object *object, int64_t offset, int64_t length)
{
	char *uri = fw_storage_object_uri(run->driver->workflow->storage, object->key);

	FW_PUSH(&run->objects, (struct fw_task_object){fw_strdup(object->key), fw_strdup(object->version), uri, object->bytes,
	                                               offset, length, false});
}

static void list_objects(struct fw_task_run *run)
{
	struct fw_task_inputs inputs = {0};

	run->objects_known = true;
	fw_engine_task_inputs(run->driver->engine, run->stage_index, run->task, &inputs);
	for (size_t i = 0; i < inputs.count; i++) {
		const struct fw_engine_object *objects = inputs.inputs[i].objects;
		const struct fw_range *ranges = inputs.inputs[i].ranges;

		for (size_t o = 0; ranges && o < inputs.inputs[i].range_count; o++)
			add(run, &objects[ranges[o].object], ranges[o].offset, ranges[o].length);
		for (size_t o = 0; !ranges && o < inputs.inputs[i].count; o++)
			add(run, &objects[o], 0, objects[o].bytes);
	}
	fw_task_inputs_done(&inputs);
}

/* -1 and the length to the end are the same to who asks, and must be the same file. */
static bool is_as_named(const struct fw_task_object *object, int64_t offset, int64_t length)
{
	return object->offset == offset &&
	       (object->length == length || (length == -1 && object->length == object->bytes - offset));
}

/* Objects are mostly asked for in their order: from the last one on. The event may name several ranges of one. */
static struct fw_task_object *find_object(struct fw_task_run *run, const char *uri, int64_t offset, int64_t length)
{
	struct fw_task_object *found = NULL;
	size_t first = run->object_at;

	for (size_t i = 0; i < run->objects.count; i++) {
		size_t at = (first + i) % run->objects.count;

		if (strcmp(run->objects.items[at].uri, uri) != 0)
			continue;
		if (!found || is_as_named(&run->objects.items[at], offset, length)) {
			found = &run->objects.items[at];
			run->object_at = at;
		}
		if (is_as_named(found, offset, length))
			break;
	}
	return found;
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
	fw_cleanup_free char *message = error ? fw_driver_told(error) : NULL;

	if (rc == FW_OK && request)
		fw_stage_request_answer(request, range->path, range->offset, range->length);
	else if (request)
		fw_stage_request_refuse(request, rc, message);
	if (rc == FW_E_CONFLICT && request && staging->run)
		staging->run->input_changed = true;
	staging->staged = range;
	staging->ended = true;
	if (!staging->run)
		staging_free(staging);
}

/* Its task has ended: what is still on its way would come for nobody. */
static void give_up(struct fw_task_staging *staging)
{
	struct fw_stage_request *request = FW_TAKE(staging->request);

	staging->storage->ops->forget(staging->storage, staging);
	staging->ended = true;
	if (request)
		fw_stage_request_refuse(request, FW_E_CANCELLED, "The invocation has ended");
}

static void stage(struct fw_task_run *run, const struct fw_task_object *object, int64_t offset, int64_t length,
                  struct fw_stage_request *request)
{
	struct fw_storage *storage = run->driver->storage;
	struct fw_task_staging *staging = fw_alloc(sizeof *staging);

	*staging = (struct fw_task_staging){.next = run->stagings, .run = run, .storage = storage, .request = request};
	run->stagings = staging;
	storage->ops->stage_in(storage, &(struct fw_storage_range){object->key, object->version, offset, length, object->bytes},
	                       staged, staging);
}

static void stage_ahead(struct fw_task_run *run)
{
	for (size_t i = run->object_at + 1; i < run->objects.count && i <= run->object_at + AHEAD; i++) {
		struct fw_task_object *object = &run->objects.items[i];

		if (!object->asked)
			stage(run, object, object->offset, object->length, NULL);
		object->asked = true;
	}
}

void fw_task_run_stage_in(struct fw_task_run *run, const char *uri, int64_t offset, int64_t length,
                          struct fw_stage_request *request)
{
	if (!run->objects_known)
		list_objects(run);
	struct fw_task_object *object = find_object(run, uri, offset, length);

	if (!object)
		return fw_stage_request_refuse(request, FW_E_PERMISSION, "The event of this invocation names no such object");
	bool named = is_as_named(object, offset, length);
	fw_cleanup_error struct fw_error *error = NULL;
	int rc = fw_staged_length(object->key, object->bytes, offset, &length, &error);

	if (rc != FW_OK) /* nothing is fetched for what cannot be */
		return fw_stage_request_refuse(request, rc, fw_error_message(error));
	object->asked |= named;
	stage(run, object, offset, length, request);
	if (named)
		stage_ahead(run);
}

void fw_task_run_let_go(struct fw_task_run *run)
{
	for (struct fw_task_staging *staging = FW_TAKE(run->stagings), *next; staging; staging = next) {
		next = staging->next;
		staging->run = NULL;
		if (!staging->ended && staging->storage->ops->forget)
			give_up(staging);
		if (staging->ended)
			staging_free(staging);
	}
	for (size_t i = 0; i < run->objects.count; i++) {
		free(run->objects.items[i].key);
		free(run->objects.items[i].version);
		free(run->objects.items[i].uri);
	}
	free(FW_TAKE(run->objects.items));
	run->objects.count = 0;
}
