/* SPDX-License-Identifier: Apache-2.0
 *
 * A workflow file, and overrides behind NUL bytes. What is accepted must say the same again when its effective form is read,
 * and can be drawn; what is refused has exactly one error.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "workflow/workflow.h"

/* libfyaml 0.7.12 loses a kilobyte of its scanner on some unfinished quoted scalars. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:libfyaml\n";
}

enum { OVERRIDES_MAX = 8, GRAPH_MAX = 16 << 20 };

static void check_again(const struct fw_workflow *workflow)
{
	struct fw_workflow *again = NULL;
	struct fw_error *err = NULL;
	char *effective = json_dumps(workflow->effective, JSON_COMPACT);

	if (fw_workflow_parse("/w/w.yaml", effective, strlen(effective), NULL, false, &again, &err) != FW_OK) {
		/* written out, the file may exceed a limit that its short forms did not */
		if (fw_error_code(err) != FW_E_LIMIT)
			abort();
		fw_error_free(err);
	} else if (strcmp(again->digest, workflow->digest) != 0) {
		abort();
	}
	fw_workflow_free(again);
	free(effective);
}

static void draw(const struct fw_workflow *workflow)
{
	static const char *const formats[] = {"text", "dot", "svg"};

	for (size_t i = 0; i < FW_COUNT_OF(formats); i++) {
		struct fw_buffer out;

		fw_buffer_init(&out, GRAPH_MAX);
		fw_workflow_graph(workflow, formats[i], &out, NULL);
		fw_buffer_done(&out);
	}
}

/* Results that are all there, so that every placeholder finds something or fails. */
static void fill(const struct fw_workflow *workflow)
{
	json_t *result = json_pack("{s:i, s:[s]}", "n", 1, "list", "x");
	json_t **results = fw_alloc_array(workflow->stages.count, sizeof(json_t *));

	for (size_t i = 0; i < workflow->stages.count; i++)
		results[i] = result;
	for (size_t i = 0; i < workflow->stages.count; i++) {
		const struct fw_stage *stage = &workflow->stages.items[i];
		json_t *filled = NULL;

		if (stage->payload && fw_payload_fill(workflow, stage, results, "/attempt", &filled, NULL) == FW_OK)
			json_decref(filled);
		if (stage->when.stage != SIZE_MAX)
			fw_condition_holds(&stage->when, result);
	}
	free(results);
	json_decref(result);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fw_strndup(size > 0 ? (const char *)data : "", size); /* up to the first NUL */
	char *rest = fw_alloc(size + 1);
	size_t length = strlen(text);
	struct fw_overrides overrides = {0};
	struct fw_workflow *workflow = NULL;
	struct fw_error *err = NULL;

	memcpy(rest, data, size);
	for (size_t at = length + 1; at < size && overrides.settings.count < OVERRIDES_MAX; at += strlen(rest + at) + 1)
		FW_PUSH(&overrides.settings, (struct fw_override){.text = rest + at});
	int rc = fw_workflow_parse("/w/w.yaml", text, length, &overrides, false, &workflow, &err);
	if ((rc == FW_OK) != (workflow != NULL) || rc != fw_error_code(err))
		abort();
	if (workflow) {
		check_again(workflow);
		draw(workflow);
		fill(workflow);
	} else {
		free(fw_error_describe(err));
	}
	fw_error_free(err);
	fw_workflow_free(workflow);
	free(overrides.settings.items);
	free(rest);
	free(text);
	return 0;
}
