/* SPDX-License-Identifier: Apache-2.0
 *
 * Measured joules beside modelled ones: what is said of them, and that no mean is made of both.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "report/measured.h"
#include "report/summary.h"
#include "tests/unit/support.h"

static void add_repetition(struct fw_measured *measured, const char *source, double joules)
{
	struct fw_measured_one *one = fw_measured_add(measured);
	struct fw_energy *energy = fw_record_add_energy(&one->record);

	one->record.duration_ms = 1000;
	one->record.vcpus = 1;
	fw_record_set_text(&energy->source, source);
	fw_record_set_text(&energy->domain, "package");
	fw_record_set_text(&energy->flags, strcmp(source, "model") == 0 ? "modelled" : "measured");
	energy->joules = energy->low = energy->high = joules;
}

static void price(struct fw_measured *measured)
{
	fw_cleanup_free char *directory = fw_printf("%s/data", getenv("FLEXWATT_SOURCE"));
	struct fw_catalogue *catalogue = NULL;
	struct fw_error *err = NULL;

	measured->region = "eu-central-1";
	assert_ok(fw_catalogue_open(directory, &catalogue, &err), err);
	assert_ok(fw_measured_price(catalogue, NULL, 0, measured, &err), err);
	fw_catalogue_close(catalogue);
}

static void repetitions_alike_have_a_mean(void **state)
{
	struct fw_measured measured;

	(void)state;
	fw_measured_init(&measured);
	add_repetition(&measured, "rapl", 10);
	add_repetition(&measured, "rapl", 20);
	price(&measured);
	assert_near(fw_measured_figure(&measured, "joules").mean, 15, 1e-9);
	assert_true(fw_measured_figure(&measured, "operational_gco2e").mean > 0);
	assert_int_equal(measured.notes.count, 0);
	fw_measured_done(&measured);
}

static void measured_and_modelled_repetitions_have_none_and_a_note(void **state)
{
	static const char *const figures[] = {"joules", "joules_low", "joules_high", "average_w", "operational_gco2e", "sci_gco2e"};
	struct fw_measured measured;
	fw_cleanup_buffer struct fw_buffer text;

	(void)state;
	fw_buffer_init(&text, 1 << 16);
	fw_measured_init(&measured);
	measured.title = fw_strdup("a command");
	add_repetition(&measured, "rapl", 10);
	add_repetition(&measured, "model", 100);
	price(&measured);
	for (size_t i = 0; i < FW_COUNT_OF(figures); i++)
		assert_true(isnan(fw_measured_figure(&measured, figures[i]).mean));
	assert_near(fw_measured_figure(&measured, "wall_ms").mean, 1000, 1e-9);
	assert_true(fw_measured_figure(&measured, "embodied_gco2e").mean > 0);
	assert_int_equal(measured.notes.count, 1);
	assert_non_null(strstr(measured.notes.items[0], "1 of 2 repetitions are modelled"));
	fw_measured_print(&measured, false, &text);
	fw_cleanup_free char *shown = fw_buffer_take(&text);
	assert_non_null(strstr(shown, "measured in some repetitions, modelled in others"));
	fw_measured_done(&measured);
}

static char *footnote(int64_t modelled, int64_t measured, bool mixed)
{
	fw_cleanup_buffer struct fw_buffer text;

	fw_buffer_init(&text, 1 << 16);
	fw_buffer_text(&text, "");
	fw_modelled_footnote(modelled, measured, mixed, &text);
	return fw_buffer_take(&text);
}

static void the_foot_of_a_table_says_of_how_many_invocations_joules_are_modelled(void **state)
{
	static const struct {
		int64_t modelled, measured;
		bool mixed;
		const char *says, *says_not;
	} cases[] = {{3, 0, true, ": no energy counters were read", "A sum"},
	             {3, 4, false, ": no energy counters were read", "A sum"},
	             {3, 4, true, "in 3 of 7 invocations no energy counters were read", ": no energy"}};

	(void)state;
	for (size_t i = 0; i < FW_COUNT_OF(cases); i++) {
		fw_cleanup_free char *text = footnote(cases[i].modelled, cases[i].measured, cases[i].mixed);

		assert_non_null(strstr(text, cases[i].says));
		assert_null(strstr(text, cases[i].says_not));
	}
	fw_cleanup_free char *none = footnote(0, 4, true);
	assert_true(!none || !*none);
}

FW_TESTS(repetitions_alike_have_a_mean, measured_and_modelled_repetitions_have_none_and_a_note,
         the_foot_of_a_table_says_of_how_many_invocations_joules_are_modelled)
