/* SPDX-License-Identifier: Apache-2.0
 *
 * Readings with a known truth become the joules of invocations: edges inside slices, holes, clocks that go back, workers
 * that leave, machines with more than one package; and whatever happens, no joule is handed out twice.
 */
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "base/time.h"
#include "energy/attribution.h"
#include "tests/unit/energy_support.h"

enum { DOMAINS = 5, HOLDERS = 3 };
enum { PACKAGE_0, PACKAGE_1, DRAM, CORE, PSYS };

/* Two packages of two CPUs each, 8 GB; 10 W of each package are idle, and everything else is as a test says. */
struct machine {
	struct fw_attribution *attribution;
	struct fw_holder *holders[HOLDERS];
	struct fw_work_now works[HOLDERS], work;
	double held[HOLDERS];
	struct fw_domain_reading readings[DOMAINS];
	uint64_t now_ns;
};

#define GB (1024.0 * 1024 * 1024)

static bool by_misses; /* of machines that are made now */

static void machine_init_with(struct machine *machine, double memory_update_s)
{
	const struct fw_domain domains[DOMAINS] = {
		{.source = "rapl", .kind = FW_DOMAIN_PACKAGE, .name = "package-0", .package = 0, .is_root = true, .quantum_j = 6e-5, .update_s = 0.001},
		{.source = "rapl", .kind = FW_DOMAIN_PACKAGE, .name = "package-1", .package = 1, .is_root = true, .quantum_j = 6e-5, .update_s = 0.001},
		{.source = "rapl", .kind = FW_DOMAIN_DRAM, .name = "dram", .package = 0, .is_root = true, .quantum_j = 6e-5, .update_s = memory_update_s},
		{.source = "rapl", .kind = FW_DOMAIN_CORE, .name = "core", .package = 0, .quantum_j = 6e-5, .update_s = 0.001},
		{.source = "rapl", .kind = FW_DOMAIN_PSYS, .name = "psys", .package = -1, .quantum_j = 1, .update_s = 0.001},
	};
	struct fw_attribution_machine shape = {
		.packages = 2, .physical = {0, 1}, .cpus = {2, 2}, .memory_bytes = 8 * GB, .lag_ns = 0, .has_misses = by_misses};

	*machine = (struct machine){.now_ns = 10 * FW_NS_PER_S, .work = {.bytes = 4 * GB}};
	machine->attribution = fw_attribution_new(&shape, domains, DOMAINS);
	for (size_t i = 0; i < DOMAINS; i++)
		machine->readings[i].joules = 1e6; /* what was used before anyone looked */
}

static void machine_init(struct machine *machine)
{
	machine_init_with(machine, 0.001);
}

static void machine_done(struct machine *machine)
{
	fw_attribution_free(machine->attribution);
}
#define cleanup_machine __attribute__((cleanup(machine_done)))

static void join(struct machine *machine, size_t index, double reserved_cpus)
{
	machine->works[index].at_ns = machine->now_ns;
	machine->works[index].bytes = 1 * GB;
	machine->holders[index] = fw_attribution_join(machine->attribution, reserved_cpus, 2 * GB, &machine->works[index]);
}

/* So much CPU time of a worker on a package, which uses `watts` for it beside everything else. */
static void work(struct machine *machine, size_t index, size_t package, double cpu_s)
{
	machine->works[index].ns[package] += cpu_s * 1e9;
	machine->works[index].total_ns += cpu_s * 1e9;
	machine->work.ns[package] += cpu_s * 1e9;
}

static void use(struct machine *machine, size_t domain, double joules)
{
	machine->readings[domain].joules += joules;
}

static void pass(struct machine *machine, double seconds)
{
	machine->now_ns += (uint64_t)(seconds * 1e9);
}

static struct fw_edge edge(const struct machine *machine, size_t index)
{
	return (struct fw_edge){machine->now_ns, machine->works[index].total_ns};
}

static void tick(struct machine *machine)
{
	for (size_t i = 0; i < HOLDERS; i++)
		if (machine->holders[i]) {
			machine->works[i].at_ns = machine->now_ns;
			fw_holder_set(machine->holders[i], &machine->works[i], machine->held[i]);
		}
	for (size_t i = 0; i < DOMAINS; i++)
		machine->readings[i].before_ns = machine->readings[i].after_ns = machine->now_ns;
	fw_attribution_tick(machine->attribution, machine->readings, &machine->work);
	for (size_t i = 0; i < DOMAINS; i++)
		machine->readings[i].flags = 0;
}

/* The floor as it is in force: quiet seconds at 10 W a package, 2 W memory. */
static void rest(struct machine *machine)
{
	for (unsigned i = 0; i < 20; i++) {
		pass(machine, 0.1);
		use(machine, PACKAGE_0, 1);
		use(machine, PACKAGE_1, 1);
		use(machine, DRAM, 0.2);
		use(machine, CORE, 0.5);
		use(machine, PSYS, 3);
		tick(machine);
	}
}

static bool cut(struct machine *machine, size_t index, uint64_t serial, struct fw_edge begin, struct fw_edge end,
                enum fw_domain_kind kind, struct fw_share *share)
{
	struct fw_share shares[16];
	size_t count = fw_holder_cut(machine->holders[index], serial, &begin, &end, shares, FW_COUNT_OF(shares));

	for (size_t i = 0; i < count; i++)
		if (shares[i].kind == kind) {
			*share = shares[i];
			return true;
		}
	return false;
}

static void mistake_18_the_first_reading_is_a_baseline_and_no_consumption(void **state)
{
	cleanup_machine struct machine machine;
	struct fw_pool_books books[DOMAINS];
	struct fw_share share;

	(void)state;
	machine_init(&machine);
	join(&machine, 0, 1);
	struct fw_edge begin = edge(&machine, 0);

	tick(&machine);
	assert_false(cut(&machine, 0, 1, begin, edge(&machine, 0), FW_DOMAIN_PACKAGE, &share));
	rest(&machine);
	assert_int_equal(fw_attribution_books(machine.attribution, books, DOMAINS), 3);
	assert_near(books[0].books.measured_j, 20, 1e-9);
}

