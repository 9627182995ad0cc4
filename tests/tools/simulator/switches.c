/* SPDX-License-Identifier: Apache-2.0
 *
 * Records of perf as switches.h tells them. A CPU's records are in the order of time, those of two CPUs are not: the
 * forks of all are looked at before the switches of any, so that a child that ran elsewhere has its tree.
 */
#include "switches.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "trees.h"

enum { RING_BYTES = 1 << 20, MOST_BYTES = 512 };

/* What each record ends with: the thread that was on the CPU, when, and which CPU. */
struct stamp {
	uint32_t pid, tid;
	uint64_t time_ns;
	uint32_t cpu, reserved;
};

struct record {
	struct perf_event_header header;
	char body[MOST_BYTES];
};

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static bool open_cpu(struct sim_cpu *cpu, int number)
{
	struct perf_event_attr attributes = {
		.type = PERF_TYPE_SOFTWARE,
		.size = sizeof attributes,
		.config = PERF_COUNT_SW_DUMMY,
		.sample_type = PERF_SAMPLE_TID | PERF_SAMPLE_TIME | PERF_SAMPLE_CPU,
		.sample_id_all = 1,
		.context_switch = 1,
		.task = 1,
		.comm = 1,
		.comm_exec = 1,
		.use_clockid = 1,
		.clockid = CLOCK_MONOTONIC,
		.watermark = 1,
		.wakeup_watermark = RING_BYTES,
	};

	cpu->fd = (int)syscall(SYS_perf_event_open, &attributes, -1, number, -1, PERF_FLAG_FD_CLOEXEC);
	if (cpu->fd < 0)
		return false;
	cpu->ring = mmap(NULL, (size_t)sysconf(_SC_PAGESIZE) + RING_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, cpu->fd, 0);
	return cpu->ring != MAP_FAILED;
}

/* Nobody tells who is on a CPU until it switches: going there ourselves makes it do so. */
static void visit(int number)
{
	cpu_set_t one, before;

	CPU_ZERO(&one);
	CPU_SET((size_t)number, &one);
	sched_getaffinity(0, sizeof before, &before);
	sched_setaffinity(0, sizeof one, &one);
	nanosleep(&(struct timespec){.tv_nsec = 200000}, NULL);
	sched_setaffinity(0, sizeof before, &before);
}

bool sim_switches_open(struct sim_switches *switches, const char *prefix)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	switches->prefix = prefix;
	switches->tree_count = 1;
	if (cpus > SIM_CPUS || !sim_trees_open(switches)) {
		fprintf(stderr, "energy-simulator: %ld CPUs, or no memory\n", cpus);
		return false;
	}
	for (int number = 0; number < cpus; number++) {
		if (!open_cpu(&switches->cpus[number], number)) {
			fprintf(stderr, "energy-simulator: switches of CPU %d: %s\n", number, strerror(errno));
			return false;
		}
		switches->cpu_count++;
	}
	for (int number = 0; number < cpus; number++) {
		switches->cpus[number].since_ns = now_ns();
		visit(number);
	}
	return true;
}

/* ---- records ---- */

static void copy_from_ring(const struct sim_cpu *cpu, uint64_t at, void *to, size_t bytes)
{
	const char *data = (const char *)cpu->ring + sysconf(_SC_PAGESIZE);
	size_t offset = at % RING_BYTES;
	size_t first = bytes < RING_BYTES - offset ? bytes : RING_BYTES - offset;

	memcpy(to, data + offset, first);
	memcpy((char *)to + first, data, bytes - first);
}

/* The record at `at`, and its stamp. Records that we did not ask for are shorter or longer, never of our types. */
static bool read_record(const struct sim_cpu *cpu, uint64_t at, struct record *record, struct stamp *stamp)
{
	copy_from_ring(cpu, at, &record->header, sizeof record->header);
	size_t bytes = record->header.size;

	if (bytes < sizeof record->header + sizeof *stamp || bytes > sizeof *record)
		return false;
	copy_from_ring(cpu, at, record, bytes);
	memcpy(stamp, (const char *)record + bytes - sizeof *stamp, sizeof *stamp);
	return true;
}

