/* SPDX-License-Identifier: Apache-2.0
 *
 * The grammar of a workflow file: one table of keys, types, ranges, choices, defaults and help. The shape check, the JSON
 * Schema (docs/workflow.schema.json) and the reference in docs/workflow.md are all made from it, so they cannot disagree.
 */
#include <string.h>

#include "workflow/workflow_internal.h"

static const char *const ranges[] = {"bytes", "lines", "csv", "seconds", NULL};
static const char *const edges[] = {"scatter", "broadcast", "each", NULL};
static const char *const networks[] = {"host", "none", NULL};
static const char *const failures[] = {"stop", "continue", NULL};
static const char *const per_choices[] = {"task", "object", NULL};
static const char *const styles[] = {"event", "stage", NULL};
static const char *const operators[] = {"==", "!=", "<", "<=", ">", ">=", NULL};
static const char *const kinds[] = {"package", "python", "node", "command", NULL};
static const char *const origins[] = {"from", "keys", NULL};
static const char *const fan_ins[] = {"classic", NULL};
static const char *const later_fan_ins[] = {"eager", "future", NULL};

#define OBJECT(variable, ...)                         \
	.keys = variable, .count = FW_COUNT_OF(variable), __VA_ARGS__

static const struct fw_grammar_key python_keys[] = {
	{.key = "path", .value = FW_VALUE_TEXT, .required = true, .help = "Directory of the modules."},
	{.key = "interpreter", .value = FW_VALUE_TEXT,
	 .otherwise = "`$VIRTUAL_ENV/bin/python3`, else the system's `python3`",
	 .help = "The Python to run, for example that of a virtual environment."},
};
const struct fw_grammar fw_grammar_python = {
	OBJECT(python_keys, .name = "python", .shorthand = "path", .help = "A directory of Python modules.")};

static const struct fw_grammar_key function_keys[] = {
	{.key = "package", .value = FW_VALUE_TEXT,
	 .help = "Directory or `.zip` with an executable `bootstrap`: C, Go, Rust, a shell script."},
	{.key = "python", .value = FW_VALUE_OBJECT, .object = &fw_grammar_python,
	 .help = "Python: a directory, or a mapping with its interpreter. The handler is `module.function`."},
	{.key = "node", .value = FW_VALUE_TEXT, .help = "Node.js: a directory. The handler is `file.export`."},
	{.key = "command", .value = FW_VALUE_WORDS,
	 .help = "A command as a list of words. `{input.NAME}`, `{output.NAME}` and `{param.NAME}` are filled in."},
	{.key = "handler", .value = FW_VALUE_TEXT, .otherwise = "for a package, the name of the stage",
	 .help = "What to call in the package; a stage's own `handler` goes first."},
	{.key = "per", .value = FW_VALUE_CHOICE, .choices = per_choices, .fallback = "\"task\"",
	 .help = "How often a command runs: once a task, or once for every input object."},
	{.key = "environment", .value = FW_VALUE_ENVIRONMENT, .help = "Environment variables of the function."},
	{.key = "style", .value = FW_VALUE_CHOICE, .choices = styles,
	 .otherwise = "`stage` where the handler's first argument is annotated `StageContext`, else `event`",
	 .help = "How a Python handler is called: `handler(event, context)` or `handler(stage_context)`."},
};
const struct fw_grammar fw_grammar_function = {
	OBJECT(function_keys, .name = "function", .help = "What runs: exactly one of `package`, `python`, `node`, `command`.",
	       .one_of = kinds, .one_of_hint = "for example function: {package: ./functions}")};