/* A worker works 50 ms of the 100 on a package that uses 3 J, 2 of them for all work; another program does as much. */
static void an_invocation_gets_the_price_of_its_own_work(void **state)
{
	cleanup_machine struct machine machine;
	struct fw_share share;

	(void)state;
	machine_init(&machine);
	join(&machine, 0, 1);
	tick(&machine);
	rest(&machine);
	struct fw_edge begin = edge(&machine, 0);

	machine.held[0] = 1;
	pass(&machine, 0.1);
	work(&machine, 0, 0, 0.05);
	machine.work.ns[0] += 0.05e9;
	use(&machine, PACKAGE_0, 3);
	use(&machine, PACKAGE_1, 1);
	use(&machine, DRAM, 0.2);
	use(&machine, CORE, 1);
	tick(&machine);
	assert_true(fw_holder_covers(machine.holders[0], machine.now_ns));
	assert_true(cut(&machine, 0, 1, begin, edge(&machine, 0), FW_DOMAIN_PACKAGE, &share));
	assert_near(share.figure.dynamic_j, 1, 1e-6);
	assert_near(share.figure.idle_j, 0.5, 1e-6); /* a quarter of the CPUs, of 2 J */
	assert_true(share.figure.low <= 1.5 && share.figure.high >= 1.5 && share.is_root);
}

/* A slice of 400 ms: the worker comes 20 ms before its end, or leaves 20 ms after its begin. */
static void a_worker_that_joins_or_leaves_within_a_slice_has_idle_joules_of_its_own_time_alone(void **state)
{
	cleanup_machine struct machine machine;
	struct fw_share share;

	(void)state;
	machine_init(&machine);
	tick(&machine);
	rest(&machine);
	pass(&machine, 0.38);
	join(&machine, 0, 1);
	struct fw_edge begin = edge(&machine, 0);

	pass(&machine, 0.02);
	use(&machine, PACKAGE_0, 4);
	use(&machine, PACKAGE_1, 4);
	tick(&machine);
	assert_true(cut(&machine, 0, 1, begin, edge(&machine, 0), FW_DOMAIN_PACKAGE, &share));
	assert_near(share.figure.idle_j, 0.25 * 20 * 0.02, 1e-6);
	begin = edge(&machine, 0);
	pass(&machine, 0.02);
	struct fw_edge end = edge(&machine, 0);

	machine.works[0].at_ns = machine.now_ns; /* read for the last time */
	fw_holder_set(machine.holders[0], &machine.works[0], 1);
	struct fw_holder *left = machine.holders[0];

	machine.holders[0] = NULL;
	pass(&machine, 0.38);
	use(&machine, PACKAGE_0, 4);
	use(&machine, PACKAGE_1, 4);
	tick(&machine);
	machine.holders[0] = left;
	assert_true(cut(&machine, 0, 2, begin, end, FW_DOMAIN_PACKAGE, &share));
	assert_near(share.figure.idle_j, 0.25 * 20 * 0.02, 1e-6);
}

static void packages_are_priced_apart(void **state)
{
	cleanup_machine struct machine machine;
	struct fw_share first, second;

	(void)state;
	machine_init(&machine);
	join(&machine, 0, 1);
	join(&machine, 1, 1);
	tick(&machine);
	rest(&machine);
	struct fw_edge begin[2] = {edge(&machine, 0), edge(&machine, 1)};

	pass(&machine, 0.1);
	work(&machine, 0, 0, 0.1);
	work(&machine, 1, 1, 0.1);
	use(&machine, PACKAGE_0, 1 + 5);
	use(&machine, PACKAGE_1, 1 + 1);
	tick(&machine);
	assert_true(cut(&machine, 0, 1, begin[0], edge(&machine, 0), FW_DOMAIN_PACKAGE, &first));
	assert_true(cut(&machine, 1, 1, begin[1], edge(&machine, 1), FW_DOMAIN_PACKAGE, &second));
	assert_near(first.figure.dynamic_j, 5, 1e-6);
	assert_near(second.figure.dynamic_j, 1, 1e-6);
}

/* It waited for the first half of the slice and then burned alone: all of the slice's work is its, whatever the clock says. */
static void mistake_21_edges_inside_a_slice_follow_work_and_measured_time(void **state)
{
	cleanup_machine struct machine machine;
	struct fw_share share;

	(void)state;
	machine_init(&machine);
	join(&machine, 0, 1);
	tick(&machine);
	rest(&machine);
	work(&machine, 0, 0, 0.03); /* before the invocation: its worker's, not its */
	pass(&machine, 0.037);
	struct fw_edge begin = edge(&machine, 0);

	pass(&machine, 0.02);
	work(&machine, 0, 0, 0.01);
	struct fw_edge end = edge(&machine, 0);

	pass(&machine, 0.011); /* a tick that comes late: 68 ms, not 50 */
	use(&machine, PACKAGE_0, 0.68 + 4);
	use(&machine, PACKAGE_1, 0.68);
	tick(&machine);
	assert_true(cut(&machine, 0, 1, begin, end, FW_DOMAIN_PACKAGE, &share));
	assert_near(share.figure.dynamic_j, 1, 1e-6);
	assert_near(share.figure.idle_j, 0.25 * 2 * 10 * 0.02, 1e-6);
	assert_near(share.seconds, 2 * 0.02, 1e-9); /* of two packages */
}

static void mistake_19_a_hole_is_no_zero_and_its_energy_goes_to_the_work_since(void **state)
{
	cleanup_machine struct machine machine;
	struct fw_share share;

	(void)state;
	machine_init(&machine);
	join(&machine, 0, 1);
	tick(&machine);
	rest(&machine);
	double joules = machine.readings[PACKAGE_0].joules;
	struct fw_edge begin = edge(&machine, 0);

	for (unsigned i = 0; i < 3; i++) { /* EIO, ENODEV or no number: the monitor says that it could not read */
		pass(&machine, 0.1);
		work(&machine, 0, 0, 0.1);
		use(&machine, PACKAGE_1, 1);
		machine.readings[PACKAGE_0].joules = NAN;
		machine.readings[PACKAGE_0].flags = FW_DOMAIN_GAP;
		tick(&machine);
	}
	pass(&machine, 0.1);
	work(&machine, 0, 0, 0.1);
	use(&machine, PACKAGE_1, 1);
	machine.readings[PACKAGE_0].joules = joules + 4 + 8;
	tick(&machine);
	assert_true(cut(&machine, 0, 1, begin, edge(&machine, 0), FW_DOMAIN_PACKAGE, &share));
	assert_near(share.figure.dynamic_j, 8, 1e-6);
	assert_true(share.figure.flags & FW_DOMAIN_GAP);
	assert_near(fw_attribution_residual_j(machine.attribution), 0, 1e-9);
}

