/* SPDX-License-Identifier: Apache-2.0
 *
 * The readers of powercap and of the power PMU side by side on a machine whose energy is known (tests/tools/simulator), while
 * CPUs work and rest. Skipped where the simulator cannot see what runs.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/time.h"
#include "energy/perf_power_internal.h"
#include "tests/unit/counter_world.h"

/* 10 W and 20 W of each busy CPU; the memory 1 W and 2 W. */
enum { FLOOR_W = 10, CORE_W = 20, WORK_MS = 300 };

static struct simulator {
	pid_t pid;
	int in, out;
	const char *directory;
} simulator;

static bool is_ready(void)
{
	char line[8] = "";

	return read(simulator.out, line, sizeof line - 1) == 6 && strcmp(line, "ready\n") == 0;
}

static void start(const char *directory)
{
	const char *program = getenv("ENERGY_SIMULATOR");
	int in[2], out[2];

	assert_non_null(program);
	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	simulator = (struct simulator){.pid = fork(), .in = in[1], .out = out[0], .directory = directory};
	assert_true(simulator.pid >= 0);
	if (simulator.pid == 0) {
		dup2(in[0], STDIN_FILENO);
		dup2(out[1], STDOUT_FILENO);
		execl(program, program, "--root", directory, "--pmu", "1", "--start-uj", "0", (char *)NULL);
		_exit(127);
	}
	close(in[0]);
	close(out[1]);
}

/* True when it ended well: then the truth is written. */
static bool end_simulator(void)
{
	int status;

	close(simulator.in);
	assert_int_equal(waitpid(simulator.pid, &status, 0), simulator.pid);
	close(simulator.out);
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* What the kernel would do, with the simulator's files. */
static int open_simulated(void *context, uint32_t type, uint64_t config, unsigned cpu)
{
	fw_cleanup_free char *path = fw_printf("%s/perf/%" PRIu64 ".%u", simulator.directory, config, cpu);
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	(void)context;
	assert_int_equal(type, 15);
	return fd >= 0 ? fd : -errno;
}

static int read_simulated(void *context, int fd, uint64_t *count)
{
	char text[32] = "";

	(void)context;
	if (pread(fd, text, sizeof text - 1, 0) <= 0)
		return -EIO;
	*count = strtoull(text, NULL, 10);
	return 0;
}

static void close_simulated(void *context, int fd)
{
	(void)context;
	close(fd);
}

static const struct fw_power_ops simulated = {open_simulated, read_simulated, close_simulated, NULL};

static int open_perf(const struct fw_monitor_context *context, struct fw_monitor **monitor, struct fw_error **err)
{
	return fw_power_open_on(&simulated, context, monitor, err);
}

static void burn(uint64_t ms)
{
	uint64_t until_ns = fw_monotonic_ns() + ms * FW_NS_PER_MS;

	while (fw_monotonic_ns() < until_ns)
		continue;
}

/* Joules of the package until then, between the two lines of the truth that are next to it. */
static double true_joules(uint64_t at_ns)
{
	fw_cleanup_free char *path = fw_printf("%s/truth/packages", simulator.directory);
	FILE *file = fopen(path, "re");
	uint64_t t = 0, t_before = 0;
	double floor_j, dynamic_j, joules = 0, before = 0;

	assert_non_null(file);
	while (t < at_ns && fscanf(file, "%" SCNu64 " 0 %lf %lf", &t, &floor_j, &dynamic_j) == 3) {
		if (t < at_ns) {
			t_before = t;
			before = floor_j + dynamic_j;
		}
		joules = floor_j + dynamic_j;
	}
	fclose(file);
	assert_true(t >= at_ns && t_before > 0);
	return before + (joules - before) * (double)(at_ns - t_before) / (double)(t - t_before);
}

static double worst_lateness_s(void)
{
	fw_cleanup_free char *path = fw_printf("%s/truth/summary", simulator.directory);
	char text[512] = "";
	FILE *file = fopen(path, "re");

	assert_non_null(file);
	assert_true(fread(text, 1, sizeof text - 1, file) > 0);
	fclose(file);
	const char *found = strstr(text, "\"latest_ns\": ");

	assert_non_null(found);
	return strtod(found + strlen("\"latest_ns\": "), NULL) / 1e9;
}

struct reading {
	double joules;
	uint64_t at_ns;
};

static struct reading package_of(struct world *world)
{
	world_read(world);
	const struct fw_domain_reading *reading = world_reading(world, "package-0");

	return (struct reading){reading->joules, reading->before_ns + (reading->after_ns - reading->before_ns) / 2};
}

static void assert_true_between(struct reading begin, struct reading end, double late_j)
{
	double told = end.joules - begin.joules, truth = true_joules(end.at_ns) - true_joules(begin.at_ns);

	print_message("told %.4f J, true %.4f J\n", told, truth);
	assert_true(told > FLOOR_W * WORK_MS / 1e3);
	assert_near(told, truth, late_j);
}

static void both_readers_tell_the_joules_that_were_used(void **state)
{
	fw_cleanup_world struct world powercap = {0}, perf = {0};
	struct fw_monitor_ops on_simulated = fw_monitor_perf;
	struct fw_error *err = NULL;

	(void)state;
	world_init(&powercap);
	world_init(&perf);
	start(powercap.tree.path);
	if (!is_ready()) {
		end_simulator();
		print_message("skipped: the simulator cannot see what runs here\n");
		skip();
	}
	on_simulated.open = open_perf;
	fw_root_close(&perf.root);
	assert_ok(fw_root_open(powercap.tree.path, &perf.root, &err), err);
	world_open(&powercap, &fw_monitor_rapl);
	world_open(&perf, &on_simulated);
	struct reading begin[2] = {package_of(&powercap), package_of(&perf)};

	burn(WORK_MS);
	struct reading end[2] = {package_of(&powercap), package_of(&perf)};

	burn(30); /* what is true is told some milliseconds later */
	assert_true(end_simulator());
	double late_j = 2 * (0.003 + worst_lateness_s()) * (FLOOR_W + CORE_W * (double)sysconf(_SC_NPROCESSORS_ONLN));

	assert_true_between(begin[0], end[0], late_j);
	assert_true_between(begin[1], end[1], late_j);
}

FW_TESTS(both_readers_tell_the_joules_that_were_used)
