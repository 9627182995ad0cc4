/* SPDX-License-Identifier: Apache-2.0
 *
 * RAPL by powercap: energy of packages, their cores, uncore and DRAM, and of the platform, as the kernel counts them.
 * The kernel knows each processor's units; model-specific registers are never touched here. A reading is one pread of a
 * kept-open descriptor each; a zone that goes away leaves a hole and is looked for again.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/time.h"
#include "energy/rapl_internal.h"
#include "host/kernel.h"

enum { MOST_TOLD = 8 }; /* zones, each by its own words */

static void rapl_close(struct fw_monitor *rapl)
{
	if (!rapl)
		return;
	for (size_t i = 0; i < rapl->zone_count; i++)
		if (rapl->zones[i].fd >= 0)
			close(rapl->zones[i].fd);
	if (rapl->stat_fd >= 0)
		close(rapl->stat_fd);
	free(rapl);
}
FW_DEFINE_CLEANUP(struct fw_monitor *, rapl_close)

static int explain_missing(const struct fw_monitor_context *context, struct fw_error **err)
{
	const char *hypervisor = context->machine ? context->machine->hypervisor : "";

	if (hypervisor[0])
		return fw_error_hint(err, FW_E_ABSENT, "a virtual machine sees no energy counters unless its host passes them on "
		                     "(QEMU 9.1: -accel kvm,rapl=true); the model stands in");
	if (fw_kernel_option(context->root, "CONFIG_INTEL_RAPL") == FW_BUILT_NOT)
		return fw_error_hint(err, FW_E_ABSENT, "this kernel was built without CONFIG_INTEL_RAPL, which is for AMD too: another "
		                     "kernel, or the power PMU");
	return fw_error_hint(err, FW_E_ABSENT, "modprobe intel_rapl_msr (Intel, AMD since Linux 5.11) or intel_rapl_tpmi; the "
	                     "kernel needs CONFIG_POWERCAP and CONFIG_INTEL_RAPL");
}

static int explain_refused(const struct fw_root *root, const struct fw_rapl_zone *zone, struct fw_error **err)
{
	fw_fail(err, FW_E_PERMISSION, "read /sys/class/powercap/%s/energy_uj: not permitted; the kernel shows it to root alone",
	        zone->entry);
	if (geteuid() == 0)
		return fw_error_hint(err, FW_E_PERMISSION, "a container's profile refuses it even to root: mount the host's /sys read-only at "
		                     "/host/sys and give --counters-root /host; or use the power PMU with CAP_PERFMON");
	if (!fw_root_is_live(root)) /* no capability is used for files that the user names */
		return fw_error_hint(err, FW_E_PERMISSION, "files below --counters-root are read as the user: run as root, or chmod a+r energy_uj");
	return fw_error_hint(err, FW_E_PERMISSION, "run as root, or scripts/install-caps (cap_dac_read_search for "
	                     "flexwatt's file), or let a udev rule "
	                     "chmod a+r energy_uj; the power PMU needs only CAP_PERFMON or kernel.perf_event_paranoid=0");
}

/* No package among the domains: why, by what stands most in the way. */
static int explain(const struct fw_monitor_context *context, const struct fw_monitor *rapl, struct fw_error **err)
{
	for (size_t i = 0; i < rapl->zone_count; i++)
		if (rapl->zones[i].refused)
			return explain_refused(context->root, &rapl->zones[i], err);
	if (rapl->masked > 0) {
		fw_fail(err, FW_E_ABSENT, "powercap is masked: %zu zones are listed in /sys/class/powercap and not there", rapl->masked);
		return fw_error_hint(err, FW_E_ABSENT, "containers mask /sys/devices/virtual/powercap: mount the host's /sys read-only at "
		                     "/host/sys and give --counters-root /host; or use the power PMU with CAP_PERFMON");
	}
	if (rapl->zone_count > 0)
		return fw_fail(err, FW_E_ABSENT, "none of %zu zones of powercap is a package that can be read: %s: %s",
		               rapl->zone_count, rapl->zones[0].domain.name,
		               rapl->zones[0].left_out ? rapl->zones[0].left_out : "not a package");
	fw_fail(err, FW_E_ABSENT, "powercap has no zone of RAPL");
	return explain_missing(context, err);
}

