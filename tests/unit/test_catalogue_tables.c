/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "catalogue/catalogue_internal.h"
#include "tests/unit/support.h"

static struct fw_catalogue *open_ok(void)
{
	struct fw_catalogue *catalogue = NULL;
	struct fw_error *err = NULL;
	fw_cleanup_free char *directory = fw_printf("%s/data", getenv("FLEXWATT_SOURCE"));

	assert_ok(fw_catalogue_open(directory, &catalogue, &err), err);
	return catalogue;
}

static const char *name_of(const struct fw_catalogue *catalogue, const char *cpu_model, const char *vendor, int family,
                           int model)
{
	static struct fw_processor processor;

	fw_catalogue_processor(catalogue, cpu_model, vendor, family, model, &processor);
	return processor.name;
}

static void processors_are_found_from_exact_to_general(void **state)
{
	FW_CLEANUP(fw_catalogue_close) struct fw_catalogue *catalogue = open_ok();
	struct fw_processor processor;

	(void)state;
	fw_catalogue_processor(catalogue, "Neoverse-N1", "ARM", -1, 0xd0c, &processor);
	assert_true(processor.exact);
	assert_string_equal(processor.name, "AWS Graviton2 (Neoverse-N1, 64 cores)");
	assert_near(processor.low_w_per_vcpu_max, 1.69, 1e-9); /* the band that nobody has measured away */
	assert_near(processor.high_w_per_vcpu_max, 2.39, 1e-9);
	fw_catalogue_processor(catalogue, "AMD EPYC", "AuthenticAMD", 25, 17, &processor);
	assert_false(processor.exact);
	assert_string_equal(processor.name, "EPYC 4 (Genoa)");
	assert_string_equal(name_of(catalogue, "AMD EPYC", NULL, -1, -1), "EPYC, generation unknown");
	assert_string_equal(name_of(catalogue, "Intel(R) Xeon(R) Processor @ 2.90GHz", NULL, -1, -1),
	                    "Xeon 2.9 GHz on Lambda (as 8375C)");
	assert_string_equal(name_of(catalogue, "ARM implementer 0x41 part 0xfff", "ARM", -1, 0xfff),
	                    "ARM processor, model unknown");
	assert_string_equal(name_of(catalogue, NULL, NULL, -1, -1), "any processor");
}

static void laptops_and_desktops_are_told_by_their_letters(void **state)
{
	FW_CLEANUP(fw_catalogue_close) struct fw_catalogue *catalogue = open_ok();
	static const char *const known[][2] = {
		{"Intel(R) Core(TM) i7-10510U CPU @ 1.80GHz", "Core i7-10510U"},
		{"Intel(R) Core(TM) i5-8250U CPU @ 1.60GHz", "Core i3 to i9, U series"},
		{"Intel(R) Core(TM) i7-8700 CPU @ 3.20GHz", "Core desktop"},
		{"Intel(R) Core(TM) i9-9900K CPU @ 3.60GHz", "Core desktop, K series"},
		{"Intel(R) Core(TM) i7-9750H CPU @ 2.60GHz", "Core i5 to i9, H series"},
		{"11th Gen Intel(R) Core(TM) i7-1165G7 @ 2.80GHz", "Core i3 to i7, G series"},
		{"12th Gen Intel(R) Core(TM) i7-1260P", "Core i3 to i7, P series"},
		{"Intel(R) Core(TM) Ultra 7 155H", "Core Ultra, H series"},
		{"AMD Ryzen 7 5800X 8-Core Processor", "Ryzen desktop, X series"},
		{"AMD Ryzen 5 3600 6-Core Processor", "Ryzen desktop"},
		{"AMD Ryzen 7 5800H with Radeon Graphics", "Ryzen, H and HS series"},
		{"AMD Ryzen 7 4700U with Radeon Graphics", "Ryzen, U series"},
	};

	(void)state;
	for (size_t i = 0; i < FW_COUNT_OF(known); i++)
		assert_string_equal(name_of(catalogue, known[i][0], "x", 0, 0), known[i][1]);
}

/* A vCPU never draws a socket's watts, every interval is one, every figure has its source and year. */
static void every_processor_is_possible(void **state)
{
	FW_CLEANUP(fw_catalogue_close) struct fw_catalogue *catalogue = open_ok();

	(void)state;
	assert_true(catalogue->processors.count > 50);
	for (size_t i = 0; i < catalogue->processors.count; i++) {
		const struct fw_processor *p = &catalogue->processors.items[i].processor;

		if (p->high_w_per_vcpu_max * p->threads > 2.2 * p->tdp_w || p->mid_w_per_vcpu_max > p->tdp_w / 2 ||
		    !(p->low_w_per_vcpu_max < p->high_w_per_vcpu_max) || p->mid_w_per_vcpu_min >= p->mid_w_per_vcpu_max ||
		    !*p->source || p->year < 2010 || p->embodied_kgco2e <= 0)
			fail_msg("%s: impossible figures", p->name);
	}
}

