/* SPDX-License-Identifier: Apache-2.0
 *
 * Whose work a GPU does. The driver tells, for each of its sample periods, which part of the multiprocessors each process
 * used; a GPU that is divided (MIG) tells of each part only which processes hold it, so that they share what it is of the
 * whole. A process of a worker that has just ended is still known by the list that was made at the look before.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/time.h"
#include "energy/nvml.h"
#include "energy/nvml_internal.h"

#define LOOK_NS (200 * FW_NS_PER_MS)
enum { WORKER_PIDS = 256 };

/* What is kept of one worker. */
struct worker_use {
	uint64_t looks;
	double gpu_ns[FW_ATTRIBUTION_GPUS];
	size_t count;
	pid_t pids[WORKER_PIDS]; /* at the latest look */
};

enum fw_nvml_sharing fw_nvml_sharing_of(const struct fw_nvml *nvml, void *device)
{
	unsigned current = 0, pending = 0, count = 0;

	if (nvml->mig_mode && nvml->mig_mode(device, &current, &pending) == FW_NVML_SUCCESS && current)
		return nvml->mig_count && nvml->mig_device && nvml->attributes && nvml->processes ? FW_NVML_BY_PARTS
		                                                                                 : FW_NVML_UNSHARED;
	if (!nvml->process_use)
		return FW_NVML_UNSHARED;
	int code = nvml->process_use(device, NULL, &count, 0);

	return code == FW_NVML_SUCCESS || code == FW_NVML_NOT_FOUND || code == FW_NVML_INSUFFICIENT_SIZE ? FW_NVML_BY_USE
	                                                                                                 : FW_NVML_UNSHARED;
}

static void add_user(struct fw_nvml_gpu *gpu, unsigned pid, double share)
{
	for (size_t i = 0; i < gpu->user_count; i++)
		if (gpu->users[i].pid == (pid_t)pid) {
			gpu->users[i].share += share;
			return;
		}
	if (gpu->user_count == FW_NVML_USERS) {
		gpu->is_blind = true;
		return;
	}
	gpu->users[gpu->user_count].pid = (pid_t)pid;
	gpu->users[gpu->user_count++].share = share;
}

/* Sample periods since the look before: as many as one process was seen in. */
static size_t periods_of(const struct fw_nvml_use *uses, size_t count)
{
	size_t most = 1;

	for (size_t i = 0; i < count; i++) {
		size_t times = 0;

		for (size_t other = 0; other < count; other++)
			times += uses[other].pid == uses[i].pid;
		most = times > most ? times : most;
	}
	return most;
}

static void look_at_use(struct fw_monitor *monitor, struct fw_nvml_gpu *gpu)
{
	unsigned count = FW_NVML_USES;
	int code = monitor->nvml.process_use(gpu->device, monitor->uses, &count, gpu->since_us);

	if (code == FW_NVML_NOT_FOUND)
		return; /* nobody */
	if (code != FW_NVML_SUCCESS || count > FW_NVML_USES) {
		gpu->is_blind = true;
		return;
	}
	size_t periods = periods_of(monitor->uses, count);

	for (size_t i = 0; i < count; i++) {
		const struct fw_nvml_use *use = &monitor->uses[i];

		if (use->time_us > gpu->since_us)
			gpu->since_us = use->time_us;
		if (use->sm_percent <= 100)
			add_user(gpu, use->pid, use->sm_percent / 100.0 / (double)periods);
		else
			gpu->is_blind = true;
	}
}

static void look_at_part(const struct fw_nvml *nvml, struct fw_nvml_gpu *gpu, void *part, unsigned whole)
{
	struct fw_nvml_process processes[FW_NVML_USERS];
	struct fw_nvml_attributes attributes = {0};
	unsigned count = FW_NVML_USERS;

	if (nvml->attributes(part, &attributes) != FW_NVML_SUCCESS || attributes.compute_slices == 0 ||
	    nvml->processes(part, &count, processes) != FW_NVML_SUCCESS || count > FW_NVML_USERS) {
		gpu->is_blind = true;
		return;
	}
	for (size_t i = 0; i < count; i++)
		add_user(gpu, processes[i].pid, fmin((double)attributes.compute_slices / whole, 1) / count);
}

