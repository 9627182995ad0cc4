/* SPDX-License-Identifier: Apache-2.0
 *
 * In the kernel: whose work each CPU does, to the nanosecond. A slice begins when a task is switched in, or moves itself
 * into another group, or flexwatt asks (start, new worker), and is charged at its end to the group that the task was in:
 * read from the task itself, since the kernel's "current group" at a switch is not that of the task that comes.
 * Also: idle states, frequency and temperature events, and the network traffic of workers' groups.
 */
#include <linux/bpf.h>
#include <stdbool.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "kernel.h"
#include "shared.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

enum { MAX_LEVELS = 16 };

const volatile __u32 cpu_count = 1;
const volatile bool count_cycles = false;
__u32 epoch = 0;         /* changes with the table of workers; 0: there are no workers */
__u64 events_lost = 0;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct fw_bpf_cpu);
} cpus SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, FW_BPF_SLOTS);
	__type(key, __u32);
	__type(value, struct fw_bpf_work);
} work SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, FW_BPF_SLOTS);
	__type(key, __u64);
	__type(value, __u32);
} slots SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} cycles SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct fw_bpf_idle);
} idle SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, FW_BPF_SLOTS);
	__type(key, __u32);
	__type(value, struct fw_bpf_traffic);
} traffic SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_CGROUP_STORAGE);
	__type(key, struct bpf_cgroup_storage_key);
	__type(value, struct fw_bpf_owner);
} owners SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, FW_BPF_EVENT_BYTES);
} events SEC(".maps");

/* Orders the writes around it for readers on other CPUs: what x86 does by itself, others by an atomic that returns. */
#if defined(__TARGET_ARCH_x86)
#define ordered(version) asm volatile("" ::: "memory")
#else
#define ordered(version) ((void)__sync_fetch_and_add((version), 0))
#endif

static __always_inline void begin_write(__u64 *version)
{
	*(volatile __u64 *)version = *version + 1;
	ordered(version);
}

static __always_inline void end_write(__u64 *version)
{
	ordered(version);
	*(volatile __u64 *)version = *version + 1;
}

static __always_inline __u64 cycles_now(struct fw_bpf_cpu *cpu)
{
	struct bpf_perf_event_value value = {};

	if (!count_cycles)
		return 0;
	if (bpf_perf_event_read_value(&cycles, BPF_F_CURRENT_CPU, &value, sizeof value) != 0) {
		cpu->cycle_errors++; /* this slice's cycles stay unknown */
		return 0;
	}
	return value.counter;
}

/* Version is odd. */
static __always_inline void add(struct fw_bpf_cpu *cpu, __u32 index, __u32 slot, __u64 ns, __u64 spent)
{
	__u32 at = index * FW_BPF_SLOTS + slot;
	struct fw_bpf_work *sum;

	if (slot == FW_BPF_IDLE) {
		cpu->idle_ns += ns;
		return;
	}
	cpu->busy_ns += ns;
	cpu->busy_cycles += spent;
	sum = bpf_map_lookup_elem(&work, &at);
	if (sum) {
		sum->ns += ns;
		sum->cycles += spent;
	}
}

/* Ends the slice that runs. */
static __always_inline void charge(struct fw_bpf_cpu *cpu, __u32 index, __u64 now_ns)
{
	__u64 now_cycles = cycles_now(cpu), spent = 0;

	if (cpu->since_cycles && now_cycles)
		spent = now_cycles - cpu->since_cycles;
	if (cpu->since_ns)
		add(cpu, index, cpu->slot, now_ns - cpu->since_ns, spent);
	cpu->since_ns = now_ns;
	cpu->since_cycles = now_cycles;
}

/* The worker that a group belongs to, itself or one above it. */
static __always_inline __u32 find_slot(struct cgroup *group)
{
	for (int i = 0; i < MAX_LEVELS && group && group->level > 0; i++) {
		__u64 id = group->kn->id;
		__u32 *slot = bpf_map_lookup_elem(&slots, &id);
		struct cgroup_subsys_state *above = group->self.parent;

		if (slot)
			return *slot;
		group = above ? above->cgroup : NULL;
	}
	return 0;
}