static void what_ends_in_a_hole_is_told_as_far_as_known_and_bounded_beyond(void **state)
{
	cleanup_machine struct machine machine;
	struct fw_share share;

	(void)state;
	machine_init(&machine);
	join(&machine, 0, 1);
	tick(&machine);
	rest(&machine);
	struct fw_edge begin = edge(&machine, 0);

	pass(&machine, 0.3);
	work(&machine, 0, 0, 0.3);
	use(&machine, PACKAGE_0, 3 + 6);
	use(&machine, PACKAGE_1, 3);
	tick(&machine);
	for (unsigned i = 0; i < 2; i++) {
		pass(&machine, 0.1);
		work(&machine, 0, 0, 0.1);
		use(&machine, PACKAGE_1, 1);
		machine.readings[PACKAGE_0].joules = NAN;
		tick(&machine);
	}
	assert_true(fw_holder_covers(machine.holders[0], machine.now_ns)); /* waiting for the zone would have no end */
	assert_true(cut(&machine, 0, 1, begin, edge(&machine, 0), FW_DOMAIN_PACKAGE, &share));
	assert_near(share.figure.dynamic_j, 6, 1e-6);
	assert_true(share.figure.flags & FW_DOMAIN_GAP);
	assert_true(share.figure.high >= share.figure.joules + 4); /* what it went on to use */
}

/* It rested, the counter went, it worked: its own CPU time bounds what cannot be seen. */
static void a_hole_that_is_open_at_the_end_is_in_the_books_with_its_bound(void **state)
{
	cleanup_machine struct machine machine;
	struct fw_pool_books books[DOMAINS];

	(void)state;
	machine_init(&machine);
	tick(&machine);
	rest(&machine); /* 10 W */
	assert_int_equal(fw_attribution_books(machine.attribution, books, DOMAINS), 3);
	assert_near(books[PACKAGE_0].books.lost_j, 0, 1e-9);
	machine.readings[PACKAGE_0].joules = NAN;
	pass(&machine, 3);
	use(&machine, DRAM, 6);
	tick(&machine);
	fw_attribution_books(machine.attribution, books, DOMAINS);
	assert_near(books[PACKAGE_0].books.lost_j, 2 * 10 * 3, 1);
	assert_near(books[DRAM].books.lost_j, 0, 1e-9);
}

static void work_that_begins_in_a_hole_is_within_the_bound(void **state)
{
	cleanup_machine struct machine machine;
	struct fw_share share;

	(void)state;
	machine_init(&machine);
	join(&machine, 0, 1);
	tick(&machine);
	rest(&machine);
	struct fw_edge begin = edge(&machine, 0);

	pass(&machine, 0.3);
	use(&machine, PACKAGE_0, 3);
	use(&machine, PACKAGE_1, 3);
	tick(&machine);
	for (unsigned i = 0; i < 2; i++) {
		pass(&machine, 0.1);
		work(&machine, 0, 0, 0.1);
		use(&machine, PACKAGE_1, 1);
		machine.readings[PACKAGE_0].joules = NAN;
		tick(&machine);
	}
	assert_true(cut(&machine, 0, 1, begin, edge(&machine, 0), FW_DOMAIN_PACKAGE, &share));
	assert_true(share.figure.high >= share.figure.joules + 0.2 * 10);
}

/* 10 ms in which the holder works all the time, at 20 W. */
static void tick_with_work(struct machine *machine)
{
	pass(machine, 0.01);
	work(machine, 0, PACKAGE_0, 0.01);
	use(machine, PACKAGE_0, 0.1 + 0.2);
	use(machine, PACKAGE_1, 0.1);
	use(machine, DRAM, 0.02);
	tick(machine);
}

static void what_waits_for_a_slow_counter_has_its_own_joules_of_a_fast_one(void **state)
{
	cleanup_machine struct machine machine;
	struct fw_share share;

	(void)state;
	machine_init_with(&machine, 0.25);
	join(&machine, 0, 1);
	tick(&machine);
	rest(&machine);
	struct fw_edge begin = edge(&machine, 0);
	for (unsigned i = 0; i < 5; i++)
		tick_with_work(&machine);
	struct fw_edge end = edge(&machine, 0);
	for (unsigned i = 0; i < 60 && !fw_holder_covers(machine.holders[0], end.at_ns); i++)
		tick_with_work(&machine);
	assert_true(fw_holder_covers(machine.holders[0], end.at_ns));
	assert_true(cut(&machine, 0, 1, begin, end, FW_DOMAIN_PACKAGE, &share));
	assert_near(share.figure.dynamic_j, 1, 0.05);
	assert_near(fw_attribution_residual_j(machine.attribution), 0, 1e-9);
}

/* Too little of it is known for a figure: there is none, and the model stands in. */
static void what_lies_in_a_hole_has_no_figure(void **state)
{
	cleanup_machine struct machine machine;
	struct fw_share share;

	(void)state;
	machine_init(&machine);
	join(&machine, 0, 1);
	tick(&machine);
	rest(&machine);
	machine.readings[PACKAGE_0].joules = machine.readings[PACKAGE_1].joules = NAN;
	tick(&machine);
	struct fw_edge begin = edge(&machine, 0);

	pass(&machine, 0.3);
	work(&machine, 0, 0, 0.3);
	tick(&machine);
	assert_false(cut(&machine, 0, 1, begin, edge(&machine, 0), FW_DOMAIN_PACKAGE, &share));
}

