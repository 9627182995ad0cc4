/* SPDX-License-Identifier: Apache-2.0
 *
 * The event log: one event is one compact JSON object with exactly the members of its kind. Reading is strict, since
 * a log that is not ours or was damaged must be refused rather than replayed into a state that never was.
 */
#include "engine/engine.h"

#include <stdlib.h>
#include <string.h>

enum field {
	STAGE = 1 << 0,
	INPUT = 1 << 1,
	TASK = 1 << 2,
	ATTEMPT = 1 << 3,
	STATUS = 1 << 4,
	OBJECTS = 1 << 5,
	TIMER = 1 << 6,
	NOW = 1 << 7,
	MACHINE = 1 << 8, /* four members */
	ERROR = 1 << 9,   /* two members, each optional */
	RESULT = 1 << 10, /* optional */
	FINAL = 1 << 11,  /* optional */
	RECORD = 1 << 12, /* optional */
	RANGES = 1 << 13,
	VERSIONS = 1 << 14, /* optional: older logs have none */
};

static const struct kind {
	const char *name;
	unsigned fields;
} kinds[] = {
	[FW_EV_RUN_STARTED] = {"run_started", MACHINE},
	[FW_EV_LISTED] = {"listed", STAGE | INPUT | OBJECTS},
	[FW_EV_LIST_FAILED] = {"list_failed", STAGE | INPUT | ERROR},
	[FW_EV_PLANNED] = {"planned", STAGE | INPUT | RANGES | VERSIONS},
	[FW_EV_PLAN_FAILED] = {"plan_failed", STAGE | INPUT | STATUS | ERROR},
	[FW_EV_STARTED] = {"started", STAGE | TASK | ATTEMPT},
	[FW_EV_ENDED] = {"ended", STAGE | TASK | ATTEMPT | STATUS | FINAL | OBJECTS | ERROR | RESULT | RECORD},
	[FW_EV_TIMER] = {"timer", TIMER},
	[FW_EV_CANCEL] = {"cancel", NOW},
	[FW_EV_RESUMED] = {"resumed", MACHINE},
	[FW_EV_RESTARTED] = {"restarted", STAGE},
	[FW_EV_RECUT] = {"recut", STAGE},
};

/* ---- writing ---- */

static bool is_utf8(const char *text)
{
	fw_cleanup_json json_t *string = json_string(text); /* checks it */

	return string != NULL;
}

/* [key, bytes, output], a version behind it. */
static int write_objects(const struct fw_engine_event *event, struct fw_buffer *out)
{
	fw_buffer_text(out, ",\"objects\":[");
	for (size_t i = 0; i < event->object_count; i++) {
		const struct fw_engine_object *object = &event->objects[i];

		if (!is_utf8(object->key) || (object->version && !is_utf8(object->version)))
			return FW_E_INVALID;
		fw_buffer_text(out, i ? ",[" : "[");
		fw_json_quote(fw_str_of(object->key), out);
		fw_buffer_printf(out, ",%lld,%u", (long long)object->bytes, object->output);
		if (object->version)
			fw_buffer_text(out, ",");
		if (object->version)
			fw_json_quote(fw_str_of(object->version), out);
		fw_buffer_text(out, "]");
	}
	fw_buffer_text(out, "]");
	return FW_OK;
}

/* [part, object, offset, length], a header behind it; `true` stands for the same header as before. */
static int write_ranges(const struct fw_engine_event *event, struct fw_buffer *out)
{
	const char *before = NULL;

	fw_buffer_text(out, ",\"ranges\":[");
	for (size_t i = 0; i < event->range_count; i++) {
		const struct fw_range *range = &event->ranges[i];

		fw_buffer_printf(out, "%s[%u,%u,%lld,%lld", i ? "," : "", range->part, range->object, (long long)range->offset,
		                 (long long)range->length);
		if (range->header && !is_utf8(range->header))
			return FW_E_INVALID;
		if (range->header)
			fw_buffer_text(out, ",");
		if (range->header && before && strcmp(range->header, before) == 0)
			fw_buffer_text(out, "true");
		else if (range->header)
			fw_json_quote(fw_str_of(range->header), out);
		before = range->header ? range->header : before;
		fw_buffer_text(out, "]");
	}
	fw_buffer_text(out, "]");
	return FW_OK;
}

