/* SPDX-License-Identifier: Apache-2.0
 *
 * Payloads of plain Lambda functions: ${STAGE.result.PATH} and ${output.NAME} in their texts. A text that is one
 * placeholder takes the value with its type; inside a longer text it becomes text. $${ stands for ${.
 */
#include <stdlib.h>
#include <string.h>

#include "workflow/workflow_internal.h"

enum { PAYLOAD_TEXT_MAX = 6 << 20 }; /* Lambda's limit of a request */

struct placeholder {
	size_t start, end; /* of "${…}" in the text */
	bool is_output;
	struct fw_str name; /* of the stage or the output */
	struct fw_str path; /* below the result; may be empty */
};

enum scan { SCAN_END, SCAN_FOUND, SCAN_BAD };

static bool read_placeholder(struct fw_str body, struct placeholder *placeholder)
{
	struct fw_str rest = body, word;

	if (!fw_str_next_field(&rest, '.', &placeholder->name))
		return false;
	if (fw_str_is(placeholder->name, "output")) {
		placeholder->is_output = true;
		placeholder->name = rest;
		return rest.length > 0;
	}
	if (placeholder->name.length == 0 || !fw_str_next_field(&rest, '.', &word) || !fw_str_is(word, "result"))
		return false;
	placeholder->path = rest.length > 0 ? rest : FW_STR("");
	return true;
}

/* The next placeholder at or behind `from`. "$${" is skipped. */
static enum scan scan(const char *text, size_t from, struct placeholder *placeholder)
{
	const char *open = strstr(text + from, "${");

	while (open && open > text + from && open[-1] == '$')
		open = strstr(open + 2, "${");
	*placeholder = (struct placeholder){0};
	if (!open)
		return SCAN_END;
	const char *close = strchr(open, '}');
	placeholder->start = (size_t)(open - text);
	placeholder->end = close ? (size_t)(close + 1 - text) : strlen(text);
	if (!close)
		return SCAN_BAD;
	return read_placeholder((struct fw_str){open + 2, (size_t)(close - open - 2)}, placeholder) ? SCAN_FOUND : SCAN_BAD;
}

/* ---- before the run ---- */

static bool has_output(const struct fw_stage *stage, struct fw_str name)
{
	for (size_t i = 0; i < stage->outputs.count; i++)
		if (fw_str_is(name, stage->outputs.items[i].name))
			return true;
	return false;
}

static int fail_output(const struct fw_stage *stage, const struct fw_setting *where, struct fw_str name,
                       struct fw_error **err)
{
	fw_cleanup_free char *wanted = fw_strndup(name.text, name.length);
	struct fw_names names = {0};

	for (size_t i = 0; i < stage->outputs.count; i++)
		FW_PUSH(&names.list, stage->outputs.items[i].name);
	return fw_fail_unknown(err, where, &names, "outputs of the stage", wanted, "payload: the stage has no output");
}

static int link_text(struct fw_reader *reader, size_t consumer, const struct fw_setting *setting, struct fw_error **err)
{
	const struct fw_stage *stage = &reader->workflow->stages.items[consumer];
	struct placeholder placeholder;
	enum scan found;
	size_t index = 0;

	for (size_t from = 0; (found = scan(setting->text, from, &placeholder)) != SCAN_END; from = placeholder.end) {
		if (found == SCAN_BAD)
			return fw_error_hint(err, fw_setting_fail(err, setting, FW_E_INVALID,
			                                          "payload: '%.*s' is neither ${STAGE.result.PATH} nor ${output.NAME}",
			                                          (int)(placeholder.end - placeholder.start > 80
			                                                ? 80 : placeholder.end - placeholder.start),
			                                          setting->text + placeholder.start),
			                     "write $${ for a plain ${");
		if (placeholder.is_output) {
			if (!has_output(stage, placeholder.name))
				return fail_output(stage, setting, placeholder.name, err);
			continue;
		}
		int rc = fw_find_stage(reader, setting, placeholder.name.text, placeholder.name.length, &index, err);
		if (rc != FW_OK)
			return fw_error_wrap(err, rc, "payload");
		fw_add_link(reader, index, consumer, setting);
	}
	return FW_OK;
}

int fw_link_payload(struct fw_reader *reader, size_t stage, const struct fw_setting *payload, struct fw_error **err)
{
	if (payload->kind == FW_SETTING_TEXT)
		return link_text(reader, stage, payload, err);
	for (size_t i = 0; i < payload->entries.count; i++) {
		int rc = fw_link_payload(reader, stage, payload->entries.items[i].value, err);

		if (rc != FW_OK)
			return rc;
	}
	return FW_OK;
}

/* ---- during the run ---- */

struct filling {
	const struct fw_workflow *workflow;
	const struct fw_stage *stage;
	json_t *const *results;
	const char *directory;
};

static int fill(const struct filling *filling, const json_t *json, json_t **filled, struct fw_error **err);

