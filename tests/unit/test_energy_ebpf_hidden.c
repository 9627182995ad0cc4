/* SPDX-License-Identifier: Apache-2.0
 *
 * Tasks of which a kernel hides that they leave a CPU, played by writing into the programs' own record of a CPU that such a
 * task has come there. Skipped where programs cannot be loaded, with the reason.
 */
#include <linux/bpf.h>
#include <linux/perf_event.h>
#include <sched.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/time.h"
#include "energy/ebpf_internal.h"
#include "tests/unit/support.h"

enum { HIDDEN_TASK = 4999999, HIDDEN_PROCESS = 4999998, RAN_NS = 5000000 };
#define DEADLINE_NS (100 * FW_NS_PER_S)

static struct fw_root root;
static struct fw_machine machine;
static struct fw_bpf bpf;
static struct fw_work *work;
static struct fw_work_snapshot *snapshot;
static int cpus_fd = -1;

static int call(enum bpf_cmd command, union bpf_attr *attributes)
{
	return (int)syscall(SYS_bpf, command, attributes, sizeof *attributes);
}

static bool is_map_of_cpus(int fd)
{
	struct bpf_map_info info = {0};
	union bpf_attr attributes = {.info = {.bpf_fd = (uint32_t)fd, .info_len = sizeof info, .info = (uintptr_t)&info}};

	return call(BPF_OBJ_GET_INFO_BY_FD, &attributes) == 0 && strcmp(info.name, "cpus") == 0 && info.value_size == sizeof *bpf.cpus;
}

/* The one that was made last. */
static int open_map_of_cpus(void)
{
	union bpf_attr next = {0};
	int found = -1;

	for (; call(BPF_MAP_GET_NEXT_ID, &next) == 0; next.start_id = next.next_id) {
		union bpf_attr attributes = {.map_id = next.next_id};
		int fd = call(BPF_MAP_GET_FD_BY_ID, &attributes);

		if (fd < 0)
			continue;
		if (is_map_of_cpus(fd)) {
			if (found >= 0)
				close(found);
			found = fd;
		} else {
			close(fd);
		}
	}
	return found;
}

static int set_up(void **state)
{
	struct fw_error *err = NULL;

	(void)state;
	assert_ok(fw_root_open("/", &root, &err), err);
	assert_ok(fw_machine_read(&root, &machine, &err), err);
	if (fw_bpf_load(&root, &bpf, &err) != FW_OK) {
		print_message("skipped: %s\n", fw_error_message(err));
		fw_error_free(err);
		return 0;
	}
	cpus_fd = open_map_of_cpus();
	assert_true(cpus_fd >= 0);
	work = fw_work_new(&bpf, &machine);
	snapshot = fw_work_snapshot_new(work);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	fw_work_snapshot_free(snapshot);
	fw_work_free(work);
	if (work) {
		close(cpus_fd);
		bpf.unload(&bpf);
	}
	fw_root_close(&root);
	return 0;
}

static void need_programs(void)
{
	if (!work) {
		print_message("skipped: no BPF programs\n");
		skip();
	}
}

static unsigned stay_on_a_cpu(void)
{
	unsigned here = (unsigned)sched_getcpu();
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(here, &one);
	assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
	return here;
}

static void go_anywhere(void)
{
	cpu_set_t all;

	memset(&all, 0xff, sizeof all);
	assert_int_equal(sched_setaffinity(0, sizeof all, &all), 0);
}

/* As if it had come RAN_NS ago. */
static struct fw_bpf_cpu let_hidden_task_come(unsigned cpu, bool doubtful)
{
	struct fw_bpf_cpu record = bpf.cpus[cpu];

	record.version &= ~1ULL;
	record.task = HIDDEN_TASK;
	record.process = HIDDEN_PROCESS;
	record.doubtful = doubtful;
	record.slot = 0;
	record.since_ns = fw_monotonic_ns() - RAN_NS;
	assert_int_equal(fw_bpf_map_set(cpus_fd, &cpu, &record), 0);
	return record;
}

static bool is_known_to_hide(unsigned cpu)
{
	const struct fw_bpf_cpu *record = &bpf.cpus[cpu];

	for (unsigned i = 0; i < record->hider_count && i < FW_BPF_HIDERS; i++)
		if (record->hiders[i] == HIDDEN_PROCESS)
			return true;
	return record->hider_count > FW_BPF_HIDERS;
}

static void a_process_that_left_a_cpu_unseen_is_remembered(void **state)
{
	const struct timespec moment = {0, 1000000};

	(void)state;
	need_programs();
	unsigned here = stay_on_a_cpu();

	assert_false(is_known_to_hide(here));
	let_hidden_task_come(here, false);
	nanosleep(&moment, NULL); /* this task leaves, and it had not been seen to come */
	go_anywhere();
	assert_true(is_known_to_hide(here));
	assert_true(bpf.cpus[here].missed > 0);
}