/* What a stage may say and `defaults` may say for all of them. */
#define CONFIGURATION_KEYS                                                                                            \
	{.key = "memory", .value = FW_VALUE_INTEGER, .minimum = FW_MEMORY_MIN_MB, .maximum = FW_MEMORY_MAX_MB,            \
	 .unit = "MB", .fallback = "1024", .help = "Memory of a worker. It also gets memory/1769 of a CPU."},             \
	{.key = "timeout", .value = FW_VALUE_SECONDS, .minimum = 1, .maximum = FW_TIMEOUT_MAX_S, .unit = "s",             \
	 .fallback = "300", .help = "Longest time of one invocation."},                                                   \
	{.key = "retries", .value = FW_VALUE_INTEGER, .minimum = 0, .maximum = 100, .fallback = "2",                      \
	 .help = "Attempts beyond the first."},                                                                           \
	{.key = "grow", .value = FW_VALUE_BOOLEAN, .fallback = "false",                                                   \
	 .help = "Retry with more memory after a function ran out of it."},                                               \
	{.key = "tmp", .value = FW_VALUE_INTEGER, .minimum = 16, .maximum = 10240, .unit = "MB", .fallback = "512",       \
	 .help = "Size of the private `/tmp`."},                                                                          \
	{.key = "network", .value = FW_VALUE_CHOICE, .choices = networks, .fallback = "\"host\"",                         \
	 .help = "`host`: as this machine. `none`: the function reaches nothing but its own runtime."},                   \
	{.key = "on_failure", .value = FW_VALUE_CHOICE, .choices = failures, .fallback = "\"stop\"",                      \
	 .help = "When a task fails for good: `stop` skips the stages that wait for the whole stage, `continue` goes on " \
	         "without its objects."}

static const struct fw_grammar_key defaults_keys[] = {CONFIGURATION_KEYS};
const struct fw_grammar fw_grammar_defaults = {
	OBJECT(defaults_keys, .name = "defaults", .help = "What holds for every stage that does not say otherwise.")};

static const struct fw_grammar_key input_keys[] = {
	{.key = "from", .value = FW_VALUE_TEXT, .help = "The objects of another stage: `STAGE.OUTPUT`."},
	{.key = "keys", .value = FW_VALUE_TEXT,
	 .help = "The objects of the storage whose keys match: `videos/*.mp4`. `*` and `?` stay within one part of the "
	         "path, `**` does not."},
	{.key = "edge", .value = FW_VALUE_CHOICE, .choices = edges,
	 .otherwise = "`each` with `workers: auto`, else `scatter`",
	 .help = "How objects reach tasks: dealt out (`scatter`), all to every task (`broadcast`), one task per object "
	         "(`each`)."},
	{.key = "range", .value = FW_VALUE_CHOICE, .choices = ranges, .otherwise = "objects are dealt out whole",
	 .help = "Cut the objects into as many ranges as there are workers, without rewriting them: anywhere (`bytes`), between "
	         "`lines`, between records of `csv`, or by time, which the function does itself (`seconds`)."},
	{.key = "delimiter", .value = FW_VALUE_CHARACTER, .fallback = "\",\"",
	 .help = "Of `range: csv`: the character between cells, `\"\\t\"` for a tab."},
	{.key = "header", .value = FW_VALUE_BOOLEAN, .fallback = "true",
	 .help = "Of `range: csv`: whether the first record of every object names the columns."},
};
const struct fw_grammar fw_grammar_input = {
	OBJECT(input_keys, .name = "input", .shorthand = "from",
	       .help = "Where objects come from: exactly one of `from` and `keys`. Plain text is short for `from`.",
	       .one_of = origins,
	       .one_of_hint = "objects of a stage: STAGE.OUTPUT; of the storage: {keys: \"videos/*.mp4\"}")};

static const struct fw_grammar_key output_keys[] = {
	{.key = "suffix", .value = FW_VALUE_TEXT, .fallback = "\"\"", .help = "End of the file names: `.mp4`."},
	{.key = "from", .value = FW_VALUE_TEXT,
	 .help = "Of a stage with `payload`: JSON pointer to the file name or names in the function's result."},
	{.key = "keys", .value = FW_VALUE_TEXT,
	 .help = "Of a stage with `payload`: glob of the files that the function wrote into `${output.NAME}`."},
};
const struct fw_grammar fw_grammar_output = {
	OBJECT(output_keys, .name = "output", .help = "Objects that a stage makes. Other stages use them as "
	                                              "`STAGE.OUTPUT`.")};

static const struct fw_grammar_key condition_keys[] = {
	{.key = "result", .value = FW_VALUE_TEXT, .required = true,
	 .help = "A value in the result of an earlier stage: `STAGE.PATH`."},
	{.key = "op", .value = FW_VALUE_CHOICE, .choices = operators, .required = true, .help = "How to compare."},
	{.key = "value", .value = FW_VALUE_SCALAR, .required = true, .help = "What to compare with."},
};
const struct fw_grammar fw_grammar_condition = {
	OBJECT(condition_keys, .name = "when", .help = "Run the stage only when this holds; else it is skipped.")};

