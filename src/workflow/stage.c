/* SPDX-License-Identifier: Apache-2.0
 *
 * One stage from its checked settings: configuration with defaults, inputs and outputs by name, params. References to other
 * stages are resolved later (link.c), when all are known.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "workflow/workflow_internal.h"

/* The stage's own value, else that of `defaults`, else the grammar's. New reference. */
static json_t *configured(const struct fw_reader *reader, const struct fw_setting *stage, const char *key)
{
	const struct fw_setting *setting = fw_setting_get(stage, key);

	if (!setting)
		setting = fw_setting_get(fw_setting_get(reader->root, "defaults"), key);
	return setting ? json_incref(setting->json) : fw_grammar_default(&fw_grammar_stage, key);
}

static int64_t integer(const struct fw_reader *reader, const struct fw_setting *stage, const char *key)
{
	fw_cleanup_json json_t *value = configured(reader, stage, key);

	return json_integer_value(value);
}

static bool is_word(const struct fw_reader *reader, const struct fw_setting *stage, const char *key, const char *word)
{
	fw_cleanup_json json_t *value = configured(reader, stage, key);

	return strcmp(json_string_value(value), word) == 0;
}

static void read_configuration(const struct fw_reader *reader, const struct fw_setting *setting, struct fw_stage *stage)
{
	fw_cleanup_json json_t *timeout = configured(reader, setting, "timeout");
	fw_cleanup_json json_t *grow = configured(reader, setting, "grow");

	stage->memory_mb = integer(reader, setting, "memory");
	stage->timeout_ms = llround(json_number_value(timeout) * 1000);
	stage->retries = integer(reader, setting, "retries");
	stage->grow = json_is_true(grow);
	stage->tmp_mb = integer(reader, setting, "tmp");
	stage->network = is_word(reader, setting, "network", "none") ? FW_NETWORK_NONE : FW_NETWORK_HOST;
	stage->on_failure = is_word(reader, setting, "on_failure", "continue") ? FW_FAILURE_CONTINUE : FW_FAILURE_STOP;
}

int fw_check_glob(const struct fw_setting *setting, struct fw_error **err)
{
	const char *glob = setting->text;

	if (*glob == '\0')
		return fw_error_hint(err, fw_setting_fail(err, setting, FW_E_INVALID, "keys: the pattern is empty"),
		                     "for example keys: \"videos/*.mp4\"");
	if (!fw_path_is_inside(glob))
		return fw_error_hint(err, fw_setting_fail(err, setting, FW_E_INVALID, "keys: '%.80s' leaves the storage", glob),
		                     "keys are relative to the storage and have no '.', '..' or empty parts");
	return FW_OK;
}

static int read_input(const struct fw_setting *setting, struct fw_input *input, struct fw_error **err)
{
	const struct fw_setting *keys = fw_setting_get(setting, "keys");

	input->from_stage = SIZE_MAX;
	if (!keys)
		return FW_OK; /* link.c resolves it */
	int rc = fw_check_glob(keys, err);
	if (rc != FW_OK)
		return rc;
	if (strcmp(keys->text, "runs") == 0 || strncmp(keys->text, "runs/", 5) == 0)
		return fw_error_hint(err, fw_setting_fail(err, keys, FW_E_INVALID, "keys: 'runs/' holds the outputs of runs"),
		                     "use another stage's objects by STAGE.OUTPUT");
	input->keys = fw_strdup(keys->text);
	if (keys->node && !keys->override) {
		struct fw_yaml_mark mark = fw_yaml_mark(keys->document, keys->node);

		input->keys_line = mark.line;
		input->keys_column = mark.column;
	}
	return FW_OK;
}

static int read_inputs(const struct fw_setting *inputs, struct fw_stage *stage, struct fw_error **err)
{
	for (size_t i = 0; inputs && i < inputs->entries.count; i++) {
		const struct fw_setting_entry *entry = &inputs->entries.items[i];

		FW_PUSH(&stage->inputs, (struct fw_input){.name = fw_strdup(entry->key)});
		int rc = read_input(entry->value, &stage->inputs.items[i], err);
		if (rc != FW_OK)
			return fw_error_wrap(err, rc, "input '%s'", entry->key);
	}
	return FW_OK;
}

