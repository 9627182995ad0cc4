/* SPDX-License-Identifier: Apache-2.0
 *
 * The monitor `ebpf`: programs in the kernel tell whose work each CPU does, idle states, and what workers send and
 * receive. It gives no energy: its figures decide to whom measured energy belongs. Where programs cannot be loaded it
 * is off, with the reason; nothing else depends on it.
 */
#include <stdlib.h>

#include "base/log.h"
#include "base/memory.h"
#include "energy/ebpf_internal.h"

struct fw_monitor {
	struct fw_bpf bpf;
	struct fw_work *work;
	struct fw_bpf_history *history;
	bool no_traffic; /* a worker's group could not be watched, which has been told */
};

/* One worker. */
struct metered {
	struct fw_work_key key;
	struct fw_traffic_meter *traffic; /* NULL: not watched */
};

static int ebpf_open(const struct fw_monitor_context *context, struct fw_monitor **monitor, struct fw_error **err)
{
	struct fw_monitor *fresh;
	int rc;

	if (!fw_root_is_live(context->root))
		return fw_fail(err, FW_E_ABSENT, "BPF sees the running kernel only, not a tree that stands for another machine");
	fresh = fw_alloc(sizeof *fresh);
	rc = fw_bpf_load(context->root, &fresh->bpf, err);
	if (rc != FW_OK) {
		free(fresh);
		return rc;
	}
	fresh->work = fw_work_new(&fresh->bpf, context->machine);
	fresh->history = fw_bpf_history_new(&fresh->bpf, context->root);
	*monitor = fresh;
	return FW_OK;
}

static char *ebpf_describe(struct fw_monitor *monitor)
{
	const struct fw_bpf *bpf = &monitor->bpf;
	const int *physical;
	size_t packages = fw_work_packages(monitor->work, &physical);

	return fw_printf("context switches of %u CPUs in %zu package%s%s%s%s%s", bpf->cpu_count, packages,
	                 packages == 1 ? "" : "s", bpf->has_cycles ? ", cycles" : ", no cycle counter",
	                 bpf->has_idle ? ", idle states" : "", bpf->has_frequency ? ", frequency events" : "",
	                 bpf->has_temperature ? ", thermal events" : "");
}

static void ebpf_sample(struct fw_monitor *monitor)
{
	fw_bpf_history_sample(monitor->history);
}

/* Records have no network bytes then: told once, for it is the same for every worker. */
static void watch_traffic(struct fw_monitor *monitor, const struct fw_metered *worker, struct metered *metered)
{
	fw_cleanup_error struct fw_error *err = NULL;
	int rc = fw_traffic_meter_new(&monitor->bpf, worker, metered->key.slot, &metered->traffic, &err);

	if (rc == FW_OK || rc == FW_E_ABSENT || monitor->no_traffic)
		return;
	monitor->no_traffic = true;
	fw_warning("the network bytes of workers are not counted: %s", fw_error_message(err));
}

static void *ebpf_meter(struct fw_monitor *monitor, const struct fw_metered *worker)
{
	uint64_t group = worker->cgroup ? fw_work_group_of(fw_cgroup_v2_fd(worker->cgroup)) : 0;
	fw_cleanup_error struct fw_error *err = NULL;
	struct fw_work_key key;
	struct metered *metered;

	if (group == 0 || fw_work_add(monitor->work, group, &key, &err) != FW_OK)
		return NULL;
	metered = fw_alloc(sizeof *metered);
	metered->key = key;
	watch_traffic(monitor, worker, metered);
	return metered;
}

static void ebpf_unmeter(struct fw_monitor *monitor, void *state)
{
	struct metered *metered = state;

	fw_traffic_meter_free(metered->traffic);
	fw_work_remove(monitor->work, metered->key);
	free(metered);
}

static void ebpf_count(struct fw_monitor *monitor, void *state, bool edge, struct fw_reading *reading)
{
	const struct metered *metered = state;

	(void)edge; /* costs no system call */
	fw_ebpf_count_work(monitor->work, metered->key, reading);
	if (metered->traffic)
		fw_traffic_meter_read(metered->traffic, reading);
}

static int64_t difference(int64_t begin, int64_t end)
{
	return begin < 0 || end < begin ? FW_NULL_INT : end - begin;
}

void fw_ebpf_count_work(struct fw_work *work, struct fw_work_key key, struct fw_reading *reading)
{
	struct fw_work_sum sums[FW_WORK_PACKAGES];
	const int *physical;

	if (!fw_work_read(work, key, sums))
		return;
	reading->work_ns = 0;
	reading->work_cycles = fw_work_has_cycles(work) ? 0 : -1;
	for (size_t i = 0; i < fw_work_packages(work, &physical); i++) {
		reading->work_ns += (int64_t)sums[i].ns;
		if (reading->work_cycles >= 0)
			reading->work_cycles += (int64_t)sums[i].cycles;
	}
}

void fw_ebpf_attribute_cycles(const struct fw_interval *interval, struct fw_record *record)
{
	const struct fw_reading *begin = &interval->begin, *end = &interval->end;
	int64_t cycles = difference(begin->work_cycles, end->work_cycles);

	if (cycles == FW_NULL_INT || difference(begin->counts[FW_COUNT_CYCLES], end->counts[FW_COUNT_CYCLES]) != FW_NULL_INT)
		return;
	record->cycles = cycles;
	fw_record_flag(&record->flags, "cycles_by_ebpf");
}

static void ebpf_attribute(struct fw_monitor *monitor, const struct fw_interval *interval, struct fw_record *record)
{
	const struct fw_reading *begin = &interval->begin, *end = &interval->end;

	record->network_sent_bytes = difference(begin->network_sent_bytes, end->network_sent_bytes);
	record->network_received_bytes = difference(begin->network_received_bytes, end->network_received_bytes);
	fw_ebpf_attribute_cycles(interval, record);
	fw_bpf_history_fill(monitor->history, begin->before_ns, end->after_ns, record);
}

struct fw_work *fw_monitor_ebpf_work(struct fw_monitor *monitor)
{
	return monitor->work;
}

struct fw_work_key fw_monitor_ebpf_key(const void *state)
{
	return state ? ((const struct metered *)state)->key : (struct fw_work_key){0};
}

static void ebpf_close(struct fw_monitor *monitor)
{
	if (!monitor)
		return;
	fw_bpf_history_free(monitor->history);
	fw_work_free(monitor->work);
	monitor->bpf.unload(&monitor->bpf);
	free(monitor);
}

const struct fw_monitor_ops fw_monitor_ebpf = {
	.name = "ebpf",
	.method = "ebpf/2",
	.gives = "CPU time and cycles by worker and package, idle states, network traffic (no energy)",
	.open = ebpf_open,
	.describe = ebpf_describe,
	.sample = ebpf_sample,
	.meter = ebpf_meter,
	.unmeter = ebpf_unmeter,
	.count = ebpf_count,
	.attribute = ebpf_attribute,
	.close = ebpf_close,
};
