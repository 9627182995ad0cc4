/* SPDX-License-Identifier: Apache-2.0
 *
 * `when`: comparing a value of a result. Values that cannot be compared never hold, except that they are unequal.
 */
#include <string.h>

#include "workflow/workflow_internal.h"

static const char *const operators[] = {
	[FW_OP_EQ] = "==", [FW_OP_NE] = "!=", [FW_OP_LT] = "<", [FW_OP_LE] = "<=", [FW_OP_GT] = ">", [FW_OP_GE] = ">=",
};

const char *fw_operator_name(enum fw_operator operator_)
{
	return operators[operator_];
}

/* -1, 0, 1; false when the two have no order. */
static bool compare(const json_t *a, const json_t *b, int *order)
{
	if (json_is_integer(a) && json_is_integer(b))
		*order = (json_integer_value(a) > json_integer_value(b)) - (json_integer_value(a) < json_integer_value(b));
	else if (json_is_number(a) && json_is_number(b))
		*order = (json_number_value(a) > json_number_value(b)) - (json_number_value(a) < json_number_value(b));
	else if (json_is_string(a) && json_is_string(b))
		*order = strcmp(json_string_value(a), json_string_value(b));
	else
		return false;
	return true;
}

bool fw_condition_holds(const struct fw_condition *condition, const json_t *result)
{
	const json_t *value = result && *condition->path ? fw_json_at(result, condition->path) : result;
	int order = 0;

	if (!value)
		return false;
	if (!compare(value, condition->value, &order)) {
		bool equal = json_equal(value, condition->value);

		return condition->operator_ == FW_OP_EQ ? equal : condition->operator_ == FW_OP_NE && !equal;
	}
	switch (condition->operator_) {
	case FW_OP_EQ:
		return order == 0;
	case FW_OP_NE:
		return order != 0;
	case FW_OP_LT:
		return order < 0;
	case FW_OP_LE:
		return order <= 0;
	case FW_OP_GT:
		return order > 0;
	case FW_OP_GE:
		return order >= 0;
	}
	return false;
}
