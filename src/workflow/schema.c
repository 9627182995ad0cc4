/* SPDX-License-Identifier: Apache-2.0
 *
 * The grammar as a JSON Schema (2020-12), so that editors complete and check workflow files as one types.
 */
#include <stdlib.h>
#include <string.h>

#include "workflow/workflow_internal.h"

static json_t *name_schema(void)
{
	return json_pack("{s:s, s:s}", "type", "string", "pattern", "^[A-Za-z0-9_-]{1,64}$");
}

static json_t *scalar_schema(void)
{
	return json_pack("{s:[s, s, s]}", "type", "string", "number", "boolean");
}

static json_t *number_schema(const struct fw_grammar_key *key, const char *type)
{
	return json_pack("{s:s, s:I, s:I}", "type", type, "minimum", (json_int_t)key->minimum, "maximum",
	                 (json_int_t)key->maximum);
}

static json_t *reference(const struct fw_grammar *object)
{
	return json_pack("{s:o}", "$ref", json_sprintf("#/$defs/%s", object->name));
}

static json_t *choice_schema(const struct fw_grammar_key *key)
{
	json_t *words = json_array();

	for (size_t i = 0; key->choices[i]; i++)
		json_array_append_new(words, json_string(key->choices[i]));
	return json_pack("{s:o}", "enum", words);
}

/* "outputs:" with nothing behind it is an empty mapping. */
static json_t *mapping_type(bool required)
{
	return required ? json_string("object") : json_pack("[s, s]", "object", "null");
}

static json_t *named_schema(const struct fw_grammar_key *key)
{
	json_t *schema = json_pack("{s:o, s:o, s:o}", "type", mapping_type(key->required), "propertyNames", name_schema(),
	                           "additionalProperties", reference(key->object));

	if (key->required)
		json_object_set_new(schema, "minProperties", json_integer(1));
	return schema;
}

static json_t *value_schema(const struct fw_grammar_key *key)
{
	switch (key->value) {
	case FW_VALUE_NAME:
		return name_schema();
	case FW_VALUE_TEXT:
		return json_pack("{s:s}", "type", "string");
	case FW_VALUE_INTEGER:
		return number_schema(key, "integer");
	case FW_VALUE_SECONDS:
		return number_schema(key, "number");
	case FW_VALUE_BOOLEAN:
		return json_pack("{s:s}", "type", "boolean");
	case FW_VALUE_CHOICE:
		return choice_schema(key);
	case FW_VALUE_CHARACTER:
		return json_pack("{s:s, s:s}", "type", "string", "pattern", "^([ !#-~]|\t|\\\\t)$");
	case FW_VALUE_WORKERS:
		return json_pack("{s:[o, {s:s}]}", "anyOf", number_schema(key, "integer"), "const", "auto");
	case FW_VALUE_OBJECT:
		return reference(key->object);
	case FW_VALUE_NAMED:
		return named_schema(key);
	case FW_VALUE_WORDS:
		return json_pack("{s:s, s:i, s:o}", "type", "array", "minItems", 1, "items", scalar_schema());
	case FW_VALUE_NAMES:
		return json_pack("{s:s, s:b, s:o}", "type", "array", "uniqueItems", 1, "items", name_schema());
	case FW_VALUE_ENVIRONMENT:
		return json_pack("{s:s, s:{s:s}, s:o}", "type", "object", "propertyNames", "pattern", "^[A-Za-z_][A-Za-z0-9_]*$",
		                 "additionalProperties", scalar_schema());
	case FW_VALUE_PARAMS:
		return json_pack("{s:o}", "type", mapping_type(false));
	case FW_VALUE_SCALAR:
		return scalar_schema();
	case FW_VALUE_ANY:
		return json_object();
	}
	return NULL;
}

/* An object whose short form is text is either. */
static json_t *with_shorthand(const struct fw_grammar *grammar, json_t *schema)
{
	if (!grammar->shorthand)
		return schema;
	return json_pack("{s:s, s:[{s:s}, o]}", "description", grammar->help, "anyOf", "type", "string", schema);
}

static void add_one_of(const struct fw_grammar *grammar, json_t *schema)
{
	json_t *choices = json_array();

	for (size_t i = 0; grammar->one_of[i]; i++)
		json_array_append_new(choices, json_pack("{s:[s]}", "required", grammar->one_of[i]));
	json_object_set_new(schema, "oneOf", choices);
}

static json_t *object_schema(const struct fw_grammar *grammar)
{
	json_t *properties = json_object();
	json_t *required = json_array();

	for (size_t i = 0; i < grammar->count; i++) {
		const struct fw_grammar_key *key = &grammar->keys[i];

		if (key->unavailable)
			continue;
		json_t *value = value_schema(key);
		json_object_set_new(value, "description", json_string(key->help));
		if (key->fallback)
			json_object_set_new(value, "default", fw_grammar_default(grammar, key->key));
		json_object_set_new(properties, key->key, value);
		if (key->required)
			json_array_append_new(required, json_string(key->key));
	}
	json_t *schema = json_pack("{s:o, s:s, s:b, s:o}", "type",
	                           mapping_type(grammar->one_of || json_array_size(required) > 0), "description", grammar->help,
	                           "additionalProperties", 0, "properties", properties);
	if (json_array_size(required) > 0)
		json_object_set(schema, "required", required);
	json_decref(required);
	if (grammar->one_of)
		add_one_of(grammar, schema);
	return with_shorthand(grammar, schema);
}

char *fw_workflow_schema(void)
{
	fw_cleanup_json json_t *schema = json_pack("{s:s, s:s}", "$schema", "https://json-schema.org/draft/2020-12/schema",
	                                           "title", "flexwatt workflow");
	json_t *definitions = json_object();

	json_object_update_new(schema, object_schema(fw_grammars[0]));
	for (size_t i = 1; fw_grammars[i]; i++)
		json_object_set_new(definitions, fw_grammars[i]->name, object_schema(fw_grammars[i]));
	json_object_set_new(schema, "$defs", definitions);
	char *compact = json_dumps(schema, JSON_INDENT(2));
	char *text = fw_printf("%s\n", compact);
	free(compact);
	return text;
}
