/* SPDX-License-Identifier: Apache-2.0
 *
 * The meter of work where neither BPF nor a root group tells it: /proc/stat for the CPUs, /proc/meminfo for the memory.
 */
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

FW_TESTS(without_groups_the_machines_clock_ticks_tell_its_work, the_machines_memory_is_not_summed_up_at_every_reading)
