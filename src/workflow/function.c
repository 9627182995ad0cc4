/* SPDX-License-Identifier: Apache-2.0
 *
 * The function of a stage: which of the four kinds, where it lies, which handler, which environment.
 */
#include <stdlib.h>
#include <string.h>

#include "workflow/workflow_internal.h"

static const char *const kinds[] = {
	[FW_FUNCTION_PACKAGE] = "package",
	[FW_FUNCTION_PYTHON] = "python",
	[FW_FUNCTION_NODE] = "node",
	[FW_FUNCTION_COMMAND] = "command",
};

static enum fw_function_kind kind_of(const struct fw_setting *setting)
{
	enum fw_function_kind kind = FW_FUNCTION_PACKAGE;

	while (!fw_setting_get(setting, kinds[kind]))
		kind++;
	return kind;
}

static int read_command(const struct fw_setting *setting, const struct fw_setting *own_handler, struct fw_stage *stage,
                        struct fw_error **err)
{
	const struct fw_setting *words = fw_setting_get(setting, "command");
	const struct fw_setting *per = fw_setting_get(setting, "per");
	const struct fw_setting *handler = own_handler ? own_handler : fw_setting_get(setting, "handler");

	if (handler)
		return fw_error_hint(err, fw_setting_fail(err, handler, FW_E_INVALID, "handler: a command has none"),
		                     "the first word of the command is the program");
	if (words->entries.count == 0 || *words->entries.items[0].value->text == '\0')
		return fw_error_hint(err, fw_setting_fail(err, words, FW_E_INVALID, "command: it is empty"),
		                     "for example command: [gzip, -k, \"{input.logs}\"]");
	if (words->entries.count > FW_COMMAND_MAX)
		return fw_setting_fail(err, words, FW_E_LIMIT, "command: more than %d words", FW_COMMAND_MAX);
	for (size_t i = 0; i < words->entries.count; i++)
		FW_PUSH(&stage->function.command, fw_strdup(words->entries.items[i].value->text));
	stage->function.per_object = per && strcmp(per->text, "object") == 0;
	return fw_check_command(stage, words, err);
}

