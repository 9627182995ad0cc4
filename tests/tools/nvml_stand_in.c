/* SPDX-License-Identifier: Apache-2.0
 *
 * Stands for NVIDIA's management library in tests: its GPUs are lines of a file, read at every call, so that a test changes
 * what the driver says while flexwatt runs. The file is named by NVML_STAND_IN:
 *
 *   init 18                    what the start returns
 *   gpus 2
 *   gpu0.name Stand-in         gpu0.code 15: every question about it is answered so
 *   gpu0.energy 123456         millijoules; gpu0.energy_code 3, gpu0.energy_ms 5: how it answers, and how long it takes
 *   gpu0.steady 40 20          instead: 40 W by the monotonic clock, in steps of 20 ms
 *   gpu0.power 90000           milliwatts, mean; gpu0.instant 80000: of the moment; gpu0.limit 300000
 *   gpu0.process 4711 60 1000  process, percent, time of the sample in microseconds
 *   gpu0.parts 7               divided into so many; gpu0.part1 3 4711: part 1 has 3 slices, held by this process
 *
 * STAND_IN_OLD leaves out what drivers of ten years ago lack, STAND_IN_STRANGE what every one has.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "energy/nvml_library.h"

/* How often the counter was asked. */
unsigned nvml_stand_in_energy_calls;

/* A handle is GPU + 1, and for a part of it 100 x (part + 1) more. */
static unsigned gpu_of(const void *device)
{
	return (unsigned)((uintptr_t)device % 100 - 1);
}

static FILE *open_state(void)
{
	const char *path = getenv("NVML_STAND_IN");

	return path ? fopen(path, "re") : NULL;
}

/* The rest of the line that begins with that word, the `skip`th of them; false when there is none. */
static int line_of(const char *key, unsigned skip, char *text, size_t size)
{
	FILE *state = open_state();
	size_t length = strlen(key);
	int found = 0;
	char line[256];

	while (state && !found && fgets(line, sizeof line, state))
		if (strncmp(line, key, length) == 0 && line[length] == ' ' && skip-- == 0) {
			snprintf(text, size, "%s", line + length + 1);
			text[strcspn(text, "\n")] = '\0';
			found = 1;
		}
	if (state)
		fclose(state);
	return found;
}

static int has(const void *device, const char *key, char *text, size_t size)
{
	char whole[64];

	snprintf(whole, sizeof whole, "gpu%u.%s", gpu_of(device), key);
	return line_of(whole, 0, text, size);
}

static unsigned long long number_of(const void *device, const char *key, unsigned long long fallback)
{
	char text[256];

	return has(device, key, text, sizeof text) ? strtoull(text, NULL, 10) : fallback;
}

static int code_of(const void *device)
{
	return (int)number_of(device, "code", FW_NVML_SUCCESS);
}

/* What the library exports, each with the code that a GPU in trouble answers. */
int nvmlShutdown(void);
const char *nvmlErrorString(int code);
int nvmlDeviceGetCount_v2(unsigned *count);
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **device);
int nvmlDeviceGetPowerUsage(void *device, unsigned *milliwatts);
int nvmlDeviceGetName(void *device, char *name, unsigned size);

#ifndef STAND_IN_STRANGE
int nvmlInit_v2(void);
int nvmlInit_v2(void)
{
	char text[256];

	return line_of("init", 0, text, sizeof text) ? atoi(text) : FW_NVML_SUCCESS;
}
#endif

int nvmlShutdown(void)
{
	return FW_NVML_SUCCESS;
}

const char *nvmlErrorString(int code)
{
	return code == FW_NVML_GPU_IS_LOST ? "GPU is lost" : "Unknown Error";
}

int nvmlDeviceGetCount_v2(unsigned *count)
{
	char text[256];

	*count = line_of("gpus", 0, text, sizeof text) ? (unsigned)atoi(text) : 0;
	return FW_NVML_SUCCESS;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **device)
{
	*device = (void *)(uintptr_t)(index + 1);
	return code_of(*device);
}

int nvmlDeviceGetPowerUsage(void *device, unsigned *milliwatts)
{
	unsigned long long power = number_of(device, "power", UINT64_MAX);

	*milliwatts = (unsigned)power;
	return power == UINT64_MAX ? FW_NVML_NOT_SUPPORTED : code_of(device);
}

int nvmlDeviceGetName(void *device, char *name, unsigned size)
{
	return has(device, "name", name, size) ? code_of(device) : FW_NVML_NOT_SUPPORTED;
}

#ifndef STAND_IN_OLD
int nvmlDeviceGetTotalEnergyConsumption(void *device, unsigned long long *millijoules);
int nvmlDeviceGetFieldValues(void *device, int count, struct fw_nvml_field *fields);
int nvmlDeviceGetEnforcedPowerLimit(void *device, unsigned *milliwatts);
int nvmlDeviceGetProcessUtilization(void *device, struct fw_nvml_use *uses, unsigned *count, unsigned long long since_us);
int nvmlDeviceGetComputeRunningProcesses_v3(void *device, unsigned *count, struct fw_nvml_process *processes);
int nvmlDeviceGetMigMode(void *device, unsigned *current, unsigned *pending);
int nvmlDeviceGetMaxMigDeviceCount(void *device, unsigned *count);
int nvmlDeviceGetMigDeviceHandleByIndex(void *device, unsigned index, void **part);
int nvmlDeviceGetAttributes_v2(void *device, struct fw_nvml_attributes *attributes);

