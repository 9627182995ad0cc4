/* SPDX-License-Identifier: Apache-2.0
 *
 * The meter of work where neither BPF nor a root group tells it: /proc/stat for the CPUs, /proc/meminfo for the memory;
 * and where packages are told apart for the machine, but not for a worker.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/time.h"
#include "energy/work_meter.h"
#include "tests/unit/energy_support.h"

#define KIB 1024.0

struct meter {
	struct tree tree;
	struct fw_root root;
	struct fw_machine machine;
	struct fw_reading_source source;
	struct fw_work_meter *work;
};

static void meter_open(struct meter *meter)
{
	*meter = (struct meter){.machine = {.cpu_count = 2, .threads = 2}};
	meter->tree = tree_of("proc/stat", "cpu  100 0 50 1000 0 0 0 0 0 0\n", "proc/meminfo",
	                      "MemTotal: 1000 kB\nMemAvailable: 400 kB\n", NULL);
	meter->root.fd = meter->tree.fd;
	meter->source.root = &meter->root;
	meter->work = fw_work_meter_new(&meter->source, &meter->machine, NULL);
}

static void meter_close(struct meter *meter)
{
	fw_work_meter_free(meter->work);
	tree_remove_cleanup(&meter->tree);
}
#define cleanup_meter __attribute__((cleanup(meter_close)))

static struct fw_work_now look(struct meter *meter)
{
	struct fw_work_now now;

	assert_true(fw_work_meter_read(meter->work, &now));
	return now;
}

static void without_groups_the_machines_clock_ticks_tell_its_work(void **state)
{
	cleanup_meter struct meter meter = {0};

	(void)state;
	meter_open(&meter);
	assert_string_equal(fw_work_meter_name(meter.work), "proc");
	assert_near(look(&meter).total_ns, 150 * 1e9 / (double)sysconf(_SC_CLK_TCK), 1);
}

/* Summing it up costs the kernel more than all else that is read: readings that follow at once have the one before. */
static void the_machines_memory_is_not_summed_up_at_every_reading(void **state)
{
	cleanup_meter struct meter meter = {0};
	uint64_t begin_ns = fw_monotonic_ns();

	(void)state;
	meter_open(&meter);
	assert_near(look(&meter).bytes, 600 * KIB, 1);
	tree_write(&meter.tree, "proc/meminfo", "MemTotal: 1000 kB\nMemAvailable: 300 kB\n");
	double soon = look(&meter).bytes;

	if (fw_monotonic_ns() - begin_ns < 90 * FW_NS_PER_MS)
		assert_near(soon, 600 * KIB, 1);
	while (look(&meter).bytes < 650 * KIB)
		assert_true(fw_monotonic_ns() - begin_ns < 100 * FW_NS_PER_S);
	assert_true(fw_monotonic_ns() - begin_ns >= 100 * FW_NS_PER_MS);
}

static struct fw_work_now look_at(struct meter *meter, const struct fw_metered *worker)
{
	struct fw_work_now now;

	(void)look(meter);
	fw_work_meter_worker(meter->work, worker, (struct fw_work_key){0}, &(struct fw_work_past){0}, &now);
	return now;
}

static void what_cannot_be_read_is_unknown_and_what_has_ended_does_nothing(void **state)
{
	cleanup_meter struct meter meter = {0};

	(void)state;
	meter_open(&meter);
	assert_near(look_at(&meter, &(struct fw_metered){.pid = getpid()}).total_ns, -1, 0); /* the tree does not show it */
	assert_near(look_at(&meter, &(struct fw_metered){.pid = INT32_MAX}).total_ns, 0, 0);
	assert_near(look_at(&meter, &(struct fw_metered){0}).total_ns, -1, 0);
}

