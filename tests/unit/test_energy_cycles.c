/* SPDX-License-Identifier: Apache-2.0
 *
 * Cycles that BPF programs count by worker: what the programs would write is written by the test, so that a machine without
 * hardware counters can tell that nothing of it is lost on the way to the record.
 */
#include <linux/bpf.h>
#include <math.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/memory.h"
#include "catalogue/catalogue.h"
#include "energy/ebpf_internal.h"
#include "support.h"

enum { CPUS = 2 };

struct programs {
	struct fw_bpf_cpu cpus[CPUS];
	struct fw_bpf_work work[CPUS * FW_BPF_SLOTS];
	uint32_t epoch;
	struct fw_bpf bpf;
	struct fw_machine machine;
	struct fw_work *accounts;
	struct fw_work_key key;
};

static int make_map(void)
{
	union bpf_attr attributes = {.map_type = BPF_MAP_TYPE_HASH, .key_size = sizeof(uint64_t), .value_size = sizeof(uint32_t), .max_entries = 8};

	return (int)syscall(SYS_bpf, BPF_MAP_CREATE, &attributes, sizeof attributes);
}

static struct programs *programs_new(bool has_cycles)
{
	struct programs *programs = fw_alloc(sizeof *programs);
	struct fw_error *err = NULL;

	programs->machine = (struct fw_machine){.cpu_count = CPUS, .threads = CPUS};
	programs->machine.cpus[1].package = 1;
	programs->bpf = (struct fw_bpf){.cpu_count = CPUS, .cpus = programs->cpus, .work = programs->work, .epoch = &programs->epoch,
	                                .slots_fd = make_map(), .look_fd = -1, .has_cycles = has_cycles};
	if (programs->bpf.slots_fd < 0) {
		free(programs);
		print_message("skipped: no BPF maps may be made here\n");
		skip();
	}
	programs->work[1].cycles = 70000; /* of whoever had the slot before */
	programs->accounts = fw_work_new(&programs->bpf, &programs->machine);
	assert_ok(fw_work_add(programs->accounts, 4711, &programs->key, &err), err);
	return programs;
}

static void programs_free(struct programs *programs)
{
	close(programs->bpf.slots_fd);
	fw_work_free(programs->accounts);
	free(programs);
}

/* Two edges, with 300 cycles on one package and 40 on the other in between. */
static struct fw_interval interval_of(struct programs *programs, int64_t begin_count, int64_t end_count)
{
	struct fw_interval interval = {.begin = {.work_cycles = -1}, .end = {.work_cycles = -1}};
	struct fw_bpf_work *first = &programs->work[programs->key.slot], *second = first + FW_BPF_SLOTS;

	first->cycles += 1000;
	first->ns += 500;
	fw_ebpf_count_work(programs->accounts, programs->key, &interval.begin);
	first->cycles += 300;
	second->cycles += 40;
	first->ns += 100;
	fw_ebpf_count_work(programs->accounts, programs->key, &interval.end);
	for (size_t i = 0; i < FW_COUNTS; i++) {
		interval.begin.counts[i] = begin_count;
		interval.end.counts[i] = end_count;
	}
	return interval;
}

static void attribute(const struct fw_interval *interval, struct fw_record *record)
{
	fw_record_init(record);
	fw_ebpf_attribute_cycles(interval, record);
	fw_monitor_counts.attribute(NULL, interval, record);
}

static void cycles_by_bpf_reach_the_record_with_their_source(void **state)
{
	struct programs *programs = programs_new(true);
	struct fw_interval interval = interval_of(programs, -1, -1);
	struct fw_record record;

	(void)state;
	assert_int_equal(interval.end.work_ns - interval.begin.work_ns, 100);
	attribute(&interval, &record);
	assert_int_equal(record.cycles, 340);
	assert_true(fw_record_has_flag(record.flags, "cycles_by_ebpf"));
	assert_int_equal(record.instructions, FW_NULL_INT);
	fw_record_done(&record);
	programs_free(programs);
}

static void counters_of_the_group_itself_come_first(void **state)
{
	struct programs *programs = programs_new(true);
	struct fw_interval interval = interval_of(programs, 10, 360);
	struct fw_record record;

	(void)state;
	attribute(&interval, &record);
	assert_int_equal(record.cycles, 350);
	assert_false(fw_record_has_flag(record.flags, "cycles_by_ebpf"));
	fw_record_done(&record);
	programs_free(programs);
}

static void a_machine_without_a_counter_of_cycles_tells_none(void **state)
{
	struct programs *programs = programs_new(false);
	struct fw_interval interval = interval_of(programs, -1, -1);
	struct fw_record record;

	(void)state;
	attribute(&interval, &record);
	assert_int_equal(record.cycles, FW_NULL_INT);
	assert_null(record.flags);
	fw_record_done(&record);
	programs_free(programs);
}

FW_TESTS(cycles_by_bpf_reach_the_record_with_their_source, counters_of_the_group_itself_come_first,
         a_machine_without_a_counter_of_cycles_tells_none)
