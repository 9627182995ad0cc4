/* SPDX-License-Identifier: Apache-2.0
 *
 * The grammar as the reference tables of docs/workflow.md.
 */
#include "workflow/workflow_internal.h"

enum { DOCUMENT_MAX = 1 << 20 };

static void add_words(struct fw_buffer *out, const char *const *words)
{
	for (size_t i = 0; words[i]; i++)
		fw_buffer_printf(out, "%s`%s`", i > 0 ? ", " : "", words[i]);
}

static void add_range(struct fw_buffer *out, const struct fw_grammar_key *key, const char *type)
{
	fw_buffer_printf(out, "%s%s%s, %lld to %lld", type, key->unit ? " of " : "", key->unit ? key->unit : "",
	                 (long long)key->minimum, (long long)key->maximum);
}

static void add_value(struct fw_buffer *out, const struct fw_grammar_key *key)
{
	switch (key->value) {
	case FW_VALUE_NAME:
		fw_buffer_text(out, "name");
		break;
	case FW_VALUE_TEXT:
		fw_buffer_text(out, "text");
		break;
	case FW_VALUE_INTEGER:
		add_range(out, key, "whole number");
		break;
	case FW_VALUE_SECONDS:
		add_range(out, key, "number");
		break;
	case FW_VALUE_BOOLEAN:
		fw_buffer_text(out, "`true` or `false`");
		break;
	case FW_VALUE_CHOICE:
		add_words(out, key->choices);
		break;
	case FW_VALUE_CHARACTER:
		fw_buffer_text(out, "one character");
		break;
	case FW_VALUE_WORKERS:
		add_range(out, key, "whole number");
		fw_buffer_text(out, ", or `auto`");
		break;
	case FW_VALUE_OBJECT:
		fw_buffer_printf(out, "[%s](#%s)", key->object->name, key->object->name);
		break;
	case FW_VALUE_NAMED:
		fw_buffer_printf(out, "mapping from names to [%s](#%s)", key->object->name, key->object->name);
		break;
	case FW_VALUE_WORDS:
		fw_buffer_text(out, "list of words");
		break;
	case FW_VALUE_NAMES:
		fw_buffer_text(out, "list of stages");
		break;
	case FW_VALUE_ENVIRONMENT:
		fw_buffer_text(out, "mapping from variables to text");
		break;
	case FW_VALUE_PARAMS:
		fw_buffer_text(out, "mapping");
		break;
	case FW_VALUE_SCALAR:
		fw_buffer_text(out, "text, number or truth value");
		break;
	case FW_VALUE_ANY:
		fw_buffer_text(out, "anything");
		break;
	}
}

static void add_key(struct fw_buffer *out, const struct fw_grammar_key *key)
{
	fw_buffer_printf(out, "| `%s` | ", key->key);
	if (key->unavailable) {
		fw_buffer_printf(out, "not available in this version | | %s |\n", key->help);
		return;
	}
	add_value(out, key);
	if (key->later) {
		fw_buffer_text(out, " (not available in this version: ");
		add_words(out, key->later);
		fw_buffer_text(out, ")");
	}
	if (key->required)
		fw_buffer_text(out, " | **required**");
	else if (key->fallback)
		fw_buffer_printf(out, " | `%s`", key->fallback);
	else
		fw_buffer_printf(out, " | %s", key->otherwise ? key->otherwise : "");
	fw_buffer_printf(out, " | %s |\n", key->help);
}

char *fw_workflow_document(void)
{
	fw_cleanup_buffer struct fw_buffer out;

	fw_buffer_init(&out, DOCUMENT_MAX);
	for (size_t i = 0; fw_grammars[i]; i++) {
		const struct fw_grammar *grammar = fw_grammars[i];

		fw_buffer_printf(&out, "%s### %s\n\n%s\n\n| key | value | default | meaning |\n|---|---|---|---|\n",
		                 i > 0 ? "\n" : "", grammar->name, grammar->help);
		for (size_t k = 0; k < grammar->count; k++)
			add_key(&out, &grammar->keys[k]);
	}
	return fw_buffer_take(&out);
}