/* Nobody reads them all: none of it is told, which is not nothing. */
static void a_tree_of_very_many_processes_is_unknown(void **state)
{
	cleanup_meter struct meter meter = {0};
	struct fw_metered worker = {.pid = getpid()};
	char path[64], children[16384] = "";

	(void)state;
	meter_open(&meter);
	for (unsigned i = 1; i <= 1025; i++) {
		snprintf(children + strlen(children), sizeof children - strlen(children), "%u ", 4000000 + i);
		if (i == 1 || i == 1025) {
			snprintf(path, sizeof path, "proc/%d/task/%d/children", getpid(), getpid());
			tree_write(&meter.tree, path, children);
			snprintf(path, sizeof path, "proc/%d/stat", getpid());
			tree_write(&meter.tree, path, "1 (x) S 1 1 1 0 -1 0 0 0 0 0 100 0 0 0 20 0 1 0 100 0 0 18446744073709551615 1 1 0\n");
			double total_ns = look_at(&meter, &worker).total_ns;

			assert_near(total_ns, i == 1 ? 100 * 1e9 / (double)sysconf(_SC_CLK_TCK) : -1, 1);
		}
	}
}

static void without_a_counter_of_memory_the_machines_memory_is_not_read(void **state)
{
	cleanup_meter struct meter meter = {0};

	(void)state;
	meter_open(&meter);
	fw_work_meter_leave_memory(meter.work);
	assert_true(isnan(look(&meter).bytes));
}

/* ---- several packages ---- */

static void write_cpus(struct tree *tree, const uint64_t *ns, size_t count)
{
	char text[256] = "";

	for (size_t i = 0; i < count; i++)
		snprintf(text + strlen(text), sizeof text - strlen(text), "%llu ", (unsigned long long)ns[i]);
	strcat(text, "\n");
	tree_write(tree, "sys/fs/cgroup/cpuacct/cpuacct.usage_percpu", text);
}

/* CPU time of this process as the tree shows it; ticks of the kernel. */
static void write_process(struct tree *tree, uint64_t ticks)
{
	char path[64], text[160];

	snprintf(path, sizeof path, "proc/%d/stat", getpid());
	snprintf(text, sizeof text, "1 (x) S 1 1 1 0 -1 0 0 0 0 0 %llu 0 0 0 20 0 1 0 100 0 0 18446744073709551615 1 1 0\n",
	         (unsigned long long)ticks);
	tree_write(tree, path, text);
}

static double tick_ns(void)
{
	return 1e9 / (double)sysconf(_SC_CLK_TCK);
}

enum { SOCKETS = 3 };

/* One CPU in each of three packages. */
static void sockets_open(struct meter *meter)
{
	*meter = (struct meter){.machine = {.cpu_count = SOCKETS, .threads = SOCKETS}};
	for (int i = 0; i < SOCKETS; i++) {
		meter->machine.cpus[i].package = (int16_t)(2 * i); /* numbers of sockets need not follow each other */
		meter->machine.cpus[i].online = true;
	}
	meter->tree = tree_of("proc/stat", "cpu  0 0 0 1000 0 0 0 0 0 0\n", NULL);
	write_cpus(&meter->tree, (uint64_t[SOCKETS]){0}, SOCKETS);
	meter->root.fd = meter->tree.fd;
	meter->source.root = &meter->root;
	meter->work = fw_work_meter_new(&meter->source, &meter->machine, NULL);
	assert_string_equal(fw_work_meter_name(meter->work), "cgroup");
	assert_int_equal(fw_work_meter_machine(meter->work)->packages, SOCKETS);
}

static struct fw_work_now look_on(struct meter *meter, struct fw_work_past *past)
{
	struct fw_work_now now;

	(void)look(meter);
	fw_work_meter_worker(meter->work, &(struct fw_metered){.pid = getpid()}, (struct fw_work_key){0}, past, &now);
	return now;
}

