/* SPDX-License-Identifier: Apache-2.0
 *
 * The arithmetic of attribution: what is handed out and what is left adds up to what was measured, whatever the machine
 * did; edges inside a slice; intervals; the idle floor.
 */
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/time.h"
#include "energy/floor.h"
#include "energy/ledger.h"
#include "tests/unit/energy_support.h"

static void a_slice_is_idle_up_to_the_floor_and_dynamic_above(void **state)
{
	struct fw_slice slice = {.seconds = 2, .joules = 100, .work = 4e9, .floor_w = 20};
	struct fw_slice_price price = fw_price_of(&slice, 0);

	(void)state;
	assert_near(price.idle_j, 40, 1e-12);
	assert_near(price.dynamic_j, 60, 1e-12);
	assert_near(price.per_work_j * 4e9, 60, 1e-9);
}

static void a_floor_above_the_measured_makes_no_negative_energy(void **state)
{
	struct fw_slice slice = {.seconds = 1, .joules = 5, .work = 1e9, .floor_w = 20};
	struct fw_slice_price price = fw_price_of(&slice, 0);

	(void)state;
	assert_near(price.idle_j, 5, 1e-12);
	assert_near(price.dynamic_j, 0, 1e-12);
}

/* In a process of its own: whoever hands out more than was measured does not go on. */
static void a_joule_that_is_handed_out_twice_ends_a_debug_build(void **state)
{
	struct fw_slice slice = {.seconds = 1, .joules = 10, .work = 1e9};
	struct fw_slice_price price = fw_price_of(&slice, 0);
	const struct {
		double dynamic_j, idle_j;
		bool ends;
	} cases[] = {{price.dynamic_j, price.idle_j, false}, {2 * price.dynamic_j, 0, true}, {0, price.idle_j + 1, true}};

	(void)state;
#ifdef NDEBUG
	print_message("skipped: built without assertions\n");
	skip();
#endif
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		pid_t pid = fork();
		int status;

		if (pid == 0) {
			struct fw_books books = {0};

			close(STDERR_FILENO);
			fw_books_add(&books, &price, cases[i].dynamic_j, cases[i].idle_j);
			_exit(0);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(cases[i].ends ? WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT : WIFEXITED(status));
	}
}

static void a_hole_hands_out_nothing(void **state)
{
	struct fw_slice slice = {.seconds = 1, .joules = NAN, .work = 1e9, .floor_w = 20};
	struct fw_slice_price price = fw_price_of(&slice, 0);

	(void)state;
	assert_near(price.idle_j + price.dynamic_j, 0, 0);
}

/* The machine's figure was read a moment before the workers': shares stay within the whole. */
static void mistake_26_shares_never_exceed_the_measured_total(void **state)
{
	struct fw_slice slice = {.seconds = 1, .joules = 50, .work = 1.0e9};
	struct fw_slice_price price = fw_price_of(&slice, 1.6e9);
	struct fw_account first = {0}, second = {0};

	(void)state;
	fw_account_add(&first, &price, &(struct fw_part){.seconds = 1, .work = 0.8e9});
	fw_account_add(&second, &price, &(struct fw_part){.seconds = 1, .work = 0.8e9});
	assert_near(first.dynamic_j + second.dynamic_j, 50, 1e-9);
}

static void what_is_handed_out_and_what_is_left_is_what_was_measured(void **state)
{
	uint64_t seed = 1;

	(void)state;
	for (unsigned machine = 0; machine < 2000; machine++) {
		struct fw_books books = {0};
		double measured = 0;

		for (unsigned at = 0; at < 20; at++) {
			struct fw_slice slice = {.seconds = uniform(&seed), .joules = 100 * uniform(&seed), .floor_w = 80 * uniform(&seed)};
			double works[4], known = 0, dynamic = 0, idle = 0;

			for (unsigned i = 0; i < 4; i++)
				known += works[i] = uniform(&seed) < 0.3 ? 0 : 1e9 * uniform(&seed);
			slice.work = known * (0.5 + uniform(&seed)); /* also less than its parts */
			struct fw_slice_price price = fw_price_of(&slice, known);

			for (unsigned i = 0; i < 4; i++) {
				struct fw_account account = {0};

				fw_account_add(&account, &price,
				               &(struct fw_part){.seconds = slice.seconds, .work = works[i], .reserved = 0.25 * uniform(&seed)});
				dynamic += account.dynamic_j;
				idle += account.idle_j;
			}
			fw_books_add(&books, &price, dynamic, idle);
			measured += slice.joules;
		}
		assert_near(books.measured_j, measured, 1e-9 * measured);
		assert_near(fw_books_residual(&books), 0, 1e-9 * measured);
		assert_true(books.system_dynamic_j >= -1e-9 && books.system_idle_j >= -1e-9);
	}
}