/* Parts between '.' and '/', the last one after a '.': "module.function", "lib/index.handler". */
static bool is_dotted_handler(const char *handler)
{
	const char *last = handler + strcspn(handler, "./");
	const char *part = handler;

	if (*last == '\0')
		return false;
	for (;;) {
		size_t length = strspn(part, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_$-");

		if (length == 0)
			return false;
		if (part[length] == '\0')
			return part > handler && part[-1] == '.';
		if (part[length] != '.' && part[length] != '/')
			return false;
		part += length + 1;
	}
}

static int read_handler(const struct fw_setting *shared, const struct fw_setting *own, const struct fw_setting *where,
                        struct fw_stage *stage, struct fw_error **err)
{
	const struct fw_setting *handler = own ? own : fw_setting_get(shared, "handler");
	const char *form = stage->function.kind == FW_FUNCTION_PYTHON ? "MODULE.FUNCTION" : "FILE.EXPORT";

	if (stage->function.kind == FW_FUNCTION_PACKAGE) {
		if (handler && *handler->text == '\0')
			return fw_setting_fail(err, handler, FW_E_INVALID, "handler: it is empty");
		stage->function.handler = fw_strdup(handler ? handler->text : stage->name);
		return FW_OK;
	}
	if (!handler)
		return fw_error_hint(err, fw_setting_fail(err, where, FW_E_INVALID, "'handler' is missing"),
		                     "a %s function has the handler %s", kinds[stage->function.kind], form);
	if (!is_dotted_handler(handler->text))
		return fw_error_hint(err, fw_setting_fail(err, handler, FW_E_INVALID, "handler: '%.80s' is not %s", handler->text,
		                                          form),
		                     "for example handler: %s",
		                     stage->function.kind == FW_FUNCTION_PYTHON ? "video.split" : "index.handler");
	stage->function.handler = fw_strdup(handler->text);
	return FW_OK;
}

static void add_environment(const struct fw_setting *environment, struct fw_function *function)
{
	if (!environment || environment->entries.count == 0)
		return;
	if (!function->environment)
		function->environment = json_object();
	for (size_t i = 0; i < environment->entries.count; i++)
		json_object_set_new(function->environment, environment->entries.items[i].key,
		                    json_string(environment->entries.items[i].value->text));
}

static int read_files(const struct fw_reader *reader, const struct fw_setting *setting, struct fw_function *function,
                      struct fw_error **err)
{
	const struct fw_setting *where = fw_setting_get(setting, kinds[function->kind]);
	const struct fw_setting *interpreter = NULL;

	if (function->kind == FW_FUNCTION_PYTHON) {
		interpreter = fw_setting_get(where, "interpreter");
		where = fw_setting_get(where, "path");
	}
	if (*where->text == '\0' || (interpreter && *interpreter->text == '\0'))
		return fw_setting_fail(err, *where->text ? interpreter : where, FW_E_INVALID, "%s: the path is empty",
		                       kinds[function->kind]);
	function->path = fw_resolve_path(reader, where);
	function->interpreter = interpreter ? fw_resolve_path(reader, interpreter) : NULL;
	if (!reader->check_files)
		return FW_OK;
	return fw_check_function_files(function, where, interpreter, err);
}

static int read_payload_rules(const struct fw_setting *stage_setting, const struct fw_stage *stage,
                              struct fw_error **err)
{
	const struct fw_setting *payload = fw_setting_get(stage_setting, "payload");

	if (!payload)
		return FW_OK;
	if (stage->function.kind == FW_FUNCTION_COMMAND)
		return fw_error_hint(err, fw_setting_fail(err, payload, FW_E_INVALID, "payload: a command takes none"),
		                     "give it params and write {param.NAME} in the command");
	if (stage->inputs.count > 0)
		return fw_error_hint(err, fw_setting_fail(err, fw_setting_get(stage_setting, "inputs"), FW_E_INVALID,
		                                          "inputs: a payload: stage gets its payload and nothing else"),
		                     "refer to results with ${STAGE.result.PATH}, or wait with after: [STAGE]");
	return FW_OK;
}

static int read_style(const struct fw_setting *function, const struct fw_setting *stage_setting, struct fw_stage *stage,
                      struct fw_error **err)
{
	const struct fw_setting *style = fw_setting_get(function, "style");

	if (!style)
		return FW_OK;
	if (stage->function.kind != FW_FUNCTION_PYTHON)
		return fw_error_hint(err, fw_setting_fail(err, style, FW_E_INVALID, "style: only a Python function has one"),
		                     "leave it out");
	stage->function.style = strcmp(style->text, "stage") == 0 ? FW_STYLE_STAGE : FW_STYLE_EVENT;
	if (stage->function.style == FW_STYLE_STAGE && fw_setting_get(stage_setting, "payload"))
		return fw_error_hint(err, fw_setting_fail(err, style, FW_E_INVALID, "style: a payload: stage has no StageContext"),
		                     "leave out payload, and give the stage inputs and params");
	return FW_OK;
}

int fw_read_function(struct fw_reader *reader, const struct fw_setting *setting, struct fw_stage *stage,
                     struct fw_error **err)
{
	const struct fw_setting *own = fw_setting_get(setting, "function");
	const struct fw_setting *function = own ? own : fw_setting_get(reader->root, "function");
	const struct fw_setting *handler = fw_setting_get(setting, "handler");
	int rc = FW_OK;

	if (!function)
		return fw_error_hint(err, fw_setting_fail(err, setting, FW_E_INVALID, "'function' is missing"),
		                     "give the stage or the whole workflow one: function: {package: ./functions}");
	stage->function.kind = kind_of(function);
	rc = read_payload_rules(setting, stage, err);
	if (rc != FW_OK)
		return rc;
	add_environment(fw_setting_get(function, "environment"), &stage->function);
	add_environment(fw_setting_get(setting, "environment"), &stage->function);
	if (stage->function.kind == FW_FUNCTION_COMMAND) {
		rc = read_style(function, setting, stage, err);
		return rc == FW_OK ? read_command(function, handler, stage, err) : rc;
	}
	if (fw_setting_get(function, "per"))
		return fw_error_hint(err, fw_setting_fail(err, fw_setting_get(function, "per"), FW_E_INVALID,
		                                          "per: only a command has it"),
		                     "leave it out, or write command: [...]");
	rc = read_handler(function, handler, setting, stage, err);
	if (rc == FW_OK)
		rc = read_style(function, setting, stage, err);
	return rc == FW_OK ? read_files(reader, function, &stage->function, err) : rc;
}
