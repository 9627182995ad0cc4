/* SPDX-License-Identifier: Apache-2.0
 *
 * What the BPF program at context switches costs: its time by the kernel's own statistics while two processes wake each
 * other through pipes, with workers' accounts open. Usage: bpf_switch COUNT WORKERS. Prints JSON: nanoseconds a run, and
 * of a reading of all accounts. Exits 77 with the reason where the programs cannot be loaded.
 */
#include <bpf/bpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "base/memory.h"
#include "base/time.h"
#include "bench.h"
#include "energy/ebpf_internal.h"

static struct fw_root root;
static struct fw_machine machine;

/* Runs and nanoseconds of the program `on_switch` that was loaded last. */
static struct bpf_prog_info statistics_of(const char *name)
{
	struct bpf_prog_info found = {0};

	for (uint32_t id = 0; bpf_prog_get_next_id(id, &id) == 0;) {
		struct bpf_prog_info info = {0};
		uint32_t size = sizeof info;
		int fd = bpf_prog_get_fd_by_id(id);

		if (fd >= 0 && bpf_obj_get_info_by_fd(fd, &info, &size) == 0 && strcmp(info.name, name) == 0)
			found = info;
		if (fd >= 0)
			close(fd);
	}
	return found;
}

static void wake_each_other(size_t count)
{
	int there[2], back[2];
	char byte = 0;

	bench_require(pipe(there) == 0 && pipe(back) == 0, "pipe", NULL);
	pid_t pid = fork();
	for (size_t i = 0; i < count; i++) {
		int from = pid == 0 ? there[0] : back[0], to = pid == 0 ? back[1] : there[1];

		if (pid > 0)
			bench_require(write(to, &byte, 1) == 1, "write", NULL);
		bench_require(read(from, &byte, 1) == 1, "read", NULL);
		if (pid == 0)
			bench_require(write(to, &byte, 1) == 1, "write", NULL);
	}
	if (pid == 0)
		_exit(0);
	waitpid(pid, NULL, 0);
}

static double reading_ns(struct fw_work *work)
{
	struct fw_work_snapshot *snapshot = fw_work_snapshot_new(work);
	uint64_t begin = fw_monotonic_ns();

	for (int i = 0; i < 1000; i++)
		(void)fw_work_take(work, snapshot);
	fw_work_snapshot_free(snapshot);
	return (double)(fw_monotonic_ns() - begin) / 1000;
}

int main(int argc, char **argv)
{
	size_t count = argc == 3 ? strtoul(argv[1], NULL, 10) : 0, workers = argc == 3 ? strtoul(argv[2], NULL, 10) : 0;
	struct fw_monitor_context context = {.root = &root, .machine = &machine};
	struct fw_monitor *monitor = NULL;
	struct fw_error *err = NULL;
	struct fw_work_key key;

	bench_require(count > 0, "usage: bpf_switch COUNT WORKERS", NULL);
	bench_require(fw_root_open("/", &root, &err) == FW_OK && fw_machine_read(&root, &machine, &err) == FW_OK, "machine", err);
	if (fw_monitor_ebpf.open(&context, &monitor, &err) != FW_OK) {
		fprintf(stderr, "bpf_switch: %s\n", fw_error_message(err));
		return 77;
	}
	struct fw_work *work = fw_monitor_ebpf_work(monitor);
	int statistics_fd = bpf_enable_stats(BPF_STATS_RUN_TIME);

	bench_require(statistics_fd >= 0, "enable BPF statistics", NULL);
	for (size_t i = 0; i < workers; i++) /* numbers that no group has */
		bench_require(fw_work_add(work, UINT64_MAX - i, &key, &err) == FW_OK, "add", err);
	struct bpf_prog_info before = statistics_of("on_switch");
	wake_each_other(count);
	struct bpf_prog_info after = statistics_of("on_switch");
	printf("{\"switch_ns\": %.1f, \"switches\": %llu, \"reading_ns\": %.0f}\n",
	       (double)(after.run_time_ns - before.run_time_ns) / (double)(after.run_cnt - before.run_cnt),
	       (unsigned long long)(after.run_cnt - before.run_cnt), reading_ns(work));
	close(statistics_fd);
	fw_monitor_ebpf.close(monitor);
	fw_root_close(&root);
	return 0;
}
