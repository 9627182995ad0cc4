/* SPDX-License-Identifier: Apache-2.0
 *
 * The answer of a stage-aware function, from bytes that a stranger wrote. Strict and bounded: what is accepted here names
 * only files below the directories that the event gave. Every refusal says which member and why.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/map.h"
#include "base/str.h"
#include "record/event.h"

enum { SHOWN_BYTES = 80, METRIC_NAME_MAX_BYTES = 128, OUTPUT_NAME_MAX_BYTES = 128 };

/* A stranger's text for a message: quoted, control characters escaped, not longer than people read. */
static char *shown(const char *text)
{
	fw_cleanup_buffer struct fw_buffer out;
	size_t length = strlen(text);
	bool cut = length > SHOWN_BYTES;

	if (cut)
		for (length = SHOWN_BYTES; length > 0 && ((unsigned char)text[length] & 0xc0) == 0x80;)
			length--; /* not in the middle of a character */
	fw_buffer_init(&out, (size_t)16 * SHOWN_BYTES);
	fw_json_quote((struct fw_str){text, length}, &out);
	if (cut)
		fw_buffer_text(&out, "...");
	return fw_buffer_take(&out);
}

static bool has_control_character(const char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			return true;
	return false;
}

static const char *what_is_wrong_with_name(const char *name)
{
	if (*name == '\0')
		return "is empty";
	if (strlen(name) > FW_OBJECT_NAME_MAX_BYTES)
		return "is longer than 512 bytes";
	if (has_control_character(name))
		return "contains a control character";
	if (!fw_path_is_inside(name))
		return "leaves the output's directory";
	return NULL;
}
_Static_assert(FW_OBJECT_NAME_MAX_BYTES == 512, "the text above says 512");

/* `seen` has the names of this output so far. */
static int read_name(const json_t *item, struct fw_map *seen, struct fw_answer_output *output, struct fw_error **err)
{
	const char *name = json_string_value(item);

	if (!name)
		return fw_fail(err, FW_E_INVALID, "must be a file name");
	fw_cleanup_free char *quoted = shown(name);
	const char *wrong = what_is_wrong_with_name(name);
	if (wrong)
		return fw_fail(err, FW_E_INVALID, "%s %s", quoted, wrong);
	if (fw_map_has(seen, name))
		return fw_fail(err, FW_E_INVALID, "%s is named twice", quoted);
	fw_map_set(seen, name, output);
	FW_PUSH(&output->objects, fw_strdup(name));
	return FW_OK;
}

static int read_list(const json_t *list, const char *name, struct fw_answer_output *output, struct fw_error **err)
{
	struct fw_map *seen = fw_map_new();
	const json_t *item;
	size_t index;
	int rc = FW_OK;

	json_array_foreach(list, index, item) {
		rc = read_name(item, seen, output, err);
		if (rc != FW_OK) {
			fw_error_wrap(err, rc, "outputs.%s[%zu]", name, index);
			break;
		}
	}
	fw_map_free(seen);
	return rc;
}

static int check_output_name(const char *name, struct fw_error **err)
{
	if (*name && strlen(name) <= OUTPUT_NAME_MAX_BYTES && !has_control_character(name) && !strchr(name, '/'))
		return FW_OK;
	fw_cleanup_free char *quoted = shown(name);
	return fw_fail(err, FW_E_INVALID, "outputs: %s cannot be the name of an output", quoted);
}

static int read_outputs(const json_t *outputs, struct fw_answer *answer, struct fw_error **err)
{
	size_t total = 0;
	const char *name;
	json_t *list;

	if (!json_is_object(outputs) || json_object_size(outputs) > FW_ANSWER_MAX_OUTPUTS)
		return fw_fail(err, FW_E_INVALID, "outputs: must be an object of at most %d outputs", FW_ANSWER_MAX_OUTPUTS);
	json_object_foreach((json_t *)(uintptr_t)outputs, name, list) {
		int rc = check_output_name(name, err);
		if (rc != FW_OK)
			return rc;
		if (!json_is_array(list))
			return fw_fail(err, FW_E_INVALID, "outputs.%s: must be a list of file names", name);
		total += json_array_size(list);
		if (total > FW_ANSWER_MAX_OBJECTS)
			return fw_fail(err, FW_E_LIMIT, "outputs.%s: more than %d objects in one answer", name, FW_ANSWER_MAX_OBJECTS);
		FW_PUSH(&answer->outputs, (struct fw_answer_output){.name = fw_strdup(name)});
		rc = read_list(list, name, &answer->outputs.items[answer->outputs.count - 1], err);
		if (rc != FW_OK)
			return rc;
	}
	return FW_OK;
}

