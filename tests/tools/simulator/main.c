/* SPDX-License-Identifier: Apache-2.0
 *
 * energy-simulator: a machine whose counters of energy can be known. It shows a powercap tree below a directory, advances
 * it by a power model (model.h) and by what really ran on this machine's CPUs (switches.h), and writes beside it
 * who truly used the joules (truth.h). A reader that takes that directory for "/" can be judged to the joule.
 *
 *     energy-simulator --root DIR [options]
 *
 * It prints "ready" when counters move. Commands come by standard input, one a line, each answered by "ok" or
 * "no": ACTION ZONE (zones.h), "watch PID NAME", "flush". The end of input ends it.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "simulator.h"

/* Counters show what was a moment ago, as hardware's do. A switch that perf has yet to write of then (a hypervisor can take a
 * CPU away in between) is missing from them until the next update; what is told as true waits for it. */
enum { LAG_NS = 50000, SETTLED_NS = 8000000, ROUND = 8 /* updates between two looks at commands and at what has settled */ };

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void wait_until(uint64_t at_ns)
{
	struct timespec at = {(time_t)(at_ns / 1000000000), (long)(at_ns % 1000000000)};

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) == EINTR)
		continue;
}

/* ---- who ran ---- */

static unsigned package_of(const struct simulator *sim, unsigned cpu)
{
	return cpu * sim->packages / sim->switches.cpu_count;
}

static void ran(void *context, unsigned cpu, unsigned tree, uint64_t from_ns, uint64_t to_ns)
{
	struct simulator *sim = context;

	if (from_ns < sim->begin_ns)
		from_ns = sim->begin_ns;
	while (from_ns < to_ns) { /* a line for each frequency */
		uint64_t next = sim_next_step(&sim->model, from_ns - sim->begin_ns);
		uint64_t end = next != UINT64_MAX && sim->begin_ns + next < to_ns ? sim->begin_ns + next : to_ns;
		double weighted = sim_weighted_s(&sim->model, from_ns - sim->begin_ns, end - sim->begin_ns);

		sim->busy_s[package_of(sim, cpu)] += weighted;
		sim->truth.cpu_s[tree] += (double)(end - from_ns) / 1e9;
		sim->truth.dynamic_j[tree] += weighted * sim->model.package.core;
		if (tree != SIM_REST)
			fprintf(sim->truth.ran, "%u %u %" PRIu64 " %" PRIu64 " %.9g\n", tree, cpu, from_ns, end,
			        sim->model.package.core * sim_factor(&sim->model, from_ns - sim->begin_ns));
		from_ns = end;
	}
}

static void runs(void *context, unsigned cpu, uint64_t from_ns, uint64_t to_ns)
{
	struct simulator *sim = context;

	if (from_ns < sim->begin_ns)
		from_ns = sim->begin_ns;
	if (from_ns < to_ns)
		sim->ahead_s[package_of(sim, cpu)] += sim_weighted_s(&sim->model, from_ns - sim->begin_ns, to_ns - sim->begin_ns);
}

static void named(void *context, unsigned tree, uint64_t at_ns, const char *name)
{
	struct simulator *sim = context;

	fprintf(sim->truth.names, "%u %" PRIu64 " %.15s\n", tree, at_ns, name);
}

/* ---- counters ---- */

/* Now, as counters show it. */
static double zone_joules(const struct simulator *sim, unsigned number)
{
	const struct sim_watts *watts = number < sim->packages ? &sim->model.package : &sim->model.dram;
	unsigned package = number % sim->packages;

	return watts->floor * sim->now_s + watts->core * (sim->busy_s[package] + sim->ahead_s[package]);
}

static void settle(struct simulator *sim, uint64_t until_ns)
{
	if (until_ns <= sim->begin_ns)
		return;
	sim_switches_advance(&sim->switches, until_ns);
	for (unsigned i = 0; i < sim->packages; i++) {
		sim->truth.package_floor_j[i] = sim->model.package.floor * (double)(until_ns - sim->begin_ns) / 1e9;
		sim->truth.package_dynamic_j[i] = sim->model.package.core * sim->busy_s[i];
		fprintf(sim->truth.packages, "%" PRIu64 " %u %.9f %.9f\n", until_ns, i, sim->truth.package_floor_j[i],
		        sim->truth.package_dynamic_j[i]);
	}
	sim->truth.end_ns = until_ns;
}

static void show(struct simulator *sim, uint64_t at_ns)
{
	memset(sim->ahead_s, 0, sizeof sim->ahead_s);
	sim_switches_look_ahead(&sim->switches, at_ns);
	sim->now_s = (double)(at_ns - sim->begin_ns) / 1e9;
	for (unsigned i = 0; i < sim->zone_count; i++)
		sim_zone_show(&sim->zones[i], zone_joules(sim, i));
	for (unsigned i = 0; i < sim->pmu.count; i++)
		sim_pmu_show(&sim->pmu, i, zone_joules(sim, i));
	sim->truth.updates++;
}

/* All that was until now is told, and counters show it. */
static void catch_up(struct simulator *sim)
{
	uint64_t now = now_ns();

	wait_until(now + SETTLED_NS);
	settle(sim, now);
	show(sim, now);
}

static void name_zone(struct sim_zone *zone, const char *root, unsigned package, bool is_dram)
{
	char package_entry[24], entry[sizeof zone->entry];

	snprintf(package_entry, sizeof package_entry, "intel-rapl:%u", package);
	snprintf(entry, sizeof entry, "%s%s", package_entry, is_dram ? ":0" : "");
	snprintf(zone->path, sizeof zone->path, "%s/sys/devices/virtual/powercap/intel-rapl/%s%s%s", root, package_entry,
	         is_dram ? "/" : "", is_dram ? entry : "");
	memcpy(zone->entry, entry, sizeof entry);
	if (is_dram)
		snprintf(zone->name, sizeof zone->name, "dram");
	else
		snprintf(zone->name, sizeof zone->name, "package-%u", package);
}

