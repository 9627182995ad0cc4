/* SPDX-License-Identifier: Apache-2.0
 *
 * From a function's answer to the commit: the answer is decoded, what it declares is checked and published by the storage,
 * and only then is the end fed to the engine. An answer that cannot be kept is a function_error of that invocation.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "backend/driver_task.h"
#include "base/digest.h"
#include "base/log.h"
#include "base/str.h"
#include "base/tree.h"

enum { PUBLICATIONS_MAX = 3 }; /* of one task that fail, each after its own tries, until the run stops */

#define PHASES_MAX_SHARE 1.01
#define PHASES_ROUNDING_MS 1

static void refuse(struct fw_task_run *run, const char *type, const struct fw_error *error)
{
	struct fw_engine_event event = {0};
	fw_cleanup_free char *message = fw_driver_told(error);

	run->status = FW_STATUS_FUNCTION_ERROR;
	fw_record_set_text(&run->record.error_type, type);
	fw_record_set_text(&run->record.error_message, message);
	fw_task_run_conclude(run, &event);
}

static const char *to_resume(const struct fw_driver *driver)
{
	const char *tail = strrchr(driver->run, '-');

	return tail ? tail + 1 : driver->run;
}

/* What functions read from and write for a storage that is elsewhere lies on this machine until it is there. */
static char *full_place(const struct fw_task_run *run)
{
	const struct fw_driver *driver = run->driver;
	fw_cleanup_free char *local = driver->storage->ops->local_path(driver->storage, "runs");

	return local ? fw_printf("storage %s: no space is left for the outputs", driver->workflow->storage)
	             : fw_printf("%s/scratch: no space is left here for what is on its way to and from %s", driver->state_directory,
	                         driver->workflow->storage);
}

void fw_task_run_no_space(struct fw_task_run *run)
{
	struct fw_driver *driver = run->driver;
	fw_cleanup_free char *place = full_place(run);
	struct fw_error *error = NULL;
	int rc = fw_fail(&error, FW_E_NO_SPACE, "%s of %s/%u", place, run->stage->name, run->task);

	fw_error_hint(&error, rc, "make room, then: flexwatt run --resume %s", to_resume(driver));
	fw_driver_fatal(driver, error);
}

/* Executing the function again would not help: the run stops, so that it can be resumed when the storage takes outputs. */
static void storage_failed(struct fw_task_run *run, int rc, const struct fw_error *why)
{
	struct fw_driver *driver = run->driver;
	const char *hint = fw_error_hint_text(why);
	struct fw_error *error = NULL;

	fw_fail(&error, rc, "the outputs of %s/%u cannot be kept: %s", run->stage->name, run->task, fw_error_message(why));
	fw_error_hint(&error, rc, "%s%sthen: flexwatt run --resume %s", hint ? hint : "", hint ? "; " : "", to_resume(driver));
	fw_driver_fatal(driver, error);
}

/* How often the outputs of this task could not be published, one time after the other. */
static unsigned count_failure(const struct fw_task_run *run)
{
	struct fw_map *unpublished = run->driver->unpublished;
	fw_cleanup_free char *task = fw_printf("%u/%u", run->stage_index, run->task);
	uintptr_t count = (uintptr_t)fw_map_get(unpublished, task) + 1;

	fw_map_set(unpublished, task, (void *)count); /* NOLINT(performance-no-int-to-ptr): a number, in the map itself */
	return (unsigned)count;
}