static int write_versions(const struct fw_engine_event *event, struct fw_buffer *out)
{
	fw_buffer_text(out, ",\"versions\":[");
	for (size_t i = 0; i < event->version_count; i++) {
		fw_buffer_text(out, i ? "," : "");
		if (event->versions[i] && !is_utf8(event->versions[i]))
			return FW_E_INVALID;
		if (event->versions[i])
			fw_json_quote(fw_str_of(event->versions[i]), out);
		else
			fw_buffer_text(out, "null");
	}
	fw_buffer_text(out, "]");
	return FW_OK;
}

static void write_text(const char *name, const char *text, struct fw_buffer *out)
{
	if (!text)
		return;
	fw_buffer_printf(out, ",\"%s\":", name);
	fw_json_quote(fw_str_of(text), out);
}

static void write_machine(const struct fw_engine_event *event, struct fw_buffer *out)
{
	fw_buffer_printf(out, ",\"millivcpus\":%lld,\"memory_mb\":%lld,\"seed\":\"%016llx\",\"oversubscribe\":%s",
	                 (long long)event->millivcpus, (long long)event->memory_mb, (unsigned long long)event->seed,
	                 event->oversubscribe ? "true" : "false");
}

static void write_numbers(const struct fw_engine_event *event, unsigned fields, struct fw_buffer *out)
{
	if (fields & STAGE)
		fw_buffer_printf(out, ",\"stage\":%u", event->stage);
	if (fields & INPUT)
		fw_buffer_printf(out, ",\"input\":%u", event->input);
	if (fields & TASK)
		fw_buffer_printf(out, ",\"task\":%u", event->task);
	if (fields & ATTEMPT)
		fw_buffer_printf(out, ",\"attempt\":%u", event->attempt);
	if (fields & TIMER)
		fw_buffer_printf(out, ",\"timer\":%llu", (unsigned long long)event->timer);
	if (fields & NOW)
		fw_buffer_printf(out, ",\"now\":%s", event->now ? "true" : "false");
}

int fw_event_log_encode(const struct fw_engine_event *event, struct fw_buffer *out)
{
	unsigned fields = kinds[event->kind].fields;

	fw_buffer_printf(out, "{\"event\":\"%s\",\"time_ns\":%llu", kinds[event->kind].name,
	                 (unsigned long long)event->time_ns);
	write_numbers(event, fields, out);
	if (fields & MACHINE)
		write_machine(event, out);
	if (fields & STATUS)
		write_text("status", fw_status_name(event->status), out);
	if ((fields & FINAL) && event->final)
		fw_buffer_text(out, ",\"final\":true");
	if (fields & ERROR) {
		write_text("error_type", event->error_type, out);
		write_text("error_message", event->error_message, out);
	}
	if ((fields & OBJECTS) && write_objects(event, out) != FW_OK)
		return FW_E_INVALID;
	if ((fields & RANGES) && write_ranges(event, out) != FW_OK)
		return FW_E_INVALID;
	if ((fields & VERSIONS) && event->version_count && write_versions(event, out) != FW_OK)
		return FW_E_INVALID;
	if ((fields & RESULT) && event->result) {
		fw_buffer_text(out, ",\"result\":");
		fw_json_append(event->result, out);
	}
	if ((fields & RECORD) && event->record) {
		fw_buffer_text(out, ",\"record\":");
		fw_record_append_line(event->record, out);
	}
	return fw_buffer_text(out, "}");
}

/* ---- reading ---- */

/* Each reads one member into the event at `target`; false when it is not what it must be. */
typedef bool read_fn(const json_t *json, void *target);

static bool read_u64(const json_t *json, void *target)
{
	if (!json_is_integer(json) || json_integer_value(json) < 0)
		return false;
	*(uint64_t *)target = (uint64_t)json_integer_value(json);
	return true;
}