/* A package that is there and tells nothing, by no other zone either. */
static const struct fw_rapl_zone *unread_package(const struct fw_monitor *rapl)
{
	for (size_t i = 0; i < rapl->zone_count; i++) {
		const struct fw_rapl_zone *zone = &rapl->zones[i];
		bool is_read = !zone->unread || zone->domain.kind != FW_DOMAIN_PACKAGE || zone->parent != FW_RAPL_NO_ZONE;

		for (size_t d = 0; d < rapl->domain_count && !is_read; d++)
			is_read = rapl->domains[d].kind == FW_DOMAIN_PACKAGE && rapl->domains[d].package == zone->domain.package &&
			          rapl->domains[d].die == zone->domain.die;
		if (!is_read)
			return zone;
	}
	return NULL;
}

/* Joules of the other packages would pass for the machine's. */
static int explain_part(const struct fw_root *root, const struct fw_rapl_zone *zone, struct fw_error **err)
{
	if (zone->refused)
		return fw_error_wrap(err, explain_refused(root, zone, err), "%s is missing, and a sum without it is no machine's", zone->domain.name);
	fw_fail(err, FW_E_IO, "%s is missing, and a sum without it is no machine's: /sys/class/powercap/%s/energy_uj cannot be read",
	        zone->domain.name, zone->entry);
	return fw_error_hint(err, FW_E_IO, "cat that file tells what the kernel says; the power PMU (monitor perf) or the model stands in");
}

static bool list_domains(struct fw_monitor *rapl)
{
	bool package = false;

	for (size_t i = 0; i < rapl->zone_count; i++) {
		struct fw_rapl_zone *zone = &rapl->zones[i];
		struct fw_counter_limits limits = {1e-6, zone->range, zone->domain.quantum_j * 1e6, zone->domain.most_w,
		                                   zone->domain.update_s};

		if (zone->left_out)
			continue;
		fw_counter_init(&zone->counter, &limits);
		zone->joules = zone->gate_j = NAN;
		zone->number = rapl->domain_count;
		rapl->zone_of[rapl->domain_count] = (int)i;
		rapl->domains[rapl->domain_count++] = zone->domain;
		package |= zone->domain.is_root && zone->domain.kind == FW_DOMAIN_PACKAGE;
	}
	return package;
}

static int rapl_open(const struct fw_monitor_context *context, struct fw_monitor **monitor, struct fw_error **err)
{
	FW_CLEANUP(rapl_close) struct fw_monitor *rapl = fw_alloc(sizeof *rapl);

	rapl->root = context->root;
	rapl->stat_fd = -1;
	int rc = fw_rapl_find(context->root, rapl, err);
	if (rc != FW_OK)
		return rc == FW_E_ABSENT ? explain_missing(context, err) : rc;
	fw_rapl_choose(context, rapl);
	fw_rapl_measure(rapl);
	if (!list_domains(rapl))
		return explain(context, rapl, err);
	const struct fw_rapl_zone *unread = unread_package(rapl);

	if (unread)
		return explain_part(context->root, unread, err);
	rapl->stat_fd = fw_root_open_file(context->root, "proc/stat");
	*monitor = FW_TAKE(rapl);
	return FW_OK;
}

static size_t rapl_domains(struct fw_monitor *rapl, const struct fw_domain **domains)
{
	*domains = rapl->domains;
	return rapl->domain_count;
}

static void read_zone(const struct fw_root *root, struct fw_rapl_zone *zone, struct fw_domain_reading *reading)
{
	uint64_t before_ns = fw_monotonic_ns(), raw;
	int errnum = fw_rapl_zone_read(zone, &raw);
	uint64_t after_ns = fw_monotonic_ns();

	if (errnum == FW_OK) {
		zone->tried_ns = 0;
		fw_counter_read(&zone->counter, raw, before_ns, after_ns, reading);
		return;
	}
	fw_counter_miss(&zone->counter, before_ns, after_ns, reading);
	reading->reason = fw_domain_reason_of_errno(errnum);
	if (fw_counter_may_retry(&zone->tried_ns, after_ns))
		fw_rapl_zone_reopen(root, zone);
}

