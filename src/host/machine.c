/* SPDX-License-Identifier: Apache-2.0
 *
 * What machine this is. Only files are read, so that a fixture tree can be any machine; what they do not tell stays
 * unknown. The CPUs and the memory are those that this process may use: affinity, cpuset, quota and limits of its own
 * control group count, because the engine promises them to workers.
 */
#include "host/machine.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "host/cgroup.h"
#include "host/machine_internal.h"
#include "host/procfs.h"
#include "host/sysfs.h"

static void copy_text(char *out, size_t size, struct fw_str text)
{
	size_t length = text.length < size - 1 ? text.length : size - 1;

	memcpy(out, text.text, length);
	out[length] = '\0';
}

static int number_of(struct fw_str text, const char *key)
{
	int64_t value;

	return fw_key_number(text, key, &value) && value <= INT32_MAX ? (int)value : -1;
}

/* "Intel(R) Xeon(R) Processor @ 2.50GHz": the name tells the base frequency where the kernel does not. */
static double mhz_in_name(const char *name)
{
	const char *at = strrchr(name, '@');
	double ghz = at ? strtod(at + 1, NULL) : 0;

	return ghz > 0.1 && ghz < 10 ? ghz * 1000 : NAN;
}

void fw_machine_parse_cpuinfo(struct fw_str text, struct fw_machine *machine)
{
	struct fw_str value;

	machine->family = number_of(text, "cpu family");
	machine->model = number_of(text, "model");
	machine->stepping = number_of(text, "stepping");
	if (fw_key_text(text, "vendor_id", &value))
		copy_text(machine->vendor, sizeof machine->vendor, value);
	if (fw_key_text(text, "model name", &value))
		copy_text(machine->cpu_model, sizeof machine->cpu_model, value);
	if (fw_key_text(text, "CPU implementer", &value))
		fw_machine_parse_midr(text, machine);
	machine->base_mhz = mhz_in_name(machine->cpu_model);
}

static void mark_online(void *context, unsigned cpu)
{
	struct fw_machine *machine = context;

	machine->cpus[cpu].online = true;
	if (cpu >= machine->cpu_count)
		machine->cpu_count = cpu + 1;
}

static void mark_allowed(void *context, unsigned cpu)
{
	struct fw_machine *machine = context;

	if (machine->cpus[cpu].online && !machine->cpus[cpu].allowed) {
		machine->cpus[cpu].allowed = true;
		machine->cpus_allowed++;
	}
}

static int16_t place_number(const struct fw_root *root, unsigned cpu, const char *name)
{
	int64_t value;

	if (!fw_sysfs_number(root, &value, "sys/devices/system/cpu/cpu%u/topology/%s", cpu, name) || value < 0 ||
	    value > INT16_MAX)
		return -1;
	return (int16_t)value;
}

static bool same_core(const struct fw_cpu_place *a, const struct fw_cpu_place *b)
{
	return a->package == b->package && a->die == b->die && a->core == b->core;
}

/* True when no CPU before it shares its core (or package): each counts once. */
static bool is_first(const struct fw_machine *machine, unsigned cpu, bool of_package)
{
	for (unsigned i = 0; i < cpu; i++)
		if (machine->cpus[i].online &&
		    (of_package ? machine->cpus[i].package == machine->cpus[cpu].package
		                : same_core(&machine->cpus[i], &machine->cpus[cpu])))
			return false;
	return true;
}

static void read_topology(const struct fw_root *root, struct fw_machine *machine)
{
	for (unsigned cpu = 0; cpu < machine->cpu_count; cpu++) {
		struct fw_cpu_place *place = &machine->cpus[cpu];

		place->package = place_number(root, cpu, "physical_package_id");
		place->die = place_number(root, cpu, "die_id");
		place->core = place_number(root, cpu, "core_id");
	}
	for (unsigned cpu = 0; cpu < machine->cpu_count; cpu++) {
		if (!machine->cpus[cpu].online)
			continue;
		machine->threads++;
		machine->packages += is_first(machine, cpu, true);
		machine->cores += machine->cpus[cpu].core < 0 || is_first(machine, cpu, false);
	}
}

