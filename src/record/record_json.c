/* SPDX-License-Identifier: Apache-2.0
 *
 * The record as JSON and back, by the field tables. What is null in the struct is null in the JSON, and the other way
 * round: reading what was written gives the same record.
 */
#include "record/record.h"

#include <string.h>

#include "base/str.h"

enum { MAX_ENERGY = 1000 };

static const void *member(const void *row, const struct fw_field *field)
{
	return (const char *)row + field->offset;
}

static json_t *value_to_json(const void *row, const struct fw_field *field)
{
	json_t *value = NULL;

	switch (field->kind) {
	case FW_FIELD_TEXT: {
		const char *text = *(char *const *)member(row, field);
		value = text ? json_string(text) : NULL;
		break;
	}
	case FW_FIELD_INT: {
		int64_t number = *(const int64_t *)member(row, field);
		value = number != FW_NULL_INT ? json_integer(number) : NULL;
		break;
	}
	case FW_FIELD_REAL: {
		double number = *(const double *)member(row, field);
		value = isfinite(number) ? json_real(number) : NULL;
		break;
	}
	}
	return value ? value : json_null();
}

static json_t *row_to_json(const void *row, const struct fw_field *fields, size_t count)
{
	json_t *json = json_object();

	for (size_t i = 0; i < count; i++)
		json_object_set_new_nocheck(json, fields[i].name, value_to_json(row, &fields[i]));
	return json;
}

json_t *fw_record_to_json(const struct fw_record *record)
{
	json_t *json = row_to_json(record, fw_record_fields, fw_record_field_count);
	json_t *energy = json_array();

	for (size_t i = 0; i < record->energy.count; i++)
		json_array_append_new(energy, row_to_json(&record->energy.items[i], fw_energy_fields, fw_energy_field_count));
	json_object_set_new(json, "energy", energy);
	json_object_set_new(json, "metrics", record->metrics ? json_incref(record->metrics) : json_null());
	return json;
}

static int value_from_json(const json_t *value, void *row, const struct fw_field *field, struct fw_error **err)
{
	void *target = (char *)row + field->offset;
	static const char *const wanted[] = {"text", "an integer", "a number"};

	if (json_is_null(value))
		return FW_OK;
	if (field->kind == FW_FIELD_TEXT && json_is_string(value))
		fw_record_set_text(target, json_string_value(value));
	else if (field->kind == FW_FIELD_INT && json_is_integer(value))
		*(int64_t *)target = json_integer_value(value);
	else if (field->kind == FW_FIELD_REAL && json_is_number(value))
		*(double *)target = json_number_value(value);
	else
		return fw_fail(err, FW_E_INVALID, "%s: must be %s or null", field->name, wanted[field->kind]);
	return FW_OK;
}

static const struct fw_field *find(const struct fw_field *fields, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(fields[i].name, name) == 0)
			return &fields[i];
	return NULL;
}

static int unknown_field(const struct fw_field *fields, size_t count, const char *name, struct fw_error **err)
{
	const char *names[256];
	size_t known = count < FW_COUNT_OF(names) ? count : FW_COUNT_OF(names);

	for (size_t i = 0; i < known; i++)
		names[i] = fields[i].name;
	const char *near = fw_nearest(name, names, known);
	int rc = fw_fail(err, FW_E_INVALID, "no field named '%.64s'", name);

	return near ? fw_error_hint(err, rc, "did you mean '%s'?", near) : rc;
}

static int energy_from_json(const json_t *list, struct fw_record *record, struct fw_error **err)
{
	size_t index;
	const json_t *item;

	if (json_is_null(list))
		return FW_OK;
	if (!json_is_array(list) || json_array_size(list) > MAX_ENERGY)
		return fw_fail(err, FW_E_INVALID, "energy: must be a list of at most %d figures", MAX_ENERGY);
	json_array_foreach(list, index, item) {
		struct fw_energy *energy = fw_record_add_energy(record);
		const char *key;
		json_t *value;

		if (!json_is_object(item))
			return fw_fail(err, FW_E_INVALID, "energy[%zu]: must be an object", index);
		json_object_foreach((json_t *)(uintptr_t)item, key, value) {
			const struct fw_field *field = find(fw_energy_fields, fw_energy_field_count, key);
			int rc = field ? value_from_json(value, energy, field, err)
			               : unknown_field(fw_energy_fields, fw_energy_field_count, key, err);
			if (rc != FW_OK)
				return fw_error_wrap(err, rc, "energy[%zu]", index);
		}
	}
	return FW_OK;
}

static int metrics_from_json(json_t *metrics, struct fw_record *record, struct fw_error **err)
{
	if (json_is_null(metrics))
		return FW_OK;
	if (!json_is_object(metrics))
		return fw_fail(err, FW_E_INVALID, "metrics: must be an object or null");
	json_decref(record->metrics);
	record->metrics = json_incref(metrics);
	return FW_OK;
}

static int fields_from_json(const json_t *json, struct fw_record *record, struct fw_error **err)
{
	const char *key;
	json_t *value;

	if (!json_is_object(json))
		return fw_fail(err, FW_E_INVALID, "must be an object");
	json_object_foreach((json_t *)(uintptr_t)json, key, value) {
		const struct fw_field *field = fw_record_field(key);
		int rc;

		if (field)
			rc = value_from_json(value, record, field, err);
		else if (strcmp(key, "energy") == 0)
			rc = energy_from_json(value, record, err);
		else if (strcmp(key, "metrics") == 0)
			rc = metrics_from_json(value, record, err);
		else
			rc = unknown_field(fw_record_fields, fw_record_field_count, key, err);
		if (rc != FW_OK)
			return rc;
	}
	return FW_OK;
}

int fw_record_from_json(const json_t *json, struct fw_record *record, struct fw_error **err)
{
	struct fw_record read;

	fw_record_init(&read);
	int rc = fields_from_json(json, &read, err);
	if (rc != FW_OK) {
		fw_record_done(&read);
		return fw_error_wrap(err, rc, "record");
	}
	*record = read;
	return FW_OK;
}