static bool asks_at_a_reading(unsigned here, bool doubtful)
{
	let_hidden_task_come(here, doubtful);
	assert_true(fw_work_take(work, snapshot));
	return fw_work_machine_of(snapshot).asked > 0;
}

/* Another CPU may be in doubt as well, and a switch may come in between: of some readings one at least is of our doing. */
static void a_reading_asks_a_cpu_where_it_is_doubtful_who_runs(void **state)
{
	uint64_t deadline_ns = fw_monotonic_ns() + DEADLINE_NS;

	(void)state;
	need_programs();
	unsigned here = stay_on_a_cpu();

	while (!asks_at_a_reading(here, true))
		assert_true(fw_monotonic_ns() < deadline_ns);
	go_anywhere();
}

/* A kernel that hides switches has hidden many by now, and nearly no reading needs to interrupt anybody. */
static void a_reading_asks_no_cpu_where_there_is_no_doubt(void **state)
{
	const struct timespec moment = {0, 100000};
	unsigned asked = 0, readings = 200;

	(void)state;
	need_programs();
	for (unsigned i = 0; i < readings; i++) {
		nanosleep(&moment, NULL);
		assert_true(fw_work_take(work, snapshot));
		asked += fw_work_machine_of(snapshot).asked;
	}
	print_message("%u CPUs asked in %u readings of %u CPUs, %llu switches hidden\n", asked, readings, bpf.cpu_count,
	              (unsigned long long)fw_work_machine_of(snapshot).missed);
	assert_true(fw_work_machine_of(snapshot).missed > 0); /* those of the tests before */
	assert_in_range(asked, 0, readings * bpf.cpu_count / 2);
}

/* Interrupts the CPU, and no task comes to run there for it. */
static void interrupt(unsigned cpu)
{
	struct perf_event_attr attributes = {.type = PERF_TYPE_SOFTWARE, .size = sizeof attributes, .config = PERF_COUNT_SW_DUMMY};
	long fd = syscall(SYS_perf_event_open, &attributes, -1, (int)cpu, -1, PERF_FLAG_FD_CLOEXEC);

	if (fd >= 0)
		close((int)fd);
}

/* True when it fell asleep again without any switch. */
static bool falls_asleep(unsigned cpu, uint64_t *charged_ns, uint64_t *most_ns)
{
	struct fw_bpf_cpu before = let_hidden_task_come(cpu, false);
	const struct fw_bpf_cpu *now = &bpf.cpus[cpu];
	uint64_t deadline_ns = fw_monotonic_ns() + FW_NS_PER_MS;

	interrupt(cpu);
	while (__atomic_load_n(&now->task, __ATOMIC_ACQUIRE) == HIDDEN_TASK && fw_monotonic_ns() < deadline_ns)
		;
	*charged_ns = __atomic_load_n(&now->busy_ns, __ATOMIC_ACQUIRE) - before.busy_ns;
	*most_ns = fw_monotonic_ns() - before.since_ns;
	return __atomic_load_n(&now->task, __ATOMIC_ACQUIRE) == 0 && __atomic_load_n(&now->switches, __ATOMIC_ACQUIRE) == before.switches;
}

static void who_left_unseen_before_a_cpu_fell_asleep_is_charged_until_then(void **state)
{
	uint64_t deadline_ns = fw_monotonic_ns() + DEADLINE_NS, charged_ns, most_ns;

	(void)state;
	need_programs();
	if (!bpf.has_idle || bpf.cpu_count < 2) {
		print_message("skipped: this kernel tells no idle states, or has one CPU\n");
		skip();
	}
	unsigned other = stay_on_a_cpu() == 0 ? 1 : 0;

	while (fw_monotonic_ns() < deadline_ns) {
		if (__atomic_load_n(&bpf.cpus[other].task, __ATOMIC_ACQUIRE) != 0 || !falls_asleep(other, &charged_ns, &most_ns))
			continue;
		go_anywhere();
		assert_in_range(charged_ns, RAN_NS, most_ns);
		return;
	}
	go_anywhere();
	print_message("skipped: CPU %u was never idle\n", other);
	skip();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_process_that_left_a_cpu_unseen_is_remembered),
		cmocka_unit_test(a_reading_asks_a_cpu_where_it_is_doubtful_who_runs),
		cmocka_unit_test(a_reading_asks_no_cpu_where_there_is_no_doubt),
		cmocka_unit_test(who_left_unseen_before_a_cpu_fell_asleep_is_charged_until_then),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