static int check_suffix(const struct fw_setting *suffix, struct fw_error **err)
{
	size_t length = strlen(suffix->text);

	if (length > FW_NAME_MAX)
		return fw_setting_fail(err, suffix, FW_E_INVALID, "suffix: more than %d characters", FW_NAME_MAX);
	for (size_t i = 0; i < length; i++)
		if (suffix->text[i] == '/' || (unsigned char)suffix->text[i] < ' ' || suffix->text[i] == 0x7f)
			return fw_error_hint(err, fw_setting_fail(err, suffix, FW_E_INVALID,
			                                          "suffix: '%s' leaves the output's directory", suffix->text),
			                     "a suffix ends a file name: suffix: .mp4");
	return FW_OK;
}

static bool is_json_pointer(const char *text)
{
	if (*text != '\0' && *text != '/')
		return false;
	for (; *text; text++)
		if (*text == '~' && text[1] != '0' && text[1] != '1')
			return false;
	return true;
}

/* The objects of a plain function must be declared; a stage-aware one tells them itself. */
static int check_declaration(const struct fw_setting *setting, const struct fw_stage *stage, struct fw_error **err)
{
	const struct fw_setting *from = fw_setting_get(setting, "from");
	const struct fw_setting *keys = fw_setting_get(setting, "keys");

	if (!stage->payload && (from || keys))
		return fw_error_hint(err, fw_setting_fail(err, from ? from : keys, FW_E_INVALID, "'%s' needs a payload: stage",
		                                          from ? "from" : "keys"),
		                     "a stage-aware function names its objects in its answer");
	if (stage->payload && !from == !keys)
		return fw_error_hint(err, fw_setting_fail(err, setting, FW_E_INVALID,
		                                          "an output of a payload: stage needs exactly one of 'from' and 'keys'"),
		                     "{from: /files} reads the result, {keys: \"*.json\"} looks into ${output.NAME}");
	if (from && !is_json_pointer(from->text))
		return fw_error_hint(err, fw_setting_fail(err, from, FW_E_INVALID, "from: '%.80s' is no JSON pointer", from->text),
		                     "for example from: /files");
	return keys ? fw_check_glob(keys, err) : FW_OK;
}

static int read_output(const struct fw_setting *setting, const struct fw_stage *stage, struct fw_output *output,
                       struct fw_error **err)
{
	const struct fw_setting *suffix = fw_setting_get(setting, "suffix");
	const struct fw_setting *from = fw_setting_get(setting, "from");
	const struct fw_setting *keys = fw_setting_get(setting, "keys");
	int rc = suffix ? check_suffix(suffix, err) : FW_OK;

	if (rc == FW_OK)
		rc = check_declaration(setting, stage, err);
	if (rc != FW_OK)
		return rc;
	output->suffix = fw_strdup(suffix ? suffix->text : "");
	output->from = fw_strdup(from ? from->text : NULL);
	output->keys = fw_strdup(keys ? keys->text : NULL);
	return FW_OK;
}

static int read_outputs(const struct fw_setting *outputs, struct fw_stage *stage, struct fw_error **err)
{
	for (size_t i = 0; outputs && i < outputs->entries.count; i++) {
		const struct fw_setting_entry *entry = &outputs->entries.items[i];

		FW_PUSH(&stage->outputs, (struct fw_output){.name = fw_strdup(entry->key)});
		int rc = read_output(entry->value, stage, &stage->outputs.items[i], err);
		if (rc != FW_OK)
			return fw_error_wrap(err, rc, "output '%s'", entry->key);
	}
	return FW_OK;
}

int fw_read_stage(struct fw_reader *reader, const struct fw_setting *setting, struct fw_stage *stage,
                  struct fw_error **err)
{
	const struct fw_setting *params = fw_setting_get(setting, "params");
	const struct fw_setting *payload = fw_setting_get(setting, "payload");

	read_configuration(reader, setting, stage);
	stage->params = params ? fw_setting_json(params) : json_object();
	stage->payload = payload ? fw_setting_json(payload) : NULL;
	int rc = read_inputs(fw_setting_get(setting, "inputs"), stage, err);
	if (rc == FW_OK)
		rc = read_outputs(fw_setting_get(setting, "outputs"), stage, err);
	if (rc == FW_OK)
		rc = fw_read_function(reader, setting, stage, err);
	return rc;
}
