/* SPDX-License-Identifier: Apache-2.0
 *
 * The monitor `nvml`: joules of NVIDIA GPUs. The counter of a GPU is its truth; between two of its updates, and between
 * two moments at which it may be asked, its power stands in, flagged. A GPU that is lost in the middle of a run leaves a
 * hole, and is asked again each second.
 */
#include "energy/nvml.h"

#include <math.h>
#include <stdlib.h>

#include "base/buffer.h"
#include "base/memory.h"
#include "base/time.h"
#include "energy/nvml_internal.h"

#define RETRY_NS FW_NS_PER_S

static void nvml_close(struct fw_monitor *monitor)
{
	if (!monitor)
		return;
	fw_nvml_close(&monitor->nvml);
	free(monitor);
}
FW_DEFINE_CLEANUP(struct fw_monitor *, nvml_close)

/* A tree that stands for another machine has no GPUs of this one, unless its library is named. */
static int nvml_open(const struct fw_monitor_context *context, struct fw_monitor **monitor, struct fw_error **err)
{
	FW_CLEANUP(nvml_close) struct fw_monitor *fresh = NULL;

	if (!fw_root_has_sysfs(context->root) && !secure_getenv("FLEXWATT_NVML"))
		return fw_fail(err, FW_E_ABSENT, "GPUs are those of the running machine, not of a tree that stands for another");
	fresh = fw_alloc(sizeof *fresh);
	int rc = fw_nvml_open(&fresh->nvml, err);

	if (rc == FW_OK)
		rc = fw_nvml_find(fresh, err);
	if (rc == FW_OK)
		*monitor = FW_TAKE(fresh);
	return rc;
}

static bool is_due(struct fw_nvml_pace *pace, uint64_t now_ns)
{
	if (pace->asked_ns > 0 && now_ns < pace->asked_ns + pace->least_ns)
		return false;
	pace->asked_ns = now_ns;
	return true;
}

/* False: it did not answer. */
static bool ask_power(const struct fw_nvml *nvml, struct fw_nvml_gpu *gpu, uint64_t now_ns)
{
	struct fw_milliwatts power;

	if (!is_due(&gpu->power_pace, now_ns))
		return !isnan(gpu->watts);
	gpu->watts = fw_nvml_power(nvml, gpu, &power) ? fw_watts_of_milli(power) : NAN;
	if (gpu->watts > gpu->sum.most_w)
		gpu->watts = NAN; /* no board draws that: the driver's word for "unknown" */
	return !isnan(gpu->watts);
}

static void read_power(const struct fw_nvml *nvml, struct fw_nvml_gpu *gpu, uint64_t before_ns,
                       struct fw_domain_reading *reading)
{
	bool answered = ask_power(nvml, gpu, before_ns);
	uint64_t after_ns = fw_monotonic_ns();

	if (answered)
		fw_power_sum_read(&gpu->sum, gpu->watts, before_ns, after_ns, reading);
	else
		fw_power_sum_miss(&gpu->sum, before_ns, after_ns, reading);
}

static void ask_counter(const struct fw_nvml *nvml, struct fw_nvml_gpu *gpu, uint64_t before_ns)
{
	unsigned long long energy_mj;
	int code = nvml->energy(gpu->device, &energy_mj);
	uint64_t after_ns = fw_monotonic_ns();

	if (code != FW_NVML_SUCCESS) {
		fw_counter_miss(&gpu->counter, before_ns, after_ns, &gpu->latest);
		gpu->retry_ns = after_ns + RETRY_NS;
		return;
	}
	gpu->retry_ns = 0;
	fw_counter_read(&gpu->counter, (struct fw_millijoules){energy_mj}.mj, before_ns, after_ns, &gpu->latest);
	fw_bridge_count(&gpu->bridge, gpu->latest.joules, before_ns + (after_ns - before_ns) / 2);
}

static void read_counter(const struct fw_nvml *nvml, struct fw_nvml_gpu *gpu, uint64_t before_ns,
                         struct fw_domain_reading *reading)
{
	bool is_fresh = is_due(&gpu->energy_pace, before_ns);

	if (is_fresh)
		ask_counter(nvml, gpu, before_ns);
	*reading = gpu->latest;
	if (!is_fresh)
		reading->flags &= (unsigned)FW_DOMAIN_GAP; /* what else it tells was told */
	if (isnan(reading->joules))
		return;
	ask_power(nvml, gpu, before_ns);
	reading->before_ns = before_ns;
	reading->after_ns = fw_monotonic_ns();
	reading->flags |= fw_bridge_tell(&gpu->bridge, gpu->watts, before_ns + (reading->after_ns - before_ns) / 2,
	                                 &reading->joules);
}

static void nvml_read(struct fw_monitor *monitor, struct fw_domain_reading *readings)
{
	for (size_t i = 0; i < monitor->count; i++) {
		struct fw_nvml_gpu *gpu = &monitor->gpus[i];
		uint64_t now_ns = fw_monotonic_ns();

		if (now_ns < gpu->retry_ns) {
			readings[i] = gpu->latest;
			readings[i].before_ns = readings[i].after_ns = now_ns;
		} else if (gpu->has_energy) {
			read_counter(&monitor->nvml, gpu, now_ns, &readings[i]);
		} else {
			read_power(&monitor->nvml, gpu, now_ns, &readings[i]);
		}
		if (gpu->is_blind) {
			readings[i].flags |= FW_DOMAIN_GAP;
			readings[i].reason = readings[i].reason == FW_REASON_NONE ? FW_REASON_WORK : readings[i].reason;
		}
	}
}

static size_t nvml_domains(struct fw_monitor *monitor, const struct fw_domain **domains)
{
	*domains = monitor->domains;
	return monitor->count;
}

static char *nvml_describe(struct fw_monitor *monitor)
{
	static const char *const sharing[] = {
		[FW_NVML_UNSHARED] = "its driver does not tell processes apart: all of it is the system's",
		[FW_NVML_BY_USE] = "shared by the use of its processes",
		[FW_NVML_BY_PARTS] = "divided (MIG): shared by the parts that processes hold",
	};
	fw_cleanup_buffer struct fw_buffer out;

	fw_buffer_init(&out, 16384);
	for (size_t i = 0; i < monitor->count; i++) {
		const struct fw_nvml_gpu *gpu = &monitor->gpus[i];

		fw_buffer_printf(&out, "%s%s %s: %s, %s", i > 0 ? "; " : "", monitor->domains[i].name, gpu->name,
		                 gpu->has_energy ? "a counter" : "from power", sharing[gpu->sharing]);
	}
	if (monitor->without > 0)
		fw_buffer_printf(&out, "; without %u more: %s", monitor->without, monitor->why);
	return fw_buffer_take(&out);
}

const struct fw_monitor_ops fw_monitor_nvml = {
	.name = "nvml",
	.method = "nvml/1",
	.gives = "energy (measured: NVIDIA GPUs, by process)",
	.open = nvml_open,
	.describe = nvml_describe,
	.meter = fw_nvml_meter,
	.unmeter = fw_nvml_unmeter,
	.domains = nvml_domains,
	.read = nvml_read,
	.close = nvml_close,
};
