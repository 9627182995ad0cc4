/* SPDX-License-Identifier: Apache-2.0
 *
 * Files of the power PMU: pmu.h. Counts are of 2^-32 J and rise by the hardware's step, 2^-14 J, as Linux makes them.
 */
#include "pmu.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "zones.h"

enum { STEP_SHIFT = 18, WIDTH = 20, PATH = 1024 };
#define STEPS_IN_JOULE 16384.0
#define DEVICE "sys/bus/event_source/devices/power"

static bool fail(const char *path)
{
	fprintf(stderr, "energy-simulator: %s: %s\n", path, strerror(errno));
	return false;
}

__attribute__((format(printf, 3, 4))) static bool put(const char *root, const char *name, const char *format, ...)
{
	char path[PATH];
	va_list values;

	snprintf(path, sizeof path, "%s/%s", root, name);
	FILE *file = fopen(path, "we");

	if (!file)
		return fail(path);
	va_start(values, format);
	bool written = vfprintf(file, format, values) > 0;
	va_end(values);
	return (fclose(file) == 0 && written) || fail(path);
}

static bool put_event(const char *root, const char *event, unsigned config)
{
	char name[128], scale[136], unit[136];

	snprintf(name, sizeof name, DEVICE "/events/%s", event);
	snprintf(scale, sizeof scale, "%s.scale", name);
	snprintf(unit, sizeof unit, "%s.unit", name);
	return put(root, name, "event=0x%02x\n", config) && put(root, scale, "2.3283064365386962890625e-10\n") &&
	       put(root, unit, "Joules\n");
}

/* The first CPU of a package, of so many that are shared out in order. */
static unsigned first_cpu(unsigned package, unsigned packages, unsigned cpus)
{
	return (package * cpus + packages - 1) / packages;
}

static bool put_mask(const char *root, unsigned packages, unsigned cpus)
{
	char list[256] = "";

	for (unsigned i = 0; i < packages; i++)
		snprintf(list + strlen(list), sizeof list - strlen(list), "%s%u", i ? "," : "", first_cpu(i, packages, cpus));
	return put(root, DEVICE "/cpumask", "%s\n", list);
}

static bool open_count(struct sim_pmu *pmu, const char *root, unsigned config, unsigned cpu)
{
	char path[PATH];

	snprintf(path, sizeof path, "%s/perf/%u.%u", root, config, cpu);
	pmu->fds[pmu->count] = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0444);
	if (pmu->fds[pmu->count] < 0)
		return fail(path);
	sim_pmu_show(pmu, pmu->count++, 0);
	return true;
}

static bool make_directory(const char *root, const char *name)
{
	char path[PATH];

	snprintf(path, sizeof path, "%s/%s", root, name);
	return sim_make_directories(path);
}

bool sim_pmu_make(struct sim_pmu *pmu, const char *root, unsigned packages, unsigned cpus, bool with_dram)
{
	if (!make_directory(root, DEVICE "/events") || !make_directory(root, DEVICE "/format") || !make_directory(root, "perf"))
		return false;
	if (!put(root, DEVICE "/type", "15\n") || !put(root, DEVICE "/format/event", "config:0-7\n") ||
	    !put_mask(root, packages, cpus) || !put_event(root, "energy-pkg", SIM_PMU_PACKAGE) ||
	    (with_dram && !put_event(root, "energy-ram", SIM_PMU_DRAM)))
		return false;
	for (unsigned i = 0; i < packages * (with_dram ? 2 : 1); i++)
		if (!open_count(pmu, root, i < packages ? SIM_PMU_PACKAGE : SIM_PMU_DRAM, first_cpu(i % packages, packages, cpus)))
			return false;
	return true;
}

void sim_pmu_show(struct sim_pmu *pmu, unsigned number, double joules)
{
	char text[WIDTH + 8];
	int length = snprintf(text, sizeof text, "%-*" PRIu64 "\n", WIDTH, (uint64_t)floor(joules * STEPS_IN_JOULE) << STEP_SHIFT);

	if (pwrite(pmu->fds[number], text, (size_t)length, 0) != length)
		fail("perf");
}