static void look_at_parts(const struct fw_nvml *nvml, struct fw_nvml_gpu *gpu)
{
	unsigned whole = 0;

	if (nvml->mig_count(gpu->device, &whole) != FW_NVML_SUCCESS) {
		gpu->is_blind = true;
		return;
	}
	for (unsigned i = 0; i < whole && i < FW_NVML_PARTS; i++) {
		void *part;

		if (nvml->mig_device(gpu->device, i, &part) == FW_NVML_SUCCESS)
			look_at_part(nvml, gpu, part, whole);
	}
}

static void look_at(struct fw_monitor *monitor, struct fw_nvml_gpu *gpu)
{
	double sum = 0;

	gpu->user_count = 0;
	gpu->is_blind = false;
	if (gpu->sharing == FW_NVML_BY_USE)
		look_at_use(monitor, gpu);
	else if (gpu->sharing == FW_NVML_BY_PARTS)
		look_at_parts(&monitor->nvml, gpu);
	for (size_t i = 0; i < gpu->user_count; i++)
		sum += gpu->users[i].share;
	gpu->busy_ns += sum * monitor->look_span_ns;
}

void fw_monitor_nvml_look(struct fw_monitor *monitor, double gpu_ns[FW_ATTRIBUTION_GPUS])
{
	uint64_t now_ns = fw_monotonic_ns();

	if (now_ns >= monitor->looked_ns + monitor->look_least_ns) {
		monitor->look_span_ns = monitor->looked_ns ? (double)(now_ns - monitor->looked_ns) : 0;
		monitor->looked_ns = now_ns;
		monitor->looks++;
		for (size_t i = 0; i < monitor->count; i++)
			look_at(monitor, &monitor->gpus[i]);
		uint64_t cost_ns = 100 * (fw_monotonic_ns() - now_ns);

		monitor->look_least_ns = cost_ns > LOOK_NS ? cost_ns : LOOK_NS;
	}
	for (size_t i = 0; i < monitor->count; i++)
		gpu_ns[monitor->domains[i].gpu] = monitor->gpus[i].busy_ns;
}

static bool has_users(const struct fw_monitor *monitor)
{
	for (size_t i = 0; i < monitor->count; i++)
		if (monitor->gpus[i].user_count > 0)
			return true;
	return false;
}

static bool is_among(pid_t pid, const pid_t *pids, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (pids[i] == pid)
			return true;
	return false;
}

static void add_use(const struct fw_monitor *monitor, struct worker_use *use, const pid_t *pids, size_t count)
{
	for (size_t i = 0; i < monitor->count; i++) {
		const struct fw_nvml_gpu *gpu = &monitor->gpus[i];

		for (size_t u = 0; u < gpu->user_count; u++)
			if (is_among(gpu->users[u].pid, pids, count) || is_among(gpu->users[u].pid, use->pids, use->count))
				use->gpu_ns[monitor->domains[i].gpu] += gpu->users[u].share * monitor->look_span_ns;
	}
}

void fw_monitor_nvml_work(struct fw_monitor *monitor, void *state, const struct fw_reading_source *source,
                          const struct fw_metered *worker, double gpu_ns[FW_ATTRIBUTION_GPUS])
{
	struct worker_use *use = state;

	if (use->looks != monitor->looks) {
		pid_t pids[WORKER_PIDS];
		size_t count = 0;

		if (has_users(monitor))
			count = fw_reading_processes(source, worker, pids, WORKER_PIDS);
		count = count < WORKER_PIDS ? count : WORKER_PIDS;
		add_use(monitor, use, pids, count);
		memcpy(use->pids, pids, count * sizeof pids[0]);
		use->count = count;
		use->looks = monitor->looks;
	}
	memcpy(gpu_ns, use->gpu_ns, sizeof use->gpu_ns);
}

void *fw_nvml_meter(struct fw_monitor *monitor, const struct fw_metered *worker)
{
	struct worker_use *use = fw_alloc(sizeof *use);

	(void)worker;
	use->looks = monitor->looks; /* what was before it was metered is not its own */
	return use;
}

void fw_nvml_unmeter(struct fw_monitor *monitor, void *state)
{
	(void)monitor;
	free(state);
}
