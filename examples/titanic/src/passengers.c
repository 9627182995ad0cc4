/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading is one pass over the range; a row costs 28 bytes. Cells that are neither empty nor what the column holds fail the
 * task and are named by object and byte.
 */
#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "../../common/random.h"
#include "passengers.h"

enum { COLUMN_SURVIVED, COLUMN_SEX, COLUMN_NUMBERS, COLUMNS = COLUMN_NUMBERS + PASSENGER_FEATURES - 1 };

static const char *const names[COLUMNS] = {"Survived", "Sex", "Pclass", "Age", "SibSp", "Parch", "Fare"};

struct list {
	struct fw_invocation *invocation;
	const struct fw_object *object;
	struct fw_reader *reader;
	int columns[COLUMNS];
};

static int fail_cell(const struct list *list, const struct fw_record *record, int column, const char *wanted)
{
	return fw_fail_invocation(list->invocation, "Titanic.BadCell", "%s: byte %" PRId64 ": %s is '%.40s', not %s",
	                          list->object->uri, record->offset, names[column], record->cells[list->columns[column]], wanted);
}

static int check_width(const struct list *list, const struct fw_record *record)
{
	for (int i = 0; i < COLUMNS; i++)
		if ((size_t)list->columns[i] >= record->count)
			return fw_fail_invocation(list->invocation, "Titanic.ShortRow", "%s: byte %" PRId64 ": %zu cells, none for %s",
			                          list->object->uri, record->offset, record->count, names[i]);
	return FW_OK;
}

/* What pandas reads as missing as well. */
static bool is_missing(const char *cell)
{
	static const char *const marks[] = {"", "NA", "N/A", "n/a", "NaN", "nan", "NULL", "null", "None"};

	for (size_t i = 0; i < sizeof marks / sizeof *marks; i++)
		if (strcmp(cell, marks[i]) == 0)
			return true;
	return false;
}

static bool is_whole(const struct list *list, const struct fw_record *record)
{
	for (int i = 0; i < COLUMNS; i++)
		if (is_missing(record->cells[list->columns[i]]))
			return false;
	return true;
}

static int read_numbers(const struct list *list, const struct fw_record *record, float *features)
{
	for (int i = COLUMN_NUMBERS; i < COLUMNS; i++) {
		double number;

		if (fw_cell_number(list->reader, record, list->columns[i], &number) != FW_OK)
			return FW_ERROR;
		if (fabs(number) > FLT_MAX)
			return fail_cell(list, record, i, "a number that fits into 32 bits");
		features[i - COLUMN_NUMBERS] = (float)number;
	}
	return FW_OK;
}

static int read_choices(const struct list *list, const struct fw_record *record, float *is_male, float *survived)
{
	const char *sex = record->cells[list->columns[COLUMN_SEX]], *label = record->cells[list->columns[COLUMN_SURVIVED]];

	if (strcmp(sex, "male") != 0 && strcmp(sex, "female") != 0)
		return fail_cell(list, record, COLUMN_SEX, "male or female");
	if (strcmp(label, "0") != 0 && strcmp(label, "1") != 0)
		return fail_cell(list, record, COLUMN_SURVIVED, "0 or 1");
	*is_male = *sex == 'm';
	*survived = *label == '1';
	return FW_OK;
}

static bool make_room(struct passengers *passengers)
{
	if (passengers->count < passengers->capacity)
		return true;
	size_t capacity = passengers->capacity ? passengers->capacity * 2 : 1024;
	void *features = realloc(passengers->features, capacity * sizeof *passengers->features);
	if (features)
		passengers->features = features;
	void *survived = features ? realloc(passengers->survived, capacity * sizeof *passengers->survived) : NULL;
	if (!survived)
		return false;
	passengers->survived = survived;
	passengers->capacity = capacity;
	return true;
}

static int take(const struct list *list, const struct fw_record *record, struct passengers *passengers)
{
	if (check_width(list, record) != FW_OK)
		return FW_ERROR;
	if (!is_whole(list, record)) {
		passengers->dropped++;
		return FW_OK;
	}
	if (!make_room(passengers))
		return fw_fail_invocation(list->invocation, "Titanic.Memory", "%s: no memory for %zu rows", list->object->uri,
		                          passengers->count);
	float *features = passengers->features[passengers->count];
	if (read_numbers(list, record, features) != FW_OK ||
	    read_choices(list, record, &features[PASSENGER_FEATURES - 1], &passengers->survived[passengers->count]) != FW_OK)
		return FW_ERROR;
	passengers->count++;
	return FW_OK;
}

static int read_list(struct list *list, struct passengers *passengers)
{
	struct fw_record record;
	int rc;

	for (int i = 0; i < COLUMNS; i++) {
		list->columns[i] = fw_column(list->reader, names[i]);
		if (list->columns[i] < 0)
			return FW_ERROR;
	}
	while ((rc = fw_next_record(list->reader, &record)) == FW_OK)
		if (take(list, &record, passengers) != FW_OK)
			return FW_ERROR;
	return rc == FW_END ? FW_OK : FW_ERROR;
}

int passengers_read(struct fw_invocation *invocation, const char *input, struct passengers *passengers)
{
	struct fw_object object;
	int rc;

	while ((rc = fw_next_input(invocation, input, &object)) == FW_OK) {
		struct list list = {.invocation = invocation, .object = &object, .reader = fw_read_open(invocation, &object)};

		if (!list.reader || read_list(&list, passengers) != FW_OK)
			return FW_ERROR;
		fw_read_close(list.reader);
	}
	return rc == FW_END ? FW_OK : FW_ERROR;
}

void passengers_shuffle(struct passengers *passengers, uint64_t seed)
{
	for (size_t i = passengers->count; i > 1; i--) {
		size_t other = (size_t)((__extension__ (unsigned __int128)random_next(&seed) * i) >> 64), last = i - 1;
		float row[PASSENGER_FEATURES], label = passengers->survived[last];

		memcpy(row, passengers->features[last], sizeof row);
		memmove(passengers->features[last], passengers->features[other], sizeof row);
		memcpy(passengers->features[other], row, sizeof row);
		passengers->survived[last] = passengers->survived[other];
		passengers->survived[other] = label;
	}
}

void passengers_done(struct passengers *passengers)
{
	free(passengers->features);
	free(passengers->survived);
}