static void a_counter_that_stands_still_under_work_gives_no_zero(void **state)
{
	cleanup_machine struct machine machine;
	struct fw_share share;

	(void)state;
	machine_init(&machine);
	join(&machine, 0, 1);
	tick(&machine);
	rest(&machine);
	struct fw_edge begin = edge(&machine, 0);

	for (unsigned i = 0; i < 10; i++) {
		pass(&machine, 0.1);
		work(&machine, 0, 0, 0.1);
		tick(&machine);
	}
	assert_true(fw_holder_covers(machine.holders[0], machine.now_ns));
	assert_false(cut(&machine, 0, 1, begin, edge(&machine, 0), FW_DOMAIN_PACKAGE, &share));
}

static void mistake_22_a_clock_that_goes_back_makes_nothing_negative_and_loses_nothing(void **state)
{
	cleanup_machine struct machine machine;
	struct fw_pool_books books[DOMAINS];
	struct fw_share share;

	(void)state;
	machine_init(&machine);
	join(&machine, 0, 1);
	tick(&machine);
	rest(&machine);
	machine.now_ns -= FW_NS_PER_S;
	use(&machine, PACKAGE_0, 1);
	tick(&machine);
	struct fw_edge begin = edge(&machine, 0);

	pass(&machine, 0.2);
	work(&machine, 0, 0, 0.1);
	use(&machine, PACKAGE_0, 2 + 3);
	use(&machine, PACKAGE_1, 2);
	tick(&machine);
	assert_true(cut(&machine, 0, 1, begin, edge(&machine, 0), FW_DOMAIN_PACKAGE, &share));
	assert_true(share.figure.low >= 0 && share.figure.dynamic_j > 0 && share.figure.idle_j >= 0);
	assert_true(share.figure.flags & FW_DOMAIN_GAP);
	fw_attribution_books(machine.attribution, books, DOMAINS);
	assert_near(books[0].books.measured_j, 20 + 6, 1e-9);
	assert_true(books[0].flags & FW_DOMAIN_GAP);
	assert_int_equal(books[0].reason, FW_REASON_CLOCK);
}

/* 20 ms around a reading of a slice of 100. */
static void mistake_23_a_slow_batch_is_flagged_and_widens_the_interval(void **state)
{
	double widths[2];

	(void)state;
	for (unsigned slow = 0; slow < 2; slow++) {
		cleanup_machine struct machine machine;
		struct fw_share share;

		machine_init(&machine);
		join(&machine, 0, 1);
		tick(&machine);
		rest(&machine);
		struct fw_edge begin = edge(&machine, 0);

		pass(&machine, 0.1);
		work(&machine, 0, 0, 0.1);
		use(&machine, PACKAGE_0, 3);
		use(&machine, PACKAGE_1, 1);
		machine.works[0].at_ns = machine.now_ns;
		fw_holder_set(machine.holders[0], &machine.works[0], 1);
		for (size_t i = 0; i < DOMAINS; i++) {
			machine.readings[i].before_ns = machine.now_ns - slow * 10 * FW_NS_PER_MS;
			machine.readings[i].after_ns = machine.now_ns + slow * 10 * FW_NS_PER_MS;
		}
		fw_attribution_tick(machine.attribution, machine.readings, &machine.work);
		assert_true(cut(&machine, 0, 1, begin, edge(&machine, 0), FW_DOMAIN_PACKAGE, &share));
		assert_int_equal((share.figure.flags & FW_DOMAIN_SKEW) != 0, slow);
		widths[slow] = share.figure.dynamic_high - share.figure.dynamic_low;
	}
	assert_true(widths[1] > 2 * widths[0]);
}

/* 0.1 ms after the last one: no slice of megawatts, and nothing is lost. */
/* It was there for half of the slice, with an invocation all that time, and its last reading is of then. */
static void who_leaves_within_a_slice_reserves_until_then(void **state)
{
	cleanup_machine struct machine machine;

	(void)state;
	machine_init(&machine);
	rest(&machine);
	join(&machine, 0, 2); /* of four CPUs */
	tick(&machine);
	struct fw_pool_books before[DOMAINS], after[DOMAINS];

	assert_true(fw_attribution_books(machine.attribution, before, DOMAINS) > 0);
	pass(&machine, 0.05);
	machine.works[0].at_ns = machine.now_ns;
	fw_holder_set(machine.holders[0], &machine.works[0], 1);
	pass(&machine, 0.05);
	use(&machine, PACKAGE_0, 1);
	use(&machine, PACKAGE_1, 1);
	use(&machine, DRAM, 0.2);
	struct fw_holder *left = machine.holders[0];

	machine.holders[0] = NULL;
	tick(&machine);
	fw_attribution_books(machine.attribution, after, DOMAINS);
	assert_near(after[0].books.workers_idle_j - before[0].books.workers_idle_j, 1.0 * 2 / 4 / 2, 0.005);
	fw_holder_free(left);
}

static void mistake_25_ticks_that_follow_at_once_close_no_slice(void **state)
{
	cleanup_machine struct machine machine;
	struct fw_pool_books books[DOMAINS];

	(void)state;
	machine_init(&machine);
	tick(&machine);
	rest(&machine);
	pass(&machine, 0.0001);
	use(&machine, PACKAGE_0, 100);
	tick(&machine);
	fw_attribution_books(machine.attribution, books, DOMAINS);
	assert_int_equal(books[0].slices, 20);
	assert_true(fw_attribution_due_ns(machine.attribution) > machine.now_ns);
	pass(&machine, 0.1);
	tick(&machine);
	fw_attribution_books(machine.attribution, books, DOMAINS);
	assert_int_equal(books[0].slices, 21);
	assert_near(books[0].books.measured_j, 120, 1e-9);
}

/* psys of whole joules, 30 W: a slice of it has 100 of them. */
static void mistake_12_a_coarse_counter_closes_slices_that_are_long_enough(void **state)
{
	cleanup_machine struct machine machine;
	struct fw_share share;

	(void)state;
	machine_init(&machine);
	join(&machine, 0, 1);
	tick(&machine);
	rest(&machine);
	struct fw_edge begin = edge(&machine, 0);

	pass(&machine, 0.1);
	work(&machine, 0, 0, 0.1);
	use(&machine, PSYS, 1);
	use(&machine, DRAM, 0.2);
	use(&machine, PACKAGE_0, 2);
	use(&machine, PACKAGE_1, 1);
	tick(&machine);
	assert_false(cut(&machine, 0, 1, begin, edge(&machine, 0), FW_DOMAIN_PSYS, &share));
	assert_true(fw_holder_covers(machine.holders[0], machine.now_ns)); /* nobody waits for it */
}

