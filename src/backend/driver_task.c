/* SPDX-License-Identifier: Apache-2.0
 *
 * One attempt of a task, from the engine's dispatch to its final record: the event is made, the backend runs it, its
 * outputs are published, the commit event is fed, and when the meters have had their say the record is stored.
 * Publication comes before the commit, so that what a consumer sees is there; the record may be final before or after.
 */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "backend/driver_task.h"

/* ---- the event ---- */

static struct fw_object_ref object_ref(struct fw_task_run *run, const struct fw_engine_object *object, int64_t bytes_read)
{
	char *path = run->driver->storage->ops->local_path(run->driver->storage, object->key);
	char *uri = fw_storage_object_uri(run->driver->workflow->storage, object->key);

	FW_PUSH(&run->texts, path);
	FW_PUSH(&run->texts, uri);
	if (bytes_read > 0)
		run->record.bytes_in += bytes_read;
	run->record.objects_in++;
	return (struct fw_object_ref){.uri = uri, .path = path, .bytes = object->bytes, .offset = -1};
}

static void add_objects(struct fw_task_run *run, const struct fw_task_inputs *inputs, size_t index,
                        struct fw_event_input *input)
{
	for (size_t i = 0; i < inputs->inputs[index].count; i++) {
		const struct fw_engine_object *object = &inputs->inputs[index].objects[i];
		struct fw_object_ref ref = object_ref(run, object, object->bytes);

		ref.part = run->task;
		ref.parts = inputs->inputs[index].parts;
		FW_PUSH(&input->objects, ref);
	}
}

static void add_ranges(struct fw_task_run *run, const struct fw_task_inputs *inputs, size_t index,
                       struct fw_event_input *input)
{
	const struct fw_range_format *format = &run->stage->inputs.items[index].range;

	for (size_t i = 0; i < inputs->inputs[index].range_count; i++) {
		const struct fw_range *range = &inputs->inputs[index].ranges[i];
		struct fw_object_ref ref = object_ref(run, &inputs->inputs[index].objects[range->object], range->length);

		ref.offset = range->offset;
		ref.length = range->length;
		ref.header = range->header;
		ref.delimiter = format->kind == FW_RANGE_CSV ? format->delimiter : '\0';
		FW_PUSH(&input->objects, ref);
	}
}

/* A long list goes as a file in the attempt's own directory; it is removed with the rest that no output declares. */
static int by_manifest(struct fw_task_run *run, struct fw_event_input *input, const char *directory,
                       struct fw_error **err)
{
	size_t length = 0;
	char *digest = fw_alloc(65);
	fw_cleanup_free char *lines = fw_event_manifest(input, &length, digest);

	char *path = fw_printf("%s/%s.jsonl", directory, input->name);

	FW_PUSH(&run->texts, digest);
	FW_PUSH(&run->texts, path);
	input->manifest = path;
	input->manifest_count = input->objects.count;
	input->manifest_sha256 = digest;
	if (!lines)
		return fw_fail(err, FW_E_LIMIT, "the list of input '%s' is too long", input->name);
	if (run->stage->outputs.count == 0 && mkdir(directory, 0700) < 0 && errno != EEXIST)
		return fw_fail_errno(err, errno, "make %s", directory);
	return fw_write_file(AT_FDCWD, path, lines, length, 0644, err);
}

static int add_inputs(struct fw_task_run *run, struct fw_event *event, const char *directory, struct fw_error **err)
{
	struct fw_task_inputs inputs = {0};
	int rc = FW_OK;

	fw_engine_task_inputs(run->driver->engine, run->stage_index, run->task, &inputs);
	run->record.objects_in = 0;
	run->record.bytes_in = 0;
	for (size_t i = 0; i < inputs.count && rc == FW_OK; i++) {
		struct fw_event_input input = {.name = run->stage->inputs.items[i].name};

		if (inputs.inputs[i].ranges)
			add_ranges(run, &inputs, i, &input);
		else
			add_objects(run, &inputs, i, &input);
		if (fw_event_needs_manifest(&input))
			rc = by_manifest(run, &input, directory, err);
		FW_PUSH(&event->inputs, input);
	}
	fw_task_inputs_done(&inputs);
	return rc;
}