/* Invocations that follow each other in one worker share a slice: no joule falls between an end and the next begin. */
static void mistake_24_edges_inside_a_slice_leave_no_gap(void **state)
{
	struct fw_slice slice = {.seconds = 1, .joules = 30, .work = 2e9, .floor_w = 10};
	struct fw_slice_price price = fw_price_of(&slice, 0);
	struct fw_account first = {0}, second = {0};

	(void)state;
	fw_account_add(&first, &price, &(struct fw_part){.seconds = 0.3, .work = 0.5e9, .reserved = 1, .at_edge = true});
	fw_account_add(&second, &price, &(struct fw_part){.seconds = 0.7, .work = 1.5e9, .reserved = 1, .at_edge = true});
	assert_near(first.dynamic_j + first.idle_j + second.dynamic_j + second.idle_j, 30, 1e-9);
	assert_near(first.dynamic_j, 5, 1e-9);
	assert_near(first.idle_j, 3, 1e-9);
}

static double width_at_an_edge(const struct fw_unevenness *unevenness)
{
	struct fw_slice slice = {.seconds = 1, .joules = 30, .work = 2e9, .floor_w = 10, .unevenness = fw_unevenness_now(unevenness, 0.01)};
	struct fw_slice_price price = fw_price_of(&slice, 0);
	struct fw_account account = {0};

	fw_account_add(&account, &price, &(struct fw_part){.seconds = 0.5, .work = 1e9, .reserved = 1, .at_edge = true});
	struct fw_figure figure = fw_account_figure(&account);

	return figure.high - figure.low;
}

static void see_price(struct fw_unevenness *unevenness, double per_work_j)
{
	fw_unevenness_add(unevenness, &(struct fw_slice_price){.dynamic_j = 10, .work = 1e9, .per_work_j = per_work_j}, 0.5);
}

/* What an edge inside a slice costs in certainty is what prices were seen to differ by. */
static void an_edge_is_as_uncertain_as_prices_are_uneven(void **state)
{
	struct fw_unevenness even = {0}, uneven = {0}, unknown = {0}, quiet = {0};

	(void)state;
	for (unsigned i = 0; i < 300; i++) {
		see_price(&even, 1e-8 * (1 + 0.01 * (i % 2)));
		see_price(&uneven, 1e-8 * (1 + (i % 2)));
		fw_unevenness_add(&quiet, &(struct fw_slice_price){.dynamic_j = 10, .work = 1e9, .per_work_j = 1e-8}, 0.01);
	}
	assert_near(fw_unevenness_now(&even, 0.01), 0.01, 0.002);
	assert_near(fw_unevenness_now(&uneven, 0.01), 0.5, 1e-9);
	assert_near(fw_unevenness_now(&unknown, 0.01), 0.5, 1e-9);
	assert_near(fw_unevenness_now(&quiet, 0.01), 0.5, 1e-9);
	assert_near(fw_unevenness_now(&even, 0.4), 0.2, 1e-9); /* of a slice as long as that, nobody knows */
	assert_near(width_at_an_edge(&unknown) / width_at_an_edge(&even), 50, 10);
}

static void an_interval_encloses_the_figure_and_is_never_negative(void **state)
{
	struct fw_slice slice = {.seconds = 0.01, .joules = 0.2, .work = 1e7, .counter_half_j = 1, .floor_w = 10, .floor_half_w = 5};
	struct fw_slice_price price = fw_price_of(&slice, 0);
	struct fw_account account = {0};

	(void)state;
	fw_account_add(&account, &price, &(struct fw_part){.seconds = 0.01, .work = 1e7, .reserved = 1, .at_begin = true, .at_end = true});
	struct fw_figure figure = fw_account_figure(&account);

	assert_true(figure.low >= 0 && figure.low < figure.joules && figure.joules < figure.high);
	assert_true(figure.dynamic_low >= 0 && figure.dynamic_low <= figure.dynamic_j);
}

/* The floor moves joules from idle to dynamic: of a machine that one invocation has for itself, the sum stays certain. */
static void an_uncertain_floor_widens_the_parts_and_not_the_sum(void **state)
{
	struct fw_slice slice = {.seconds = 1, .joules = 30, .work = 1e9, .floor_w = 10, .floor_half_w = 5};
	struct fw_slice_price price = fw_price_of(&slice, 0);
	struct fw_account account = {0};

	(void)state;
	fw_account_add(&account, &price, &(struct fw_part){.seconds = 1, .work = 1e9, .reserved = 1});
	struct fw_figure figure = fw_account_figure(&account);

	assert_near(figure.high - figure.low, 0, 1e-9);
	assert_near(figure.dynamic_high - figure.dynamic_low, 10, 1e-9);
}

