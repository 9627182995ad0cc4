/* SPDX-License-Identifier: Apache-2.0
 *
 * The field tables in memory, and the life of a record. Whatever walks the fields does it by these tables, so that a
 * field added to fields.h is there everywhere. A fresh record is null in every field, never 0.
 */
#include "record/record.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"

#define KIND_TEXT FW_FIELD_TEXT
#define KIND_NAME FW_FIELD_TEXT
#define KIND_INT FW_FIELD_INT
#define KIND_REAL FW_FIELD_REAL

const struct fw_field fw_record_fields[] = {
#define IN(field_group, field_kind, field_name, text)                                     \
	{.name = #field_name, .group = field_group, .kind = KIND_##field_kind,                \
	 .offset = offsetof(struct fw_record, field_name), .description = text},
#define IDENTITY(kind, name, text) IN("identity", kind, name, text)
#define OUTCOME(kind, name, text) IN("outcome", kind, name, text)
#define TIMES(kind, name, text) IN("times", kind, name, text)
#define RESOURCES(kind, name, text) IN("resources", kind, name, text)
#define COUNTERS(kind, name, text) IN("counters", kind, name, text)
#define MONEY(kind, name, text) IN("money", kind, name, text)
#define CARBON(kind, name, text) IN("carbon", kind, name, text)
	FW_RECORD_IDENTITY(IDENTITY)
	FW_RECORD_OUTCOME(OUTCOME)
	FW_RECORD_TIMES(TIMES)
	FW_RECORD_RESOURCES(RESOURCES)
	FW_RECORD_COUNTERS(COUNTERS)
	FW_RECORD_MONEY(MONEY)
	FW_RECORD_CARBON(CARBON)
};
const size_t fw_record_field_count = FW_COUNT_OF(fw_record_fields);

const struct fw_field fw_energy_fields[] = {
#define ENERGY(field_kind, field_name, text)                          \
	{.name = #field_name, .group = "energy", .kind = KIND_##field_kind, \
	 .offset = offsetof(struct fw_energy, field_name), .description = text},
	FW_ENERGY_FIELDS(ENERGY)
};
const size_t fw_energy_field_count = FW_COUNT_OF(fw_energy_fields);

const struct fw_field *fw_record_field(const char *name)
{
	for (size_t i = 0; i < fw_record_field_count; i++)
		if (strcmp(fw_record_fields[i].name, name) == 0)
			return &fw_record_fields[i];
	return NULL;
}

#define NULL_OF_TEXT NULL
#define NULL_OF_NAME NULL
#define NULL_OF_INT FW_NULL_INT
#define NULL_OF_REAL FW_NULL_REAL

void fw_record_init(struct fw_record *record)
{
#define ALL_NULL(kind, field, text) .field = NULL_OF_##kind,
	*record = (struct fw_record){FW_RECORD_FIELDS(ALL_NULL)};
}

struct fw_energy *fw_record_add_energy(struct fw_record *record)
{
	FW_PUSH(&record->energy, (struct fw_energy){FW_ENERGY_FIELDS(ALL_NULL)});
	return &record->energy.items[record->energy.count - 1];
}

#define FREE_TEXT(pointer) free(pointer)
#define FREE_NAME(pointer) free(pointer)
#define FREE_INT(value) ((void)0)
#define FREE_REAL(value) ((void)0)

void fw_record_done(struct fw_record *record)
{
#define FREE_FIELD(kind, field, text) FREE_##kind(record->field);
	FW_RECORD_FIELDS(FREE_FIELD)
#define FREE_ENERGY(kind, field, text) FREE_##kind(record->energy.items[i].field);
	for (size_t i = 0; i < record->energy.count; i++) {
		FW_ENERGY_FIELDS(FREE_ENERGY)
	}
	free(record->energy.items);
	json_decref(record->metrics);
	fw_record_init(record);
}

void fw_record_set_text(char **field, const char *text)
{
	char *copy = fw_strdup(text);

	free(*field);
	*field = copy;
}

bool fw_record_has_flag(const char *flags, const char *word)
{
	struct fw_str rest = fw_str_of(flags), flag;

	while (fw_str_next_word(&rest, &flag))
		if (fw_str_is(flag, word))
			return true;
	return false;
}

void fw_record_flag(char **flags, const char *word)
{
	if (fw_record_has_flag(*flags, word))
		return;
	char *longer = *flags && **flags ? fw_printf("%s %s", *flags, word) : fw_strdup(word);

	free(*flags);
	*flags = longer;
}
