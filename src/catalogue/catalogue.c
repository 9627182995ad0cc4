/* SPDX-License-Identifier: Apache-2.0
 *
 * Finds the data directory, opens the tables and looks rows up. A processor is always found, the last row matches every
 * one; a region is not guessed.
 */
#include "catalogue/catalogue.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "catalogue/catalogue_internal.h"

typedef int load_fn(struct fw_catalogue *catalogue, const char *name, const char *text, size_t length,
                    struct fw_error **err);

static const struct {
	const char *file;
	load_fn *load;
} tables[] = {
	{"prices.csv", fw_catalogue_load_prices},
	{"grid.csv", fw_catalogue_load_grid},
	{"memory_power.csv", fw_catalogue_load_memory},
	{"machines.csv", fw_catalogue_load_machines},
	{"processors.csv", fw_catalogue_load_processors},
};

/* Seen from the running program, or from the library in it: installed, wherever its prefix was moved to, or in a build
 * directory of the sources. */
static const char *const beside[] = {"../share/flexwatt", "../../share/flexwatt", "../../../../data"};

static char *find_beside(char *file)
{
	const char *here = dirname(file);

	for (size_t i = 0; i < FW_COUNT_OF(beside); i++) {
		fw_cleanup_free char *directory = fw_printf("%s/%s", here, beside[i]);
		fw_cleanup_free char *table = fw_printf("%s/%s", directory, tables[0].file);

		if (access(table, R_OK) == 0)
			return FW_TAKE(directory);
	}
	return NULL;
}

static char *find_beside_program(void)
{
	char program[PATH_MAX];
	ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);

	program[length > 0 ? length : 0] = '\0';
	return find_beside(program);
}

/* The program is an interpreter that knows nothing of us where the library was loaded into it. */
static char *find_beside_library(void)
{
	fw_cleanup_free char *file = NULL;
	Dl_info info;

	if (dladdr(tables, &info) == 0 || !info.dli_fname || !(file = realpath(info.dli_fname, NULL)))
		return NULL;
	return find_beside(file);
}

static char *find_directory(const char *given)
{
	const char *from_environment = getenv("FLEXWATT_DATA");

	if (given)
		return fw_strdup(given);
	if (from_environment && *from_environment)
		return fw_strdup(from_environment);
	char *found = find_beside_program();

	if (!found)
		found = find_beside_library();
	return found ? found : fw_strdup(FW_DATA_DIRECTORY);
}

static int load_table(struct fw_catalogue *catalogue, int directory_fd, size_t index, struct fw_error **err)
{
	fw_cleanup_buffer struct fw_buffer text;
	int rc;

	fw_buffer_init(&text, 4 << 20);
	rc = fw_read_file(directory_fd, tables[index].file, &text, err);
	return rc == FW_OK ? tables[index].load(catalogue, tables[index].file, text.data, text.length, err) : rc;
}

int fw_catalogue_open(const char *directory, struct fw_catalogue **catalogue, struct fw_error **err)
{
	fw_cleanup_free char *found = find_directory(directory);
	FW_CLEANUP(fw_catalogue_close) struct fw_catalogue *opened = fw_alloc(sizeof *opened);
	fw_cleanup_fd int fd = open(found, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int rc = fd >= 0 ? FW_OK : fw_error_hint(err, fw_fail(err, FW_E_ABSENT, "no data directory %s", found),
	                                         "install flexwatt, or set FLEXWATT_DATA to the directory data of its sources");

	for (size_t i = 0; rc == FW_OK && i < FW_COUNT_OF(tables); i++)
		rc = load_table(opened, fd, i, err);
	if (rc != FW_OK)
		return fw_error_wrap(err, rc, "read the tables of prices, processors and grids in %s", found);
	*catalogue = FW_TAKE(opened);
	return FW_OK;
}

void fw_catalogue_close(struct fw_catalogue *catalogue)
{
	if (!catalogue)
		return;
	fw_csv_free(catalogue->prices_csv);
	fw_csv_free(catalogue->processors_csv);
	fw_csv_free(catalogue->grid_csv);
	fw_csv_free(catalogue->memory_csv);
	fw_csv_free(catalogue->machines_csv);
	free(catalogue->prices.items);
	free(catalogue->processors.items);
	free(catalogue->grids.items);
	free(catalogue);
}

static bool has_grid(const struct fw_catalogue *catalogue, const char *region)
{
	for (size_t i = 0; i < catalogue->grids.count; i++)
		if (strcmp(catalogue->grids.items[i].region, region) == 0)
			return true;
	return false;
}

/* All that have both prices and a grid, each once: the table lists a region's rows together. */
static int hint_at_regions(const struct fw_catalogue *catalogue, int rc, struct fw_error **err)
{
	fw_cleanup_buffer struct fw_buffer text;
	const char *before = "";

	fw_buffer_init(&text, 4096);
	fw_buffer_text(&text, "one of");
	for (size_t i = 0; i < catalogue->prices.count; i++) {
		const char *region = catalogue->prices.items[i].region;

		if (strcmp(region, before) != 0 && has_grid(catalogue, region))
			fw_buffer_printf(&text, " %s", region);
		before = region;
	}
	fw_cleanup_free char *hint = fw_buffer_take(&text);

	return fw_error_hint(err, rc, "%s", hint);
}

int fw_catalogue_price(const struct fw_catalogue *catalogue, const char *region, const char *architecture,
                       struct fw_price *price, struct fw_error **err)
{
	bool known = false;

	for (size_t i = 0; i < catalogue->prices.count; i++) {
		const struct fw_price *row = &catalogue->prices.items[i];

		if (strcmp(row->region, region) != 0)
			continue;
		known = true;
		if (strcmp(row->architecture, architecture) == 0) {
			*price = *row;
			return FW_OK;
		}
	}
	if (known)
		return fw_fail(err, FW_E_ABSENT, "no Lambda price for %s in %s", architecture, region);
	return hint_at_regions(catalogue, fw_fail(err, FW_E_ABSENT, "no prices for the region '%s'", region), err);
}

static bool row_matches(const struct fw_processor_row *row, const char *cpu_model, const char *vendor, int family,
                        int model)
{
	return (isnan(row->family) || (int)row->family == family) && (isnan(row->model) || (int)row->model == model) &&
	       (!*row->vendor || strcmp(row->vendor, vendor) == 0) &&
	       (!*row->pattern || fw_glob_match(row->pattern, cpu_model));
}

void fw_catalogue_processor(const struct fw_catalogue *catalogue, const char *cpu_model, const char *vendor, int family,
                            int model, struct fw_processor *processor)
{
	size_t last = catalogue->processors.count - 1, i = 0;

	while (i < last && !row_matches(&catalogue->processors.items[i], cpu_model ? cpu_model : "", vendor ? vendor : "",
	                                family, model))
		i++;
	*processor = catalogue->processors.items[i].processor;
}

void fw_catalogue_memory_power(const struct fw_catalogue *catalogue, struct fw_memory_power *power)
{
	*power = catalogue->memory;
}

int fw_catalogue_grid(const struct fw_catalogue *catalogue, const char *region, struct fw_grid *grid,
                      struct fw_error **err)
{
	for (size_t i = 0; i < catalogue->grids.count; i++)
		if (strcmp(catalogue->grids.items[i].region, region) == 0) {
			*grid = catalogue->grids.items[i];
			return FW_OK;
		}
	return hint_at_regions(catalogue, fw_fail(err, FW_E_ABSENT, "no grid intensity for the region '%s'", region), err);
}