static __always_inline __u32 slot_of(struct fw_bpf_cpu *cpu, struct cgroup *group)
{
	__u32 now = *(volatile __u32 *)&epoch;
	__u64 id = group->kn->id;
	struct fw_bpf_remembered *remembered = &cpu->remembered[id % FW_BPF_REMEMBERED];

	if (!now)
		return 0;
	if (remembered->group != id || remembered->epoch != now) {
		remembered->slot = find_slot(group);
		remembered->group = id;
		remembered->epoch = now;
	}
	return remembered->slot;
}

/* Of some tasks (a host's agent in its guest) a kernel hides that they leave a CPU. Who was seen to come and was not seen to
 * go is remembered by its process: from then on nobody takes for granted that it still runs. */
static __always_inline bool is_hider(const struct fw_bpf_cpu *cpu, __u32 process)
{
	bool found = cpu->hider_count > FW_BPF_HIDERS;

	for (int i = 0; i < FW_BPF_HIDERS; i++)
		found |= (__u32)i < cpu->hider_count && cpu->hiders[i] == process;
	return found;
}

static __always_inline void left_unseen(struct fw_bpf_cpu *cpu)
{
	cpu->missed++;
	if (is_hider(cpu, cpu->process))
		return;
	if (cpu->hider_count < FW_BPF_HIDERS)
		cpu->hiders[cpu->hider_count] = cpu->process;
	cpu->hider_count++;
}

/* The task that runs here until now is not the one that came last: what the scheduler has counted for it since it came is
 * charged to it, and only what was before to the one that we knew of. */
static __always_inline void correct(struct fw_bpf_cpu *cpu, __u32 index, struct task_struct *task, bool is_counted,
                                    __u64 now_ns)
{
	__u64 whole_ns = now_ns - cpu->since_ns, ran_ns = whole_ns;

	if (cpu->task == (__u32)task->pid || !cpu->since_ns)
		return;
	if (task->pid != 0 && is_counted)
		ran_ns = task->se.sum_exec_runtime - task->se.prev_sum_exec_runtime;
	if (ran_ns < whole_ns) {
		add(cpu, index, cpu->slot, whole_ns - ran_ns, 0);
		cpu->since_ns += whole_ns - ran_ns;
	}
	cpu->slot = task->pid == 0 ? FW_BPF_IDLE : slot_of(cpu, task->cgroups->dfl_cgrp);
	left_unseen(cpu);
}

static __always_inline void run(struct fw_bpf_cpu *cpu, struct task_struct *task)
{
	cpu->task = (__u32)task->pid;
	cpu->process = (__u32)task->tgid;
	cpu->doubtful = cpu->hider_count > 0 && is_hider(cpu, cpu->process);
	cpu->slot = task->pid == 0 ? FW_BPF_IDLE : slot_of(cpu, task->cgroups->dfl_cgrp);
}

SEC("tp_btf/sched_switch")
int BPF_PROG(on_switch, bool preempt, struct task_struct *prev, struct task_struct *next)
{
	__u32 index = bpf_get_smp_processor_id();
	struct fw_bpf_cpu *cpu = bpf_map_lookup_elem(&cpus, &index);

	if (!cpu)
		return 0;
	begin_write(&cpu->version);
	__u64 now_ns = bpf_ktime_get_ns(); /* after it: who reads the record as it was reads an earlier clock */
	correct(cpu, index, prev, true, now_ns);
	charge(cpu, index, now_ns);
	run(cpu, next);
	cpu->switches++;
	end_write(&cpu->version);
	return 0;
}

/* Ends the slice of the task that runs on this CPU and begins one as the groups are now. */
static __always_inline int look_again(struct task_struct *task)
{
	__u32 index = bpf_get_smp_processor_id();
	struct fw_bpf_cpu *cpu = bpf_map_lookup_elem(&cpus, &index);

	if (!cpu || cpu->version & 1)
		return 0; /* interrupted in the middle of it */
	begin_write(&cpu->version);
	__u64 now_ns = bpf_ktime_get_ns();
	correct(cpu, index, task, false, now_ns); /* it runs on: the scheduler counts it at the next tick */
	charge(cpu, index, now_ns);
	run(cpu, task);
	end_write(&cpu->version);
	return 0;
}

/* A task that moves itself, as workers do, is charged exactly. One that another moves while it runs is charged to its
 * former group until its next switch. */
SEC("tp_btf/cgroup_attach_task")
int BPF_PROG(on_move)
{
	return look_again(bpf_get_current_task_btf());
}