static int read_cpus(const struct fw_root *root, struct fw_machine *machine, struct fw_error **err)
{
	char text[4096];
	struct fw_str allowed;
	ssize_t length;

	if (!fw_sysfs_text(root, text, sizeof text, "sys/devices/system/cpu/online") ||
	    !fw_each_in_list(fw_str_of(text), FW_MAX_CPUS, mark_online, machine) || machine->cpu_count == 0)
		return fw_fail(err, FW_E_ABSENT, "sys/devices/system/cpu/online names no CPU");
	read_topology(root, machine);
	length = fw_root_peek(root, "proc/self/status", text, sizeof text);
	if (length < 0 || !fw_key_text((struct fw_str){text, (size_t)length}, "Cpus_allowed_list", &allowed))
		allowed = FW_STR("0-1023"); /* kernels before 2.6.26 do not say: all of them */
	if (!fw_each_in_list(allowed, FW_MAX_CPUS, mark_allowed, machine) || machine->cpus_allowed == 0)
		return fw_fail(err, FW_E_ABSENT, "proc/self/status names no CPU that this process may use");
	return FW_OK;
}

/* A quota of our own control group is all that workers together can get. */
static void respect_own_limits(const struct fw_root *root, struct fw_machine *machine)
{
	struct fw_cgroup_own own;

	fw_cgroup_read_own(root, &own);
	if (own.memory_bytes > 0 && (uint64_t)own.memory_bytes < machine->memory_bytes)
		machine->memory_bytes = (uint64_t)own.memory_bytes;
	if (own.cpus > 0 && own.cpus < machine->cpus_allowed)
		machine->cpus_allowed = own.cpus < 1 ? 1 : (unsigned)own.cpus;
}

static int read_memory(const struct fw_root *root, struct fw_machine *machine, struct fw_error **err)
{
	char text[4096];
	ssize_t length = fw_root_peek(root, "proc/meminfo", text, sizeof text);
	int64_t total;

	if (length < 0 || !fw_key_number((struct fw_str){text, (size_t)length}, "MemTotal", &total) ||
	    total == 0)
		return fw_fail(err, FW_E_ABSENT, "proc/meminfo tells no MemTotal");
	machine->memory_bytes = (uint64_t)total;
	return FW_OK;
}

int fw_machine_read(const struct fw_root *root, struct fw_machine *machine, struct fw_error **err)
{
	struct fw_machine *read = fw_alloc(sizeof *read);
	fw_cleanup_buffer struct fw_buffer cpuinfo;
	int64_t khz;
	int rc;

	fw_buffer_init(&cpuinfo, 8 << 20); /* a thousand CPUs of a few kilobytes each */
	rc = fw_root_read(root, "proc/cpuinfo", &cpuinfo, err);
	if (rc == FW_OK)
		rc = read_cpus(root, read, err);
	if (rc == FW_OK)
		rc = read_memory(root, read, err);
	if (rc == FW_OK) {
		fw_machine_parse_cpuinfo(fw_buffer_str(&cpuinfo), read);
		if (fw_sysfs_number(root, &khz, "sys/devices/system/cpu/cpu0/cpufreq/base_frequency") && khz > 0)
			read->base_mhz = (double)khz / 1000;
		fw_machine_read_system(root, fw_buffer_str(&cpuinfo), read);
		respect_own_limits(root, read);
		*machine = *read;
	}
	free(read);
	return rc == FW_OK ? FW_OK : fw_error_wrap(err, rc, "read what machine this is");
}

json_t *fw_machine_to_json(const struct fw_machine *machine)
{
	json_t *json = json_pack("{s:s, s:s, s:s, s:i, s:i, s:i, s:i, s:I, s:s, s:s}", "cpu_model", machine->cpu_model,
	                         "vendor", machine->vendor, "architecture", machine->architecture, "packages",
	                         (int)machine->packages, "cores", (int)machine->cores, "threads", (int)machine->threads,
	                         "cpus_allowed", (int)machine->cpus_allowed, "memory_bytes",
	                         (json_int_t)machine->memory_bytes, "kernel", machine->kernel, "hypervisor",
	                         machine->hypervisor);

	json_object_set_new(json, "family", machine->family < 0 ? json_null() : json_integer(machine->family));
	json_object_set_new(json, "model", machine->model < 0 ? json_null() : json_integer(machine->model));
	json_object_set_new(json, "base_mhz", fw_json_real(machine->base_mhz));
	return json;
}
