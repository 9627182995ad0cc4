/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "catalogue/catalogue.h"
#include "tests/unit/support.h"

static struct fw_catalogue *catalogue;

static int set_up(void **state)
{
	fw_cleanup_free char *directory = fw_printf("%s/data", getenv("FLEXWATT_SOURCE"));
	struct fw_error *err = NULL;

	(void)state;
	assert_ok(fw_catalogue_open(directory, &catalogue, &err), err);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	fw_catalogue_close(catalogue);
	return 0;
}

static void costs_are_those_of_the_price_list(void **state)
{
	static const struct {
		const char *architecture;
		int64_t memory_mb;
		double duration_ms, init_ms;
		int64_t tmp_mb, billed_ms;
		double duration_usd, storage_usd, total_usd;
	} cases[] = {
		{"x86_64", 128, 11722, NAN, 512, 11722, 2.4420882175e-05, 0, 2.4620882175e-05},
		{"x86_64", 1536, 1465, NAN, 512, 1465, 3.662507325e-05, 0, 3.682507325e-05},
		{"x86_64", 2048, 3.10, 542.01, 0, 546, 1.82000364e-05, 0, 1.84000364e-05},
		{"arm64", 256, 1655.10, 322.04, 512, 1978, 6.5933663e-06, 0, 6.7933663e-06},
		{"x86_64", 10240, 376256.59, NAN, 512, 376257, 6.2709625419e-02, 0, 6.2709825419e-02},
		{"x86_64", 1024, 100.00, NAN, 10240, 100, 1.66667e-06, 2.9355e-08, 1.896025e-06},
		{"arm64", 512, 0.85, NAN, 512, 1, 6.6667e-09, 0, 2.066667e-07},
	};

	(void)state;
	for (size_t i = 0; i < FW_COUNT_OF(cases); i++) {
		struct fw_record record;
		struct fw_error *err = NULL;

		fw_record_init(&record);
		fw_record_set_text(&record.architecture, cases[i].architecture);
		record.memory_mb = cases[i].memory_mb;
		record.duration_ms = cases[i].duration_ms;
		record.init_ms = cases[i].init_ms;
		assert_ok(fw_cost_fill(catalogue, "us-east-1", "as if on Lambda", cases[i].tmp_mb, &record, &err), err);
		assert_int_equal(record.billed_ms, cases[i].billed_ms);
		assert_near(record.duration_usd, cases[i].duration_usd, 1e-9 * cases[i].duration_usd);
		assert_near(record.storage_usd, cases[i].storage_usd, 1e-15);
		assert_near(record.total_usd, cases[i].total_usd, 1e-9 * cases[i].total_usd);
		assert_string_equal(record.price_region, "us-east-1");
		fw_record_done(&record);
	}
}

static void the_basis_names_architecture_and_date(void **state)
{
	struct fw_record record;

	(void)state;
	fw_record_init(&record);
	fw_record_set_text(&record.architecture, "arm64");
	record.memory_mb = 128;
	record.duration_ms = 1;
	assert_int_equal(fw_cost_fill(catalogue, "eu-central-1", "as if on Lambda", 512, &record, NULL), FW_OK);
	assert_string_equal(record.price_basis, "as if on Lambda, arm64, prices of 2026-09");
	fw_record_done(&record);
}

static void an_unknown_duration_has_no_price(void **state)
{
	struct fw_record record;

	(void)state;
	fw_record_init(&record);
	record.memory_mb = 128;
	assert_int_equal(fw_cost_fill(catalogue, "eu-central-1", "as if on Lambda", 512, &record, NULL), FW_OK);
	assert_true(isnan(record.total_usd));
	assert_int_equal(record.billed_ms, FW_NULL_INT);
	fw_record_done(&record);
}

static void rounds_up_once_and_not_for_noise(void **state)
{
	(void)state;
	assert_int_equal(fw_billed_ms(100.0, NAN), 100);
	assert_int_equal(fw_billed_ms(100.1 + 0.2 - 0.3, NAN), 100);
	assert_int_equal(fw_billed_ms(100.001, 0), 101);
	assert_int_equal(fw_billed_ms(0, NAN), 1);
}

static struct fw_energy *add(struct fw_record *record, const char *source, const char *domain, const char *flags,
                             double joules)
{
	struct fw_energy *energy = fw_record_add_energy(record);

	fw_record_set_text(&energy->source, source);
	fw_record_set_text(&energy->domain, domain);
	fw_record_set_text(&energy->flags, flags);
	energy->joules = joules;
	energy->low = joules / 2;
	energy->high = joules * 2;
	energy->dynamic_j = joules * 0.75;
	energy->idle_j = joules * 0.25;
	return energy;
}