static void every_region_with_a_price_has_a_grid_or_says_so(void **state)
{
	FW_CLEANUP(fw_catalogue_close) struct fw_catalogue *catalogue = open_ok();
	struct fw_price price;
	struct fw_grid grid;
	struct fw_error *err = NULL;

	(void)state;
	assert_ok(fw_catalogue_price(catalogue, "eu-central-1", "arm64", &price, &err), err);
	assert_near(price.usd_per_gb_second, 0.0000133334, 1e-15);
	assert_ok(fw_catalogue_grid(catalogue, "eu-central-1", &grid, &err), err);
	assert_near(grid.gco2e_per_kwh, 370.93, 1e-9);
	assert_near(grid.pue, 1.35, 1e-9);
	assert_int_equal(grid.year, 2024);
	for (size_t i = 0; i < catalogue->prices.count; i++)
		if (fw_catalogue_grid(catalogue, catalogue->prices.items[i].region, &grid, NULL) != FW_OK)
			assert_string_equal(catalogue->prices.items[i].region, "ap-southeast-5");
	assert_error_is(fw_catalogue_grid(catalogue, "ap-southeast-5", &grid, &err), &err, FW_E_ABSENT,
	                "no grid intensity for the region 'ap-southeast-5'");
	assert_error_is(fw_catalogue_price(catalogue, "il-central-1", "arm64", &price, &err), &err, FW_E_ABSENT,
	                "no Lambda price for arm64 in il-central-1");
	assert_error_is(fw_catalogue_price(catalogue, "mars-1", "arm64", &price, &err), &err, FW_E_ABSENT,
	                "no prices for the region 'mars-1'");
	assert_error_is(fw_catalogue_grid(catalogue, "mars-1", &grid, &err), &err, FW_E_ABSENT,
	                "no grid intensity for the region 'mars-1'");
}

static void memory_carries_the_whole_spread(void **state)
{
	FW_CLEANUP(fw_catalogue_close) struct fw_catalogue *catalogue = open_ok();
	struct fw_memory_power power;

	(void)state;
	fw_catalogue_memory_power(catalogue, &power);
	assert_near(power.low, 0.048, 1e-9);
	assert_near(power.mid, 0.284, 1e-9);
	assert_near(power.high, 0.392, 1e-9);
}

static void assert_refused(int (*load)(struct fw_catalogue *, const char *, const char *, size_t, struct fw_error **),
                           const char *text, const char *why)
{
	FW_CLEANUP(fw_catalogue_close) struct fw_catalogue *catalogue = fw_alloc(sizeof *catalogue);
	struct fw_error *err = NULL;
	int rc = load(catalogue, "t.csv", text, strlen(text), &err);

	assert_error_is(rc, &err, FW_E_INVALID, why);
}

static void impossible_tables_are_refused(void **state)
{
	(void)state;
	assert_refused(fw_catalogue_load_prices, "region,architecture\nx,y\n", "has no column 'usd_per_gb_second'");
	assert_refused(fw_catalogue_load_prices,
	               "region,architecture,usd_per_gb_second,usd_per_request,usd_per_tmp_gb_second,date,source\n"
	               "x,y,-1,0,0,d,s\n",
	               "t.csv: row 1: usd_per_gb_second is negative");
	assert_refused(fw_catalogue_load_grid, "region,gco2e_per_kwh,pue,year,kind,source\nx,1,0.5,2024,average,s\n",
	               "a PUE below 1");
	assert_refused(fw_catalogue_load_grid, "region,gco2e_per_kwh,pue,year,kind,source\nx,,1,2024,average,s\n",
	               "gco2e_per_kwh is missing");
	assert_refused(fw_catalogue_load_grid, "region,gco2e_per_kwh,pue,year,kind,source\n", "t.csv has no rows");
	assert_refused(fw_catalogue_load_memory, "bound,watts_per_gb,year,source\nlow,1,2024,s\nmid,0.5,2024,s\nhigh,2,2024,s\n",
	               "needs low <= mid <= high");
}

static void a_row_without_source_or_year_is_refused(void **state)
{
	(void)state;
	assert_refused(fw_catalogue_load_prices,
	               "region,architecture,usd_per_gb_second,usd_per_request,usd_per_tmp_gb_second,date,source\n"
	               "x,y,1,0,0,,s\n",
	               "t.csv: row 1: date is missing");
	assert_refused(fw_catalogue_load_grid, "region,gco2e_per_kwh,pue,year,kind,source\nx,1,1,2024,average,\n",
	               "t.csv: row 1: source is missing");
	assert_refused(fw_catalogue_load_grid, "region,gco2e_per_kwh,pue,year,kind,source\nx,1,1,,average,s\n",
	               "t.csv: row 1: year is missing");
	assert_refused(fw_catalogue_load_memory, "bound,watts_per_gb,year,source\nlow,1,2024,\n",
	               "t.csv: row 1: source is missing");
	assert_refused(fw_catalogue_load_machines, "kind,embodied_kgco2e,life_years,year,source\nserver,1,1,,s\n",
	               "t.csv: row 1: year is missing");
}

static void a_missing_directory_is_named(void **state)
{
	struct fw_catalogue *catalogue = NULL;
	struct fw_error *err = NULL;

	(void)state;
	assert_error_is(fw_catalogue_open("/nonexistent", &catalogue, &err), &err, FW_E_ABSENT,
	                "no data directory /nonexistent");
	setenv("FLEXWATT_DATA", "/elsewhere", 1);
	assert_error_is(fw_catalogue_open(NULL, &catalogue, &err), &err, FW_E_ABSENT, "no data directory /elsewhere");
	unsetenv("FLEXWATT_DATA");
	assert_ok(fw_catalogue_open(NULL, &catalogue, &err), err);
	fw_catalogue_close(catalogue);
}

FW_TESTS(processors_are_found_from_exact_to_general, laptops_and_desktops_are_told_by_their_letters,
         every_processor_is_possible, every_region_with_a_price_has_a_grid_or_says_so, memory_carries_the_whole_spread,
         a_row_without_source_or_year_is_refused, impossible_tables_are_refused, a_missing_directory_is_named)
