/* SPDX-License-Identifier: Apache-2.0
 *
 * Accounts of workers over the memory that the BPF programs write. A slot's counter never goes back: an account is what
 * the counter has risen since the account was opened, so that a slot can be given again. The programs write a CPU's
 * records with an odd version; a reading in between is taken again.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/memory.h"
#include "base/time.h"
#include "energy/ebpf_internal.h"
#include "energy/sharing.h"

enum { TRIES = 4096 };

/* The programs' clock is read without a lock and may be this much behind ours: what runs is counted up to a moment that
 * both have passed, or a sum would go back at the next switch. */
#define CLOCKS_APART_NS 2000

struct account {
	uint32_t generation; /* odd: open */
	uint64_t group;
	struct fw_work_sum base[FW_WORK_PACKAGES];
};

struct fw_work {
	const struct fw_bpf *bpf;
	size_t packages;
	int physical[FW_WORK_PACKAGES];
	uint8_t package_of[FW_MAX_CPUS];
	struct account *accounts; /* FW_BPF_SLOTS; the first is nobody's */
	uint32_t used;            /* slots below this have been given */
};

struct fw_work_snapshot {
	const struct fw_work *work;
	uint64_t before_ns, after_ns, switches, missed, cycle_errors;
	unsigned asked;
	uint32_t used;
	uint32_t *generations;
	struct fw_work_sum *sums; /* slot * packages + package, since the account was opened */
	struct fw_work_sum busy[FW_WORK_PACKAGES];
	uint64_t idle_ns[FW_WORK_PACKAGES];
	struct fw_sharing *sharing; /* NULL: not asked for */
	uint32_t *shared_generations; /* of the accounts that shared_base is of */
	double *shared_base;        /* slot * packages + package */
};

static uint8_t package_index(struct fw_work *work, int physical)
{
	for (size_t i = 0; i < work->packages; i++)
		if (work->physical[i] == physical)
			return (uint8_t)i;
	if (physical < 0 || work->packages == FW_WORK_PACKAGES)
		return 0;
	work->physical[work->packages] = physical;
	return (uint8_t)work->packages++;
}

struct fw_work *fw_work_new(const struct fw_bpf *bpf, const struct fw_machine *machine)
{
	struct fw_work *work = fw_alloc(sizeof *work);

	work->bpf = bpf;
	work->accounts = fw_alloc_array(FW_BPF_SLOTS, sizeof *work->accounts);
	work->used = 1;
	for (unsigned cpu = 0; cpu < machine->cpu_count && cpu < FW_MAX_CPUS; cpu++)
		work->package_of[cpu] = package_index(work, machine->cpus[cpu].package);
	if (work->packages == 0)
		work->packages = 1;
	for (unsigned cpu = 0; cpu < bpf->cpu_count; cpu++)
		(void)fw_bpf_run_on(bpf->look_fd, cpu); /* one that is off line begins with its first switch */
	return work;
}

void fw_work_free(struct fw_work *work)
{
	if (!work)
		return;
	free(work->accounts);
	free(work);
}

size_t fw_work_packages(const struct fw_work *work, const int **physical)
{
	*physical = work->physical;
	return work->packages;
}

bool fw_work_has_cycles(const struct fw_work *work)
{
	return work->bpf->has_cycles;
}

uint64_t fw_work_group_of(int directory_fd)
{
	struct stat status;

	return directory_fd < 0 || fstat(directory_fd, &status) != 0 ? 0 : (uint64_t)status.st_ino;
}

/* The programs write these words on other CPUs. Nothing that is read after a word is read before it: so the look at the
 * version that ends a reading comes last. */
