/* SPDX-License-Identifier: Apache-2.0
 *
 * What reading energy costs, with the monitors of this machine and the counters below a directory that stands for "/".
 * Workers are sleeping processes in control groups of their own, as the runtime makes them.
 *
 *     energy_sample ticks COUNTERS WORKERS SAMPLES PAUSE_MS   CPU time of each reading of all counters and all workers
 *     energy_sample run COUNTERS WORKERS SECONDS BUSY         the sampler thread itself; BUSY 1: all have an invocation
 *
 * Prints JSON: {"tick_us": […]}, or {"ticks", "metering_ns", "thread_ns", "seconds"}.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/time.h"
#include "bench.h"
#include "energy/budget.h"
#include "energy/counters.h"
#include "energy/manager_internal.h"

enum { MOST_WORKERS = 200 };

struct sleeper {
	struct fw_cgroup *group;
	pid_t pid;
	struct fw_energy_worker *worker;
};

static struct {
	struct fw_root root, counters_root;
	struct fw_machine machine;
	struct fw_cgroups *cgroups;
	struct fw_energy_manager *manager;
	struct sleeper sleepers[MOST_WORKERS];
	size_t count;
} bench;

static const struct fw_monitor_ops *const monitors[] = {&fw_monitor_system, &fw_monitor_rapl, &fw_monitor_ebpf, &fw_monitor_counts,
                                                        NULL};

static void pause_ns(uint64_t ns)
{
	struct timespec wait = {(time_t)(ns / FW_NS_PER_S), (long)(ns % FW_NS_PER_S)};

	nanosleep(&wait, NULL);
}

static void put_into(struct fw_cgroup *group)
{
	int fds[8];
	size_t count = fw_cgroup_procs_fds(group, fds);

	for (size_t i = 0; i < count; i++)
		if (write(fds[i], "0", 1) != 1)
			_exit(1);
}

static void add_sleeper(void)
{
	static const struct fw_cgroup_limits none = {0};
	struct sleeper *sleeper = &bench.sleepers[bench.count++];
	struct fw_error *err = NULL;
	fw_cleanup_free char *name = fw_printf("fw-bench%d-%zu", getpid(), bench.count);

	bench_require(fw_cgroup_new(bench.cgroups, name, &none, &sleeper->group, &err) == FW_OK, "make a control group", err);
	sleeper->pid = fork();
	if (sleeper->pid == 0) {
		put_into(sleeper->group);
		for (;;)
			pause();
	}
	bench_require(sleeper->pid > 0, "fork", NULL);
	sleeper->worker = fw_energy_worker_new(bench.manager, &(struct fw_metered){
		.cgroup = sleeper->group, .pid = sleeper->pid, .vcpus = 0.01, .memory_mb = 128});
}

static void end_sleeper(struct sleeper *sleeper)
{
	uint64_t deadline_ns = fw_monotonic_ns() + 10 * FW_NS_PER_S;

	fw_energy_worker_free(sleeper->worker);
	kill(sleeper->pid, SIGKILL);
	waitpid(sleeper->pid, NULL, 0);
	while (fw_cgroup_remove(sleeper->group, NULL) == FW_E_BUSY && fw_monotonic_ns() < deadline_ns)
		pause_ns(FW_NS_PER_MS);
	fw_cgroup_close(sleeper->group);
}

static void open_manager(const char *counters, size_t workers, bool sampled)
{
	struct fw_error *err = NULL;

	bench_require(workers <= MOST_WORKERS, "at most 200 workers", NULL);
	bench_require(fw_root_open("/", &bench.root, &err) == FW_OK && fw_root_open(counters, &bench.counters_root, &err) == FW_OK &&
	              fw_machine_read(&bench.root, &bench.machine, &err) == FW_OK &&
	              fw_cgroups_open(&bench.root, "flexwatt", &bench.cgroups, &err) == FW_OK, "machine", err);
	struct fw_energy_options options = {.context = {&bench.root, &bench.machine, NULL}, .counters_root = &bench.counters_root,
	                                    .monitors = monitors, .no_sampler = !sampled};

	bench_require(fw_energy_manager_new(&options, &bench.manager, &err) == FW_OK, "start the energy manager", err);
	bench_require(bench.manager->counters != NULL, "no counter of energy there", NULL);
	while (bench.count < workers)
		add_sleeper();
}

static void close_manager(void)
{
	for (size_t i = 0; i < bench.count; i++)
		end_sleeper(&bench.sleepers[i]);
	fw_energy_manager_free(bench.manager);
	fw_cgroups_close(bench.cgroups);
	fw_root_close(&bench.counters_root);
	fw_root_close(&bench.root);
}

static void begin_all(void)
{
	for (size_t i = 0; i < bench.count; i++)
		fw_energy_begin(bench.sleepers[i].worker);
}

static void end_all(struct fw_record *records)
{
	for (size_t i = 0; i < bench.count; i++) {
		fw_record_init(&records[i]);
		records[i].duration_ms = 1;
		fw_energy_end(bench.sleepers[i].worker, true, &records[i], NULL, NULL);
	}
	fw_energy_flush(bench.manager);
}

static void measure_ticks(size_t samples, uint64_t pause)
{
	for (size_t i = 0; i < samples; i++) {
		pause_ns(pause);
		uint64_t before_ns = fw_thread_cpu_ns();

		pthread_mutex_lock(&bench.manager->pass);
		fw_counters_tick(bench.manager->counters);
		pthread_mutex_unlock(&bench.manager->pass);
		printf("%s%.3f", i ? ", " : "{\"tick_us\": [", (double)(fw_thread_cpu_ns() - before_ns) / 1e3);
	}
	printf("]}\n");
}

static void measure_run(double seconds)
{
	struct fw_energy_cost before, after;
	uint64_t begin_ns = fw_monotonic_ns();

	fw_energy_cost(bench.manager, &before);
	pause_ns((uint64_t)(seconds * 1e9));
	fw_energy_cost(bench.manager, &after);
	printf("{\"ticks\": %llu, \"metering_ns\": %llu, \"thread_ns\": %llu, \"seconds\": %.6f}\n",
	       (unsigned long long)(after.ticks - before.ticks), (unsigned long long)(after.metering_ns - before.metering_ns),
	       (unsigned long long)(after.thread_ns - before.thread_ns), (double)(fw_monotonic_ns() - begin_ns) / 1e9);
}

int main(int argc, char **argv)
{
	bool ticks = argc == 6 && strcmp(argv[1], "ticks") == 0, run = argc == 6 && strcmp(argv[1], "run") == 0;

	bench_require(ticks || run, "usage: energy_sample ticks|run COUNTERS WORKERS SAMPLES|SECONDS PAUSE_MS|BUSY", NULL);
	open_manager(argv[2], strtoul(argv[3], NULL, 10), run);
	fw_cleanup_free struct fw_record *records = fw_alloc_array(MOST_WORKERS, sizeof *records);
	bool busy = ticks || strtoul(argv[5], NULL, 10) > 0;

	if (busy)
		begin_all();
	if (ticks)
		measure_ticks(strtoul(argv[4], NULL, 10), strtoul(argv[5], NULL, 10) * FW_NS_PER_MS);
	else
		measure_run(strtod(argv[4], NULL));
	if (busy)
		end_all(records);
	close_manager();
	return 0;
}
