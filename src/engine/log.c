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
};

static const struct kind {
	const char *name;
	unsigned fields;
} kinds[] = {
	[FW_EV_RUN_STARTED] = {"run_started", MACHINE},
	[FW_EV_LISTED] = {"listed", STAGE | INPUT | OBJECTS},
	[FW_EV_LIST_FAILED] = {"list_failed", STAGE | INPUT | ERROR},
	[FW_EV_STARTED] = {"started", STAGE | TASK | ATTEMPT},
	[FW_EV_ENDED] = {"ended", STAGE | TASK | ATTEMPT | STATUS | OBJECTS | ERROR | RESULT},
	[FW_EV_TIMER] = {"timer", TIMER},
	[FW_EV_CANCEL] = {"cancel", NOW},
	[FW_EV_RESUMED] = {"resumed", MACHINE},
	[FW_EV_RESTARTED] = {"restarted", STAGE},
};

/* ---- writing ---- */

static bool is_utf8(const char *text)
{
	fw_cleanup_json json_t *string = json_string(text); /* checks it */

	return string != NULL;
}

static int write_objects(const struct fw_engine_event *event, struct fw_buffer *out)
{
	fw_buffer_text(out, ",\"objects\":[");
	for (size_t i = 0; i < event->object_count; i++) {
		const struct fw_engine_object *object = &event->objects[i];

		if (!is_utf8(object->key))
			return FW_E_INVALID;
		fw_buffer_text(out, i ? ",[" : "[");
		fw_json_quote(fw_str_of(object->key), out);
		fw_buffer_printf(out, ",%lld,%u]", (long long)object->bytes, object->output);
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
	if (fields & ERROR) {
		write_text("error_type", event->error_type, out);
		write_text("error_message", event->error_message, out);
	}
	if ((fields & OBJECTS) && write_objects(event, out) != FW_OK)
		return FW_E_INVALID;
	if ((fields & RESULT) && event->result) {
		fw_buffer_text(out, ",\"result\":");
		fw_json_append(event->result, out);
	}
	return fw_buffer_text(out, "}");
}

/* ---- reading ---- */

static bool read_u32(const json_t *json, uint32_t *value)
{
	json_int_t number = json_is_integer(json) ? json_integer_value(json) : -1;

	if (number < 0 || number > UINT32_MAX)
		return false;
	*value = (uint32_t)number;
	return true;
}

static bool read_u64(const json_t *json, uint64_t *value)
{
	if (!json_is_integer(json) || json_integer_value(json) < 0)
		return false;
	*value = (uint64_t)json_integer_value(json);
	return true;
}

static bool read_i64(const json_t *json, int64_t *value)
{
	uint64_t number;

	if (!read_u64(json, &number))
		return false;
	*value = (int64_t)number;
	return true;
}

static bool read_bool(const json_t *json, bool *value)
{
	*value = json_is_true(json);
	return json_is_boolean(json);
}

static bool read_text(const json_t *json, const char **value)
{
	*value = json_string_value(json);
	return *value != NULL;
}

static bool read_seed(const json_t *json, uint64_t *value)
{
	const char *text = json_string_value(json);

	if (!text || strlen(text) != 16 || strspn(text, "0123456789abcdef") != 16)
		return false;
	*value = strtoull(text, NULL, 16);
	return true;
}

static bool read_object(const json_t *json, struct fw_engine_object *object)
{
	return json_is_array(json) && json_array_size(json) == 3 && read_text(json_array_get(json, 0), &object->key) &&
	       *object->key && read_i64(json_array_get(json, 1), &object->bytes) &&
	       read_u32(json_array_get(json, 2), &object->output);
}

static bool read_objects(const json_t *json, struct fw_engine_event *event)
{
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

static bool read_status(const json_t *json, enum fw_status *status)
{
	return json_is_string(json) && fw_status_parse(json_string_value(json), status);
}

static const struct member {
	const char *name;
	unsigned field; /* 0: of every kind */
	bool optional;
} members[] = {
	{"event", 0, false},
	{"time_ns", 0, false},
	{"stage", STAGE, false},
	{"input", INPUT, false},
	{"task", TASK, false},
	{"attempt", ATTEMPT, false},
	{"timer", TIMER, false},
	{"now", NOW, false},
	{"millivcpus", MACHINE, false},
	{"memory_mb", MACHINE, false},
	{"seed", MACHINE, false},
	{"oversubscribe", MACHINE, false},
	{"status", STATUS, false},
	{"error_type", ERROR, true},
	{"error_message", ERROR, true},
	{"objects", OBJECTS, false},
	{"result", RESULT, true},
};

static bool read_member(size_t index, const json_t *value, struct fw_engine_event *event)
{
	switch (index) {
	case 0:
		return true; /* read first */
	case 1:
		return read_u64(value, &event->time_ns);
	case 2:
		return read_u32(value, &event->stage);
	case 3:
		return read_u32(value, &event->input);
	case 4:
		return read_u32(value, &event->task);
	case 5:
		return read_u32(value, &event->attempt);
	case 6:
		return read_u64(value, &event->timer);
	case 7:
		return read_bool(value, &event->now);
	case 8:
		return read_i64(value, &event->millivcpus);
	case 9:
		return read_i64(value, &event->memory_mb);
	case 10:
		return read_seed(value, &event->seed);
	case 11:
		return read_bool(value, &event->oversubscribe);
	case 12:
		return read_status(value, &event->status);
	case 13:
		return read_text(value, &event->error_type);
	case 14:
		return read_text(value, &event->error_message);
	case 15:
		return read_objects(value, event);
	default:
		event->result = value;
		return true;
	}
}

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
	size_t seen = 0;

	for (size_t i = 0; i < FW_COUNT_OF(members); i++) {
		const json_t *value = json_object_get(json, members[i].name);
		bool belongs = !members[i].field || (kinds[event->kind].fields & members[i].field);

		if (!value && (!belongs || members[i].optional))
			continue;
		if (!value)
			return fw_fail(err, FW_E_INVALID, "event log: '%s' lacks '%s'", event_name, members[i].name);
		if (!belongs || !read_member(i, value, event))
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
	json_decref(owner);
}