static void mistake_31_the_last_work_of_a_worker_that_left_is_handed_out(void **state)
{
	cleanup_machine struct machine machine;
	struct fw_share share;

	(void)state;
	machine_init(&machine);
	join(&machine, 0, 1);
	tick(&machine);
	rest(&machine);
	struct fw_edge begin = edge(&machine, 0);

	pass(&machine, 0.04);
	work(&machine, 0, 0, 0.04);
	struct fw_edge end = edge(&machine, 0);

	machine.works[0].at_ns = machine.now_ns; /* its last reading, before its group goes */
	fw_holder_set(machine.holders[0], &machine.works[0], 1);
	assert_false(fw_holder_covers(machine.holders[0], end.at_ns));
	struct fw_holder *left = machine.holders[0];

	machine.holders[0] = NULL;
	pass(&machine, 0.06);
	use(&machine, DRAM, 0.2);
	use(&machine, PACKAGE_0, 1 + 2);
	use(&machine, PACKAGE_1, 1);
	tick(&machine);
	machine.holders[0] = left;
	assert_true(fw_holder_covers(left, end.at_ns));
	assert_true(cut(&machine, 0, 1, begin, end, FW_DOMAIN_PACKAGE, &share));
	assert_near(share.figure.dynamic_j, 2, 1e-6);
}

/* 300 slices: far more than are kept. */
static void a_long_invocation_is_the_sum_of_all_its_slices(void **state)
{
	cleanup_machine struct machine machine;
	struct fw_share share;

	(void)state;
	machine_init(&machine);
	join(&machine, 0, 1);
	tick(&machine);
	rest(&machine);
	pass(&machine, 0.005);
	struct fw_edge begin = edge(&machine, 0);

	for (unsigned i = 0; i < 300; i++) {
		pass(&machine, 0.01);
		work(&machine, 0, 0, 0.01);
		use(&machine, PACKAGE_0, 0.1 + 0.4);
		use(&machine, PACKAGE_1, 0.1);
		if (i == 150)
			machine.readings[PACKAGE_0].flags = FW_DOMAIN_WRAP;
		tick(&machine);
		fw_holder_open(machine.holders[0], 7, &begin);
	}
	assert_true(cut(&machine, 0, 7, begin, edge(&machine, 0), FW_DOMAIN_PACKAGE, &share));
	assert_near(share.figure.dynamic_j, 300 * 0.4, 0.3); /* 5 ms of the first slice's idle are not in its window */
	assert_true(share.figure.flags & FW_DOMAIN_WRAP);
	assert_true(share.figure.low < share.figure.joules && share.figure.joules < share.figure.high);
	assert_true(share.figure.high - share.figure.low < 0.2 * share.figure.joules);
}

static void memory_is_shared_by_bytes_and_time(void **state)
{
	cleanup_machine struct machine machine;
	struct fw_share share;

	(void)state;
	machine_init(&machine);
	join(&machine, 0, 1);
	tick(&machine);
	rest(&machine);
	struct fw_edge begin = edge(&machine, 0);

	pass(&machine, 0.1);
	use(&machine, DRAM, 0.2 + 0.4);
	tick(&machine);
	assert_true(cut(&machine, 0, 1, begin, edge(&machine, 0), FW_DOMAIN_DRAM, &share));
	assert_near(share.figure.dynamic_j, 0.4 / 4, 1e-6); /* 1 of the 4 GB in use */
	assert_near(share.figure.idle_j, 0.2 / 4, 1e-6);    /* 2 of the 8 reserved */
}

static void mistake_09_what_lies_inside_others_is_told_and_never_in_the_books(void **state)
{
	cleanup_machine struct machine machine;
	struct fw_pool_books books[DOMAINS];
	struct fw_share share;

	(void)state;
	machine_init(&machine);
	join(&machine, 0, 1);
	tick(&machine);
	rest(&machine);
	struct fw_edge begin = edge(&machine, 0);

	pass(&machine, 0.1);
	work(&machine, 0, 0, 0.1);
	use(&machine, PACKAGE_0, 3);
	use(&machine, PACKAGE_1, 1);
	use(&machine, CORE, 0.5 + 1);
	tick(&machine);
	assert_true(cut(&machine, 0, 1, begin, edge(&machine, 0), FW_DOMAIN_CORE, &share));
	assert_near(share.figure.dynamic_j, 1, 1e-6);
	assert_false(share.is_root);
	size_t count = fw_attribution_books(machine.attribution, books, DOMAINS);

	for (size_t i = 0; i < count; i++)
		assert_true(books[i].domain->is_root);
}

/* Three times the machine is promised: the idle floor is handed out once. */
static void what_is_promised_twice_is_handed_out_once(void **state)
{
	cleanup_machine struct machine machine;
	struct fw_edge begins[HOLDERS];
	double idle = 0;

	(void)state;
	machine_init(&machine);
	for (size_t i = 0; i < HOLDERS; i++)
		join(&machine, i, 4);
	tick(&machine);
	rest(&machine);
	for (size_t i = 0; i < HOLDERS; i++) {
		begins[i] = edge(&machine, i);
		machine.held[i] = 1;
	}
	pass(&machine, 0.1);
	use(&machine, PACKAGE_0, 1);
	use(&machine, PACKAGE_1, 1);
	tick(&machine);
	for (size_t i = 0; i < HOLDERS; i++) {
		struct fw_share share;

		assert_true(cut(&machine, i, 1, begins[i], edge(&machine, i), FW_DOMAIN_PACKAGE, &share));
		idle += share.figure.idle_j;
	}
	assert_near(idle, 2, 1e-6);
}

