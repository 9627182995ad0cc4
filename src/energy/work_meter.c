/* SPDX-License-Identifier: Apache-2.0
 *
 * The ladder of meters of work. Which rung is stood on is decided once, at the opening, and named with every figure.
 */
#include "energy/work_meter.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/time.h"
#include "host/procfs.h"

enum { TEXT_BYTES = 65536 };

enum rung { RUNG_BPF, RUNG_EACH_CPU, RUNG_ROOT_GROUP, RUNG_PROC };

struct fw_work_meter {
	struct fw_reading_source source;
	enum rung rung;
	struct fw_work *bpf;
	struct fw_work_snapshot *snapshot;
	struct fw_attribution_machine machine;
	uint8_t package_of[FW_MAX_CPUS]; /* index, of each CPU */
	struct fw_work_now now;
	int work_fd, memory_fd;
	bool shares;
	double used_bytes;       /* of the machine's memory, at used_at_ns */
	uint64_t used_at_ns;
	char text[TEXT_BYTES];
};

/* A clock tick: so late a running task's time is booked by the kernel's own accounting. */
#define GROUP_LAG_NS 4e6
#define BPF_LAG_NS 2e4
#define PROC_LAG_NS 10e6
/* Sums of processes fall by clock ticks when children are waited for, and rise beyond that soon; by more, or again and again,
 * when a child's CPU time is lost. */
#define LEAST_FALL_NS 50e6
#define MOST_FALLS_NS 100e6
#define SURE_OF_FALL 3 /* readings */
/* The machine's memory is summed up by the kernel for each reading, which costs as much as all else that a tick reads: it is
 * read as often as that of workers. */
#define MEMORY_NS (100 * FW_NS_PER_MS)
/* The root group must know of nearly all that /proc/stat knows; else it is a container's and no root. */
#define LEAST_OF_ALL 0.8

static struct fw_str read_text(struct fw_work_meter *meter, int fd)
{
	ssize_t length = fd >= 0 ? fw_pread_text(fd, meter->text, sizeof meter->text) : -1;

	return (struct fw_str){meter->text, length < 0 ? 0 : (size_t)length};
}

struct adding {
	const struct fw_work_meter *meter;
	struct fw_work_now *now;
};

static void add_cpu(void *context, size_t cpu, int64_t ns)
{
	struct adding *adding = context;
	size_t package = cpu < FW_MAX_CPUS ? adding->meter->package_of[cpu] : 0;

	adding->now->ns[package] += (double)ns;
	adding->now->total_ns += (double)ns;
}

static bool read_each_cpu(struct fw_work_meter *meter, struct fw_work_now *now)
{
	return fw_cgroup_cpus_parse(read_text(meter, meter->work_fd), add_cpu, &(struct adding){meter, now});
}

static bool read_root_group(struct fw_work_meter *meter, struct fw_work_now *now)
{
	int64_t usec = -1;

	if (!fw_key_number(read_text(meter, meter->work_fd), "usage_usec", &usec) || usec < 0)
		return false;
	now->ns[0] = now->total_ns = (double)usec * 1e3;
	return true;
}

static bool read_proc(struct fw_work_meter *meter, struct fw_work_now *now)
{
	struct fw_cpu_times times;

	if (!fw_cpu_times_parse(read_text(meter, meter->work_fd), -1, &times))
		return false;
	now->ns[0] = now->total_ns = (double)fw_cpu_times_busy_ns(&times);
	return now->ns[0] >= 0;
}

static bool read_bpf(struct fw_work_meter *meter, struct fw_work_now *now)
{
	struct fw_work_machine machine;

	if (!fw_work_take(meter->bpf, meter->snapshot))
		return false;
	machine = fw_work_machine_of(meter->snapshot);
	now->at_ns = machine.before_ns + (machine.after_ns - machine.before_ns) / 2;
	for (size_t i = 0; i < meter->machine.packages; i++) {
		now->ns[i] = (double)machine.busy[i].ns - fw_work_shared_ns(meter->snapshot, (struct fw_work_key){0}, i);
		now->total_ns += (double)machine.busy[i].ns;
	}
	return true;
}

static double used_bytes(struct fw_work_meter *meter)
{
	int64_t total = -1, available = -1;
	struct fw_str text = read_text(meter, meter->memory_fd);

	if (!fw_key_number(text, "MemTotal", &total) || !fw_key_number(text, "MemAvailable", &available) || available > total)
		return NAN;
	return (double)(total - available);
}