static int check_amount(const char *what, double value, struct fw_error **err)
{
	if (isnan(value) || (isfinite(value) && value >= 0))
		return FW_OK; /* NAN here means absent: JSON has none */
	return fw_fail(err, FW_E_INVALID, "%s: must be zero or more", what);
}

static int read_phases(const json_t *phases, struct fw_answer *answer, struct fw_error **err)
{
	const struct fw_json_member members[] = {
		{"read_ms", 'n', false, &answer->read_ms},
		{"compute_ms", 'n', false, &answer->compute_ms},
		{"write_ms", 'n', false, &answer->write_ms},
	};
	int rc = fw_json_read(phases, "phases", members, FW_COUNT_OF(members), false, err);

	if (rc == FW_OK)
		rc = check_amount("phases.read_ms", answer->read_ms, err);
	if (rc == FW_OK)
		rc = check_amount("phases.compute_ms", answer->compute_ms, err);
	if (rc == FW_OK)
		rc = check_amount("phases.write_ms", answer->write_ms, err);
	return rc;
}

static int check_metrics(const json_t *metrics, struct fw_error **err)
{
	const char *name;
	json_t *value;

	if (!json_is_object(metrics) || json_object_size(metrics) > FW_ANSWER_MAX_METRICS)
		return fw_fail(err, FW_E_INVALID, "metrics: must be an object of at most %d numbers", FW_ANSWER_MAX_METRICS);
	json_object_foreach((json_t *)(uintptr_t)metrics, name, value) {
		fw_cleanup_free char *quoted = shown(name);
		if (*name == '\0' || strlen(name) > METRIC_NAME_MAX_BYTES || has_control_character(name))
			return fw_fail(err, FW_E_INVALID, "metrics: %s cannot be the name of a metric", quoted);
		if (!json_is_number(value))
			return fw_fail(err, FW_E_INVALID, "metrics: %s must be a number", quoted);
	}
	return FW_OK;
}

static int read_members(const json_t *json, struct fw_answer *answer, struct fw_error **err)
{
	json_t *outputs = NULL, *phases = NULL, *metrics = NULL, *result = NULL;
	const struct fw_json_member members[] = {
		{"outputs", 'o', false, &outputs}, {"phases", 'o', false, &phases}, {"units", 'n', false, &answer->units},
		{"metrics", 'o', false, &metrics}, {"result", 'o', false, &result},
	};
	int rc = fw_json_read(json, "answer", members, FW_COUNT_OF(members), false, err);

	if (rc != FW_OK)
		return rc;
	rc = check_amount("units", answer->units, err);
	if (rc == FW_OK && outputs)
		rc = read_outputs(outputs, answer, err);
	if (rc == FW_OK && phases)
		rc = read_phases(phases, answer, err);
	if (rc == FW_OK && metrics)
		rc = check_metrics(metrics, err);
	if (rc != FW_OK)
		return fw_error_wrap(err, rc, "answer");
	answer->metrics = json_incref(metrics);
	answer->result = json_incref(result);
	return FW_OK;
}

int fw_answer_decode(const char *text, size_t length, struct fw_answer *answer, struct fw_error **err)
{
	fw_cleanup_json json_t *json = NULL;
	struct fw_answer read = {.read_ms = NAN, .compute_ms = NAN, .write_ms = NAN, .units = NAN};

	if (length > FW_PAYLOAD_MAX_BYTES)
		return fw_fail(err, FW_E_LIMIT, "answer: %zu bytes, more than %d", length, FW_PAYLOAD_MAX_BYTES);
	int rc = fw_json_load("answer", text, length, &json, err);
	if (rc == FW_OK)
		rc = read_members(json, &read, err);
	if (rc != FW_OK) {
		fw_answer_done(&read);
		return rc;
	}
	*answer = read;
	return FW_OK;
}

void fw_answer_done(struct fw_answer *answer)
{
	for (size_t i = 0; i < answer->outputs.count; i++) {
		struct fw_answer_output *output = &answer->outputs.items[i];

		for (size_t j = 0; j < output->objects.count; j++)
			free(output->objects.items[j]);
		free(output->objects.items);
		free(output->name);
	}
	free(answer->outputs.items);
	json_decref(answer->metrics);
	json_decref(answer->result);
	*answer = (struct fw_answer){.read_ms = NAN, .compute_ms = NAN, .write_ms = NAN, .units = NAN};
}
