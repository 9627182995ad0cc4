/* SPDX-License-Identifier: Apache-2.0
 *
 * Parameters of the stage. They are looked up in the event's text: a stage has a handful of them. A value of the wrong
 * type fails the invocation even when the handler goes on with the fallback: a misspelt number must not pass in silence.
 */
#include <string.h>

#include "function/sdk.h"

static bool find(struct fw_invocation *invocation, const char *name, struct fw_sdk_text *value)
{
	return fw_sdk_json_member(invocation->params, name, value) && *value->bytes != 'n';
}

static void wrong_type(struct fw_invocation *invocation, const char *name, struct fw_sdk_text value, const char *wanted)
{
	fw_fail_invocation(invocation, "Function.Parameter", "parameter '%s' is %s (%.*s): expected %s", name,
	                   fw_sdk_json_kind(value), value.length > 40 ? 40 : (int)value.length, value.bytes, wanted);
}

const char *fw_param_text(struct fw_invocation *invocation, const char *name, const char *fallback)
{
	struct fw_sdk_text value;

	if (!find(invocation, name, &value))
		return fallback;
	const char *text = fw_sdk_json_string(&invocation->arena, value);
	if (!text)
		wrong_type(invocation, name, value, "a string");
	return text ? text : fallback;
}

double fw_param_number(struct fw_invocation *invocation, const char *name, double fallback)
{
	struct fw_sdk_text value;
	double number;

	if (!find(invocation, name, &value))
		return fallback;
	if (fw_sdk_json_number(value, &number))
		return number;
	wrong_type(invocation, name, value, "a number");
	return fallback;
}

int64_t fw_param_integer(struct fw_invocation *invocation, const char *name, int64_t fallback)
{
	struct fw_sdk_text value;
	int64_t number;

	if (!find(invocation, name, &value))
		return fallback;
	if (fw_sdk_json_integer(value, &number))
		return number;
	wrong_type(invocation, name, value, "a whole number");
	return fallback;
}

int fw_param_bool(struct fw_invocation *invocation, const char *name, int fallback)
{
	struct fw_sdk_text value;

	if (!find(invocation, name, &value))
		return fallback;
	if (*value.bytes == 't' || *value.bytes == 'f')
		return *value.bytes == 't';
	wrong_type(invocation, name, value, "true or false");
	return fallback;
}

const char *fw_param_json(struct fw_invocation *invocation, const char *name)
{
	struct fw_sdk_text value;

	if (!fw_sdk_json_member(invocation->params, name, &value))
		return NULL;
	return fw_sdk_copy(&invocation->arena, value.bytes, value.length);
}