static double recent_bytes(struct fw_work_meter *meter, uint64_t now_ns)
{
	if (meter->memory_fd < 0)
		return NAN;
	if (meter->used_at_ns == 0 || now_ns - meter->used_at_ns >= MEMORY_NS) {
		meter->used_bytes = used_bytes(meter);
		meter->used_at_ns = now_ns;
	}
	return meter->used_bytes;
}

bool fw_work_meter_read(struct fw_work_meter *meter, struct fw_work_now *machine)
{
	static bool (*const readers[])(struct fw_work_meter *, struct fw_work_now *) = {
		[RUNG_BPF] = read_bpf, [RUNG_EACH_CPU] = read_each_cpu, [RUNG_ROOT_GROUP] = read_root_group, [RUNG_PROC] = read_proc};
	struct fw_work_now now = {.at_ns = fw_monotonic_ns()};

	if (!readers[meter->rung](meter, &now))
		return false;
	now.bytes = recent_bytes(meter, now.at_ns);
	*machine = meter->now = now;
	return true;
}

/* True when the sum has fallen for good: a process that ends while its tree is read is in none of the sums for that once. */
static bool has_fallen(struct fw_work_past *past, double raw_ns)
{
	if (past->top_ns - raw_ns < LEAST_FALL_NS) {
		past->doubts = 0;
		past->falls_ns += fmax(past->raw_ns - raw_ns, 0);
		return past->falls_ns >= MOST_FALLS_NS;
	}
	past->low_ns = past->doubts > 0 ? fmin(past->low_ns, raw_ns) : raw_ns;
	if (++past->doubts < SURE_OF_FALL)
		return false;
	past->falls_ns = past->top_ns - past->low_ns;
	return true;
}

/* The sum as it goes on: -1 in the moment in which it has fallen, for what was done up to then is known to nobody. */
static double climb(struct fw_work_past *past, double raw_ns)
{
	bool rises = !past->is_read || raw_ns > past->top_ns, falls = !rises && has_fallen(past, raw_ns);

	past->raw_ns = raw_ns;
	if (falls)
		past->fallen_ns += past->falls_ns;
	if (rises || falls) {
		past->top_ns = raw_ns;
		past->falls_ns = 0;
		past->doubts = 0;
	}
	return falls ? -1 : past->top_ns + past->fallen_ns;
}

/* Of each package what was counted there since the reading before. */
static void take_each(const struct fw_work_meter *meter, struct fw_work_past *past, const double *counted_ns)
{
	for (size_t i = 0; i < meter->machine.packages; i++) {
		past->ns[i] += fmax(counted_ns[i] - past->seen_ns[i], 0);
		past->seen_ns[i] = counted_ns[i];
	}
}

/* Where nobody tells on which package it worked: as all the machine did since then. What has been told stays where it is,
 * whatever others do later and wherever. */
static void spread(const struct fw_work_meter *meter, struct fw_work_past *past, double done_ns)
{
	const struct fw_work_now *machine = &meter->now;
	double parts[FW_ATTRIBUTION_PACKAGES], sum = 0;

	for (size_t i = 0; i < meter->machine.packages; i++) {
		parts[i] = fmax(machine->ns[i] - past->seen_ns[i], 0);
		sum += parts[i];
		past->seen_ns[i] = machine->ns[i];
	}
	for (size_t i = 0; i < meter->machine.packages; i++)
		past->ns[i] += done_ns * (sum > 0 ? parts[i] / sum : 1 / (double)meter->machine.packages);
}

/* Edges are read in total_ns: nothing is taken off that. */
static void take_sums(const struct fw_work_meter *meter, struct fw_work_key key, const struct fw_work_sum *sums,
                      struct fw_work_now *now)
{
	for (size_t i = 0; i < meter->machine.packages; i++) {
		now->ns[i] = (double)sums[i].ns - fw_work_shared_ns(meter->snapshot, key, i);
		now->total_ns += (double)sums[i].ns;
	}
}

static bool is_by_bpf(const struct fw_work_meter *meter, struct fw_work_key key)
{
	return meter->rung == RUNG_BPF && key.slot != 0;
}

/* What has ended does nothing more; what is there and cannot be read may do anything. */
static bool has_ended(const struct fw_metered *worker)
{
	return !worker->cgroup && worker->pid > 0 && !fw_process_is_there(worker->pid);
}

