/* SPDX-License-Identifier: Apache-2.0
 *
 * YAML as JSON by the core schema (YAML 1.2.2, section 10.3.2). The tree's limits hold after expansion, so the value
 * made here is bounded too.
 */
#include <string.h>

#include "base/yaml_internal.h"

static bool is_one_of(const char *text, const char *a, const char *b, const char *c)
{
	return strcmp(text, a) == 0 || strcmp(text, b) == 0 || strcmp(text, c) == 0;
}

static const char octal_digits[] = "01234567", hexadecimal_digits[] = "0123456789abcdef0123456789ABCDEF";

/* 0o17 and 0x1F. */
static bool is_based_integer(struct fw_str text)
{
	const char *digits = fw_str_starts(text, "0o") ? octal_digits : fw_str_starts(text, "0x") ? hexadecimal_digits : NULL;

	return digits && text.length > 2 && strspn(text.text + 2, digits) == text.length - 2;
}

static json_t *based_integer(struct fw_str text)
{
	bool octal = fw_str_starts(text, "0o");
	const char *digits = octal ? octal_digits : hexadecimal_digits;
	uint64_t value = 0;

	if (!is_based_integer(text))
		return NULL;
	for (size_t i = 2; i < text.length; i++) {
		if (value > (uint64_t)INT64_MAX >> 4)
			return NULL;
		value = value * (octal ? 8 : 16) + (uint64_t)(strchr(digits, text.text[i]) - digits) % 16;
	}
	return json_integer((json_int_t)value);
}

static struct fw_str without_plus(struct fw_str text)
{
	if (text.length > 1 && text.text[0] == '+' && text.text[1] != '-')
		return (struct fw_str){text.text + 1, text.length - 1};
	return text;
}

static json_t *number_of(struct fw_str text)
{
	struct fw_str bare = without_plus(text);
	int64_t integer;
	double real;

	if (fw_str_to_i64(bare, &integer))
		return json_integer(integer);
	if (bare.length == strspn(bare.text, "-0123456789"))
		return NULL; /* an integer beyond 64 bits would lose digits as a real */
	if (fw_str_to_double(bare, &real))
		return json_real(real);
	return based_integer(text);
}

static json_t *scalar_to_json(const struct fw_yaml_node *node)
{
	json_t *value = NULL;

	if (node->plain && !node->tag) {
		if (is_one_of(node->text, "true", "True", "TRUE"))
			return json_true();
		if (is_one_of(node->text, "false", "False", "FALSE"))
			return json_false();
		value = number_of(fw_str_of(node->text));
	}
	return value ? value : json_string(node->text);
}

bool fw_yaml_is_beyond(const struct fw_yaml_node *node)
{
	if (node->kind != FW_YAML_SCALAR || !node->plain || node->tag)
		return false;
	fw_cleanup_json json_t *value = number_of(fw_str_of(node->text));
	struct fw_str bare = without_plus(fw_str_of(node->text));
	size_t sign = strspn(node->text, "+-") == 1;

	return !value && (fw_str_is_decimal(bare) || is_based_integer(bare) || is_one_of(node->text, ".nan", ".NaN", ".NAN") ||
	                  is_one_of(node->text + sign, ".inf", ".Inf", ".INF"));
}

json_t *fw_yaml_to_json(const struct fw_yaml_node *node)
{
	json_t *json;

	switch (node->kind) {
	case FW_YAML_NULL:
		return json_null();
	case FW_YAML_SCALAR:
		return scalar_to_json(node);
	case FW_YAML_SEQUENCE:
		json = json_array();
		for (size_t i = 0; i < fw_yaml_count(node); i++)
			json_array_append_new(json, fw_yaml_to_json(fw_yaml_item(node, i)));
		return json;
	case FW_YAML_MAPPING:
		break;
	}
	json = json_object();
	for (size_t i = 0; i < fw_yaml_count(node); i++)
		json_object_set_new(json, fw_yaml_text(fw_yaml_key(node, i)), fw_yaml_to_json(fw_yaml_value(node, i)));
	return json;
}