/* Run by flexwatt on each CPU at the start, on those concerned when a worker is added or removed, and before each reading
 * on those where it is doubtful who runs. */
SEC("raw_tp")
int look(void *context)
{
	return look_again(bpf_get_current_task_btf());
}

/* A CPU that goes to sleep has been left by whoever ran, seen or unseen: until now it was at work. */
static __always_inline void fall_idle(__u32 index, struct task_struct *task)
{
	struct fw_bpf_cpu *cpu = bpf_map_lookup_elem(&cpus, &index);

	if (!cpu || cpu->task == 0 || !cpu->since_ns || cpu->version & 1 || task->pid != 0)
		return;
	begin_write(&cpu->version);
	left_unseen(cpu);
	charge(cpu, index, bpf_ktime_get_ns());
	run(cpu, task);
	end_write(&cpu->version);
}

SEC("tp_btf/cpu_idle")
int BPF_PROG(on_idle, unsigned int state, unsigned int which)
{
	struct fw_bpf_idle *cpu = bpf_map_lookup_elem(&idle, &which);

	if (state != (__u32)-1)
		fall_idle(which, bpf_get_current_task_btf());
	if (!cpu)
		return 0;
	begin_write(&cpu->version);
	__u64 now_ns = bpf_ktime_get_ns();
	if (cpu->since_ns && cpu->state < FW_BPF_IDLE_STATES)
		cpu->ns[cpu->state] += now_ns - cpu->since_ns;
	cpu->since_ns = state == (__u32)-1 ? 0 : now_ns;
	cpu->state = state;
	if (state == (__u32)-1)
		cpu->wakeups++;
	end_write(&cpu->version);
	return 0;
}

static __always_inline int tell(enum fw_bpf_event_kind kind, __u32 where, __s64 value)
{
	struct fw_bpf_event *event = bpf_ringbuf_reserve(&events, sizeof *event, 0);

	if (!event) {
		__sync_fetch_and_add(&events_lost, 1);
		return 0;
	}
	event->time_ns = bpf_ktime_get_ns();
	event->kind = kind;
	event->where = where;
	event->value = value;
	bpf_ringbuf_submit(event, BPF_RB_NO_WAKEUP); /* read by the clock, not by wake-ups */
	return 0;
}

SEC("tp_btf/cpu_frequency")
int BPF_PROG(on_frequency, unsigned int khz, unsigned int which)
{
	return tell(FW_BPF_FREQUENCY, which, khz);
}

SEC("tp_btf/thermal_temperature")
int BPF_PROG(on_temperature, struct thermal_zone_device *zone)
{
	return tell(FW_BPF_TEMPERATURE, (__u32)zone->id, zone->temperature);
}

/* Talk with flexwatt itself: IPv4, its address and port at either end. */
static __always_inline bool is_own(struct __sk_buff *packet, const struct fw_bpf_owner *owner)
{
	__u32 addresses[2];
	__u16 ports[2];
	__u8 length;

	if (!owner->address || packet->protocol != bpf_htons(0x0800) ||
	    bpf_skb_load_bytes(packet, 12, addresses, sizeof addresses) != 0 ||
	    bpf_skb_load_bytes(packet, 0, &length, 1) != 0)
		return false;
	if (bpf_skb_load_bytes(packet, (length & 15u) * 4, ports, sizeof ports) != 0)
		return false;
	return (addresses[0] == owner->address && ports[0] == owner->port) ||
	       (addresses[1] == owner->address && ports[1] == owner->port);
}

static __always_inline struct fw_bpf_traffic *traffic_of(struct __sk_buff *packet)
{
	struct fw_bpf_owner *owner = bpf_get_local_storage(&owners, 0);
	__u32 slot = owner->slot;

	return slot == 0 || is_own(packet, owner) ? NULL : bpf_map_lookup_elem(&traffic, &slot);
}

SEC("cgroup_skb/egress")
int on_sent(struct __sk_buff *packet)
{
	struct fw_bpf_traffic *sums = traffic_of(packet);

	if (sums)
		__sync_fetch_and_add(&sums->sent_bytes, packet->len);
	return 1;
}

SEC("cgroup_skb/ingress")
int on_received(struct __sk_buff *packet)
{
	struct fw_bpf_traffic *sums = traffic_of(packet);

	if (sums)
		__sync_fetch_and_add(&sums->received_bytes, packet->len);
	return 1;
}
