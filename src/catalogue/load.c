/* SPDX-License-Identifier: Apache-2.0
 *
 * The dated tables from CSV into rows. A table that is incomplete or impossible (no such column, a negative price, low
 * above high) is refused with its line: wrong data must not become wrong figures.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "catalogue/catalogue_internal.h"

/* A whole row is read through this: the first error stays and the rest is skipped. */
struct row {
	const struct fw_csv *csv;
	size_t index;
	const char *name;
	int rc;
	struct fw_error **err;
};

static const char *text_of(struct row *row, const char *column)
{
	const char *cell = fw_csv_cell(row->csv, row->index, column);

	if (!cell && row->rc == FW_OK)
		row->rc = fw_fail(row->err, FW_E_INVALID, "%s has no column '%s'", row->name, column);
	return cell ? cell : "";
}

/* A figure without its source or its date is none. */
static const char *stated(struct row *row, const char *column)
{
	const char *cell = text_of(row, column);

	if (row->rc == FW_OK && !*cell)
		row->rc = fw_fail(row->err, FW_E_INVALID, "%s: row %zu: %s is missing", row->name, row->index + 1, column);
	return cell;
}

/* Not negative; NAN when the cell is empty and may be. */
static double number_of(struct row *row, const char *column, bool may_be_empty)
{
	double value = NAN;

	text_of(row, column);
	if (row->rc == FW_OK)
		row->rc = fw_csv_number(row->csv, row->index, column, &value, row->err);
	if (row->rc == FW_OK && (value < 0 || (isnan(value) && !may_be_empty)))
		row->rc = fw_fail(row->err, FW_E_INVALID, "%s: row %zu: %s is %s", row->name, row->index + 1, column,
		                  isnan(value) ? "missing" : "negative");
	return value;
}

static double positive_of(struct row *row, const char *column)
{
	double value = number_of(row, column, false);

	if (row->rc == FW_OK && value == 0)
		row->rc = fw_fail(row->err, FW_E_INVALID, "%s: row %zu: %s is zero", row->name, row->index + 1, column);
	return value;
}

static int year_of(struct row *row)
{
	double year = number_of(row, "year", false);

	if (row->rc == FW_OK && (year < 1990 || year > 2100))
		row->rc = fw_fail(row->err, FW_E_INVALID, "%s: row %zu: year %g", row->name, row->index + 1, year);
	return row->rc == FW_OK ? (int)year : 0;
}

static int load(struct fw_csv **csv, const char *name, const char *text, size_t length, struct fw_error **err)
{
	int rc = fw_csv_load(name, text, length, csv, err);

	if (rc == FW_OK && fw_csv_rows(*csv) == 0)
		rc = fw_fail(err, FW_E_INVALID, "%s has no rows", name);
	return rc;
}

int fw_catalogue_load_prices(struct fw_catalogue *catalogue, const char *name, const char *text, size_t length,
                             struct fw_error **err)
{
	int rc = load(&catalogue->prices_csv, name, text, length, err);

	for (size_t i = 0; rc == FW_OK && i < fw_csv_rows(catalogue->prices_csv); i++) {
		struct row row = {catalogue->prices_csv, i, name, FW_OK, err};

		FW_PUSH(&catalogue->prices, (struct fw_price){
			.region = text_of(&row, "region"), .architecture = text_of(&row, "architecture"),
			.usd_per_gb_second = positive_of(&row, "usd_per_gb_second"),
			.usd_per_request = number_of(&row, "usd_per_request", false),
			.usd_per_tmp_gb_second = number_of(&row, "usd_per_tmp_gb_second", true),
			.date = stated(&row, "date"), .source = stated(&row, "source")});
		rc = row.rc;
	}
	return rc;
}

int fw_catalogue_load_grid(struct fw_catalogue *catalogue, const char *name, const char *text, size_t length,
                           struct fw_error **err)
{
	int rc = load(&catalogue->grid_csv, name, text, length, err);

	for (size_t i = 0; rc == FW_OK && i < fw_csv_rows(catalogue->grid_csv); i++) {
		struct row row = {catalogue->grid_csv, i, name, FW_OK, err};

		FW_PUSH(&catalogue->grids, (struct fw_grid){
			.region = text_of(&row, "region"), .gco2e_per_kwh = number_of(&row, "gco2e_per_kwh", false),
			.pue = positive_of(&row, "pue"), .year = year_of(&row), .kind = text_of(&row, "kind"),
			.source = stated(&row, "source")});
		if (row.rc == FW_OK && catalogue->grids.items[i].pue < 1)
			row.rc = fw_fail(err, FW_E_INVALID, "%s: row %zu: a PUE below 1", name, i + 1);
		rc = row.rc;
	}
	return rc;
}

int fw_catalogue_load_memory(struct fw_catalogue *catalogue, const char *name, const char *text, size_t length,
                             struct fw_error **err)
{
	struct fw_memory_power *power = &catalogue->memory;
	int rc = load(&catalogue->memory_csv, name, text, length, err);

