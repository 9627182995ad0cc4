/* SPDX-License-Identifier: Apache-2.0
 *
 * Records of perf as switches.h tells them. Each CPU has a ring of its own; they are merged by time, so that a child that is
 * forked here and runs there has its tree, whichever ring is looked at first.
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

/* Who is on the CPU from this record on. A switch is counted where the kernel turns away from a thread, since switching is
 * already the next one's; it also tells where it turns to one, and of kernel threads sometimes nothing but that. */
static bool is_switch(const struct sim_switches *switches, const struct record *record, const struct stamp *stamp, uint32_t *tid)
{
	uint32_t next[2]; /* pid, tid */

	if (record->header.type != PERF_RECORD_SWITCH_CPU_WIDE)
		return false;
	memcpy(next, record->body, sizeof next);
	*tid = record->header.misc & PERF_RECORD_MISC_SWITCH_OUT ? next[1] : stamp->tid;
	if (*tid >= switches->thread_limit)
		*tid = switches->thread_limit - 1;
	return true;
}

static void note_switch(struct sim_switches *switches, struct sim_cpu *cpu, const struct record *record, const struct stamp *stamp)
{
	uint32_t tid;

	if (!is_switch(switches, record, stamp, &tid))
		return;
	tell(switches, cpu, stamp->time_ns);
	cpu->tid = tid;
}

/* The oldest record of a CPU, unless it is younger than until_ns: then, and when there is none, false. */
static bool peek(struct sim_cpu *cpu, uint64_t until_ns, struct record *record, struct stamp *stamp)
{
	struct perf_event_mmap_page *page = cpu->ring;
	uint64_t head = __atomic_load_n(&page->data_head, __ATOMIC_ACQUIRE), at = page->data_tail;

	while (at < head) {
		if (read_record(cpu, at, record, stamp))
			return stamp->time_ns <= until_ns;
		at += record->header.size;
		__atomic_store_n(&page->data_tail, at, __ATOMIC_RELEASE);
	}
	return false;
}

static void drop(struct sim_cpu *cpu, const struct record *record)
{
	struct perf_event_mmap_page *page = cpu->ring;

	__atomic_store_n(&page->data_tail, page->data_tail + record->header.size, __ATOMIC_RELEASE);
}

void sim_switches_advance(struct sim_switches *switches, uint64_t until_ns)
{
	struct record record;
	struct stamp stamp;

	for (unsigned i = 0; i < switches->cpu_count; i++)
		switches->cpus[i].next_ns = peek(&switches->cpus[i], until_ns, &record, &stamp) ? stamp.time_ns : UINT64_MAX;
	for (;;) {
		struct sim_cpu *oldest = &switches->cpus[0];

		for (unsigned i = 1; i < switches->cpu_count; i++)
			if (switches->cpus[i].next_ns < oldest->next_ns)
				oldest = &switches->cpus[i];
		if (oldest->next_ns == UINT64_MAX)
			break;
		peek(oldest, until_ns, &record, &stamp);
		note_switch(switches, oldest, &record, &stamp);
		note_tree(switches, &record, &stamp);
		drop(oldest, &record);
		oldest->next_ns = peek(oldest, until_ns, &record, &stamp) ? stamp.time_ns : UINT64_MAX;
	}
	for (unsigned i = 0; i < switches->cpu_count; i++)
		tell(switches, &switches->cpus[i], until_ns);
}

/* The records that are there are looked at and left. */
static void look_ahead(struct sim_switches *switches, const struct sim_cpu *cpu, uint64_t until_ns)
{
	const struct perf_event_mmap_page *page = cpu->ring;
	uint64_t head = __atomic_load_n(&page->data_head, __ATOMIC_ACQUIRE), from_ns = cpu->since_ns;
	uint32_t tid = cpu->tid;
	struct record record;
	struct stamp stamp;

	for (uint64_t at = page->data_tail; at < head; at += record.header.size) {
		uint32_t next;

		if (!read_record(cpu, at, &record, &stamp) || !is_switch(switches, &record, &stamp, &next))
			continue;
		if (stamp.time_ns > until_ns)
			break;
		if (tid != 0)
			switches->runs(switches->context, (unsigned)(cpu - switches->cpus), from_ns, stamp.time_ns);
		tid = next;
		from_ns = stamp.time_ns;
	}
	if (tid != 0 && from_ns < until_ns)
		switches->runs(switches->context, (unsigned)(cpu - switches->cpus), from_ns, until_ns);
}

void sim_switches_look_ahead(struct sim_switches *switches, uint64_t until_ns)
{
	for (unsigned i = 0; i < switches->cpu_count; i++)
		look_ahead(switches, &switches->cpus[i], until_ns);
}

void sim_switches_close(struct sim_switches *switches)
{
	for (unsigned i = 0; i < switches->cpu_count; i++) {
		munmap(switches->cpus[i].ring, (size_t)sysconf(_SC_PAGESIZE) + RING_BYTES);
		close(switches->cpus[i].fd);
	}
	sim_trees_close(switches);
}