/* Days of full load, then slices that a fraction of a joule makes: what the account rose by has lost their last digits. */
static void little_after_very_much_is_handed_out_once(void **state)
{
	cleanup_machine struct machine machine;
	struct fw_pool_books books[DOMAINS];

	(void)state;
	machine_init(&machine);
	join(&machine, 0, 2);
	machine.held[0] = 1;
	tick(&machine);
	rest(&machine);
	for (unsigned i = 0; i < 100; i++) {
		pass(&machine, i == 0 ? 3e6 : 0.01);
		work(&machine, 0, 0, i == 0 ? 5e6 : 0.02);
		use(&machine, PACKAGE_0, i == 0 ? 1e9 : 0.3 + 0.001 * i);
		tick(&machine); /* in a debug build the books assert that the worker got no more than there was */
		assert_true(fw_attribution_books(machine.attribution, books, DOMAINS) > 0);
		assert_true(books[0].books.workers_dynamic_j > 0);
		assert_true(books[0].books.system_dynamic_j >= 0);
	}
}

/* Its counters go with it, so that the machine seems to have undone work. */
static void a_hot_removed_cpu_is_flagged_and_no_worker_pays_for_it(void **state)
{
	cleanup_machine struct machine machine;
	struct fw_pool_books books[DOMAINS];
	struct fw_share share;

	(void)state;
	machine_init(&machine);
	join(&machine, 0, 1);
	machine.work.ns[0] += 500e9;
	tick(&machine);
	rest(&machine);
	struct fw_edge begin = edge(&machine, 0);

	machine.work.ns[0] -= 300e9; /* the CPU's part */
	pass(&machine, 0.01);
	use(&machine, PACKAGE_0, 0.1);
	use(&machine, PACKAGE_1, 0.1);
	tick(&machine);
	for (unsigned i = 0; i < 10; i++) { /* half of the work is the worker's, as before */
		pass(&machine, 0.1);
		work(&machine, 0, 0, 0.05);
		machine.work.ns[0] += 0.05e9;
		use(&machine, PACKAGE_0, 1 + 2);
		use(&machine, PACKAGE_1, 1);
		tick(&machine);
	}
	assert_true(cut(&machine, 0, 1, begin, edge(&machine, 0), FW_DOMAIN_PACKAGE, &share));
	assert_near(share.figure.dynamic_j, 10, 1e-6);
	assert_true(share.figure.flags & FW_DOMAIN_GAP);
	fw_attribution_books(machine.attribution, books, DOMAINS);
	assert_int_equal(books[0].reason, FW_REASON_CPU_GONE);
	assert_true(books[0].books.system_dynamic_j >= 0);
	assert_near(fw_attribution_residual_j(machine.attribution), 0, 1e-9);
}

/* Half of the work is the worker's, and all that the package draws beyond 10 W is for work. */
static struct fw_share half_a_second(struct machine *machine, bool is_missed)
{
	struct fw_share share;

	machine_init(machine);
	join(machine, 0, 1);
	tick(machine);
	rest(machine);
	struct fw_edge begin = edge(machine, 0);

	for (unsigned i = 0; i < 5; i++) {
		pass(machine, 0.1);
		work(machine, 0, 0, 0.05);
		machine->work.ns[0] += 0.05e9;
		use(machine, PACKAGE_0, 1 + 2);
		use(machine, PACKAGE_1, 1);
		if (is_missed && i < 4)
			fw_attribution_miss(machine->attribution, machine->now_ns);
		else
			tick(machine);
		if (is_missed) /* no record waits for ever for work that cannot be read */
			assert_int_equal(fw_holder_covers(machine->holders[0], machine->now_ns), i > 1);
	}
	assert_true(cut(machine, 0, 1, begin, edge(machine, 0), FW_DOMAIN_PACKAGE, &share));
	assert_near(share.figure.dynamic_j, 5, 1e-6);
	return share;
}

static void moments_whose_work_could_not_be_told_are_a_gap_with_its_reason_and_wider(void **state)
{
	cleanup_machine struct machine missed;
	cleanup_machine struct machine seen;
	struct fw_pool_books books[DOMAINS];
	struct fw_figure gap = half_a_second(&missed, true).figure, known = half_a_second(&seen, false).figure;

	(void)state;
	assert_true(gap.flags & FW_DOMAIN_GAP);
	assert_int_equal(known.flags & FW_DOMAIN_GAP, 0);
	assert_true(gap.high - gap.low > 2 * (known.high - known.low));
	fw_attribution_books(missed.attribution, books, DOMAINS);
	assert_true(books[0].flags & FW_DOMAIN_GAP);
	assert_int_equal(books[0].reason, FW_REASON_WORK);
	assert_near(fw_attribution_residual_j(missed.attribution), 0, 1e-9);
}

/* Its group cannot be read when it joins; later it shows the 500 s of its whole life. */
static void a_worker_that_cannot_be_read_at_first_is_flagged_and_has_not_done_everything_at_once(void **state)
{
	cleanup_machine struct machine machine;
	struct fw_pool_books books[DOMAINS];
	struct fw_share share;

	(void)state;
	machine_init(&machine);
	machine.works[0].total_ns = -1;
	join(&machine, 0, 1);
	tick(&machine);
	rest(&machine);
	struct fw_edge begin = {machine.now_ns, 500e9};

	for (unsigned i = 0; i < 4; i++) {
		pass(&machine, 0.1);
		machine.work.ns[0] += 0.1e9; /* half of it is the worker's */
		if (i == 1)
			machine.works[0].total_ns = machine.works[0].ns[0] = 500.1e9;
		if (i > 1)
			machine.works[0].total_ns = machine.works[0].ns[0] += 0.05e9;
		use(&machine, PACKAGE_0, 1 + 2);
		use(&machine, PACKAGE_1, 1);
		tick(&machine);
	}
	assert_true(cut(&machine, 0, 1, begin, edge(&machine, 0), FW_DOMAIN_PACKAGE, &share));
	assert_true(share.figure.flags & FW_DOMAIN_GAP);
	assert_near(share.figure.dynamic_j, 2, 1e-6); /* of the two slices that tell, and of the others the bound */
	assert_true(share.figure.high >= share.figure.joules + 2);
	fw_attribution_books(machine.attribution, books, DOMAINS);
	assert_int_equal(books[0].reason, FW_REASON_WORK);
	assert_near(fw_attribution_residual_j(machine.attribution), 0, 1e-9);
	struct fw_edge later = edge(&machine, 0);

	pass(&machine, 0.1);
	work(&machine, 0, 0, 0.05);
	use(&machine, PACKAGE_0, 1 + 2);
	use(&machine, PACKAGE_1, 1);
	tick(&machine);
	assert_true(cut(&machine, 0, 2, later, edge(&machine, 0), FW_DOMAIN_PACKAGE, &share));
	assert_int_equal(share.figure.flags & FW_DOMAIN_GAP, 0);
}