/* By its own group or processes; -1: neither can be read. `each`: `now` has it of each package. */
static double read_raw(struct fw_work_meter *meter, const struct fw_metered *worker, struct fw_work_now *now, bool *each)
{
	struct fw_reading reading;

	*now = (struct fw_work_now){.bytes = NAN};
	now->at_ns = fw_monotonic_ns();
	*each = meter->rung == RUNG_EACH_CPU && worker->cgroup &&
	        fw_cgroup_read_cpus(worker->cgroup, add_cpu, &(struct adding){meter, now});
	if (*each)
		return now->total_ns;
	fw_reading_take_cpu(&meter->source, worker, &reading);
	now->at_ns = reading.after_ns;
	return (double)reading.stat.cpu_total_ns;
}

static void read_worker(struct fw_work_meter *meter, const struct fw_metered *worker, struct fw_work_past *past,
                        struct fw_work_now *now)
{
	bool each;
	double raw_ns = read_raw(meter, worker, now, &each);
	double total_ns = raw_ns >= 0 ? climb(past, raw_ns) : has_ended(worker) ? past->total_ns : -1;

	if (each)
		take_each(meter, past, now->ns);
	else if (total_ns >= 0)
		spread(meter, past, total_ns - past->total_ns);
	if (total_ns >= 0)
		past->total_ns = total_ns;
	past->is_read |= raw_ns >= 0;
	memcpy(now->ns, past->ns, sizeof now->ns);
	now->total_ns = total_ns;
}

void fw_work_meter_worker(struct fw_work_meter *meter, const struct fw_metered *worker, struct fw_work_key key,
                          struct fw_work_past *past, struct fw_work_now *now)
{
	struct fw_work_sum sums[FW_WORK_PACKAGES];

	if (!is_by_bpf(meter, key)) {
		read_worker(meter, worker, past, now);
		return;
	}
	*now = (struct fw_work_now){.at_ns = meter->now.at_ns, .bytes = NAN};
	if (fw_work_of(meter->snapshot, key, sums)) /* else it joined since: nothing yet */
		take_sums(meter, key, sums, now);
}

void fw_work_meter_now(struct fw_work_meter *meter, const struct fw_metered *worker, struct fw_work_key key,
                       struct fw_work_past *past, struct fw_work_now *now)
{
	struct fw_work_sum sums[FW_WORK_PACKAGES];

	if (!is_by_bpf(meter, key)) {
		read_worker(meter, worker, past, now);
		return;
	}
	*now = (struct fw_work_now){.at_ns = fw_monotonic_ns(), .bytes = NAN};
	if (fw_work_read(meter->bpf, key, sums))
		take_sums(meter, key, sums, now);
}

double fw_work_meter_edge(const struct fw_work_meter *meter, struct fw_work_key key, const struct fw_reading *reading)
{
	if (is_by_bpf(meter, key))
		return (double)reading->work_ns;
	return reading->stat.cpu_total_ns >= 0 ? (double)reading->stat.cpu_total_ns + reading->fallen_ns : -1;
}

/* ---- opening ---- */

static void count_cpus(struct fw_work_meter *meter, const struct fw_machine *machine)
{
	struct fw_attribution_machine *shape = &meter->machine;

	for (unsigned cpu = 0; cpu < machine->cpu_count && cpu < FW_MAX_CPUS; cpu++) {
		size_t index = 0;

		while (index + 1 < shape->packages && shape->physical[index] != machine->cpus[cpu].package)
			index++;
		if (shape->packages > 1 && shape->physical[index] != machine->cpus[cpu].package)
			index = 0;
		meter->package_of[cpu] = (uint8_t)index;
		if (machine->cpus[cpu].online)
			shape->cpus[index]++;
	}
}

static void list_packages(struct fw_work_meter *meter, const struct fw_machine *machine)
{
	struct fw_attribution_machine *shape = &meter->machine;

	for (unsigned cpu = 0; cpu < machine->cpu_count; cpu++) {
		size_t index = 0;

		while (index < shape->packages && shape->physical[index] != machine->cpus[cpu].package)
			index++;
		if (index == shape->packages && machine->cpus[cpu].package >= 0 && index < FW_ATTRIBUTION_PACKAGES)
			shape->physical[shape->packages++] = machine->cpus[cpu].package;
	}
}

static void one_package(struct fw_attribution_machine *shape)
{
	shape->packages = 1;
	shape->physical[0] = -1;
}

