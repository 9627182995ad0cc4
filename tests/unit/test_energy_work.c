/* SPDX-License-Identifier: Apache-2.0
 *
 * The meter of work where neither BPF nor a root group tells it: /proc/stat for the CPUs, /proc/meminfo for the memory.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/time.h"
#include "energy/work_meter.h"
#include "support.h"

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
		assert_true(fw_monotonic_ns() - begin_ns < 10 * FW_NS_PER_S);
	assert_true(fw_monotonic_ns() - begin_ns >= 100 * FW_NS_PER_MS);
}

static struct fw_work_now look_at(struct meter *meter, const struct fw_metered *worker)
{
	struct fw_work_now now;

	(void)look(meter);
	fw_work_meter_worker(meter->work, worker, (struct fw_work_key){0}, &now);
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

FW_TESTS(what_cannot_be_read_is_unknown_and_what_has_ended_does_nothing, a_tree_of_very_many_processes_is_unknown,
         without_groups_the_machines_clock_ticks_tell_its_work, the_machines_memory_is_not_summed_up_at_every_reading,
         without_a_counter_of_memory_the_machines_memory_is_not_read)
