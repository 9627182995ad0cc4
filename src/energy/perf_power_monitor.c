/* SPDX-License-Identifier: Apache-2.0
 *
 * The monitor `perf`: joules by the kernel's power PMU. The kernel sums them in 64 bits and keeps up with the hardware
 * itself, nothing has to be parsed, containers seldom hide it, and CAP_PERFMON is enough. Two caveats are kept: a count
 * that falls is flagged, and so is a time unread in which the kernel itself may have lost count.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/time.h"
#include "energy/perf_power_internal.h"
#include "host/kernel.h"
#include "host/sysfs.h"

static void power_close(struct fw_monitor *power)
{
	if (!power)
		return;
	for (size_t i = 0; i < power->count; i++)
		power->ops->close(power->ops->context, power->events[i].fd);
	for (size_t i = 0; i < power->note_count; i++)
		free(power->notes[i]);
	free(power);
}
FW_DEFINE_CLEANUP(struct fw_monitor *, power_close)

static int explain_missing(const struct fw_monitor_context *context, struct fw_error **err)
{
	const char *hypervisor = context->machine ? context->machine->hypervisor : "";

	if (hypervisor[0])
		return fw_error_hint(err, FW_E_ABSENT, "a virtual machine has none unless its host passes energy counters on; the "
		                     "model stands in");
	if (fw_kernel_option(context->root, "CONFIG_PERF_EVENTS_INTEL_RAPL") == FW_BUILT_NOT)
		return fw_error_hint(err, FW_E_ABSENT, "this kernel was built without CONFIG_PERF_EVENTS_INTEL_RAPL, which is for AMD "
		                     "too: another kernel, or powercap");
	return fw_error_hint(err, FW_E_ABSENT, "modprobe rapl (Intel; AMD since Linux 5.8; on Ubuntu in linux-modules-extra); the "
	                     "kernel needs CONFIG_PERF_EVENTS_INTEL_RAPL");
}

static int explain_refusal(const struct fw_monitor *power, struct fw_error **err)
{
	int error = power->refusal;

	if (error == EACCES || error == EPERM) {
		int64_t paranoid = 0;
		bool is_told = fw_sysfs_number(power->root, &paranoid, "proc/sys/kernel/perf_event_paranoid");

		if (is_told)
			fw_fail(err, FW_E_PERMISSION, "the kernel does not let the power PMU be read: kernel.perf_event_paranoid is %lld",
			        (long long)paranoid);
		else
			fw_fail(err, FW_E_PERMISSION, "the kernel does not let the power PMU be read");
		if (geteuid() == 0)
			return fw_error_hint(err, FW_E_PERMISSION, "a container's profile refuses it even to root: give it CAP_PERFMON "
			                     "(--cap-add PERFMON) and a seccomp profile that allows perf_event_open");
		return fw_error_hint(err, FW_E_PERMISSION, "run as root, or scripts/install-caps (cap_perfmon for flexwatt's "
		                     "file, from Linux 5.8 on), or sysctl kernel.perf_event_paranoid=0");
	}
	if (error == ENOSYS) {
		fw_fail(err, FW_E_ABSENT, "this kernel has no perf events");
		return fw_error_hint(err, FW_E_ABSENT, "a kernel with CONFIG_PERF_EVENTS=y");
	}
	if (error != 0)
		return fw_fail_errno(err, error, "open the event energy-pkg of the power PMU");
	return fw_fail(err, FW_E_ABSENT, "the power PMU counts no package%s%s", power->note_count > 0 ? ": " : "",
	               power->note_count > 0 ? power->notes[0] : "");
}

static bool has_package(const struct fw_monitor *power)
{
	for (size_t i = 0; i < power->count; i++)
		if (power->events[i].domain.kind == FW_DOMAIN_PACKAGE)
			return true;
	return false;
}

int fw_power_open_on(const struct fw_power_ops *ops, const struct fw_monitor_context *context,
                     struct fw_monitor **monitor, struct fw_error **err)
{
	FW_CLEANUP(power_close) struct fw_monitor *power = fw_alloc(sizeof *power);

	power->ops = ops;
	int rc = fw_power_find(context, power, err);
	if (rc != FW_OK)
		return explain_missing(context, err);
	if (!has_package(power))
		return explain_refusal(power, err);
	fw_power_measure(context, power);
	if (!has_package(power)) {
		fw_fail(err, FW_E_ABSENT, "the counts of the power PMU stand still");
		return fw_error_hint(err, FW_E_ABSENT, "a hypervisor that answers for the counters gives nothing; the model stands in");
	}
	for (size_t i = 0; i < power->count; i++)
		power->domains[i] = power->events[i].domain;
	*monitor = FW_TAKE(power);
	return FW_OK;
}

static int power_open(const struct fw_monitor_context *context, struct fw_monitor **monitor, struct fw_error **err)
{
	if (!fw_root_has_sysfs(context->root))
		return fw_fail(err, FW_E_ABSENT, "events are the running kernel's, not those of a tree that stands for a machine");
	return fw_power_open_on(&fw_power_kernel, context, monitor, err);
}

static size_t power_domains(struct fw_monitor *power, const struct fw_domain **domains)
{
	*domains = power->domains;
	return power->count;
}

/* Unread for long: the kernel may have taken a large step for a negative one, or seen the hardware go round. */
static void bound_gap(struct fw_power_event *event, double seconds, double moved_j, struct fw_domain_reading *reading)
{
	if (!(seconds > event->longest_s) || reading->flags & FW_DOMAIN_RESET)
		return;
	reading->flags |= FW_DOMAIN_GAP;
	reading->reason = FW_REASON_LONG_UNREAD;
	event->counter.gaps++;
	event->counter.lost_j += fmax(event->domain.most_w * seconds - moved_j, 0);
	reading->lost_j = event->counter.lost_j;
}

