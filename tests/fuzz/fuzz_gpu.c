/* SPDX-License-Identifier: Apache-2.0
 *
 * A GPU's driver that answers anything: what it tells of GPUs, joules, watts and processes is any bytes. Joules only rise,
 * nobody works more than there is, and texts stay printable. Sources: src/energy/nvml*.c, bridge.c, counter.c.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "energy/nvml.h"
#include "energy/nvml_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t *input;
static size_t left;

static void check(bool holds)
{
	if (!holds)
		abort();
}

/* The driver's next words; zeros when it has said all. */
static void say(void *memory, size_t size)
{
	size_t told = size < left ? size : left;

	memset(memory, 0, size);
	memcpy(memory, input, told);
	input += told;
	left -= told;
}

static int code(void)
{
	uint8_t word;

	say(&word, 1);
	return word < 200 ? FW_NVML_SUCCESS : word;
}

static const char *error_string(int error)
{
	return error % 2 ? NULL : "an error";
}

static int say_number(void *device, unsigned *number)
{
	(void)device;
	say(number, sizeof *number);
	return code();
}

static int device_count(unsigned *count)
{
	uint8_t few;

	say(&few, 1);
	*count = few % 20;
	return code();
}

static int device_of(unsigned index, void **device)
{
	*device = (void *)(uintptr_t)(index + 1);
	return code();
}

static int name_of(void *device, char *name, unsigned size)
{
	(void)device;
	say(name, size); /* perhaps without an end */
	return code();
}

static int energy_of(void *device, unsigned long long *millijoules)
{
	(void)device;
	say(millijoules, sizeof *millijoules);
	return code();
}

static int fields_of(void *device, int count, struct fw_nvml_field *fields)
{
	(void)device;
	say(fields, (size_t)count * sizeof *fields);
	return code();
}

static int use_of(void *device, struct fw_nvml_use *uses, unsigned *count, unsigned long long since_us)
{
	uint8_t many;

	(void)device;
	(void)since_us;
	say(&many, 1);
	if (uses && many <= *count)
		say(uses, many * sizeof *uses);
	*count = many;
	return code();
}

static int processes_of(void *device, unsigned *count, struct fw_nvml_process *processes)
{
	uint8_t many;

	(void)device;
	say(&many, 1);
	if (many <= *count)
		say(processes, many * sizeof *processes);
	*count = many;
	return code();
}

static int mig_mode(void *device, unsigned *current, unsigned *pending)
{
	(void)device;
	say(current, sizeof *current);
	*pending = 0;
	return code();
}

static int mig_device(void *device, unsigned index, void **part)
{
	*part = (char *)device + index;
	return code();
}

static int attributes_of(void *device, struct fw_nvml_attributes *attributes)
{
	(void)device;
	say(attributes, sizeof *attributes);
	return code();
}

static const struct fw_nvml driver = {
	.error_string = error_string, .device_count = device_count, .device = device_of, .power = say_number, .name = name_of,
	.energy = energy_of, .fields = fields_of, .power_limit = say_number, .process_use = use_of,
	.processes = processes_of, .mig_mode = mig_mode, .mig_count = say_number, .mig_device = mig_device,
	.attributes = attributes_of};

static void ask_at_once(struct fw_monitor *monitor)
{
	monitor->look_least_ns = 0;
	for (size_t i = 0; i < monitor->count; i++) {
		monitor->gpus[i].energy_pace.least_ns = monitor->gpus[i].power_pace.least_ns = 0;
		monitor->gpus[i].retry_ns = 0;
	}
}

static void check_work(struct fw_monitor *monitor, double busy_ns[FW_ATTRIBUTION_GPUS])
{
	double now_ns[FW_ATTRIBUTION_GPUS] = {0};

	fw_monitor_nvml_look(monitor, now_ns);
	for (size_t i = 0; i < FW_ATTRIBUTION_GPUS; i++)
		check(now_ns[i] >= busy_ns[i] && isfinite(now_ns[i]));
	memcpy(busy_ns, now_ns, sizeof now_ns);
}

static void check_readings(struct fw_monitor *monitor, double joules[FW_NVML_GPUS], double lost[FW_NVML_GPUS])
{
	struct fw_domain_reading readings[FW_NVML_GPUS];

	fw_monitor_nvml.read(monitor, readings);
	for (size_t i = 0; i < monitor->count; i++) {
		check(isnan(readings[i].joules) ? (readings[i].flags & FW_DOMAIN_GAP) != 0 : readings[i].joules >= joules[i]);
		check(readings[i].lost_j >= lost[i] && readings[i].after_ns >= readings[i].before_ns);
		joules[i] = isnan(readings[i].joules) ? joules[i] : readings[i].joules;
		lost[i] = readings[i].lost_j;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct fw_monitor monitor;
	double busy_ns[FW_ATTRIBUTION_GPUS] = {0}, joules[FW_NVML_GPUS] = {0}, lost[FW_NVML_GPUS] = {0};
	struct fw_error *err = NULL;

	input = data;
	left = size;
	memset(&monitor, 0, sizeof monitor);
	monitor.nvml = driver;
	if (fw_nvml_find(&monitor, &err) != FW_OK) {
		fw_error_free(err);
		return 0;
	}
	char *said = fw_monitor_nvml.describe(&monitor);
	for (const char *c = said; *c; c++)
		check(*c >= ' ' && *c <= '~');
	free(said);
	for (unsigned i = 0; i < 8 && left > 0; i++) {
		ask_at_once(&monitor);
		check_work(&monitor, busy_ns);
		check_readings(&monitor, joules, lost);
	}
	return 0;
}
