/* SPDX-License-Identifier: Apache-2.0
 *
 * Objects read by table: kinds checked, missing and unknown members refused, the latter with a suggestion. All members
 * are judged before the first target is written, so that a refused object leaves no trace.
 */
#include <stdlib.h>

#include "base/json.h"
#include "base/memory.h"

static const char *kind_text(char kind)
{
	switch (kind) {
	case 's':
		return "text";
	case 'i':
		return "an integer";
	case 'n':
		return "a number";
	case 'b':
		return "true or false";
	default:
		return "a value";
	}
}

static bool has_kind(const json_t *value, char kind)
{
	switch (kind) {
	case 's':
		return json_is_string(value);
	case 'i':
		return json_is_integer(value);
	case 'n':
		return json_is_number(value);
	case 'b':
		return json_is_boolean(value);
	default:
		return true;
	}
}

static void store(json_t *value, const struct fw_json_member *member)
{
	switch (member->kind) {
	case 's':
		free(*(char **)member->target);
		*(char **)member->target = fw_strdup(json_string_value(value));
		break;
	case 'i':
		*(int64_t *)member->target = json_integer_value(value);
		break;
	case 'n':
		*(double *)member->target = json_number_value(value);
		break;
	case 'b':
		*(bool *)member->target = json_is_true(value);
		break;
	default:
		*(json_t **)member->target = value;
	}
}

static int check_member(const json_t *object, const char *what, const struct fw_json_member *member,
                        struct fw_error **err)
{
	const json_t *value = json_object_get(object, member->key);

	if (!value || json_is_null(value)) {
		if (member->required)
			return fw_fail(err, FW_E_INVALID, "%s: '%s' is missing", what, member->key);
		return FW_OK;
	}
	if (!has_kind(value, member->kind))
		return fw_fail(err, FW_E_INVALID, "%s: '%s' must be %s", what, member->key, kind_text(member->kind));
	return FW_OK;
}

static int refuse_unknown(const char *what, const char *key, const struct fw_json_member *members, size_t count,
                          struct fw_error **err)
{
	fw_cleanup_free const char **known = fw_alloc_array(count, sizeof *known);

	for (size_t i = 0; i < count; i++)
		known[i] = members[i].key;
	const char *nearest = fw_nearest(key, known, count);
	int rc = fw_fail(err, FW_E_INVALID, "%s: unknown member '%s'", what, key);
	return nearest ? fw_error_hint(err, rc, "did you mean '%s'?", nearest) : rc;
}

static bool is_known(const char *key, const struct fw_json_member *members, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (fw_str_is(fw_str_of(key), members[i].key))
			return true;
	return false;
}

int fw_json_read(const json_t *object, const char *what, const struct fw_json_member *members, size_t count,
                 bool allow_unknown, struct fw_error **err)
{
	const char *key;
	json_t *value;

	if (!json_is_object(object))
		return fw_fail(err, FW_E_INVALID, "%s: must be an object", what);
	json_object_foreach((json_t *)object, key, value)
	{
		if (!allow_unknown && !is_known(key, members, count))
			return refuse_unknown(what, key, members, count, err);
	}
	for (size_t i = 0; i < count; i++) {
		int rc = check_member(object, what, &members[i], err);

		if (rc != FW_OK)
			return rc;
	}
	for (size_t i = 0; i < count; i++) {
		value = json_object_get(object, members[i].key);
		if (value && !json_is_null(value))
			store(value, &members[i]);
	}
	return FW_OK;
}