static void rapl_read(struct fw_monitor *rapl, struct fw_domain_reading *readings)
{
	for (size_t d = 0; d < rapl->domain_count; d++)
		read_zone(rapl->root, &rapl->zones[rapl->zone_of[d]], &readings[d]);
	fw_rapl_judge(rapl, readings);
}

static void describe_counters(const struct fw_monitor *rapl, struct fw_buffer *out)
{
	size_t first = 0;

	while (!rapl->domains[first].is_root)
		first++; /* there is one, or it had not been opened */
	const struct fw_domain *domain = &rapl->domains[first];
	double longest_s = fw_counter_longest_s(&rapl->zones[rapl->zone_of[first]].counter.limits);

	fw_buffer_printf(out, "; counts by %.3g J", domain->quantum_j);
	if (rapl->update_s > 0)
		fw_buffer_printf(out, " every %.2g ms", rapl->update_s * 1e3);
	else
		fw_buffer_text(out, ", did not move while it was opened");
	if (isfinite(longest_s))
		fw_buffer_printf(out, ", goes round in %.0f s at %.0f W", longest_s, domain->most_w);
}

static void describe_zone(const struct fw_monitor *rapl, const struct fw_rapl_zone *zone, struct fw_buffer *out)
{
	if (zone->left_out)
		fw_buffer_printf(out, "; without %s %s: %s", zone->entry, zone->domain.name, zone->left_out);
	else if (zone->mirror_of != FW_RAPL_NO_ZONE)
		fw_buffer_printf(out, "; %s shows the counter of %s and is not added", zone->domain.name,
		                 rapl->zones[zone->mirror_of].domain.name);
	else if (zone->range == 0)
		fw_buffer_printf(out, "; %s tells no range: taken as 64 bits, lower grade", zone->domain.name);
	if (atomic_load(&zone->rejected))
		fw_buffer_printf(out, "; %s is left out: %s", zone->domain.name,
		                 zone->domain.kind == FW_DOMAIN_PSYS ? "it counts less than its packages"
		                                                     : "it stands still while CPUs work");
}

static bool has_note(const struct fw_rapl_zone *zone)
{
	return zone->left_out || zone->mirror_of != FW_RAPL_NO_ZONE || zone->range == 0 || atomic_load(&zone->rejected);
}

/* Nobody reads on after a few. */
static void describe_zones(const struct fw_monitor *rapl, struct fw_buffer *out)
{
	size_t noted = 0;

	for (size_t i = 0; i < rapl->zone_count; i++)
		if (has_note(&rapl->zones[i]) && noted++ < MOST_TOLD)
			describe_zone(rapl, &rapl->zones[i], out);
	if (noted > MOST_TOLD)
		fw_buffer_printf(out, "; the like of %zu more", noted - MOST_TOLD);
	if (rapl->unlisted > 0)
		fw_buffer_printf(out, "; without %zu more zones", rapl->unlisted);
	if (rapl->dram_unit_is_old)
		fw_buffer_text(out, "; dram is four times too low: this kernel counts it by an older processor's unit; later "
		               "kernels are right");
}

static char *rapl_describe(struct fw_monitor *rapl)
{
	fw_cleanup_buffer struct fw_buffer out;

	fw_buffer_init(&out, 16384);
	fw_domains_describe(rapl->domains, rapl->domain_count, &out);
	describe_counters(rapl, &out);
	describe_zones(rapl, &out);
	return fw_buffer_take(&out);
}

const struct fw_monitor_ops fw_monitor_rapl = {
	.name = "rapl",
	.method = "rapl/1",
	.gives = "energy (measured: package, dram; core, uncore, psys shown)",
	.open = rapl_open,
	.describe = rapl_describe,
	.domains = rapl_domains,
	.read = rapl_read,
	.close = rapl_close,
};
