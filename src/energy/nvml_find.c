/* SPDX-License-Identifier: Apache-2.0
 *
 * The GPUs of the machine and what each of them can tell: a counter of joules where it has one, else its power; power of
 * the moment where the driver has it, since the usual figure is the mean of a second. What a question costs is measured,
 * and it is asked for a hundredth of the time at most.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/time.h"
#include "energy/nvml_internal.h"

/* The counter's own interval: 20 to 100 ms by what has been measured of it. */
#define ENERGY_UPDATE_S 0.1
/* Use of processes is told of 1/6 to 1 s: slices that are no shorter do not take a working GPU for an idle one. */
#define LEAST_UPDATE_S 0.25
/* Boards exceed what they are told to keep to for moments. */
#define LIMIT_FACTOR 2.0
#define CHEAP_NS 100000

bool fw_nvml_power(const struct fw_nvml *nvml, const struct fw_nvml_gpu *gpu, struct fw_milliwatts *power)
{
	unsigned mean_mw;

	if (gpu->has_instant) {
		struct fw_nvml_field field = {.id = FW_NVML_POWER_INSTANT};

		if (nvml->fields(gpu->device, 1, &field) != FW_NVML_SUCCESS || field.code != FW_NVML_SUCCESS)
			return false;
		if (field.type == FW_NVML_UNSIGNED_INT)
			power->mw = field.value.int_value;
		else if (field.type == FW_NVML_UNSIGNED_LONG || field.type == FW_NVML_UNSIGNED_LONG_LONG)
			power->mw = field.value.long_value;
		else
			return false;
		return true;
	}
	if (nvml->power(gpu->device, &mean_mw) != FW_NVML_SUCCESS)
		return false;
	power->mw = mean_mw;
	return true;
}

static bool ask_energy(const struct fw_nvml *nvml, const struct fw_nvml_gpu *gpu)
{
	unsigned long long energy_mj;

	return nvml->energy && nvml->energy(gpu->device, &energy_mj) == FW_NVML_SUCCESS;
}

static bool ask_power(const struct fw_nvml *nvml, const struct fw_nvml_gpu *gpu)
{
	struct fw_milliwatts power;

	return fw_nvml_power(nvml, gpu, &power);
}

/* The least of three: we may not have run in between. */
static bool answers(const struct fw_nvml *nvml, const struct fw_nvml_gpu *gpu,
                    bool (*ask)(const struct fw_nvml *nvml, const struct fw_nvml_gpu *gpu), struct fw_nvml_pace *pace)
{
	uint64_t least_ns = UINT64_MAX;

	for (unsigned i = 0; i < 3 && least_ns > CHEAP_NS; i++) {
		uint64_t began_ns = fw_monotonic_ns();

		if (!ask(nvml, gpu))
			return false;
		uint64_t took_ns = fw_monotonic_ns() - began_ns;
		least_ns = took_ns < least_ns ? took_ns : least_ns;
	}
	pace->least_ns = 100 * least_ns;
	return true;
}

static bool power_answers(const struct fw_nvml *nvml, struct fw_nvml_gpu *gpu)
{
	gpu->has_instant = nvml->fields != NULL;
	if (gpu->has_instant && answers(nvml, gpu, ask_power, &gpu->power_pace))
		return true;
	gpu->has_instant = false;
	return answers(nvml, gpu, ask_power, &gpu->power_pace);
}

static void set_domain(const struct fw_nvml *nvml, const struct fw_nvml_gpu *gpu, unsigned index, struct fw_domain *domain)
{
	uint64_t least_ns = gpu->has_energy ? gpu->energy_pace.least_ns : gpu->power_pace.least_ns;
	unsigned limit_mw;

	*domain = (struct fw_domain){.source = "nvml", .kind = FW_DOMAIN_GPU, .package = -1, .die = -1, .gpu = (int)index,
	                             .quantum_j = 1e-3, .most_w = FW_COUNTER_MOST_W, .is_root = true,
	                             .is_unshared = gpu->sharing == FW_NVML_UNSHARED};
	snprintf(domain->name, sizeof domain->name, "gpu-%u", index);
	domain->update_s = fmax(LEAST_UPDATE_S, (double)least_ns / 1e9);
	if (nvml->power_limit && nvml->power_limit(gpu->device, &limit_mw) == FW_NVML_SUCCESS && limit_mw > 0)
		domain->most_w = LIMIT_FACTOR * fw_watts_of_milli((struct fw_milliwatts){limit_mw});
}

static void leave_out(struct fw_monitor *monitor, unsigned index, const char *reason)
{
	if (monitor->without++ == 0)
		snprintf(monitor->why, sizeof monitor->why, "gpu-%u: %s", index, reason);
}

/* Driver text: what is not printable is no part of a name. */
static void read_name(const struct fw_nvml *nvml, struct fw_nvml_gpu *gpu)
{
	if (!nvml->name || nvml->name(gpu->device, gpu->name, sizeof gpu->name) != FW_NVML_SUCCESS)
		gpu->name[0] = '\0';
	gpu->name[sizeof gpu->name - 1] = '\0';
	for (char *c = gpu->name; *c; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
}

static void add_gpu(struct fw_monitor *monitor, unsigned index)
{
	struct fw_nvml_gpu *gpu = &monitor->gpus[monitor->count];
	const struct fw_nvml *nvml = &monitor->nvml;
	struct fw_domain *domain = &monitor->domains[monitor->count];
	int code = nvml->device(index, &gpu->device);

	if (code != FW_NVML_SUCCESS) {
		leave_out(monitor, index, fw_nvml_text(nvml, code));
		return;
	}
	gpu->watts = NAN;
	gpu->has_energy = answers(nvml, gpu, ask_energy, &gpu->energy_pace);
	if (!power_answers(nvml, gpu) && !gpu->has_energy) {
		leave_out(monitor, index, "it tells neither energy nor power");
		return;
	}
	read_name(nvml, gpu);
	gpu->sharing = fw_nvml_sharing_of(nvml, gpu->device);
	set_domain(nvml, gpu, index, domain);
	fw_counter_init(&gpu->counter, &(struct fw_counter_limits){1e-3, 0, 1, domain->most_w, ENERGY_UPDATE_S});
	fw_bridge_init(&gpu->bridge);
	fw_power_sum_init(&gpu->sum, domain->most_w);
	monitor->count++;
}

int fw_nvml_find(struct fw_monitor *monitor, struct fw_error **err)
{
	unsigned count = 0;
	int code = monitor->nvml.device_count(&count);

	if (code != FW_NVML_SUCCESS)
		return fw_fail(err, FW_E_ABSENT, "the NVIDIA driver does not list its GPUs: %s", fw_nvml_text(&monitor->nvml, code));
	if (count == 0) {
		fw_fail(err, FW_E_ABSENT, "the NVIDIA driver runs and has no GPU");
		return fw_error_hint(err, FW_E_ABSENT, "a container sees those that NVIDIA_VISIBLE_DEVICES lets in");
	}
	for (unsigned index = 0; index < count; index++) {
		if (index < FW_NVML_GPUS)
			add_gpu(monitor, index);
		else
			leave_out(monitor, index, "there are too many");
	}
	return monitor->count > 0 ? FW_OK : fw_fail(err, FW_E_ABSENT, "no GPU answers: %s", monitor->why);
}