static unsigned part_of(const void *device)
{
	return (unsigned)((uintptr_t)device / 100 - 1);
}

static unsigned long long steady_mj(const char *text)
{
	unsigned long long watts = 0, step_ms = 1, now_ms;
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	now_ms = (unsigned long long)now.tv_sec * 1000 + (unsigned long long)now.tv_nsec / 1000000;
	sscanf(text, "%llu %llu", &watts, &step_ms);
	return now_ms / step_ms * step_ms * watts;
}

int nvmlDeviceGetTotalEnergyConsumption(void *device, unsigned long long *millijoules)
{
	long took_ms = (long)number_of(device, "energy_ms", 0);
	int code = (int)number_of(device, "energy_code", (unsigned)code_of(device));
	char text[256];

	nvml_stand_in_energy_calls++;
	nanosleep(&(struct timespec){.tv_nsec = took_ms * 1000000}, NULL);
	*millijoules = has(device, "steady", text, sizeof text) ? steady_mj(text) : number_of(device, "energy", UINT64_MAX);
	return *millijoules == UINT64_MAX ? FW_NVML_NOT_SUPPORTED : code;
}

int nvmlDeviceGetFieldValues(void *device, int count, struct fw_nvml_field *fields)
{
	for (int i = 0; i < count; i++) {
		unsigned long long value = number_of(device, "instant", UINT64_MAX);

		fields[i].type = FW_NVML_UNSIGNED_INT;
		fields[i].value.int_value = (unsigned)value;
		fields[i].code = fields[i].id != FW_NVML_POWER_INSTANT || value == UINT64_MAX ? FW_NVML_NOT_SUPPORTED
		                                                                              : FW_NVML_SUCCESS;
	}
	return code_of(device);
}

int nvmlDeviceGetEnforcedPowerLimit(void *device, unsigned *milliwatts)
{
	*milliwatts = (unsigned)number_of(device, "limit", 0);
	return code_of(device);
}

int nvmlDeviceGetProcessUtilization(void *device, struct fw_nvml_use *uses, unsigned *count, unsigned long long since_us)
{
	unsigned found = 0, capacity = uses ? *count : 0;
	int code = (int)number_of(device, "use_code", (unsigned)code_of(device));
	char key[64], text[256];

	snprintf(key, sizeof key, "gpu%u.process", gpu_of(device));
	for (unsigned skip = 0; line_of(key, skip, text, sizeof text); skip++) {
		struct fw_nvml_use use = {0};

		if (sscanf(text, "%u %u %llu", &use.pid, &use.sm_percent, &use.time_us) < 2)
			continue;
		if (use.time_us != 0 && use.time_us <= since_us)
			continue;
		if (found < capacity)
			uses[found] = use;
		found++;
	}
	*count = found;
	if (code != FW_NVML_SUCCESS)
		return code;
	return found == 0 ? FW_NVML_NOT_FOUND : found > capacity ? FW_NVML_INSUFFICIENT_SIZE : FW_NVML_SUCCESS;
}

int nvmlDeviceGetMigMode(void *device, unsigned *current, unsigned *pending)
{
	*current = *pending = number_of(device, "parts", 0) > 0;
	return code_of(device);
}

int nvmlDeviceGetMaxMigDeviceCount(void *device, unsigned *count)
{
	*count = (unsigned)number_of(device, "parts", 0);
	return code_of(device);
}

static int part_line(const void *device, unsigned part, char *text, size_t size)
{
	char key[32];

	snprintf(key, sizeof key, "part%u", part);
	return has(device, key, text, size);
}

int nvmlDeviceGetMigDeviceHandleByIndex(void *device, unsigned index, void **part)
{
	char text[256];

	*part = (void *)((uintptr_t)device + 100 * (uintptr_t)(index + 1));
	return part_line(device, index, text, sizeof text) ? code_of(device) : FW_NVML_NOT_FOUND;
}

int nvmlDeviceGetAttributes_v2(void *device, struct fw_nvml_attributes *attributes)
{
	char text[256];

	if (!part_line(device, part_of(device), text, sizeof text))
		return FW_NVML_NOT_SUPPORTED;
	attributes->compute_slices = (unsigned)atoi(text);
	return FW_NVML_SUCCESS;
}

int nvmlDeviceGetComputeRunningProcesses_v3(void *device, unsigned *count, struct fw_nvml_process *processes)
{
	unsigned capacity = *count, slices;
	int used;
	char text[256];

	*count = 0;
	if (!part_line(device, part_of(device), text, sizeof text) || sscanf(text, "%u%n", &slices, &used) != 1)
		return FW_NVML_NOT_SUPPORTED;
	for (const char *rest = text + used; *count < capacity && sscanf(rest, "%u%n", &processes[*count].pid, &used) == 1;
	     rest += used)
		(*count)++;
	return FW_NVML_SUCCESS;
}
#endif