static void what_a_gap_may_hide_raises_the_upper_end_alone(void **state)
{
	struct fw_slice slice = {.seconds = 1, .joules = 30, .work = 1e9, .lost_j = 100, .flags = 4};
	struct fw_slice_price price = fw_price_of(&slice, 0);
	struct fw_account account = {0};

	(void)state;
	fw_account_add(&account, &price, &(struct fw_part){.seconds = 1, .work = 0.5e9});
	struct fw_figure figure = fw_account_figure(&account);

	assert_near(figure.high - figure.joules, 50, 1e-9);
	assert_near(figure.joules - figure.low, 0, 1e-9);
	assert_int_equal(figure.flags, 4);
}

/* ---- the floor: 10 W at rest, 40 W more when all CPUs work ---- */

static void add(struct fw_floor *floor, uint64_t *now_ns, double busy, double noise_w)
{
	*now_ns += FW_NS_PER_S / 10;
	fw_floor_add(floor, *now_ns, 0.1, (10 + 40 * busy + noise_w) * 0.1, busy);
}

static void mistake_29_the_floor_is_neither_the_first_nor_the_highest_reading(void **state)
{
	struct fw_floor floor;
	uint64_t now_ns = FW_NS_PER_S;

	(void)state;
	fw_floor_init(&floor);
	add(&floor, &now_ns, 0.9, 0); /* the first reading is under load */
	assert_false(floor.is_known);
	assert_near(floor.floor_w + floor.half_w, 46, 1e-9);
	for (unsigned i = 0; i < 50; i++)
		add(&floor, &now_ns, 0.001, i == 20 ? 30 : 0.2 * (double)(i % 5)); /* one odd maximum */
	assert_int_equal(floor.basis, FW_FLOOR_QUIET);
	assert_near(floor.floor_w, 10, 0.3);
}

/* Two in a hundred of 40 W are no part of it, once other times have told what work costs. */
static void what_little_runs_in_quiet_moments_is_no_part_of_the_floor(void **state)
{
	struct fw_floor floor;
	uint64_t now_ns = FW_NS_PER_S;

	(void)state;
	fw_floor_init(&floor);
	for (unsigned i = 0; i < 20; i++)
		add(&floor, &now_ns, 0.018, 0);
	assert_near(floor.floor_w, 10 + 40 * 0.018, 1e-9);
	for (unsigned i = 0; i < 20; i++)
		add(&floor, &now_ns, 0.5, 0);
	assert_near(floor.floor_w, 10, 0.01);
}

/* As load rises, the floor stays: it is not what a utilisation leaves over. */
static void mistake_30_the_floor_does_not_shrink_under_load(void **state)
{
	struct fw_floor floor;
	uint64_t now_ns = FW_NS_PER_S;

	(void)state;
	fw_floor_init(&floor);
	for (unsigned i = 0; i < 20; i++)
		add(&floor, &now_ns, 0.0, 0);
	double before = floor.floor_w;

	for (unsigned i = 0; i < 500; i++)
		add(&floor, &now_ns, 1.0, 0);
	assert_near(floor.floor_w, before, 1e-9);
}

static void without_idle_time_a_line_through_load_and_power_finds_the_floor(void **state)
{
	struct fw_floor floor;
	uint64_t now_ns = FW_NS_PER_S, seed = 7;

	(void)state;
	fw_floor_init(&floor);
	for (unsigned i = 0; i < 100; i++)
		add(&floor, &now_ns, 0.2 + 0.8 * uniform(&seed), 2 * uniform(&seed) - 1);
	assert_int_equal(floor.basis, FW_FLOOR_MIXED);
	assert_near(floor.floor_w, 10, 1);
	assert_true(fabs(floor.floor_w - 10) <= floor.half_w);
}

static void idle_evidence_is_forgotten_after_hours(void **state)
{
	struct fw_floor floor;
	uint64_t now_ns = FW_NS_PER_S;

	(void)state;
	fw_floor_init(&floor);
	for (unsigned i = 0; i < 20; i++)
		add(&floor, &now_ns, 0, 0);
	now_ns += 7 * 3600 * FW_NS_PER_S;
	for (unsigned i = 0; i < 20; i++)
		add(&floor, &now_ns, 0, 5); /* a warmer room, a faster fan */
	assert_near(floor.floor_w, 15, 0.3);
}