/* Packages first, in the order of their numbers, then the memory of each. */
static bool make_zones(struct simulator *sim)
{
	bool with_dram = sim->model.dram.floor > 0 || sim->model.dram.core > 0;

	sim->zone_count = sim->packages * (with_dram ? 2 : 1);
	for (unsigned i = 0; i < sim->zone_count; i++) {
		struct sim_zone *zone = &sim->zones[i];
		const struct sim_watts *watts = i < sim->packages ? &sim->model.package : &sim->model.dram;

		zone->counter = sim->counter;
		zone->most_w = 2 * (watts->floor + watts->core * (double)sim->switches.cpu_count);
		name_zone(zone, sim->root, i % sim->packages, i >= sim->packages);
		if (!sim_zone_make(zone, sim->root))
			return false;
	}
	return true;
}

static bool make_pmu(struct simulator *sim)
{
	return !sim->with_pmu || sim_pmu_make(&sim->pmu, sim->root, sim->packages, sim->switches.cpu_count,
	                                      sim->zone_count > sim->packages);
}

/* ---- commands ---- */

static bool carry_out(struct simulator *sim, const char *command)
{
	char action[16], target[64], name[64];
	int pid;

	if (strcmp(command, "flush") == 0) {
		sim_truth_flush(&sim->truth);
		return true;
	}
	if (sscanf(command, "watch %d %63s", &pid, name) == 2) {
		catch_up(sim); /* forks of before must be known, or they would take the name away again */
		return sim_switches_watch(&sim->switches, pid, name);
	}
	if (sscanf(command, "%15s %63s", action, target) != 2)
		return false;
	for (unsigned i = 0; i < sim->zone_count; i++)
		if (strcmp(sim->zones[i].entry, target) == 0)
			return sim_zone_act(&sim->zones[i], action, zone_joules(sim, i));
	return false;
}

/* False at the end of input. */
static bool serve(struct simulator *sim)
{
	ssize_t got = read(STDIN_FILENO, sim->command + sim->command_length, sizeof sim->command - 1 - sim->command_length);

	if (got <= 0)
		return got < 0 && (errno == EAGAIN || errno == EINTR);
	sim->command_length += (size_t)got;
	sim->command[sim->command_length] = '\0';
	for (char *end; (end = strchr(sim->command, '\n'));) {
		*end = '\0';
		printf("%s\n", carry_out(sim, sim->command) ? "ok" : "no");
		fflush(stdout);
		sim->command_length -= (size_t)(end + 1 - sim->command);
		memmove(sim->command, end + 1, sim->command_length + 1);
	}
	return sim->command_length < sizeof sim->command - 1;
}

/* ---- the loop ---- */

/* A late counter is a wrong one: before all others where that is permitted. */
static void hurry(void)
{
	if (sched_setscheduler(0, SCHED_FIFO, &(struct sched_param){.sched_priority = 1}) != 0)
		setpriority(PRIO_PROCESS, 0, -20);
}

/* False when a record was lost. */
static bool run(struct simulator *sim)
{
	uint64_t next = now_ns();

	while (sim->truth.updates % ROUND != 0 || serve(sim)) {
		next += sim->update_ns;
		uint64_t jitter = sim->jitter_ns ? (uint64_t)random() % sim->jitter_ns : 0;
		uint64_t due = next + jitter;

		wait_until(due);
		uint64_t now = now_ns();

		if (now > next + 10 * sim->update_ns)
			next = now; /* held up: no burst of updates afterwards */
		if (sim->truth.updates % ROUND == 0)
			settle(sim, now - SETTLED_NS);
		show(sim, now - LAG_NS);
		uint64_t late = now_ns() - due;

		if (late > sim->truth.latest_ns)
			sim->truth.latest_ns = late;
		if (sim->switches.lost > 0) {
			fprintf(stderr, "energy-simulator: perf has dropped records: what is true is unknown\n");
			return false;
		}
	}
	return true;
}

int main(int count, char **arguments)
{
	static struct simulator sim = {
		.prefix = "fw-",
		.packages = 1,
		.model = {.package = {10, 20}, .dram = {1, 2}},
		.counter = {.unit_nj = 61035, .bits = 32, .start_uj = 1000000},
		.update_ns = 1000000,
		.jitter_ns = 50000,
	};

	if (!sim_options_read(&sim, count, arguments))
		return 2;
	sim.switches.ran = ran;
	sim.switches.runs = runs;
	sim.switches.named = named;
	sim.switches.context = &sim;
	if (!sim_switches_open(&sim.switches, sim.prefix))
		return 3;
	sim.begin_ns = sim.truth.begin_ns = now_ns();
	if (!make_zones(&sim) || !make_pmu(&sim) || !sim_truth_open(&sim.truth, sim.truth_directory))
		return 3;
	fcntl(STDIN_FILENO, F_SETFL, fcntl(STDIN_FILENO, F_GETFL) | O_NONBLOCK);
	hurry();
	printf("ready\n");
	fflush(stdout);
	bool whole = run(&sim);

	catch_up(&sim);
	whole &= sim_truth_close(&sim.truth, &sim.switches, sim.packages);
	sim_switches_close(&sim.switches);
	return whole ? 0 : 1;
}