static void measured_energy_wins_and_nested_domains_count_once(void **state)
{
	struct fw_record record;
	struct fw_energy_sum sum;

	(void)state;
	fw_record_init(&record);
	assert_false(fw_energy_best(&record, &sum));
	add(&record, "tdp", "package", "modelled ok", 1000);
	assert_false(fw_energy_best(&record, &sum)); /* shown beside the others, never instead of them */
	add(&record, "model", "package", "modelled ok", 8);
	add(&record, "model", "dram", "modelled ok", 2);
	assert_true(fw_energy_best(&record, &sum));
	assert_true(sum.modelled);
	assert_string_equal(sum.source, "model");
	assert_near(sum.joules, 10, 1e-9);
	add(&record, "rapl", "psys", "measured ok", 50);
	add(&record, "rapl", "package", "measured ok", 30);
	add(&record, "rapl", "core", "measured ok", 20);
	add(&record, "rapl", "dram", "measured ok", 4);
	add(&record, "nvml", "gpu", "measured ok", 100);
	assert_true(fw_energy_best(&record, &sum));
	assert_false(sum.modelled);
	assert_string_equal(sum.source, "rapl");
	assert_near(sum.joules, 134, 1e-9);
	assert_near(sum.low, 67, 1e-9);
	assert_near(sum.dynamic_j, 100.5, 1e-9);
	/* Another view of the same packages comes first, and lacks their memory. */
	add(&record, "perf", "package", "measured ok", 31);
	assert_true(fw_energy_best(&record, &sum));
	assert_string_equal(sum.source, "perf");
	assert_near(sum.joules, 135, 1e-9);
	add(&record, "perf", "dram", "measured ok", 5);
	assert_true(fw_energy_best(&record, &sum));
	assert_near(sum.joules, 136, 1e-9);
	assert_near(fw_energy_per_count(&record, 68000000000), 2e-9, 1e-18);
	assert_true(isnan(fw_energy_per_count(&record, FW_NULL_INT)) && isnan(fw_energy_per_count(&record, 0)));
	fw_record_done(&record);
}

/* A counter that has failed has no row: what is left of its source is no machine, and the model stands in. */
static void without_its_packages_a_source_has_no_figure_of_the_machine(void **state)
{
	static const struct {
		const char *rows[3];
		double joules;
		const char *source;
	} cases[] = {
		{{"dram"}, 8, "model"},
		{{"core"}, 8, "model"},
		{{"core", "dram"}, 8, "model"},
		{{"uncore", "dram"}, 8, "model"},
		{{"gpu"}, 8, "model"},
		{{"other"}, 8, "model"},
		{{"package"}, 10, "rapl"},
		{{"package", "dram"}, 20, "rapl"},
		{{"psys"}, 10, "rapl"},
		{{"psys", "dram"}, 10, "rapl"},
		{{"core", "uncore"}, 20, "rapl"},
		{{"core", "uncore", "dram"}, 30, "rapl"},
	};

	(void)state;
	for (size_t i = 0; i < FW_COUNT_OF(cases); i++) {
		struct fw_record record;
		struct fw_energy_sum sum;

		fw_record_init(&record);
		add(&record, "model", "package", "modelled ok", 8);
		for (size_t row = 0; row < 3 && cases[i].rows[row]; row++)
			add(&record, "rapl", cases[i].rows[row], "measured ok", 10);
		assert_true(fw_energy_best(&record, &sum));
		assert_string_equal(sum.source, cases[i].source);
		assert_near(sum.joules, cases[i].joules, 1e-9);
		assert_int_equal(sum.modelled, strcmp(cases[i].source, "model") == 0);
		fw_record_done(&record);
	}
}

/* The power PMU of an AMD machine counts cores: powercap's packages are the machine. */
static void cores_of_a_better_source_are_not_the_machine(void **state)
{
	struct fw_record record;
	struct fw_energy_sum sum;

	(void)state;
	fw_record_init(&record);
	add(&record, "perf", "core", "measured ok", 5);
	add(&record, "rapl", "package", "measured ok", 10);
	assert_true(fw_energy_best(&record, &sum));
	assert_string_equal(sum.source, "rapl");
	assert_near(sum.joules, 10, 1e-9);
	fw_record_done(&record);
}

/* One step of a counter that counts whole joules is no power, however short the time. */
static void mistake_12_a_figure_that_is_less_sure_than_itself_gives_no_watts(void **state)
{
	struct fw_energy_sum step = {.joules = 1, .low = 0, .high = 2.6}, sure = {.joules = 80, .low = 78, .high = 82};
	struct fw_energy_sum unknown = {.joules = 80, .low = FW_NULL_REAL, .high = FW_NULL_REAL};

	(void)state;
	assert_true(isnan(fw_energy_watts(&step, 0.005)));
	assert_near(fw_energy_watts(&sure, 0.4), 200, 1e-9);
	assert_true(isnan(fw_energy_watts(&sure, 0)));
	assert_true(isnan(fw_energy_watts(&unknown, 0.4)));
}