/* The ratio of the packages moves as others work here and there: what was done before stays where it was. */
static void work_of_several_packages_is_told_once_and_never_taken_back(void **state)
{
	cleanup_meter struct meter meter = {0};
	struct fw_work_past past = {0};
	uint64_t cpus[SOCKETS] = {0}, seed = 7, ticks = 100;

	(void)state;
	sockets_open(&meter);
	write_process(&meter.tree, ticks);
	struct fw_work_now before = look_on(&meter, &past);

	for (unsigned round = 0; round < 300; round++) {
		uint64_t own = (uint64_t)(uniform(&seed) * 20), left = own;

		ticks += own;
		for (size_t i = 0; i < SOCKETS; i++) { /* its own work, and much of others on one package after the other */
			uint64_t part = i + 1 < SOCKETS ? (uint64_t)(uniform(&seed) * (double)left) : left;

			left -= part;
			cpus[i] += (uint64_t)((double)part * tick_ns()) + (round / 20 % SOCKETS == i ? 900000000 : 0);
		}
		write_cpus(&meter.tree, cpus, SOCKETS);
		write_process(&meter.tree, ticks);
		struct fw_work_now now = look_on(&meter, &past);
		double sum = 0;

		for (size_t i = 0; i < SOCKETS; i++) {
			assert_true(now.ns[i] >= before.ns[i]);
			sum += now.ns[i] - before.ns[i];
		}
		assert_near(sum, now.total_ns - before.total_ns, 1);
		assert_near(now.total_ns - before.total_ns, (double)own * tick_ns(), 1);
		before = now;
	}
}

static void a_worker_that_rests_gets_nothing_of_a_package_that_begins_to_work(void **state)
{
	cleanup_meter struct meter meter = {0};
	struct fw_work_past past = {0};

	(void)state;
	sockets_open(&meter);
	write_process(&meter.tree, 1000);
	write_cpus(&meter.tree, (uint64_t[]){10000000000, 0, 0}, SOCKETS);
	struct fw_work_now before = look_on(&meter, &past);

	write_cpus(&meter.tree, (uint64_t[]){10000000000, 0, 90000000000}, SOCKETS);
	struct fw_work_now now = look_on(&meter, &past);

	for (size_t i = 0; i < SOCKETS; i++)
		assert_near(now.ns[i], before.ns[i], 1);
}

/* A CPU that is taken out goes with what it has counted: one gap with its reason, and work goes on. */
static void a_cpu_that_is_taken_out_is_a_gap_and_no_negative_work(void **state)
{
	static const struct fw_domain domain = {.source = "rapl", .kind = FW_DOMAIN_PACKAGE, .package = 0, .is_root = true, .update_s = 0.001};
	cleanup_meter struct meter meter = {0};
	uint64_t cpus[SOCKETS] = {1000000000, 1000000000, 9000000000};
	struct fw_domain_reading reading = {.before_ns = FW_NS_PER_S, .after_ns = FW_NS_PER_S};
	struct fw_pool_books books;

	(void)state;
	sockets_open(&meter);
	FW_CLEANUP(fw_attribution_free) struct fw_attribution *attribution =
		fw_attribution_new(fw_work_meter_machine(meter.work), &domain, 1);

	for (unsigned i = 0; i < 8; i++) {
		struct fw_work_now now;

		cpus[0] += 50000000;
		write_cpus(&meter.tree, cpus, i < 4 ? SOCKETS : SOCKETS - 1);
		now = look(&meter);
		fw_attribution_tick(attribution, &reading, &now);
		reading.before_ns = reading.after_ns += FW_NS_PER_S / 10;
		reading.joules += 3;
	}
	assert_int_equal(fw_attribution_books(attribution, &books, 1), 1);
	assert_true(books.flags & FW_DOMAIN_GAP);
	assert_int_equal(books.reason, FW_REASON_CPU_GONE);
	assert_near(books.books.measured_j, 7 * 3, 1e-9);
	assert_near(fw_attribution_residual_j(attribution), 0, 1e-9);
}

