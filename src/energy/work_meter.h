/* SPDX-License-Identifier: Apache-2.0
 *
 * Whose work it is that joules are shared by: CPU time of the machine and of each worker, by the best meter that is here:
 *
 *   1. BPF: to the nanosecond, with what runs right now, for each package;
 *   2. control groups: the root group's CPU time against the worker's; for each package on v1;
 *   3. /proc/stat for the machine, where the root group tells nothing, by clock ticks.
 *
 * A worker without a group is read by its processes' clocks. No allocation after the opening. Not thread-safe.
 */
#pragma once

#include "energy/attribution.h"
#include "energy/reading.h"
#include "energy/work.h"

struct fw_work_meter;

/* What one worker that BPF does not tell of had done at its readings; all zero before the first. Sums of processes fall when one
 * goes that nobody waits for: from there they go on. */
struct fw_work_past {
	bool is_read;
	double raw_ns, top_ns; /* the latest sum, and the highest since it fell last */
	double falls_ns;       /* small ones since then: clock ticks, or many short processes */
	double low_ns;         /* the lowest of the latest readings that were far below the highest, */
	unsigned doubts;       /* so many of them */
	double fallen_ns;      /* in all: what edges lack */
	double total_ns;       /* as it was told last, and of each package */
	double ns[FW_ATTRIBUTION_PACKAGES];
	double seen_ns[FW_ATTRIBUTION_PACKAGES]; /* then: its own of each package where they are counted, else the machine's */
};

/* bpf: of an open monitor, or NULL. Never fails: /proc/stat is there wherever flexwatt runs. */
struct fw_work_meter *fw_work_meter_new(const struct fw_reading_source *source, const struct fw_machine *machine,
                                        struct fw_work *bpf);
void fw_work_meter_free(struct fw_work_meter *meter);

/* Takes off what threads of one core share (sharing.h). False, and nothing changes, where the work is not told apart by BPF. */
bool fw_work_meter_share(struct fw_work_meter *meter, const struct fw_machine *machine, double factor);

/* From now on the machine's memory is not read: there is no counter whose joules would be shared by it. */
void fw_work_meter_leave_memory(struct fw_work_meter *meter);

/* How the work is told apart: "ebpf", "ebpf+smt" where cores are shared, "cgroup" or "proc". */
const char *fw_work_meter_name(const struct fw_work_meter *meter);
const struct fw_attribution_machine *fw_work_meter_machine(const struct fw_work_meter *meter);

/* The machine now; what workers did is then read of the same moment. False: it cannot be read, and nothing may be priced. */
bool fw_work_meter_read(struct fw_work_meter *meter, struct fw_work_now *machine);
/* After it. `key` is of BPF; slot 0: by the worker's own group or processes. total_ns -1: it is there and cannot be read, or its
 * sum has fallen. Where nobody tells on which package it worked since `past`, it was as all the machine did since then. */
void fw_work_meter_worker(struct fw_work_meter *meter, const struct fw_metered *worker, struct fw_work_key key,
                          struct fw_work_past *past, struct fw_work_now *now);
/* The worker alone, now: when it joins and when it leaves. */
void fw_work_meter_now(struct fw_work_meter *meter, const struct fw_metered *worker, struct fw_work_key key,
                       struct fw_work_past *past, struct fw_work_now *now);
/* total_ns of a reading at an edge, for a worker of that key; -1: unknown. */
double fw_work_meter_edge(const struct fw_work_meter *meter, struct fw_work_key key, const struct fw_reading *reading);