static void add_outputs(struct fw_task_run *run, struct fw_event *event, const char *directory)
{
	for (size_t i = 0; i < run->stage->outputs.count; i++) {
		const struct fw_output *output = &run->stage->outputs.items[i];
		char *path = fw_printf("%s/%s", directory, output->name);

		FW_PUSH(&run->texts, path);
		FW_PUSH(&event->outputs, (struct fw_event_output){output->name, path, output->suffix});
	}
}

static int stage_aware_event(struct fw_task_run *run, const char *directory, char **body, size_t *length,
                             struct fw_error **err)
{
	struct fw_event event = {
		.run = run->driver->run,
		.stage = run->stage->name,
		.handler = run->stage->function.handler,
		.task = run->task,
		.workers = fw_engine_stage(run->driver->engine, run->stage_index).total,
		.attempt = run->attempt,
		.params = run->stage->params,
	};
	int rc = fw_task_run_check_cuts(run, err);

	run->cuts_changed = rc != FW_OK;
	if (rc == FW_OK)
		rc = add_inputs(run, &event, directory, err);
	if (rc == FW_OK) {
		add_outputs(run, &event, directory);
		*body = fw_event_encode(&event, length);
		if (!*body)
			rc = fw_fail(err, FW_E_LIMIT, "the event is larger than %d bytes: its params are too large",
			             FW_PAYLOAD_MAX_BYTES);
	}
	for (size_t i = 0; i < event.inputs.count; i++)
		free(event.inputs.items[i].objects.items);
	free(event.inputs.items);
	free(event.outputs.items);
	return rc;
}

static int plain_event(struct fw_task_run *run, const char *directory, char **body, size_t *length,
                       struct fw_error **err)
{
	fw_cleanup_json json_t *filled = NULL;
	fw_cleanup_buffer struct fw_buffer text = {0};
	int rc = fw_payload_fill(run->driver->workflow, run->stage, fw_engine_results(run->driver->engine), directory,
	                         &filled, err);

	if (rc != FW_OK)
		return rc;
	fw_buffer_init(&text, FW_PAYLOAD_MAX_BYTES);
	if (fw_json_append(filled, &text) != FW_OK)
		return fw_fail(err, FW_E_LIMIT, "the payload is larger than %d bytes: the results that fill it are too large",
		               FW_PAYLOAD_MAX_BYTES);
	*length = text.length;
	*body = fw_buffer_take(&text);
	return FW_OK;
}

static int make_event(void *context, const char *directory, char **body, size_t *length, struct fw_error **err)
{
	struct fw_task_run *run = context;

	return run->stage->payload ? plain_event(run, directory, body, length, err)
	                           : stage_aware_event(run, directory, body, length, err);
}

/* ---- while it runs ---- */

static void started(void *context)
{
	struct fw_task_run *run = context;
	struct fw_stage_times *times = &run->driver->stages[run->stage_index];
	struct fw_engine_event event = {
		.kind = FW_EV_STARTED, .stage = run->stage_index, .task = run->task, .attempt = run->attempt};

	run->flags = fw_strdup(run->record.flags);
	if (isnan(times->first_start_ms))
		times->first_start_ms = fw_driver_now_ms(run->driver);
	fw_driver_feed(run->driver, &event);
}

static void progress(void *context, double done, double total, const char *note)
{
	struct fw_task_run *run = context;
	struct fw_stage_times *times = &run->driver->stages[run->stage_index];

	if (total > 0 && done >= 0)
		run->fraction = fmin(done / total, 1);
	if (note)
		fw_record_set_text(&times->note, note);
}

static void stage_in(void *context, const char *uri, int64_t offset, int64_t length, struct fw_stage_request *request)
{
	fw_task_run_stage_in(context, uri, offset, length, request);
}

/* ---- the end ---- */

static void finalize(struct fw_task_run *run)
{
	struct fw_driver *driver = run->driver;
	struct fw_error *error = NULL;

	fw_driver_price(driver, run->stage, &run->record);
	if (!driver->fatal && !driver->closing && fw_store_record_put(driver->store, &run->record, &error) != FW_OK)
		fw_driver_fatal(driver, error);
	driver->dirty = true;
	fw_loop_want_flush(driver->loop);
	driver->open_records--;
	fw_task_run_free(run);
	fw_driver_maybe_finish(driver);
}