static void a_task_larger_than_the_machine_is_charged_the_cpus_that_it_has(void **state)
{
	struct fw_record record;
	struct fw_error *err = NULL;

	(void)state;
	fw_record_init(&record);
	fw_record_set_text(&record.cpu_model, "AMD EPYC 7R13 48-Core Processor");
	record.duration_ms = 3600000;
	record.vcpus = 10240 / 1769.0;
	record.cpus_visible = 2;
	assert_ok(fw_carbon_fill(catalogue, "eu-central-1", NULL, &record, &err), err);
	assert_near(record.embodied_gco2e, 1e6 / (4 * 365.25 * 24) * 2 / 96, 1e-6);
	record.cpus_visible = 6;
	assert_ok(fw_carbon_fill(catalogue, "eu-central-1", NULL, &record, &err), err);
	assert_near(record.embodied_gco2e, 1e6 / (4 * 365.25 * 24) * (10240 / 1769.0) / 96, 1e-6);
	fw_record_done(&record);
}

static void carbon_is_energy_times_pue_times_grid_and_a_share_of_the_making(void **state)
{
	struct fw_record record;
	struct fw_error *err = NULL;

	(void)state;
	fw_record_init(&record);
	fw_record_set_text(&record.cpu_model, "AMD EPYC 7R13 48-Core Processor");
	record.duration_ms = 3600000;
	record.vcpus = 2;
	add(&record, "model", "package", "modelled ok", 36000);
	assert_ok(fw_carbon_fill(catalogue, "eu-central-1", NULL, &record, &err), err);
	assert_near(record.operational_gco2e, 0.01 * 1.35 * 370.93, 1e-9);
	assert_near(record.operational_low_gco2e, 0.005 * 1.35 * 370.93, 1e-9);
	assert_near(record.operational_high_gco2e, 0.02 * 1.35 * 370.93, 1e-9);
	assert_near(record.embodied_gco2e, 1e6 / (4 * 365.25 * 24) * 2 / 96, 1e-6);
	assert_near(record.pue, 1.35, 1e-9);
	assert_int_equal(record.grid_year, 2024);
	assert_string_equal(record.grid_kind, "average");
	fw_record_done(&record);
}

/* A guest's cpuinfo may say "AMD EPYC" and no more; family and model tell which. */
static void the_making_is_shared_by_the_processor_that_was_found(void **state)
{
	struct fw_record record;
	struct fw_processor genoa;

	(void)state;
	fw_record_init(&record);
	fw_record_set_text(&record.cpu_model, "AMD EPYC");
	record.duration_ms = 3600000;
	record.vcpus = 2;
	fw_catalogue_processor(catalogue, "AMD EPYC", "AuthenticAMD", 25, 17, &genoa);
	assert_int_equal(fw_carbon_fill(catalogue, "eu-central-1", &genoa, &record, NULL), FW_OK);
	assert_near(record.embodied_gco2e, 1e6 / (4 * 365.25 * 24) * 2 / 192, 1e-6);
	fw_record_done(&record);
}

static void without_energy_there_is_no_operational_carbon(void **state)
{
	struct fw_record record;

	(void)state;
	fw_record_init(&record);
	assert_int_equal(fw_carbon_fill(catalogue, "eu-north-1", NULL, &record, NULL), FW_OK);
	assert_true(isnan(record.operational_gco2e));
	assert_true(isnan(record.embodied_gco2e)); /* neither duration nor vCPUs are known */
	assert_near(record.grid_gco2e_per_kwh, 24.71, 1e-9);
	fw_record_done(&record);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FW_TEST_MAP(costs_are_those_of_the_price_list, the_basis_names_architecture_and_date,
		            an_unknown_duration_has_no_price, rounds_up_once_and_not_for_noise,
		            measured_energy_wins_and_nested_domains_count_once,
		            without_its_packages_a_source_has_no_figure_of_the_machine,
		            cores_of_a_better_source_are_not_the_machine,
		            mistake_12_a_figure_that_is_less_sure_than_itself_gives_no_watts,
		            a_task_larger_than_the_machine_is_charged_the_cpus_that_it_has,
		            carbon_is_energy_times_pue_times_grid_and_a_share_of_the_making,
		            the_making_is_shared_by_the_processor_that_was_found,
		            without_energy_there_is_no_operational_carbon)};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