/* More processes than anybody reads, for two of four slices: what they did comes with the next, all of it flagged. */
static void a_worker_that_cannot_be_read_for_a_while_is_flagged_and_loses_nothing(void **state)
{
	cleanup_machine struct machine machine;
	struct fw_share share;

	(void)state;
	machine_init(&machine);
	join(&machine, 0, 1);
	tick(&machine);
	rest(&machine);
	struct fw_edge begin = edge(&machine, 0);
	double total_ns = 0;

	for (unsigned i = 0; i < 4; i++) {
		pass(&machine, 0.1);
		machine.work.ns[0] += 0.1e9;
		total_ns += 0.05e9;
		machine.works[0].total_ns = i == 1 || i == 2 ? -1 : total_ns;
		machine.works[0].ns[0] = i == 1 || i == 2 ? 0 : total_ns;
		use(&machine, PACKAGE_0, 1 + 2);
		use(&machine, PACKAGE_1, 1);
		tick(&machine);
		if (i == 1) {
			struct fw_edge now = {machine.now_ns, -1};

			assert_true(cut(&machine, 0, 1, begin, now, FW_DOMAIN_PACKAGE, &share));
			assert_true(share.figure.flags & FW_DOMAIN_GAP);
			assert_true(share.figure.high >= share.figure.idle_j + 2); /* what it has really used */
		}
	}
	assert_true(cut(&machine, 0, 1, begin, edge(&machine, 0), FW_DOMAIN_PACKAGE, &share));
	assert_true(share.figure.flags & FW_DOMAIN_GAP);
	assert_true(share.figure.dynamic_high >= 4 && share.figure.dynamic_j <= 4);
	assert_near(fw_attribution_residual_j(machine.attribution), 0, 1e-9);
}

/* A tree of more processes than anybody reads ends: its last reading is a second old. */
static void an_end_that_could_not_be_read_is_flagged_and_bounded(void **state)
{
	cleanup_machine struct machine machine;
	struct fw_share share;

	(void)state;
	machine_init(&machine);
	join(&machine, 0, 1);
	tick(&machine);
	rest(&machine);
	struct fw_edge begin = edge(&machine, 0);

	for (unsigned i = 0; i < 5; i++) {
		pass(&machine, 0.1);
		work(&machine, 0, 0, 0.05);
		use(&machine, PACKAGE_0, 1 + 1);
		use(&machine, PACKAGE_1, 1);
		tick(&machine);
	}
	pass(&machine, 0.01);
	struct fw_edge end = {machine.now_ns, -1};

	pass(&machine, 0.09);
	use(&machine, PACKAGE_0, 1 + 1);
	use(&machine, PACKAGE_1, 1);
	tick(&machine);
	assert_true(cut(&machine, 0, 1, begin, end, FW_DOMAIN_PACKAGE, &share));
	assert_true(share.figure.flags & FW_DOMAIN_GAP);
	assert_true(share.figure.high >= share.figure.joules);
	assert_near(share.figure.dynamic_j, 5, 1e-6);
}

/* Memory's joules go by cache misses where they are counted: who holds much and asks for little does not pay. */
static void memory_is_shared_by_cache_misses_where_they_are_counted(void **state)
{
	cleanup_machine struct machine machine;
	struct fw_share share;

	(void)state;
	by_misses = true;
	machine_init(&machine);
	by_misses = false;
	machine.works[1].misses = -1; /* of this worker they cannot be counted */
	join(&machine, 0, 1);
	join(&machine, 1, 1);
	tick(&machine);
	rest(&machine);
	struct fw_edge begin = edge(&machine, 0);

	for (unsigned i = 0; i < 10; i++) {
		pass(&machine, 0.1);
		use(&machine, PACKAGE_0, 1);
		use(&machine, PACKAGE_1, 1);
		use(&machine, DRAM, 0.2 + 1);
		machine.work.misses += 4e6;
		machine.works[0].misses += 1e6;
		double of_all = machine.work.misses, own = machine.works[0].misses;

		if (i % 2 == 0)
			machine.work.misses = machine.works[0].misses = NAN; /* not asked for at this tick */
		tick(&machine);
		machine.work.misses = of_all;
		machine.works[0].misses = own;
		assert_int_equal(fw_holder_covers(machine.holders[0], machine.now_ns), i % 2);
	}
	assert_true(cut(&machine, 0, 1, begin, edge(&machine, 0), FW_DOMAIN_DRAM, &share));
	assert_true(share.by_misses);
	assert_near(share.figure.dynamic_j, 10 * 1.0 / 4, 1e-6);
	assert_int_equal(share.figure.flags & FW_DOMAIN_GAP, 0);
	assert_true(cut(&machine, 1, 1, begin, edge(&machine, 1), FW_DOMAIN_DRAM, &share));
	assert_near(share.figure.dynamic_j, 0, 1e-9);
	assert_true(share.figure.flags & FW_DOMAIN_GAP);
	assert_true(share.figure.high >= share.figure.joules + 7.4);
	struct fw_pool_books books[DOMAINS];

	machine.work.misses = -1; /* nor of all */
	pass(&machine, 0.1);
	use(&machine, PACKAGE_0, 1);
	use(&machine, PACKAGE_1, 1);
	use(&machine, DRAM, 0.2);
	tick(&machine);
	fw_attribution_books(machine.attribution, books, DOMAINS);
	assert_int_equal(books[DRAM].reason, FW_REASON_WORK);
	assert_near(fw_attribution_residual_j(machine.attribution), 0, 1e-9);
}