static bool read_i64(const json_t *json, void *target)
{
	uint64_t number;

	if (!read_u64(json, &number))
		return false;
	*(int64_t *)target = (int64_t)number;
	return true;
}

static bool read_u32(const json_t *json, void *target)
{
	uint64_t number;

	if (!read_u64(json, &number) || number > UINT32_MAX)
		return false;
	*(uint32_t *)target = (uint32_t)number;
	return true;
}

static bool read_bool(const json_t *json, void *target)
{
	*(bool *)target = json_is_true(json);
	return json_is_boolean(json);
}

static bool read_text(const json_t *json, void *target)
{
	*(const char **)target = json_string_value(json);
	return json_is_string(json);
}

static bool read_seed(const json_t *json, void *target)
{
	const char *text = json_string_value(json);

	if (!text || strlen(text) != 16 || strspn(text, "0123456789abcdef") != 16)
		return false;
	*(uint64_t *)target = strtoull(text, NULL, 16);
	return true;
}

static bool read_status(const json_t *json, void *target)
{
	return json_is_string(json) && fw_status_parse(json_string_value(json), target);
}

static bool read_result(const json_t *json, void *target)
{
	*(const json_t **)target = json;
	return true;
}

static bool read_record(const json_t *json, void *target)
{
	*(const json_t **)target = json;
	return json_is_object(json);
}

static bool read_object(const json_t *json, struct fw_engine_object *object)
{
	const json_t *version = json_array_get(json, 3);

	return json_array_size(json) == (version ? 4 : 3) && read_text(json_array_get(json, 0), &object->key) && *object->key &&
	       read_i64(json_array_get(json, 1), &object->bytes) && read_u32(json_array_get(json, 2), &object->output) &&
	       (!version || read_text(version, &object->version));
}

static bool read_objects(const json_t *json, void *target)
{
	struct fw_engine_event *event = target;

	if (!json_is_array(json))
		return false;
	struct fw_engine_object *objects = fw_alloc_array(json_array_size(json), sizeof *objects);

	event->objects = objects;
	event->object_count = json_array_size(json);
	for (size_t i = 0; i < event->object_count; i++)
		if (!read_object(json_array_get(json, i), &objects[i]))
			return false;
	return true;
}

static bool read_range(const json_t *json, struct fw_range *range, const char **header)
{
	const json_t *last = json_array_get(json, 4);

	if (json_array_size(json) != (last ? 5 : 4) || !read_u32(json_array_get(json, 0), &range->part) ||
	    !read_u32(json_array_get(json, 1), &range->object) || !read_i64(json_array_get(json, 2), &range->offset) ||
	    !read_i64(json_array_get(json, 3), &range->length))
		return false;
	if (last && !json_is_true(last) && !read_text(last, header))
		return false;
	range->header = last ? *header : NULL;
	return !last || *header;
}

static bool read_ranges(const json_t *json, void *target)
{
	struct fw_engine_event *event = target;
	const char *header = NULL;

	if (!json_is_array(json))
		return false;
	struct fw_range *ranges = fw_alloc_array(json_array_size(json) ? json_array_size(json) : 1, sizeof *ranges);

	event->ranges = ranges;
	event->range_count = json_array_size(json);
	for (size_t i = 0; i < event->range_count; i++)
		if (!read_range(json_array_get(json, i), &ranges[i], &header))
			return false;
	return true;
}

static bool read_versions(const json_t *json, void *target)
{
	struct fw_engine_event *event = target;

	if (!json_is_array(json))
		return false;
	const char **versions = fw_alloc_array(json_array_size(json) + 1, sizeof *versions);

	event->versions = versions;
	event->version_count = json_array_size(json);
	for (size_t i = 0; i < event->version_count; i++) {
		const json_t *version = json_array_get(json, i);

		if (!json_is_null(version) && !read_text(version, &versions[i]))
			return false;
	}
	return true;
}