static void keep_failure(struct fw_task_run *run)
{
	struct fw_driver_failure *failure = &run->driver->failure;

	if (failure->stage != UINT32_MAX)
		return;
	failure->stage = run->stage_index;
	failure->task = run->task;
	failure->attempt = run->attempt;
	failure->error_type = fw_strdup(run->record.error_type);
	failure->error_message = fw_strdup(run->record.error_message);
	failure->log_path = fw_strdup(run->log_path);
}

/* What the commit says of the record: a view of `run`, which owns the texts. What the meters fill is not touched here,
 * they may be at it in another thread. */
static struct fw_record known_at_commit(const struct fw_task_run *run)
{
	const struct fw_record *from = &run->record;
	struct fw_record known;

	fw_record_init(&known);
#define TAKE(kind, name, description) known.name = from->name;
	FW_RECORD_TIMES(TAKE)
#undef TAKE
	known.request_id = from->request_id;
	known.worker = from->worker;
	known.function = from->function;
	known.handler = from->handler;
	known.package_digest = from->package_digest;
	known.architecture = from->architecture;
	known.cpu_model = from->cpu_model;
	known.cpus_visible = from->cpus_visible;
	known.memory_mb = from->memory_mb;
	known.workers = from->workers;
	known.exit = from->exit;
	known.flags = run->flags;
	known.units = from->units;
	known.objects_in = from->objects_in;
	known.objects_out = from->objects_out;
	known.bytes_in = from->bytes_in;
	known.bytes_out = from->bytes_out;
	known.metrics = from->metrics;
	return known;
}

void fw_task_run_conclude(struct fw_task_run *run, struct fw_engine_event *event)
{
	const struct fw_record known = known_at_commit(run);
	struct fw_driver *driver = run->driver;
	uint32_t failed = fw_engine_stage(driver->engine, run->stage_index).failed;

	event->kind = FW_EV_ENDED;
	event->stage = run->stage_index;
	event->task = run->task;
	event->attempt = run->attempt;
	event->status = run->status;
	event->error_type = run->record.error_type;
	event->error_message = run->record.error_message;
	event->record = &known;
	fw_record_set_text(&run->record.status, fw_status_name(run->status));
	driver->stages[run->stage_index].last_end_ms = fw_driver_now_ms(driver);
	run->concluded = true;
	fw_driver_feed(driver, event);
	if (fw_engine_stage(driver->engine, run->stage_index).failed > failed)
		keep_failure(run);
	if (run->metered)
		finalize(run);
}

static void metered(void *context)
{
	struct fw_task_run *run = context;

	run->metered = true;
	if (run->concluded)
		finalize(run);
}

static void discarded(void *context, int rc, const struct fw_error *error)
{
	(void)context;
	(void)rc;
	(void)error; /* the sweep at the end of the run removes what is left */
}

void fw_task_run_discard(struct fw_task_run *run)
{
	if (run->directory)
		run->driver->storage->ops->discard(run->driver->storage, run->directory, discarded, NULL);
}

/* The function could not write its outputs and says so in its own words; the cause is ours to tell. */
static bool storage_is_full(const struct fw_task_run *run)
{
	struct statvfs space;

	return run->directory && statvfs(run->directory, &space) == 0 &&
	       (space.f_bavail < 16 || (space.f_files > 0 && space.f_favail == 0));
}

/* What it read while an object became another is of neither version. */
static void judge_cuts(struct fw_task_run *run)
{
	fw_cleanup_error struct fw_error *error = NULL;

	if (run->status == FW_STATUS_OK && fw_task_run_check_cuts(run, &error) != FW_OK) {
		run->cuts_changed = true;
		run->status = FW_STATUS_FUNCTION_ERROR;
		fw_record_set_text(&run->record.error_message, fw_error_message(error));
	}
	if (run->cuts_changed)
		fw_record_set_text(&run->record.error_type, "Storage.Changed");
}