/* A failure to publish that is the machine's or the storage's is no fault of the function: the attempt is lost. */
static void publication_failed(struct fw_task_run *run, int rc, const struct fw_error *error)
{
	struct fw_engine_event event = {0};
	fw_cleanup_free char *message = fw_driver_told(error);

	if (rc == FW_E_NO_SPACE) {
		fw_task_run_no_space(run);
		return;
	}
	if (rc == FW_E_FUNCTION || rc == FW_E_INVALID || rc == FW_E_LIMIT) {
		refuse(run, "Flexwatt.InvalidOutput", error);
		return;
	}
	if (rc == FW_E_ENVIRONMENT || ((rc == FW_E_IO || rc == FW_E_TIMEOUT) && count_failure(run) >= PUBLICATIONS_MAX)) {
		storage_failed(run, rc, error);
		return;
	}
	run->status = rc == FW_E_CANCELLED ? FW_STATUS_CANCELLED : FW_STATUS_LOST;
	fw_record_set_text(&run->record.error_type,
	                   rc == FW_E_CANCELLED ? "Flexwatt.Cancelled" : "Flexwatt.PublicationFailed");
	fw_record_set_text(&run->record.error_message, message);
	fw_task_run_conclude(run, &event);
}

static void commit(struct fw_task_run *run, const struct fw_storage_objects *objects, const uint32_t *output_of)
{
	size_t count = objects ? objects->list.count : 0;
	fw_cleanup_free struct fw_engine_object *list = fw_alloc_array(count ? count : 1, sizeof *list);
	struct fw_engine_event event = {.objects = list, .object_count = count, .result = run->result};

	run->record.objects_out = (int64_t)count;
	run->record.bytes_out = 0;
	for (size_t i = 0; i < count; i++) {
		const struct fw_storage_object *object = &objects->list.items[i];

		list[i] = (struct fw_engine_object){object->key, object->bytes, output_of[i], object->version};
		run->record.bytes_out += object->bytes > 0 ? object->bytes : 0;
	}
	if (isnan(run->record.units) && count > 0)
		run->record.units = (double)count;
	fw_task_run_conclude(run, &event);
}

static void published(void *context, int rc, struct fw_storage_objects *objects, const uint32_t *output_of,
                      const struct fw_error *error)
{
	struct fw_task_run *run = context;

	if (rc == FW_OK)
		commit(run, objects, output_of);
	else
		publication_failed(run, rc, error);
}

/* ---- what is declared ---- */

static const struct fw_answer_output *answered(const struct fw_task_run *run, const char *output)
{
	for (size_t i = 0; i < run->answer.outputs.count; i++)
		if (strcmp(run->answer.outputs.items[i].name, output) == 0)
			return &run->answer.outputs.items[i];
	return NULL;
}

static int check_declared(const struct fw_task_run *run, struct fw_error **err)
{
	for (size_t i = 0; i < run->answer.outputs.count; i++) {
		const char *name = run->answer.outputs.items[i].name;
		bool known = false;

		for (size_t o = 0; o < run->stage->outputs.count; o++)
			known |= strcmp(run->stage->outputs.items[o].name, name) == 0;
		if (!known)
			return fw_fail(err, FW_E_INVALID, "answer: outputs.%s: the stage '%s' has no such output", name,
			               run->stage->name);
	}
	return FW_OK;
}

static void declare(struct fw_task_run *run, size_t index, char *const *names, size_t count)
{
	const char **copy = fw_alloc_array(count + 1, sizeof *copy);

	for (size_t i = 0; i < count; i++)
		copy[i] = names[i];
	run->publication.outputs[index].names = copy;
	run->publication.outputs[index].count = count;
}

static int declare_answer(struct fw_task_run *run, struct fw_error **err)
{
	int rc = check_declared(run, err);

	for (size_t i = 0; rc == FW_OK && i < run->stage->outputs.count; i++) {
		const struct fw_answer_output *output = answered(run, run->stage->outputs.items[i].name);

		declare(run, i, output ? output->objects.items : NULL, output ? output->objects.count : 0);
	}
	return rc;
}

struct matching {
	const char *glob;
	size_t seen;
	FW_VECTOR(char *) names;
};

static int add_matching(void *context, const char *path, int parent_fd, const char *name, const struct stat *stat,
                        struct fw_error **err)
{
	struct matching *matching = context;