/* A child that nobody waits for takes its CPU time along: the sum of the tree falls, and goes on from there. */
static void a_sum_that_falls_is_unknown_once_and_goes_on(void **state)
{
	cleanup_meter struct meter meter = {0};
	struct fw_work_past past = {0};
	uint64_t cpus[SOCKETS] = {1000000000, 0, 0};

	(void)state;
	sockets_open(&meter);
	write_process(&meter.tree, 900);
	double at_first = look_on(&meter, &past).total_ns;

	write_process(&meter.tree, 899); /* rounding of clock ticks is no fall */
	assert_near(look_on(&meter, &past).total_ns, at_first, 1);
	write_process(&meter.tree, 300);
	assert_near(look_on(&meter, &past).total_ns, at_first, 1); /* a child may be between two sums */
	assert_near(look_on(&meter, &past).total_ns, at_first, 1);
	assert_near(look_on(&meter, &past).total_ns, -1, 0);
	cpus[1] += 70000000;
	write_cpus(&meter.tree, cpus, SOCKETS);
	write_process(&meter.tree, 307);
	struct fw_work_now now = look_on(&meter, &past);

	assert_true(now.total_ns >= at_first + 7 * tick_ns() - 1);
	assert_near(now.total_ns, at_first + 7 * tick_ns(), tick_ns() + 1);
	struct fw_reading edge = {.stat.cpu_total_ns = (int64_t)(310 * tick_ns()), .fallen_ns = past.fallen_ns};

	assert_near(fw_work_meter_edge(meter.work, (struct fw_work_key){0}, &edge), now.total_ns + 3 * tick_ns(), 1);
}

/* A child ended while the tree was read: its parent was read before, and it was gone then. */
static void a_child_that_is_in_no_sum_once_has_not_taken_its_time_along(void **state)
{
	cleanup_meter struct meter meter = {0};
	struct fw_work_past past = {0};

	(void)state;
	sockets_open(&meter);
	write_process(&meter.tree, 900);
	double at_first = look_on(&meter, &past).total_ns;

	for (unsigned i = 0; i < 10; i++) {
		write_process(&meter.tree, 300);
		assert_near(look_on(&meter, &past).total_ns, at_first + i * tick_ns(), 1);
		write_process(&meter.tree, 900 + i - (i > 0)); /* with what clock ticks leave out */
		assert_near(look_on(&meter, &past).total_ns, at_first + i * tick_ns(), 1);
		write_process(&meter.tree, 901 + i);
		assert_near(look_on(&meter, &past).total_ns, at_first + (i + 1) * tick_ns(), 1);
	}
}

/* Each too small to tell from rounding. */
static void many_small_falls_are_one(void **state)
{
	cleanup_meter struct meter meter = {0};
	struct fw_work_past past = {0};
	double at_first, unknown = 0, last = 0;

	(void)state;
	sockets_open(&meter);
	write_process(&meter.tree, 500);
	at_first = look_on(&meter, &past).total_ns;
	for (unsigned i = 0; i < 200; i++) {
		write_process(&meter.tree, 500 - 3 * (i % 2));
		double total_ns = look_on(&meter, &past).total_ns;

		unknown += total_ns < 0;
		last = fmax(last, total_ns);
	}
	assert_true(unknown >= 10);
	assert_near(last - at_first, 100 * 3 * tick_ns(), 15 * tick_ns()); /* each child did three ticks */
}

FW_TESTS(work_of_several_packages_is_told_once_and_never_taken_back,
         a_worker_that_rests_gets_nothing_of_a_package_that_begins_to_work, a_sum_that_falls_is_unknown_once_and_goes_on,
         a_child_that_is_in_no_sum_once_has_not_taken_its_time_along,
         many_small_falls_are_one, a_cpu_that_is_taken_out_is_a_gap_and_no_negative_work, what_cannot_be_read_is_unknown_and_what_has_ended_does_nothing,
         a_tree_of_very_many_processes_is_unknown, without_groups_the_machines_clock_ticks_tell_its_work,
         the_machines_memory_is_not_summed_up_at_every_reading, without_a_counter_of_memory_the_machines_memory_is_not_read)