/* A run that is busy from its first moment on. */
static void the_floor_of_an_earlier_run_is_in_force_until_there_is_better(void **state)
{
	struct fw_floor floor;
	uint64_t now_ns = FW_NS_PER_S;

	(void)state;
	fw_floor_init(&floor);
	fw_floor_inherit(&floor, 10, 0.1, 3600);
	assert_true(floor.is_known && floor.basis == FW_FLOOR_INHERITED);
	assert_near(floor.floor_w, 10, 1e-9);
	assert_near(floor.half_w, 0.1 + 0.3, 1e-9); /* 3 % an hour wider */
	for (unsigned i = 0; i < 50; i++)
		add(&floor, &now_ns, 0.9, 0);
	assert_int_equal(floor.basis, FW_FLOOR_INHERITED);
	assert_near(floor.floor_w, 10, 1e-9);
	assert_near(fw_floor_age_s(&floor, now_ns), 3600 + 4.9, 0.01);
	for (unsigned i = 0; i < 20; i++)
		add(&floor, &now_ns, 0, 2); /* the machine of today */
	assert_int_equal(floor.basis, FW_FLOOR_QUIET);
	assert_near(floor.floor_w, 12, 0.01);
	assert_near(fw_floor_age_s(&floor, now_ns), 0, 1e-9);
}

static void a_floor_of_last_month_is_not_taken(void **state)
{
	struct fw_floor floor;

	(void)state;
	fw_floor_init(&floor);
	fw_floor_inherit(&floor, 10, 0.1, 30 * 24 * 3600.0);
	assert_false(floor.is_known);
	fw_floor_inherit(&floor, NAN, 0.1, 0);
	fw_floor_inherit(&floor, 10, -1, 0);
	assert_false(floor.is_known);
}

/* Less than the floor is drawn under load: what is inherited, or was found long ago, is too high. */
static void a_floor_that_has_sunk_is_followed_under_load(void **state)
{
	struct fw_floor floor;
	uint64_t now_ns = FW_NS_PER_S;

	(void)state;
	fw_floor_init(&floor);
	fw_floor_inherit(&floor, 60, 0.1, 60);
	add(&floor, &now_ns, 0.9, 0); /* 46 W */
	assert_true(floor.floor_w <= 46 && floor.floor_w + floor.half_w >= 46);
	fw_floor_init(&floor);
	for (unsigned i = 0; i < 100; i++)
		add(&floor, &now_ns, 0, 40); /* 50 W at rest */
	for (unsigned i = 0; i < 40; i++)
		add(&floor, &now_ns, 0.5, 0); /* 30 W at work */
	assert_near(floor.floor_w, 30, 0.3);
}

/* An hour of load after one quiet moment: fans have come on, which the line through load and power shows. */
static void a_floor_that_has_risen_is_followed_by_the_line(void **state)
{
	struct fw_floor floor;
	uint64_t now_ns = FW_NS_PER_S, seed = 3;

	(void)state;
	fw_floor_init(&floor);
	for (unsigned i = 0; i < 20; i++)
		add(&floor, &now_ns, 0, 0);
	double before = floor.half_w;

	now_ns += 3600 * FW_NS_PER_S;
	for (unsigned i = 0; i < 3000; i++)
		add(&floor, &now_ns, 0.2 + 0.8 * uniform(&seed), 5);
	assert_int_equal(floor.basis, FW_FLOOR_MIXED);
	assert_true(floor.floor_w > 12 && floor.floor_w <= 15.1);
	assert_true(floor.half_w > before);
	assert_true(floor.floor_w + 2 * floor.half_w >= 15);
}

FW_TESTS(the_floor_of_an_earlier_run_is_in_force_until_there_is_better, a_floor_of_last_month_is_not_taken,
         a_floor_that_has_sunk_is_followed_under_load, a_floor_that_has_risen_is_followed_by_the_line,
         a_slice_is_idle_up_to_the_floor_and_dynamic_above, a_floor_above_the_measured_makes_no_negative_energy,
         a_joule_that_is_handed_out_twice_ends_a_debug_build, a_hole_hands_out_nothing, mistake_26_shares_never_exceed_the_measured_total,
         what_is_handed_out_and_what_is_left_is_what_was_measured, mistake_24_edges_inside_a_slice_leave_no_gap,
         an_interval_encloses_the_figure_and_is_never_negative, an_uncertain_floor_widens_the_parts_and_not_the_sum,
         what_a_gap_may_hide_raises_the_upper_end_alone, an_edge_is_as_uncertain_as_prices_are_uneven,
         mistake_29_the_floor_is_neither_the_first_nor_the_highest_reading,
         what_little_runs_in_quiet_moments_is_no_part_of_the_floor, mistake_30_the_floor_does_not_shrink_under_load,
         without_idle_time_a_line_through_load_and_power_finds_the_floor, idle_evidence_is_forgotten_after_hours)