static void note_tree(struct sim_switches *switches, const struct record *record, const struct stamp *stamp)
{
	if (record->header.type == PERF_RECORD_FORK) {
		uint32_t ids[4]; /* pid, parent's pid, tid, parent's tid */

		memcpy(ids, record->body, sizeof ids);
		sim_trees_fork(switches, ids[2], ids[3]);
	} else if (record->header.type == PERF_RECORD_COMM) {
		uint32_t ids[2]; /* pid, tid */

		memcpy(ids, record->body, sizeof ids);
		if (record->header.misc & PERF_RECORD_MISC_COMM_EXEC)
			sim_trees_exec(switches, ids[1]);
		if (ids[1] < switches->thread_limit && switches->tree_of[ids[1]] != SIM_REST)
			switches->named(switches->context, switches->tree_of[ids[1]], stamp->time_ns, record->body + sizeof ids);
	} else if (record->header.type == PERF_RECORD_LOST) {
		switches->lost++;
	}
}

/* What the CPU did since it was last told. */
static void tell(struct sim_switches *switches, struct sim_cpu *cpu, uint64_t until_ns)
{
	if (until_ns <= cpu->since_ns)
		return;
	if (cpu->tid != 0)
		switches->ran(switches->context, (unsigned)(cpu - switches->cpus), switches->tree_of[cpu->tid], cpu->since_ns, until_ns);
	cpu->since_ns = until_ns;
}

/* A switch is counted where the kernel turns away from a thread; the switching itself is the next one's. */
static void note_switch(struct sim_switches *switches, struct sim_cpu *cpu, const struct record *record, const struct stamp *stamp)
{
	uint32_t next[2]; /* pid, tid */

	if (record->header.type != PERF_RECORD_SWITCH_CPU_WIDE || !(record->header.misc & PERF_RECORD_MISC_SWITCH_OUT))
		return;
	memcpy(next, record->body, sizeof next);
	tell(switches, cpu, stamp->time_ns);
	cpu->tid = next[1] < switches->thread_limit ? next[1] : switches->thread_limit - 1;
}

static uint64_t head_of(const struct sim_cpu *cpu)
{
	return __atomic_load_n(&((const struct perf_event_mmap_page *)cpu->ring)->data_head, __ATOMIC_ACQUIRE);
}

/* Either the forks and names until then, or the switches, which takes the records out of the ring. */
static void walk(struct sim_switches *switches, struct sim_cpu *cpu, uint64_t until_ns, bool take_switches)
{
	struct perf_event_mmap_page *page = cpu->ring;
	uint64_t head = head_of(cpu), at = page->data_tail;
	struct record record;
	struct stamp stamp;

	while (at < head) {
		bool known = read_record(cpu, at, &record, &stamp);

		if (known && stamp.time_ns > until_ns)
			break;
		if (known && take_switches)
			note_switch(switches, cpu, &record, &stamp);
		else if (known)
			note_tree(switches, &record, &stamp);
		at += record.header.size;
	}
	if (take_switches) {
		tell(switches, cpu, until_ns);
		__atomic_store_n(&page->data_tail, at, __ATOMIC_RELEASE);
	}
}

void sim_switches_advance(struct sim_switches *switches, uint64_t until_ns)
{
	for (unsigned i = 0; i < switches->cpu_count; i++)
		walk(switches, &switches->cpus[i], until_ns, false);
	for (unsigned i = 0; i < switches->cpu_count; i++)
		walk(switches, &switches->cpus[i], until_ns, true);
}

void sim_switches_close(struct sim_switches *switches)
{
	for (unsigned i = 0; i < switches->cpu_count; i++) {
		munmap(switches->cpus[i].ring, (size_t)sysconf(_SC_PAGESIZE) + RING_BYTES);
		close(switches->cpus[i].fd);
	}
	sim_trees_close(switches);
}