static bool knows_all(struct fw_work_meter *meter, const struct fw_root *root, enum rung rung, const char *path)
{
	struct fw_work_now now;
	struct fw_cpu_times times;
	char text[512];

	meter->work_fd = fw_root_open_file(root, path);
	meter->rung = rung;
	ssize_t length = fw_root_peek(root, "proc/stat", text, sizeof text);

	if (meter->work_fd >= 0 && fw_work_meter_read(meter, &now) &&
	    (length < 0 || !fw_cpu_times_parse((struct fw_str){text, (size_t)length}, -1, &times) ||
	     now.total_ns >= LEAST_OF_ALL * (double)fw_cpu_times_busy_ns(&times)))
		return true;
	if (meter->work_fd >= 0)
		close(meter->work_fd);
	meter->work_fd = -1;
	return false;
}

static void choose_rung(struct fw_work_meter *meter, const struct fw_machine *machine)
{
	static const struct {
		enum rung rung;
		const char *path;
	} places[] = {
		{RUNG_EACH_CPU, "sys/fs/cgroup/cpuacct/cpuacct.usage_percpu"},
		{RUNG_EACH_CPU, "sys/fs/cgroup/cpu,cpuacct/cpuacct.usage_percpu"},
		{RUNG_ROOT_GROUP, "sys/fs/cgroup/cpu.stat"},
		{RUNG_ROOT_GROUP, "sys/fs/cgroup/unified/cpu.stat"},
		{RUNG_PROC, "proc/stat"},
	};

	for (size_t i = 0; i < FW_COUNT_OF(places); i++) {
		meter->machine.packages = 0;
		if (places[i].rung == RUNG_EACH_CPU)
			list_packages(meter, machine);
		if (meter->machine.packages < 2)
			one_package(&meter->machine);
		for (size_t p = 0; p < FW_ATTRIBUTION_PACKAGES; p++)
			meter->machine.cpus[p] = 0;
		count_cpus(meter, machine);
		meter->machine.lag_ns = places[i].rung == RUNG_PROC ? PROC_LAG_NS : GROUP_LAG_NS;
		if (knows_all(meter, meter->source.root, places[i].rung, places[i].path))
			return;
	}
}

static void use_bpf(struct fw_work_meter *meter, const struct fw_machine *machine, struct fw_work *bpf)
{
	const int *physical;

	meter->rung = RUNG_BPF;
	meter->bpf = bpf;
	meter->snapshot = fw_work_snapshot_new(bpf);
	meter->machine.packages = fw_work_packages(bpf, &physical);
	for (size_t i = 0; i < meter->machine.packages; i++)
		meter->machine.physical[i] = physical[i];
	meter->machine.lag_ns = BPF_LAG_NS;
	count_cpus(meter, machine);
}

struct fw_work_meter *fw_work_meter_new(const struct fw_reading_source *source, const struct fw_machine *machine,
                                        struct fw_work *bpf)
{
	struct fw_work_meter *meter = fw_alloc(sizeof *meter);

	meter->source = *source;
	meter->work_fd = -1;
	meter->memory_fd = fw_root_open_file(source->root, "proc/meminfo");
	if (bpf)
		use_bpf(meter, machine, bpf);
	else
		choose_rung(meter, machine);
	meter->machine.memory_bytes = (double)machine->memory_bytes;
	return meter;
}

void fw_work_meter_free(struct fw_work_meter *meter)
{
	if (!meter)
		return;
	fw_work_snapshot_free(meter->snapshot);
	if (meter->work_fd >= 0)
		close(meter->work_fd);
	if (meter->memory_fd >= 0)
		close(meter->memory_fd);
	free(meter);
}

bool fw_work_meter_share(struct fw_work_meter *meter, const struct fw_machine *machine, double factor)
{
	if (meter->rung != RUNG_BPF)
		return false;
	fw_work_snapshot_share(meter->snapshot, machine, factor);
	meter->shares = true;
	return true;
}

void fw_work_meter_leave_memory(struct fw_work_meter *meter)
{
	if (meter->memory_fd >= 0)
		close(meter->memory_fd);
	meter->memory_fd = -1;
}

const char *fw_work_meter_name(const struct fw_work_meter *meter)
{
	static const char *const names[] = {"ebpf", "cgroup", "cgroup", "proc"};

	return meter->shares ? "ebpf+smt" : names[meter->rung];
}

const struct fw_attribution_machine *fw_work_meter_machine(const struct fw_work_meter *meter)
{
	return &meter->machine;
}