	(void)parent_fd;
	(void)name;
	if (matching->seen++ == FW_PUBLISH_MAX_OBJECTS) /* the loop looks: whatever matches, it must not look for long */
		return fw_fail(err, FW_E_LIMIT, "the function left more than %d files and directories", FW_PUBLISH_MAX_OBJECTS);
	if (S_ISREG(stat->st_mode) && fw_glob_match(matching->glob, path))
		FW_PUSH(&matching->names, fw_strdup(path));
	return FW_OK;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* A plain function's outputs: what it left in the directory and matches the glob. */
static int declare_keys(struct fw_task_run *run, size_t index, struct fw_error **err)
{
	const struct fw_output *output = &run->stage->outputs.items[index];
	fw_cleanup_free char *directory = fw_printf("%s/%s", run->directory, output->name);
	struct matching matching = {.glob = output->keys};
	int rc = fw_tree_walk(AT_FDCWD, directory, add_matching, &matching, err);

	if (matching.names.count > 0)
		qsort(matching.names.items, matching.names.count, sizeof matching.names.items[0], by_name);
	declare(run, index, matching.names.items, matching.names.count);
	for (size_t i = 0; i < matching.names.count; i++)
		FW_PUSH(&run->texts, matching.names.items[i]);
	free(matching.names.items);
	return rc;
}

/* A name in a plain function's result: a path in the output's directory, or relative to it. */
static int add_named(struct fw_task_run *run, const struct fw_output *output, const json_t *value,
                     struct matching *matching, struct fw_error **err)
{
	const char *text = json_string_value(value);
	fw_cleanup_free char *prefix = fw_printf("%s/%s/", run->directory, output->name);