#define AT(member) offsetof(struct fw_engine_event, member)
static const struct member {
	const char *name;
	unsigned field; /* 0: of every kind */
	bool optional;
	read_fn *read;
	size_t offset;
} members[] = {
	{"time_ns", 0, false, read_u64, AT(time_ns)},
	{"stage", STAGE, false, read_u32, AT(stage)},
	{"input", INPUT, false, read_u32, AT(input)},
	{"task", TASK, false, read_u32, AT(task)},
	{"attempt", ATTEMPT, false, read_u32, AT(attempt)},
	{"timer", TIMER, false, read_u64, AT(timer)},
	{"now", NOW, false, read_bool, AT(now)},
	{"millivcpus", MACHINE, false, read_i64, AT(millivcpus)},
	{"memory_mb", MACHINE, false, read_i64, AT(memory_mb)},
	{"seed", MACHINE, false, read_seed, AT(seed)},
	{"oversubscribe", MACHINE, false, read_bool, AT(oversubscribe)},
	{"status", STATUS, false, read_status, AT(status)},
	{"final", FINAL, true, read_bool, AT(final)},
	{"error_type", ERROR, true, read_text, AT(error_type)},
	{"error_message", ERROR, true, read_text, AT(error_message)},
	{"objects", OBJECTS, false, read_objects, 0},
	{"ranges", RANGES, false, read_ranges, 0},
	{"versions", VERSIONS, true, read_versions, 0},
	{"result", RESULT, true, read_result, AT(result)},
	{"record", RECORD, true, read_record, AT(recorded)},
};
#undef AT

static int read_kind(const json_t *json, struct fw_engine_event *event, struct fw_error **err)
{
	const char *name = json_string_value(json_object_get(json, "event"));

	for (size_t i = 0; name && i < FW_COUNT_OF(kinds); i++) {
		if (strcmp(name, kinds[i].name) == 0) {
			event->kind = (enum fw_event_kind)i;
			return FW_OK;
		}
	}
	return fw_fail(err, FW_E_INVALID, "event log: no event is named '%s'", name ? name : "");
}

static int read_members(const json_t *json, struct fw_engine_event *event, struct fw_error **err)
{
	const char *event_name = kinds[event->kind].name;
	size_t seen = 1; /* "event" */

	for (size_t i = 0; i < FW_COUNT_OF(members); i++) {
		const json_t *value = json_object_get(json, members[i].name);
		bool belongs = !members[i].field || (kinds[event->kind].fields & members[i].field);

		if (!value && (!belongs || members[i].optional))
			continue;
		if (!value)
			return fw_fail(err, FW_E_INVALID, "event log: '%s' lacks '%s'", event_name, members[i].name);
		if (!belongs || !members[i].read(value, (char *)event + members[i].offset))
			return fw_fail(err, FW_E_INVALID, "event log: '%s': '%s' cannot be %s", event_name, members[i].name,
			               belongs ? "that" : "here");
		seen++;
	}
	if (seen != json_object_size(json))
		return fw_fail(err, FW_E_INVALID, "event log: '%s' has unknown members", event_name);
	return FW_OK;
}

int fw_event_log_decode(const char *text, size_t length, struct fw_engine_event *event, json_t **owner,
                        struct fw_error **err)
{
	fw_cleanup_json json_t *json = NULL;
	struct fw_engine_event read = {0};
	int rc = fw_json_load("event log", text, length, &json, err);

	if (rc == FW_OK)
		rc = read_kind(json, &read, err);
	if (rc == FW_OK)
		rc = read_members(json, &read, err);
	if (rc != FW_OK) {
		fw_event_log_release(&read, NULL);
		return rc;
	}
	*event = read;
	*owner = FW_TAKE(json);
	return FW_OK;
}

void fw_event_log_release(struct fw_engine_event *event, json_t *owner)
{
	free((void *)(uintptr_t)event->objects);
	event->objects = NULL;
	event->object_count = 0;
	free((void *)(uintptr_t)event->ranges);
	event->ranges = NULL;
	event->range_count = 0;
	free((void *)(uintptr_t)event->versions);
	event->versions = NULL;
	event->version_count = 0;
	json_decref(owner);
}
