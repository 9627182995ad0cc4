/* SPDX-License-Identifier: Apache-2.0
 *
 * The events of the PMUs `power` and `power_core`: which there are, by sysfs, and their opening, once for each CPU that
 * the kernel names as standing for a package, a die or a core. What the CPU stands for is in its topology: neither the
 * order of the mask nor the number of the CPU says it.
 */
#include "energy/perf_power_internal.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/memory.h"
#include "energy/perf_power_names.h"
#include "energy/platform.h"
#include "host/procfs.h"
#include "host/sysfs.h"

#define PMUS "sys/bus/event_source/devices"

/* In this order they are tried. */
static const struct known {
	const char *event;
	enum fw_domain_kind kind;
	bool is_root;
} known_events[] = {
	{"energy-pkg", FW_DOMAIN_PACKAGE, true}, {"energy-ram", FW_DOMAIN_DRAM, true}, {"energy-cores", FW_DOMAIN_CORE, false},
	{"energy-gpu", FW_DOMAIN_UNCORE, false}, {"energy-psys", FW_DOMAIN_PSYS, false},
};
static const struct known core_event = {"energy-core", FW_DOMAIN_CORE, false};

struct pmu {
	const char *name;
	uint32_t type;
	bool on[FW_MAX_CPUS];
};

static int kernel_open(void *context, uint32_t type, uint64_t config, unsigned cpu)
{
	struct perf_event_attr attributes = {.type = type, .size = sizeof attributes, .config = config};
	long fd = syscall(SYS_perf_event_open, &attributes, -1, (int)cpu, -1, (unsigned long)PERF_FLAG_FD_CLOEXEC);

	(void)context;
	return fd < 0 ? -errno : (int)fd;
}

/* An event whose CPU has gone reads as an empty file. */
static int kernel_read(void *context, int fd, uint64_t *count)
{
	uint64_t value;
	ssize_t length = read(fd, &value, sizeof value);

	(void)context;
	if (length < 0)
		return -errno;
	if (length != (ssize_t)sizeof value)
		return length == 0 ? -ENODEV : -EIO;
	*count = value;
	return 0;
}

static void kernel_close(void *context, int fd)
{
	(void)context;
	close(fd);
}

const struct fw_power_ops fw_power_kernel = {kernel_open, kernel_read, kernel_close, NULL};

void fw_power_note(struct fw_monitor *power, const char *format, ...)
{
	va_list arguments;

	if (power->note_count == FW_POWER_NOTES)
		return;
	va_start(arguments, format);
	power->notes[power->note_count++] = fw_vprintf(format, arguments);
	va_end(arguments);
}

static void mark_cpu(void *context, unsigned cpu)
{
	struct pmu *pmu = context;

	pmu->on[cpu] = true;
}

/* Long masks of single cores do not fit a line of sysfs_text: read whole. */
static bool read_mask(const struct fw_root *root, struct pmu *pmu)
{
	char path[96], text[4096];

	memset(pmu->on, 0, sizeof pmu->on);
	snprintf(path, sizeof path, PMUS "/%s/cpumask", pmu->name);
	ssize_t length = fw_root_peek(root, path, text, sizeof text);
	struct fw_str mask = fw_str_trim((struct fw_str){text, length > 0 ? (size_t)length : 0});

	return mask.length > 0 && fw_each_in_list(mask, FW_MAX_CPUS, mark_cpu, pmu);
}

/* FW_OK, FW_E_ABSENT: there is no such PMU, FW_E_INVALID: it is described in words that we do not know. */
static int read_pmu(const struct fw_root *root, const char *name, struct pmu *pmu)
{
	char text[64];

	*pmu = (struct pmu){.name = name};
	if (!fw_sysfs_text(root, text, sizeof text, PMUS "/%s/type", name))
		return FW_E_ABSENT;
	if (!fw_power_type_parse(fw_str_of(text), &pmu->type) ||
	    !fw_sysfs_text(root, text, sizeof text, PMUS "/%s/format/event", name) || !fw_power_format_parse(fw_str_of(text)))
		return FW_E_INVALID;
	return read_mask(root, pmu) ? FW_OK : FW_E_INVALID;
}

/* FW_OK, FW_E_ABSENT or FW_E_INVALID, as read_pmu(). */
static int read_event(const struct fw_root *root, const struct pmu *pmu, const struct known *known,
                      struct fw_power_event *event)
{
	char code[64], scale[64], unit[64];

	*event = (struct fw_power_event){.pmu = pmu->name, .type = pmu->type, .core = -1, .fd = -1};
	if (!fw_sysfs_text(root, code, sizeof code, PMUS "/%s/events/%s", pmu->name, known->event))
		return FW_E_ABSENT;
	if (!fw_power_event_parse(fw_str_of(code), &event->config) ||
	    !fw_sysfs_text(root, scale, sizeof scale, PMUS "/%s/events/%s.scale", pmu->name, known->event) ||
	    !fw_power_scale_parse(fw_str_of(scale), &event->scale) ||
	    !fw_sysfs_text(root, unit, sizeof unit, PMUS "/%s/events/%s.unit", pmu->name, known->event) ||
	    !fw_power_unit_parse(fw_str_of(unit)))
		return FW_E_INVALID;
	return FW_OK;
}

static const struct fw_cpu_place *place_of(const struct fw_machine *machine, unsigned cpu)
{
	static const struct fw_cpu_place unknown = {-1, -1, -1, false, false};

	return machine && cpu < machine->cpu_count ? &machine->cpus[cpu] : &unknown;
}

/* Several CPUs of one package: each stands for a die, and counters of dies are apart. */
static bool has_dies(const struct fw_machine *machine, const struct pmu *pmu, int package)
{
	unsigned count = 0;

	for (unsigned cpu = 0; cpu < FW_MAX_CPUS; cpu++)
		count += pmu->on[cpu] && place_of(machine, cpu)->package == package;
	return count > 1;
}