static const struct fw_grammar_key stage_keys[] = {
	{.key = "function", .value = FW_VALUE_OBJECT, .object = &fw_grammar_function,
	 .otherwise = "the workflow's `function`", .help = "What this stage runs."},
	{.key = "handler", .value = FW_VALUE_TEXT, .otherwise = "the function's `handler`", .help = "What to call in it."},
	{.key = "workers", .value = FW_VALUE_WORKERS, .minimum = 1, .maximum = FW_WORKERS_MAX,
	 .otherwise = "1; `auto` when an input says `edge: each`",
	 .help = "Number of tasks, or `auto`: one task for every object of its input."},
	CONFIGURATION_KEYS,
	{.key = "environment", .value = FW_VALUE_ENVIRONMENT, .help = "Environment variables beside the function's."},
	{.key = "inputs", .value = FW_VALUE_NAMED, .object = &fw_grammar_input, .help = "The objects it works on."},
	{.key = "outputs", .value = FW_VALUE_NAMED, .object = &fw_grammar_output, .help = "The objects it makes."},
	{.key = "params", .value = FW_VALUE_PARAMS, .fallback = "{}", .help = "Parameters of the function, of any shape."},
	{.key = "payload", .value = FW_VALUE_ANY,
	 .help = "Calls a plain Lambda function with this JSON instead of our event. `${STAGE.result.PATH}` and "
	         "`${output.NAME}` are filled in; `$${` stands for `${`."},
	{.key = "after", .value = FW_VALUE_NAMES, .help = "Stages that must have ended first, without data."},
	{.key = "when", .value = FW_VALUE_OBJECT, .object = &fw_grammar_condition,
	 .help = "A condition on the result of an earlier stage."},
	{.key = "fan_in", .value = FW_VALUE_CHOICE, .choices = fan_ins, .later = later_fan_ins, .fallback = "\"classic\"",
	 .help = "When a stage with several producers starts: when all have ended."},
};
const struct fw_grammar fw_grammar_stage = {
	OBJECT(stage_keys, .name = "stage", .help = "A function, its inputs and outputs, its configuration.")};

static const struct fw_grammar_key workflow_keys[] = {
	{.key = "name", .value = FW_VALUE_NAME, .required = true, .help = "Name of the workflow."},
	{.key = "storage", .value = FW_VALUE_TEXT, .required = true,
	 .help = "Where objects lie: a directory, relative to the workflow file, or a `file:` URI; or a bucket: "
	         "`s3://BUCKET/PREFIX?endpoint=URL&region=REGION&profile=PROFILE&style=path`."},
	{.key = "function", .value = FW_VALUE_OBJECT, .object = &fw_grammar_function,
	 .help = "The function of every stage that has none of its own."},
	{.key = "defaults", .value = FW_VALUE_OBJECT, .object = &fw_grammar_defaults,
	 .help = "Configuration of every stage that does not say otherwise."},
	{.key = "stages", .value = FW_VALUE_NAMED, .object = &fw_grammar_stage, .required = true,
	 .help = "The stages by name."},
	{.key = "fuse", .value = FW_VALUE_ANY, .unavailable = true, .help = "Stages to run in one invocation."},
};
const struct fw_grammar fw_grammar_workflow = {OBJECT(workflow_keys, .name = "workflow", .help = "The whole file.")};

const struct fw_grammar *const fw_grammars[] = {
	&fw_grammar_workflow, &fw_grammar_function, &fw_grammar_python, &fw_grammar_defaults, &fw_grammar_stage,
	&fw_grammar_input, &fw_grammar_output, &fw_grammar_condition, NULL,
};

const struct fw_grammar_key *fw_grammar_find(const struct fw_grammar *grammar, const char *key)
{
	for (size_t i = 0; i < grammar->count; i++)
		if (strcmp(grammar->keys[i].key, key) == 0)
			return &grammar->keys[i];
	return NULL;
}

json_t *fw_grammar_default(const struct fw_grammar *grammar, const char *key)
{
	const struct fw_grammar_key *found = fw_grammar_find(grammar, key);

	return found && found->fallback ? json_loads(found->fallback, JSON_DECODE_ANY, NULL) : NULL;
}