/* The parameters of a run are the same for every attempt. */
static bool blames_a_parameter(const struct fw_task_run *run)
{
	return run->record.error_type && strcmp(run->record.error_type, "Function.Parameter") == 0;
}

static void ended(void *context, const struct fw_dispatch_outcome *outcome)
{
	struct fw_task_run *run = context;
	struct fw_engine_event event = {0};

	fw_task_run_let_go(run);
	run->directory = fw_strdup(outcome->directory);
	run->log_path = fw_strdup(outcome->log_path);
	if (!run->record.status || !fw_status_parse(run->record.status, &run->status))
		run->status = FW_STATUS_LOST;
	judge_cuts(run);
	event.final = outcome->final || run->input_changed || run->cuts_changed || blames_a_parameter(run);
	if (run->status == FW_STATUS_OK) {
		fw_task_run_publish(run, outcome->body, outcome->length);
		return;
	}
	if (run->status == FW_STATUS_FUNCTION_ERROR && storage_is_full(run)) {
		fw_task_run_no_space(run);
		return;
	}
	fw_task_run_discard(run);
	fw_task_run_conclude(run, &event);
}

/* ---- dispatch ---- */

static void identify(struct fw_task_run *run, const struct fw_engine_action *action)
{
	struct fw_driver *driver = run->driver;
	struct fw_record *record = &run->record;

	fw_record_init(record);
	record->run = fw_strdup(driver->run);
	record->stage = fw_strdup(run->stage->name);
	record->task = action->task;
	record->attempt = action->attempt;
	record->backend = fw_strdup(driver->backend->ops->name);
	record->function = fw_printf("%s-%s", driver->workflow->name, run->stage->name);
	record->handler = fw_strdup(run->stage->function.handler);
	record->memory_mb = action->memory_mb;
	record->vcpus = fw_driver_vcpus(action->memory_mb);
	record->workers = fw_engine_stage(driver->engine, run->stage_index).total;
	if (run->stage->function.path)
		fw_record_set_text(&record->package_digest,
		                   json_string_value(json_object_get(driver->packages, run->stage->function.path)));
	if (action->cpu_capped)
		fw_record_flag(&record->flags, "cpu_capped");
	if (driver->options.oversubscribe)
		fw_record_flag(&record->flags, "contended");
}

void fw_driver_dispatch(struct fw_driver *driver, const struct fw_engine_action *action)
{
	struct fw_task_run *run = fw_alloc(sizeof *run);

	run->driver = driver;
	run->stage_index = action->stage;
	run->stage = &driver->workflow->stages.items[action->stage];
	run->task = action->task;
	run->attempt = action->attempt;
	run->fraction = NAN;
	run->next = driver->runs;
	if (run->next)
		run->next->previous = run;
	driver->runs = run;
	identify(run, action);
	driver->open_records++;
	driver->dispatched = true;

	struct fw_dispatch dispatch = {
		.stage = action->stage,
		.task = action->task,
		.attempt = action->attempt,
		.memory_mb = action->memory_mb,
		.millivcpus = action->millivcpus,
		.cpu_capped = action->cpu_capped,
		.ready_ns = driver->start_ns + action->ready_ns,
		.event = make_event,
		.started = started,
		.progress = progress,
		.stage_in = stage_in,
		.ended = ended,
		.metered = metered,
		.context = run,
		.record = &run->record,
	};
	driver->backend->ops->dispatch(driver->backend, &dispatch);
}

void fw_task_run_free(struct fw_task_run *run)
{
	if (run->previous)
		run->previous->next = run->next;
	else
		run->driver->runs = run->next;
	if (run->next)
		run->next->previous = run->previous;
	fw_task_run_let_go(run);
	for (size_t i = 0; i < run->texts.count; i++)
		free(run->texts.items[i]);
	free(run->texts.items);
	fw_answer_done(&run->answer);
	for (size_t i = 0; i < run->publication.output_count; i++)
		free((void *)run->publication.outputs[i].names);
	free(run->publication.outputs);
	fw_record_done(&run->record);
	json_decref(run->result);
	free(run->result_text);
	free(run->flags);
	free(run->directory);
	free(run->log_path);
	free(run);
}