static uint64_t peek(const __u64 *word)
{
	return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

static bool begin_read(const __u64 *version, uint64_t *seen)
{
	*seen = peek(version);
	return !(*seen & 1);
}

static bool read_stood_still(const __u64 *version, uint64_t seen)
{
	return peek(version) == seen;
}

/* What one CPU did in a slot. */
static struct fw_work_sum slot_on(const struct fw_bpf *bpf, unsigned cpu, uint32_t slot)
{
	const struct fw_bpf_work *sum = &bpf->work[(size_t)cpu * FW_BPF_SLOTS + slot];

	return (struct fw_work_sum){peek(&sum->ns), peek(&sum->cycles)};
}

/* How long the task that runs on the CPU has been running, and in which slot. */
static uint64_t running_on(const struct fw_bpf_cpu *cpu, uint32_t *slot)
{
	uint64_t since_ns = peek(&cpu->since_ns), now_ns = fw_monotonic_ns() - CLOCKS_APART_NS;

	*slot = __atomic_load_n(&cpu->slot, __ATOMIC_ACQUIRE);
	return since_ns == 0 || now_ns < since_ns ? 0 : now_ns - since_ns;
}

/* Who was seen to come runs until it is seen to go, but for tasks whose going the kernel hides: of a CPU where one of those
 * came last it must be asked who runs, by an interrupt. Where idle states are told no CPU is woken from sleep for it: the
 * programs see it fall asleep. */
static bool ask(const struct fw_bpf *bpf, unsigned index)
{
	bool doubtful = __atomic_load_n(&bpf->cpus[index].doubtful, __ATOMIC_RELAXED) != 0;

	if (doubtful)
		(void)fw_bpf_run_on(bpf->look_fd, index);
	return doubtful;
}

static bool read_slot(const struct fw_bpf *bpf, unsigned index, uint32_t slot, struct fw_work_sum *sum)
{
	const struct fw_bpf_cpu *cpu = &bpf->cpus[index];
	const __u64 *version = &cpu->version;
	uint32_t running;
	uint64_t seen;

	(void)ask(bpf, index);
	for (int tries = 0; tries < TRIES; tries++) {
		if (!begin_read(version, &seen))
			continue;
		uint64_t ns = running_on(cpu, &running);

		*sum = slot_on(bpf, index, slot);
		if (running == slot)
			sum->ns += ns;
		if (read_stood_still(version, seen))
			return true;
	}
	return false;
}

static bool add_up(const struct fw_work *work, uint32_t slot, struct fw_work_sum *sums)
{
	struct fw_work_sum sum = {0};

	memset(sums, 0, work->packages * sizeof *sums);
	for (unsigned cpu = 0; cpu < work->bpf->cpu_count; cpu++) {
		if (!read_slot(work->bpf, cpu, slot, &sum))
			return false;
		sums[work->package_of[cpu]].ns += sum.ns;
		sums[work->package_of[cpu]].cycles += sum.cycles;
	}
	return true;
}

static bool is_open(uint32_t generation)
{
	return generation & 1;
}

/* Ends slices where the table of workers matters for the task that runs. */
static void look_again(const struct fw_work *work, uint32_t slot)
{
	for (unsigned cpu = 0; cpu < work->bpf->cpu_count; cpu++)
		if (__atomic_load_n(&work->bpf->cpus[cpu].slot, __ATOMIC_RELAXED) == slot)
			(void)fw_bpf_run_on(work->bpf->look_fd, cpu);
}

static void table_changed(struct fw_work *work)
{
	uint32_t next = __atomic_load_n(work->bpf->epoch, __ATOMIC_RELAXED) + 1;

	__atomic_store_n(work->bpf->epoch, next ? next : 1, __ATOMIC_RELEASE);
}

static uint32_t free_slot(const struct fw_work *work)
{
	for (uint32_t slot = 1; slot < FW_BPF_SLOTS; slot++)
		if (!is_open(work->accounts[slot].generation))
			return slot;
	return 0;
}

int fw_work_add(struct fw_work *work, uint64_t group, struct fw_work_key *key, struct fw_error **err)
{
	uint32_t slot = free_slot(work);
	struct account *account = &work->accounts[slot];
	int rc;

	if (slot == 0)
		return fw_fail(err, FW_E_LIMIT, "more than %d workers at a time", FW_BPF_SLOTS - 1);
	if (!add_up(work, slot, account->base))
		return fw_fail(err, FW_E_BUSY, "the CPUs' records do not stand still");
	rc = fw_bpf_map_set(work->bpf->slots_fd, &group, &slot);
	if (rc < 0)
		return fw_fail_errno(err, -rc, "add control group %llu to the BPF programs", (unsigned long long)group);
	table_changed(work);
	look_again(work, 0);
	account->group = group;
	account->generation++;
	if (slot >= work->used)
		work->used = slot + 1;
	*key = (struct fw_work_key){slot, account->generation};
	return FW_OK;
}

static struct account *find(const struct fw_work *work, struct fw_work_key key)
{
	struct account *account = &work->accounts[key.slot % FW_BPF_SLOTS];

	return key.slot == 0 || key.slot >= FW_BPF_SLOTS || account->generation != key.generation ? NULL : account;
}

void fw_work_remove(struct fw_work *work, struct fw_work_key key)
{
	struct account *account = find(work, key);

	if (!account)
		return;
	(void)fw_bpf_map_delete(work->bpf->slots_fd, &account->group);
	table_changed(work);
	look_again(work, key.slot);
	account->generation++;
}

static void subtract(struct fw_work_sum *sums, const struct fw_work_sum *base, size_t packages)
{
	for (size_t i = 0; i < packages; i++) {
		sums[i].ns -= base[i].ns < sums[i].ns ? base[i].ns : sums[i].ns;
		sums[i].cycles -= base[i].cycles < sums[i].cycles ? base[i].cycles : sums[i].cycles;
	}
}

bool fw_work_read(struct fw_work *work, struct fw_work_key key, struct fw_work_sum *sums)
{
	const struct account *account = find(work, key);

	if (!account || !add_up(work, key.slot, sums))
		return false;
	subtract(sums, account->base, work->packages);
	return true;
}

struct fw_work_snapshot *fw_work_snapshot_new(const struct fw_work *work)
{
	struct fw_work_snapshot *snapshot = fw_alloc(sizeof *snapshot);

	snapshot->work = work;
	snapshot->generations = fw_alloc_array(FW_BPF_SLOTS, sizeof *snapshot->generations);
	snapshot->sums = fw_alloc_array(FW_BPF_SLOTS * work->packages, sizeof *snapshot->sums);
	return snapshot;
}

void fw_work_snapshot_free(struct fw_work_snapshot *snapshot)
{
	if (!snapshot)
		return;
	free(snapshot->generations);
	free(snapshot->sums);
	fw_sharing_free(snapshot->sharing);
	free(snapshot->shared_generations);
	free(snapshot->shared_base);
	free(snapshot);
}

void fw_work_snapshot_share(struct fw_work_snapshot *snapshot, const struct fw_machine *machine, double factor)
{
	const struct fw_work *work = snapshot->work;

	snapshot->sharing = fw_sharing_new(machine, work->bpf->cpu_count, work->package_of, work->packages, FW_BPF_SLOTS, factor);
	snapshot->shared_generations = fw_alloc_array(FW_BPF_SLOTS, sizeof *snapshot->shared_generations);
	snapshot->shared_base = fw_alloc_array(FW_BPF_SLOTS * work->packages, sizeof *snapshot->shared_base);
}

double fw_work_shared_ns(const struct fw_work_snapshot *snapshot, struct fw_work_key key, size_t package)
{
	size_t at = key.slot * snapshot->work->packages + package;

	if (!snapshot->sharing || key.slot >= FW_BPF_SLOTS)
		return 0;
	if (key.slot > 0 && snapshot->shared_generations[key.slot] != key.generation)
		return 0;
	return fw_sharing_ns(snapshot->sharing, key.slot, package) - snapshot->shared_base[at];
}

/* A slot that has been given again begins anew. */
static void take_sharing(struct fw_work_snapshot *snapshot)
{
	const struct fw_work *work = snapshot->work;

	for (uint32_t slot = 1; slot < snapshot->used; slot++) {
		if (snapshot->shared_generations[slot] == work->accounts[slot].generation)
			continue;
		snapshot->shared_generations[slot] = work->accounts[slot].generation;
		for (size_t i = 0; i < work->packages; i++)
			snapshot->shared_base[slot * work->packages + i] = fw_sharing_ns(snapshot->sharing, slot, i);
	}
	fw_sharing_take(snapshot->sharing, snapshot->before_ns, snapshot->used);
}

/* One CPU as it is copied; slots[used]. */
struct view {
	struct fw_bpf_cpu cpu;
	uint64_t running_ns;
	bool was_asked;
	struct fw_work_sum slots[FW_BPF_SLOTS];
};

static bool view_cpu(const struct fw_work *work, unsigned index, struct view *view)
{
	const struct fw_bpf_cpu *cpu = &work->bpf->cpus[index];
	const __u64 *version = &cpu->version;
	uint64_t seen;

	view->was_asked = ask(work->bpf, index);
	for (int tries = 0; tries < TRIES; tries++) {
		if (!begin_read(version, &seen))
			continue;
		view->running_ns = running_on(cpu, &view->cpu.slot);
		view->cpu.busy_ns = peek(&cpu->busy_ns);
		view->cpu.idle_ns = peek(&cpu->idle_ns);
		view->cpu.busy_cycles = peek(&cpu->busy_cycles);
		view->cpu.switches = peek(&cpu->switches);
		view->cpu.missed = peek(&cpu->missed);
		view->cpu.cycle_errors = peek(&cpu->cycle_errors);
		for (uint32_t slot = 1; slot < work->used; slot++)
			view->slots[slot] = slot_on(work->bpf, index, slot);
		if (read_stood_still(version, seen))
			return true;
	}
	return false;
}

static void add_view(struct fw_work_snapshot *snapshot, unsigned index, const struct view *view)
{
	const struct fw_work *work = snapshot->work;
	size_t package = work->package_of[index];
	bool idle = view->cpu.slot == FW_BPF_IDLE;

	snapshot->switches += view->cpu.switches;
	snapshot->cycle_errors += view->cpu.cycle_errors;
	snapshot->missed += view->cpu.missed;
	snapshot->asked += view->was_asked;
	snapshot->idle_ns[package] += view->cpu.idle_ns + (idle ? view->running_ns : 0);
	snapshot->busy[package].ns += view->cpu.busy_ns + (idle ? 0 : view->running_ns);
	snapshot->busy[package].cycles += view->cpu.busy_cycles;
	if (snapshot->sharing)
		fw_sharing_note(snapshot->sharing, index, 0, view->cpu.busy_ns + (idle ? 0 : view->running_ns));
	for (uint32_t slot = 1; slot < snapshot->used; slot++) {
		struct fw_work_sum *sum = &snapshot->sums[slot * work->packages + package];

		sum->ns += view->slots[slot].ns + (view->cpu.slot == slot ? view->running_ns : 0);
		sum->cycles += view->slots[slot].cycles;
		if (snapshot->sharing)
			fw_sharing_note(snapshot->sharing, index, slot,
			                view->slots[slot].ns + (view->cpu.slot == slot ? view->running_ns : 0));
	}
}

bool fw_work_take(struct fw_work *work, struct fw_work_snapshot *snapshot)
{
	struct view view;
	bool whole = true;

	snapshot->before_ns = fw_monotonic_ns();
	snapshot->switches = snapshot->missed = snapshot->cycle_errors = 0;
	snapshot->asked = 0;
	snapshot->used = work->used;
	memset(snapshot->sums, 0, work->used * work->packages * sizeof *snapshot->sums);
	memset(snapshot->busy, 0, sizeof snapshot->busy);
	memset(snapshot->idle_ns, 0, sizeof snapshot->idle_ns);
	for (unsigned cpu = 0; cpu < work->bpf->cpu_count; cpu++)
		if (view_cpu(work, cpu, &view))
			add_view(snapshot, cpu, &view);
		else
			whole = false;
	for (uint32_t slot = 1; slot < work->used; slot++) {
		snapshot->generations[slot] = work->accounts[slot].generation;
		subtract(&snapshot->sums[slot * work->packages], work->accounts[slot].base, work->packages);
	}
	if (snapshot->sharing)
		take_sharing(snapshot);
	snapshot->after_ns = fw_monotonic_ns();
	return whole;
}

bool fw_work_of(const struct fw_work_snapshot *snapshot, struct fw_work_key key, struct fw_work_sum *sums)
{
	size_t packages = snapshot->work->packages;

	if (key.slot == 0 || key.slot >= snapshot->used || snapshot->generations[key.slot] != key.generation)
		return false;
	memcpy(sums, &snapshot->sums[key.slot * packages], packages * sizeof *sums);
	return true;
}

struct fw_work_machine fw_work_machine_of(const struct fw_work_snapshot *snapshot)
{
	return (struct fw_work_machine){snapshot->before_ns, snapshot->after_ns, snapshot->busy,
	                                snapshot->idle_ns, snapshot->switches, snapshot->missed, snapshot->cycle_errors,
	                                snapshot->asked};
}

bool fw_bpf_read_idle(const struct fw_bpf_idle *record, struct fw_bpf_idle *copy)
{
	const __u64 *version = &record->version;
	uint64_t seen;

	for (int tries = 0; tries < TRIES; tries++) {
		if (!begin_read(version, &seen))
			continue;
		copy->since_ns = peek(&record->since_ns);
		copy->state = peek(&record->state);
		copy->wakeups = peek(&record->wakeups);
		for (size_t i = 0; i < FW_BPF_IDLE_STATES; i++)
			copy->ns[i] = peek(&record->ns[i]);
		if (read_stood_still(version, seen))
			return true;
	}
	return false;
}