static void name_domain(const struct known *known, struct fw_power_event *event)
{
	struct fw_domain *domain = &event->domain;
	size_t size = sizeof domain->name;

	if (event->core >= 0)
		snprintf(domain->name, size, "package-%d-core-%d", domain->package, event->core);
	else if (known->kind != FW_DOMAIN_PACKAGE)
		snprintf(domain->name, size, "%s", fw_domain_kind_names[known->kind]);
	else if (domain->die >= 0)
		snprintf(domain->name, size, "package-%d-die-%d", domain->package, domain->die);
	else
		snprintf(domain->name, size, "package-%d", domain->package < 0 ? 0 : domain->package);
}

static void place_event(const struct fw_machine *machine, const struct pmu *pmu, const struct known *known, unsigned cpu,
                        struct fw_power_event *event)
{
	const struct fw_cpu_place *place = place_of(machine, cpu);
	bool is_core = known == &core_event;

	event->core = is_core ? place->core : -1;
	event->domain = (struct fw_domain){
		.source = "perf", .kind = known->kind, .package = place->package, .gpu = -1, .update_s = NAN, .most_w = NAN,
		.die = !is_core && has_dies(machine, pmu, place->package) ? place->die : -1,
		.is_root = known->is_root, .is_virtual = machine && machine->hypervisor[0]};
	name_domain(known, event);
}

static void open_event(struct fw_monitor *power, const struct pmu *pmu, const struct known *known, unsigned cpu,
                       const struct fw_power_event *found)
{
	struct fw_power_event *event = &power->events[power->count];

	if (power->count == FW_POWER_EVENTS) {
		fw_power_note(power, "without %s of CPU %u: too many counters", known->event, cpu);
		return;
	}
	*event = *found;
	place_event(power->machine, pmu, known, cpu, event);
	event->fd = power->ops->open(power->ops->context, event->type, event->config, cpu);
	if (event->fd >= 0) {
		power->count++;
		return;
	}
	if (known->kind == FW_DOMAIN_PACKAGE)
		power->refusal = -event->fd;
	else
		fw_power_note(power, "without %s of CPU %u: %s", known->event, cpu, strerror(-event->fd));
}

/* AMD's counter is the socket's, also where an older kernel names a CPU for each die, all of which show it. */
static void keep_first_of_package(const struct fw_machine *machine, struct pmu *pmu)
{
	for (unsigned cpu = 0; cpu < FW_MAX_CPUS; cpu++)
		for (unsigned later = cpu + 1; pmu->on[cpu] && later < FW_MAX_CPUS; later++)
			if (place_of(machine, later)->package == place_of(machine, cpu)->package)
				pmu->on[later] = false;
}

static void open_everywhere(struct fw_monitor *power, const struct pmu *pmu, const struct known *known)
{
	struct fw_power_event found;
	int rc = read_event(power->root, pmu, known, &found);

	if (rc == FW_E_INVALID)
		fw_power_note(power, "without %s: its description in sysfs is not understood", known->event);
	for (unsigned cpu = 0; rc == FW_OK && cpu < FW_MAX_CPUS; cpu++)
		if (pmu->on[cpu])
			open_event(power, pmu, known, cpu, &found);
}

static void open_cores(struct fw_monitor *power)
{
	struct pmu pmu;
	unsigned cores = 0;

	if (power->count == 0 || read_pmu(power->root, "power_core", &pmu) != FW_OK)
		return;
	for (unsigned cpu = 0; cpu < FW_MAX_CPUS; cpu++)
		cores += pmu.on[cpu];
	if (cores > FW_POWER_CORES)
		fw_power_note(power, "without the counters of %u single cores: more than %d", cores, FW_POWER_CORES);
	else
		open_everywhere(power, &pmu, &core_event);
}

int fw_power_find(const struct fw_monitor_context *context, struct fw_monitor *power, struct fw_error **err)
{
	bool is_amd = fw_platform_is_amd(context->machine);
	struct pmu pmu;
	int rc = read_pmu(context->root, "power", &pmu);

	power->root = context->root;
	power->machine = context->machine;
	if (rc == FW_E_ABSENT)
		return fw_fail(err, rc, "the kernel has no power PMU: there is no /" PMUS "/power");
	if (rc != FW_OK)
		return fw_fail(err, FW_E_ABSENT, "the kernel's power PMU is described in words that are not understood: "
		               "/" PMUS "/power");
	if (is_amd)
		keep_first_of_package(context->machine, &pmu);
	for (size_t i = 0; i < FW_COUNT_OF(known_events); i++) {
		if (is_amd && known_events[i].kind != FW_DOMAIN_PACKAGE)
			break; /* kernels before 5.17 list events that this processor does not have */
		open_everywhere(power, &pmu, &known_events[i]);
	}
	open_cores(power);
	return FW_OK;
}

void fw_power_reopen(struct fw_monitor *power, struct fw_power_event *event)
{
	struct pmu pmu = {.name = event->pmu};

	if (!read_mask(power->root, &pmu))
		return;
	for (unsigned cpu = 0; cpu < FW_MAX_CPUS; cpu++) {
		const struct fw_cpu_place *place = place_of(power->machine, cpu);

		if (!pmu.on[cpu] || place->package != event->domain.package ||
		    (event->domain.die >= 0 && place->die != event->domain.die) || (event->core >= 0 && place->core != event->core))
			continue;
		int fd = power->ops->open(power->ops->context, event->type, event->config, cpu);

		if (fd < 0)
			continue;
		power->ops->close(power->ops->context, event->fd);
		event->fd = fd;
		return;
	}
}