	*power = (struct fw_memory_power){NAN, NAN, NAN, NULL};
	for (size_t i = 0; rc == FW_OK && i < fw_csv_rows(catalogue->memory_csv); i++) {
		struct row row = {catalogue->memory_csv, i, name, FW_OK, err};
		const char *bound = text_of(&row, "bound");
		double watts = positive_of(&row, "watts_per_gb");
		const char *source = stated(&row, "source");

		year_of(&row);
		if (strcmp(bound, "low") == 0)
			power->low = watts;
		else if (strcmp(bound, "high") == 0)
			power->high = watts;
		else if (strcmp(bound, "mid") == 0) {
			power->mid = watts;
			power->source = source;
		}
		rc = row.rc;
	}
	if (rc == FW_OK && !(power->low <= power->mid && power->mid <= power->high))
		rc = fw_fail(err, FW_E_INVALID, "%s needs low <= mid <= high", name);
	return rc;
}

int fw_catalogue_load_machines(struct fw_catalogue *catalogue, const char *name, const char *text, size_t length,
                               struct fw_error **err)
{
	int rc = load(&catalogue->machines_csv, name, text, length, err);

	for (size_t i = 0; rc == FW_OK && i < fw_csv_rows(catalogue->machines_csv); i++) {
		struct row row = {catalogue->machines_csv, i, name, FW_OK, err};

		text_of(&row, "kind");
		number_of(&row, "embodied_kgco2e", false);
		positive_of(&row, "life_years");
		year_of(&row);
		stated(&row, "source");
		rc = row.rc;
	}
	return rc;
}

static void add_machine(const struct fw_catalogue *catalogue, struct row *row, struct fw_processor *processor)
{
	const char *kind = text_of(row, "kind");

	for (size_t i = 0; row->rc == FW_OK && i < fw_csv_rows(catalogue->machines_csv); i++) {
		struct row machine = {catalogue->machines_csv, i, row->name, FW_OK, row->err};

		if (strcmp(text_of(&machine, "kind"), kind) != 0)
			continue;
		processor->embodied_kgco2e = number_of(&machine, "embodied_kgco2e", false);
		processor->life_years = positive_of(&machine, "life_years");
		return;
	}
	if (row->rc == FW_OK)
		row->rc = fw_fail(row->err, FW_E_INVALID, "%s: row %zu: no kind of machine '%s'", row->name, row->index + 1, kind);
}

static void check_order(struct row *row, const struct fw_processor *p)
{
	if (row->rc == FW_OK && !(p->low_w_per_vcpu_min <= p->mid_w_per_vcpu_min &&
	                          p->mid_w_per_vcpu_min <= p->high_w_per_vcpu_min &&
	                          p->low_w_per_vcpu_max <= p->mid_w_per_vcpu_max &&
	                          p->mid_w_per_vcpu_max <= p->high_w_per_vcpu_max &&
	                          p->low_w_per_vcpu_min <= p->low_w_per_vcpu_max &&
	                          p->mid_w_per_vcpu_min <= p->mid_w_per_vcpu_max &&
	                          p->high_w_per_vcpu_min <= p->high_w_per_vcpu_max))
		row->rc = fw_fail(row->err, FW_E_INVALID, "%s: row %zu ('%s') needs low <= mid <= high and min <= max", row->name,
		                  row->index + 1, p->name);
}

static int load_processor(struct fw_catalogue *catalogue, struct row *row)
{
	struct fw_processor_row read = {
		.pattern = text_of(row, "pattern"), .vendor = text_of(row, "vendor"),
		.family = number_of(row, "family", true), .model = number_of(row, "model", true),
		.processor = {
			.name = text_of(row, "name"), .tdp_w = positive_of(row, "tdp_w"), .threads = positive_of(row, "threads"),
			.low_w_per_vcpu_min = number_of(row, "low_w_min", false),
			.mid_w_per_vcpu_min = number_of(row, "mid_w_min", false),
			.high_w_per_vcpu_min = number_of(row, "high_w_min", false),
			.low_w_per_vcpu_max = positive_of(row, "low_w_max"), .mid_w_per_vcpu_max = positive_of(row, "mid_w_max"),
			.high_w_per_vcpu_max = positive_of(row, "high_w_max"), .source = stated(row, "source"),
			.year = year_of(row), .exact = strcmp(text_of(row, "exact"), "yes") == 0}};

	check_order(row, &read.processor);
	add_machine(catalogue, row, &read.processor);
	FW_PUSH(&catalogue->processors, read);
	return row->rc;
}

static bool matches_everything(const struct fw_processor_row *row)
{
	return !*row->pattern && !*row->vendor && isnan(row->family) && isnan(row->model);
}

int fw_catalogue_load_processors(struct fw_catalogue *catalogue, const char *name, const char *text, size_t length,
                                 struct fw_error **err)
{
	int rc = load(&catalogue->processors_csv, name, text, length, err);

	for (size_t i = 0; rc == FW_OK && i < fw_csv_rows(catalogue->processors_csv); i++)
		rc = load_processor(catalogue, &(struct row){catalogue->processors_csv, i, name, FW_OK, err});
	if (rc == FW_OK && !matches_everything(&catalogue->processors.items[catalogue->processors.count - 1]))
		rc = fw_fail(err, FW_E_INVALID, "%s: the last row must match every processor", name);
	return rc;
}