/* The value of a placeholder; a new reference. */
static int value_of(const struct filling *filling, const struct placeholder *placeholder, json_t **value,
                    struct fw_error **err)
{
	fw_cleanup_free char *name = fw_strndup(placeholder->name.text, placeholder->name.length);
	fw_cleanup_free char *path = fw_strndup(placeholder->path.text, placeholder->path.length);
	const struct fw_stage *stage = NULL;
	const json_t *result = NULL;

	if (placeholder->is_output) {
		*value = json_sprintf("%s/%s", filling->directory, name);
		return *value ? FW_OK : fw_fail(err, FW_E_INVALID, "the directory of the output '%s' is no UTF-8", name);
	}
	stage = fw_workflow_stage(filling->workflow, name);
	result = stage ? filling->results[stage - filling->workflow->stages.items] : NULL;
	if (result && *path)
		result = fw_json_at(result, path);
	if (!result)
		return fw_fail(err, FW_E_ABSENT, "stage '%s' gave no result%s%s", name, *path ? "." : "", path);
	*value = json_incref((json_t *)result);
	return FW_OK;
}

static int append_value(struct fw_buffer *text, const json_t *value)
{
	return json_is_string(value) ? fw_buffer_append(text, json_string_value(value), json_string_length(value))
	                             : fw_json_append(value, text);
}

/* Copies what stands between placeholders; "$${" becomes "${". */
static void append_plain(struct fw_buffer *text, const char *plain, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (length - i < 3 || memcmp(plain + i, "$${", 3) != 0)
			fw_buffer_append(text, plain + i, 1);
}

static int fill_mixed(const struct filling *filling, const char *plain, json_t **filled, struct fw_error **err)
{
	fw_cleanup_buffer struct fw_buffer text;
	struct placeholder placeholder;
	size_t from = 0;

	fw_buffer_init(&text, PAYLOAD_TEXT_MAX);
	for (; scan(plain, from, &placeholder) == SCAN_FOUND; from = placeholder.end) {
		fw_cleanup_json json_t *value = NULL;
		int rc = value_of(filling, &placeholder, &value, err);

		if (rc != FW_OK)
			return rc;
		append_plain(&text, plain + from, placeholder.start - from);
		append_value(&text, value);
	}
	append_plain(&text, plain + from, strlen(plain + from));
	if (text.failed)
		return fw_fail(err, FW_E_LIMIT, "the payload is larger than 6 MB");
	*filled = json_stringn(text.data ? text.data : "", text.length);
	return *filled ? FW_OK : fw_fail(err, FW_E_INVALID, "the payload is no UTF-8");
}

static int fill_text(const struct filling *filling, const json_t *json, json_t **filled, struct fw_error **err)
{
	const char *text = json_string_value(json);
	struct placeholder placeholder;

	if (scan(text, 0, &placeholder) == SCAN_FOUND && placeholder.start == 0 && text[placeholder.end] == '\0')
		return value_of(filling, &placeholder, filled, err);
	if (!strstr(text, "${")) {
		*filled = json_incref((json_t *)json);
		return FW_OK;
	}
	return fill_mixed(filling, text, filled, err);
}

static int fill_array(const struct filling *filling, const json_t *json, json_t **filled, struct fw_error **err)
{
	fw_cleanup_json json_t *array = json_array();
	const json_t *item = NULL;
	size_t index = 0;

	json_array_foreach(json, index, item) {
		json_t *value = NULL;
		int rc = fill(filling, item, &value, err);

		if (rc != FW_OK)
			return rc;
		json_array_append_new(array, value);
	}
	*filled = FW_TAKE(array);
	return FW_OK;
}

static int fill_object(const struct filling *filling, const json_t *json, json_t **filled, struct fw_error **err)
{
	fw_cleanup_json json_t *object = json_object();
	const char *key = NULL;
	json_t *member = NULL;

	json_object_foreach((json_t *)json, key, member) {
		json_t *value = NULL;
		int rc = fill(filling, member, &value, err);

		if (rc != FW_OK)
			return rc;
		json_object_set_new(object, key, value);
	}
	*filled = FW_TAKE(object);
	return FW_OK;
}

static int fill(const struct filling *filling, const json_t *json, json_t **filled, struct fw_error **err)
{
	if (json_is_string(json))
		return fill_text(filling, json, filled, err);
	if (json_is_array(json))
		return fill_array(filling, json, filled, err);
	if (json_is_object(json))
		return fill_object(filling, json, filled, err);
	*filled = json_incref((json_t *)json);
	return FW_OK;
}

int fw_payload_fill(const struct fw_workflow *workflow, const struct fw_stage *stage, json_t *const *results,
                    const char *directory, json_t **filled, struct fw_error **err)
{
	const struct filling filling = {workflow, stage, results, directory};
	int rc = fill(&filling, stage->payload, filled, err);

	return rc == FW_OK ? FW_OK : fw_error_wrap(err, rc, "payload of stage '%s'", stage->name);
}