static void read_event(struct fw_monitor *power, struct fw_power_event *event, struct fw_domain_reading *reading)
{
	struct fw_counter *counter = &event->counter;
	uint64_t count, units = counter->units, since_ns = counter->has_raw ? counter->before_ns : UINT64_MAX;
	uint64_t before_ns = fw_monotonic_ns();
	int error = power->ops->read(power->ops->context, event->fd, &count);
	uint64_t after_ns = fw_monotonic_ns();

	if (error == 0) {
		event->tried_ns = 0;
		fw_counter_read(counter, count, before_ns, after_ns, reading);
		if (after_ns > since_ns)
			bound_gap(event, (double)(after_ns - since_ns) / 1e9, (double)(counter->units - units) * event->scale, reading);
	} else {
		fw_counter_miss(counter, before_ns, after_ns, reading);
		reading->reason = fw_domain_reason_of_errno(error);
		if (fw_counter_may_retry(&event->tried_ns, after_ns))
			fw_power_reopen(power, event);
	}
	event->latest = *reading;
}

static void power_read(struct fw_monitor *power, struct fw_domain_reading *readings)
{
	uint64_t now_ns = fw_monotonic_ns();
	bool too_early = power->cores_ns > 0 && now_ns < power->cores_ns + power->cores_least_ns;

	for (size_t i = 0; i < power->count; i++) {
		struct fw_power_event *event = &power->events[i];

		if (event->core >= 0 && too_early) {
			readings[i] = event->latest;
			readings[i].flags &= (unsigned)FW_DOMAIN_GAP; /* what else it tells was told */
		} else {
			read_event(power, event, &readings[i]);
		}
	}
	if (!too_early)
		power->cores_ns = now_ns;
}

static char *power_describe(struct fw_monitor *power)
{
	const struct fw_power_event *package = power->events; /* packages are opened first */
	fw_cleanup_buffer struct fw_buffer out;

	fw_buffer_init(&out, 16384);
	fw_domains_describe(power->domains, power->count, &out);
	fw_buffer_printf(&out, "; counts by %.3g J", package->domain.quantum_j);
	if (package->domain.update_s > 0)
		fw_buffer_printf(&out, " every %.2g ms", package->domain.update_s * 1e3);
	fw_buffer_printf(&out, ", sure within %.0f s at %.0f W", package->longest_s, package->domain.most_w);
	for (size_t i = 0; i < power->note_count; i++)
		fw_buffer_printf(&out, "; %s", power->notes[i]);
	if (power->dram_unit_is_old)
		fw_buffer_text(&out, "; dram is four times too low: this kernel counts it by an older processor's unit; later "
		               "kernels are right");
	return fw_buffer_take(&out);
}

const struct fw_monitor_ops fw_monitor_perf = {
	.name = "perf",
	.method = "perf/1",
	.gives = "energy (measured: package, dram; core, uncore, psys, single cores of AMD shown)",
	.open = power_open,
	.describe = power_describe,
	.domains = power_domains,
	.read = power_read,
	.close = power_close,
};
