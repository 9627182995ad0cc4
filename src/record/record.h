/* SPDX-License-Identifier: Apache-2.0
 *
 * The record of one invocation in memory, made from fields.h. Texts are owned. Fresh records are all null.
 */
#pragma once

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/json.h"
#include "base/memory.h"
#include "record/fields.h"

#define FW_NULL_INT INT64_MIN
#define FW_NULL_REAL ((double)NAN)

#define FW_MEMBER_TEXT(name) char *name;
#define FW_MEMBER_NAME(name) char *name;
#define FW_MEMBER_INT(name) int64_t name;
#define FW_MEMBER_REAL(name) double name;
#define FW_MEMBER(kind, name, description) FW_MEMBER_##kind(name)

struct fw_energy {
	FW_ENERGY_FIELDS(FW_MEMBER)
};

struct fw_record {
	FW_RECORD_FIELDS(FW_MEMBER)
	FW_VECTOR(struct fw_energy) energy;
	json_t *metrics; /* object of numbers, or NULL */
};

/* The table itself, for whoever walks it: SQL, JSON, docs. */
enum fw_field_kind { FW_FIELD_TEXT, FW_FIELD_INT, FW_FIELD_REAL };
struct fw_field {
	const char *name;
	const char *group; /* identity, outcome, times, resources, counters, money, carbon */
	enum fw_field_kind kind; /* NAME is FW_FIELD_TEXT here */
	size_t offset; /* in struct fw_record */
	const char *description;
};
extern const struct fw_field fw_record_fields[];
extern const size_t fw_record_field_count;
extern const struct fw_field fw_energy_fields[]; /* offsets in struct fw_energy */
extern const size_t fw_energy_field_count;
const struct fw_field *fw_record_field(const char *name); /* or NULL */

void fw_record_init(struct fw_record *record);
void fw_record_done(struct fw_record *record);
void fw_record_set_text(char **field, const char *text); /* replaces, copies */
struct fw_energy *fw_record_add_energy(struct fw_record *record); /* all null */

/* Object in table order, then "energy" and "metrics"; nulls are written as null, and so is a real that is not finite. */
json_t *fw_record_to_json(const struct fw_record *record);
/* On one line, without energy and without what is null: for the event log. fw_record_from_json() reads it. */
void fw_record_append_line(const struct fw_record *record, struct fw_buffer *out);
/* Strict: unknown fields and wrong types are refused; an absent field is null. `record` is initialised here. */
int fw_record_from_json(const json_t *json, struct fw_record *record, struct fw_error **err);

/* Adds a word to a space-separated flags field, once. */
void fw_record_flag(char **flags, const char *word);
bool fw_record_has_flag(const char *flags, const char *word);

/* docs/record.md, newly allocated. */
char *fw_record_document(void);