/* Whoever looks on sees what the account holds by then, and changes nothing by it. */
static void what_goes_on_is_told_so_far_and_comes_to_the_same_in_the_end(void **state)
{
	cleanup_machine struct machine machine;
	struct fw_share shares[16], share;
	double before_j = 0;

	(void)state;
	machine_init(&machine);
	join(&machine, 0, 1);
	tick(&machine);
	rest(&machine);
	struct fw_edge begin = edge(&machine, 0);

	assert_int_equal(fw_holder_so_far(machine.holders[0], 1, &begin, shares, FW_COUNT_OF(shares)), 0);
	for (unsigned i = 0; i < 50; i++) { /* longer than slices are kept */
		pass(&machine, 0.1);
		work(&machine, 0, 0, 0.05);
		use(&machine, PACKAGE_0, 1 + 1);
		use(&machine, PACKAGE_1, 1);
		use(&machine, DRAM, 0.2);
		tick(&machine);
		fw_holder_open(machine.holders[0], 1, &begin);
		assert_true(fw_holder_so_far(machine.holders[0], 1, &begin, shares, FW_COUNT_OF(shares)) >= 1);
		assert_int_equal(shares[0].kind, FW_DOMAIN_PACKAGE);
		assert_true(shares[0].figure.joules > before_j);
		assert_near(shares[0].figure.dynamic_j, i + 1, 1e-6);
		before_j = shares[0].figure.joules;
	}
	assert_true(cut(&machine, 0, 1, begin, edge(&machine, 0), FW_DOMAIN_PACKAGE, &share));
	assert_near(share.figure.joules, before_j, 1e-9);
}

/* Invocations follow each other without a pause: together they are what their worker has in the books. */
static void mistake_24_invocations_one_behind_the_other_leave_no_gap(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 200; seed++) {
		cleanup_machine struct machine machine;
		struct fw_pool_books books[DOMAINS];
		double dynamic = 0, idle = 0, workers_dynamic = 0, workers_idle = 0;
		uint64_t random = seed, serial = 1;

		machine_init(&machine);
		join(&machine, 0, 1);
		machine.held[0] = 1;
		tick(&machine);
		struct fw_edge begin = edge(&machine, 0), ends[64];

		for (unsigned slice = 0; slice < 60; slice++) {
			size_t count = 0;

			for (unsigned step = 0; step < 5; step++) {
				double seconds = 0.002 + 0.02 * uniform(&random);

				pass(&machine, seconds);
				work(&machine, 0, uniform(&random) < 0.5, seconds * uniform(&random));
				machine.work.ns[0] += 1e9 * seconds * uniform(&random);
				use(&machine, PACKAGE_0, 0.01 + 50 * seconds * uniform(&random));
				use(&machine, PACKAGE_1, 0.01 + 50 * seconds * uniform(&random));
				if (uniform(&random) < 0.4)
					ends[count++] = edge(&machine, 0);
			}
			pass(&machine, 0.003);
			tick(&machine);
			for (size_t i = 0; i < count; i++) {
				struct fw_share share;

				assert_true(cut(&machine, 0, serial++, begin, ends[i], FW_DOMAIN_PACKAGE, &share));
				dynamic += share.figure.dynamic_j;
				idle += share.figure.idle_j;
				assert_true(share.figure.low >= 0 && share.figure.low <= share.figure.joules);
				begin = ends[i];
			}
			fw_holder_open(machine.holders[0], serial, &begin);
		}
		struct fw_share rest_of_it;

		assert_true(cut(&machine, 0, serial, begin, edge(&machine, 0), FW_DOMAIN_PACKAGE, &rest_of_it));
		dynamic += rest_of_it.figure.dynamic_j;
		idle += rest_of_it.figure.idle_j;
		fw_attribution_books(machine.attribution, books, DOMAINS);
		for (size_t i = 0; i < 2; i++) {
			workers_dynamic += books[i].books.workers_dynamic_j;
			workers_idle += books[i].books.workers_idle_j;
		}
		assert_near(dynamic, workers_dynamic, 1e-6 * workers_dynamic + 1e-9);
		assert_near(idle, workers_idle, 1e-6 * workers_idle + 1e-9);
		assert_near(fw_attribution_residual_j(machine.attribution), 0, 1e-6);
	}
}

FW_TESTS(memory_is_shared_by_cache_misses_where_they_are_counted, what_goes_on_is_told_so_far_and_comes_to_the_same_in_the_end, moments_whose_work_could_not_be_told_are_a_gap_with_its_reason_and_wider,
         a_worker_that_cannot_be_read_at_first_is_flagged_and_has_not_done_everything_at_once,
         a_worker_that_cannot_be_read_for_a_while_is_flagged_and_loses_nothing,
         an_end_that_could_not_be_read_is_flagged_and_bounded, a_hot_removed_cpu_is_flagged_and_no_worker_pays_for_it, mistake_18_the_first_reading_is_a_baseline_and_no_consumption, an_invocation_gets_the_price_of_its_own_work,
         a_worker_that_joins_or_leaves_within_a_slice_has_idle_joules_of_its_own_time_alone,
         packages_are_priced_apart, mistake_21_edges_inside_a_slice_follow_work_and_measured_time,
         mistake_19_a_hole_is_no_zero_and_its_energy_goes_to_the_work_since,
         what_ends_in_a_hole_is_told_as_far_as_known_and_bounded_beyond,
         a_hole_that_is_open_at_the_end_is_in_the_books_with_its_bound, work_that_begins_in_a_hole_is_within_the_bound,
         what_waits_for_a_slow_counter_has_its_own_joules_of_a_fast_one, what_lies_in_a_hole_has_no_figure,
         a_counter_that_stands_still_under_work_gives_no_zero,
         mistake_22_a_clock_that_goes_back_makes_nothing_negative_and_loses_nothing,
         mistake_23_a_slow_batch_is_flagged_and_widens_the_interval,
         who_leaves_within_a_slice_reserves_until_then, mistake_25_ticks_that_follow_at_once_close_no_slice,
         mistake_12_a_coarse_counter_closes_slices_that_are_long_enough,
         mistake_31_the_last_work_of_a_worker_that_left_is_handed_out, a_long_invocation_is_the_sum_of_all_its_slices,
         memory_is_shared_by_bytes_and_time, mistake_09_what_lies_inside_others_is_told_and_never_in_the_books,
         what_is_promised_twice_is_handed_out_once, little_after_very_much_is_handed_out_once, mistake_24_invocations_one_behind_the_other_leave_no_gap)