	if (text && strncmp(text, prefix, strlen(prefix)) == 0)
		text += strlen(prefix);
	if (!text || !fw_path_is_inside(text))
		return fw_fail(err, FW_E_INVALID, "result at '%s' is not the name of a file in output '%s'", output->from,
		               output->name);
	FW_PUSH(&matching->names, fw_strdup(text));
	return FW_OK;
}

static int declare_from(struct fw_task_run *run, size_t index, struct fw_error **err)
{
	const struct fw_output *output = &run->stage->outputs.items[index];
	const json_t *value = fw_json_at(run->result, output->from);
	struct matching matching = {0};
	int rc = FW_OK;

	if (!value)
		rc = fw_fail(err, FW_E_INVALID, "the result has nothing at '%s' (output '%s')", output->from, output->name);
	else if (!json_is_array(value))
		rc = add_named(run, output, value, &matching, err);
	else
		for (size_t i = 0; rc == FW_OK && i < json_array_size(value); i++)
			rc = add_named(run, output, json_array_get(value, i), &matching, err);
	declare(run, index, matching.names.items, matching.names.count);
	for (size_t i = 0; i < matching.names.count; i++)
		FW_PUSH(&run->texts, matching.names.items[i]);
	free(matching.names.items);
	return rc;
}

static int declare_plain(struct fw_task_run *run, struct fw_error **err)
{
	int rc = FW_OK;

	for (size_t i = 0; rc == FW_OK && i < run->stage->outputs.count; i++)
		rc = run->stage->outputs.items[i].keys ? declare_keys(run, i, err) : declare_from(run, i, err);
	return rc;
}

/* ---- the answer ---- */

/* Parts of an invocation cannot be more than the whole: a function that says so has another clock, and nothing is known. */
static void take_phases(struct fw_task_run *run)
{
	const struct fw_answer *answer = &run->answer;
	double sum = 0, phases[] = {answer->read_ms, answer->compute_ms, answer->write_ms};

	for (size_t i = 0; i < FW_COUNT_OF(phases); i++)
		sum += isnan(phases[i]) ? 0 : phases[i];
	if (sum > run->record.response_ms * PHASES_MAX_SHARE + PHASES_ROUNDING_MS) {
		fw_info("%s/%u: phases of %.0f ms in an invocation of %.0f ms are not taken", run->stage->name, run->task, sum,
		        run->record.response_ms);
		return;
	}
	run->record.read_ms = answer->read_ms;
	run->record.compute_ms = answer->compute_ms;
	run->record.write_ms = answer->write_ms;
}

static int read_stage_aware(struct fw_task_run *run, const char *body, size_t length, struct fw_error **err)
{
	int rc = fw_answer_decode(body, length, &run->answer, err);

	if (rc != FW_OK)
		return rc;
	take_phases(run);
	run->record.units = run->answer.units;
	run->record.metrics = json_incref(run->answer.metrics);
	run->result = json_incref(run->answer.result);
	return FW_OK;
}

/* What a plain function returns is its result, whatever it is; text that is not JSON becomes a JSON string. */
static void read_plain(struct fw_task_run *run, const char *body, size_t length)
{
	if (fw_json_load("result", body, length, &run->result, NULL) != FW_OK)
		run->result = json_stringn(body, length);
	if (!run->result)
		run->result = json_null();
}

/* A large result stays with the attempt; the engine and the log carry where it is. */
static int by_reference(struct fw_task_run *run, struct fw_error **err)
{
	fw_cleanup_free char *text = run->result ? fw_json_dump(run->result) : NULL;
	size_t length = text ? strlen(text) : 0;
	char digest[FW_DIGEST_TEXT];

	if (length <= FW_RESULT_MAX_BYTES)
		return FW_OK;
	fw_cleanup_free char *prefix = fw_attempt_prefix(&run->publication.key);
	fw_cleanup_free char *key = fw_printf("%s/%s", prefix, FW_RESULT_NAME);
	fw_cleanup_free char *uri = fw_storage_object_uri(run->driver->workflow->storage, key);

	fw_digest_of(text, length, digest);
	json_t *reference =
		json_pack("{s:s, s:I, s:s}", "reference", uri, "bytes", (json_int_t)length, "sha256", digest);
	if (!reference)
		return fw_fail(err, FW_E_INVALID, "the place of the result is not UTF-8: %s", uri);
	json_decref(run->result);
	run->result = reference;
	run->result_text = FW_TAKE(text);
	run->publication.result = run->result_text;
	run->publication.result_length = length;
	return FW_OK;
}

static void prepare_publication(struct fw_task_run *run)
{
	run->publication.key =
		(struct fw_attempt_key){run->driver->run, run->stage->name, run->task, run->attempt};
	run->publication.directory = run->directory;
	run->publication.output_count = run->stage->outputs.count;
	run->publication.outputs = fw_alloc_array(run->stage->outputs.count + 1, sizeof *run->publication.outputs);
	for (size_t i = 0; i < run->stage->outputs.count; i++)
		run->publication.outputs[i].output = run->stage->outputs.items[i].name;
}

void fw_task_run_publish(struct fw_task_run *run, const char *body, size_t length)
{
	fw_cleanup_error struct fw_error *error = NULL;
	bool plain = run->stage->payload != NULL;
	int rc = FW_OK;

	if (plain)
		read_plain(run, body, length);
	else
		rc = read_stage_aware(run, body, length, &error);
	prepare_publication(run);
	if (rc == FW_OK)
		rc = plain ? declare_plain(run, &error) : declare_answer(run, &error);
	if (rc == FW_OK)
		rc = by_reference(run, &error);
	if (rc != FW_OK)
		refuse(run, plain ? "Flexwatt.InvalidResult" : "Flexwatt.InvalidAnswer", error);
	else if (run->stage->outputs.count == 0 && !run->publication.result) {
		fw_task_run_discard(run); /* its manifests */
		commit(run, NULL, NULL);
	} else
		run->driver->storage->ops->publish(run->driver->storage, &run->publication, published, run);
}
