/* SPDX-License-Identifier: Apache-2.0
 *
 * Parsers of /proc: bytes and a length in, numbers out. They allocate nothing and take any bytes. What a text does not
 * say is -1, never 0. Sizes are bytes, times of processes nanoseconds.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/str.h"
#include "host/root.h"

/* "key value", "key: value", "key:  value kB" by line (memory.stat, meminfo, status, vmstat, io): the number behind
 * exactly this key, in bytes when the unit is kB. */
bool fw_key_number(struct fw_str text, const char *key, int64_t *value);
/* The trimmed text behind "key :" (cpuinfo, status); the first one. */
bool fw_key_text(struct fw_str text, const char *key, struct fw_str *value);
/* "some avg10=0.00 avg60=0.00 avg300=0.00 total=123": the total of the line that starts with `kind`, microseconds. */
bool fw_pressure_total(struct fw_str text, const char *kind, int64_t *total_us);
/* "0-3,8,10-11": calls back with each number below `limit`; false when the text is no such list (some may have been
 * called back by then). */
bool fw_each_in_list(struct fw_str text, unsigned limit, void (*visit)(void *context, unsigned number), void *context);

struct fw_proc_stat { /* /proc/<pid>/stat */
	char name[64];
	char state;
	pid_t pid, parent;
	int64_t faults_minor, faults_major;                   /* its own */
	int64_t children_faults_minor, children_faults_major; /* of children that ended and were waited for */
	int64_t user_ns, system_ns, children_user_ns, children_system_ns;
	int64_t threads;
	uint64_t start_ticks; /* since boot: tells a reused pid */
};
bool fw_proc_stat_parse(struct fw_str text, struct fw_proc_stat *stat);

struct fw_proc_status { /* /proc/<pid>/status */
	int64_t anonymous, file, shared, swap, page_tables; /* resident now */
	int64_t resident, resident_peak, virtual_size;
	int64_t threads, switches_voluntary, switches_involuntary;
};
/* A kernel thread or a zombie has no memory lines: those stay -1. */
void fw_proc_status_parse(struct fw_str text, struct fw_proc_status *status);

struct fw_cpu_times { /* one line of /proc/stat */
	int64_t user_ns, nice_ns, system_ns, idle_ns, iowait_ns, irq_ns, softirq_ns, steal_ns;
};
/* `cpu` -1 is the line of all CPUs. */
bool fw_cpu_times_parse(struct fw_str text, int cpu, struct fw_cpu_times *times);
int64_t fw_cpu_times_busy_ns(const struct fw_cpu_times *times);
int64_t fw_cpu_times_total_ns(const struct fw_cpu_times *times);

struct fw_disk_totals {
	int64_t reads, writes, read_bytes, written_bytes, busy_ms;
};
/* Whole disks of /proc/diskstats; partitions, loop and ram devices are left out so that nothing counts twice. All -1 when
 * the text has no line of a device or one that cannot be read. */
void fw_diskstats_parse(struct fw_str text, struct fw_disk_totals *totals);

struct fw_net_totals {
	int64_t received_bytes, sent_bytes, received_packets, sent_packets, errors, drops;
};
/* All interfaces of /proc/net/dev but loopback. All -1 when the text has no line of an interface or one that cannot be
 * read. */
void fw_net_dev_parse(struct fw_str text, struct fw_net_totals *totals);

/* Also one of another user, which may not be signalled, and a zombie. */
bool fw_process_is_there(pid_t pid);
/* A zombie has ended: nobody has waited for it yet, and it does nothing more. */
bool fw_process_runs(pid_t pid);

/* The processes below `pid` (itself first) in /proc, at most `capacity`; returns how many were found. Processes that
 * left the tree by losing their parent are not found: a cgroup is the only exact tree. */
size_t fw_process_tree(const struct fw_root *root, pid_t pid, pid_t *pids, size_t capacity);
