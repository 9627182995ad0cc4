/* SPDX-License-Identifier: Apache-2.0
 *
 * Which zones are domains and which of these make the machine's total: packages and the dram beside them, each once.
 * core and uncore are within their package; psys holds everything or, on some machines, something else: both are shown
 * and never added. What is left out keeps its reason for `flexwatt monitors`.
 */
#include <math.h>
#include <string.h>

#include "energy/platform.h"
#include "energy/rapl_internal.h"

static struct fw_rapl_zone *parent_of(struct fw_monitor *rapl, const struct fw_rapl_zone *zone)
{
	return zone->parent == FW_RAPL_NO_ZONE ? NULL : &rapl->zones[zone->parent];
}

static bool same_place(const struct fw_rapl_zone *a, const struct fw_rapl_zone *b)
{
	return a->domain.kind == b->domain.kind && a->domain.package == b->domain.package && a->domain.die == b->domain.die &&
	       strcmp(a->domain.name, b->domain.name) == 0;
}

/* The same name in the same package is the same counter, seen through a second driver or a second control type. */
static void leave_out_duplicates(struct fw_monitor *rapl)
{
	for (size_t i = 0; i < rapl->zone_count; i++)
		for (size_t j = 0; j < rapl->zone_count; j++) {
			struct fw_rapl_zone *zone = &rapl->zones[i];
			const struct fw_rapl_zone *other = &rapl->zones[j];
			bool other_first = other->mmio == zone->mmio ? j < i : zone->mmio;

			if (i != j && !zone->left_out && !other->left_out && other_first && same_place(zone, other))
				zone->left_out = zone->mmio ? "the same counter as in intel-rapl" : "a second zone of this name";
		}
}

/* One control type a package: where the package itself comes by intel-rapl, nothing of it comes by mmio. */
static void leave_out_mixed(struct fw_monitor *rapl)
{
	for (size_t i = 0; i < rapl->zone_count; i++) {
		struct fw_rapl_zone *zone = &rapl->zones[i];

		for (size_t j = 0; j < rapl->zone_count && zone->mmio && !zone->left_out; j++) {
			const struct fw_rapl_zone *other = &rapl->zones[j];

			if (!other->mmio && !other->left_out && other->domain.kind == FW_DOMAIN_PACKAGE &&
			    other->domain.package == zone->domain.package)
				zone->left_out = "its package comes by intel-rapl";
		}
	}
}

static void leave_out_amd_cores(const struct fw_machine *machine, struct fw_monitor *rapl)
{
	for (size_t i = 0; i < rapl->zone_count; i++)
		if (fw_platform_is_amd(machine) && rapl->zones[i].domain.kind == FW_DOMAIN_CORE && !rapl->zones[i].left_out)
			rapl->zones[i].left_out = "counts one core alone on this processor";
}

static bool is_root(struct fw_monitor *rapl, const struct fw_rapl_zone *zone)
{
	const struct fw_rapl_zone *parent = parent_of(rapl, zone);

	if (zone->domain.kind == FW_DOMAIN_PACKAGE)
		return !parent;
	return zone->domain.kind == FW_DOMAIN_DRAM && parent && parent->domain.kind == FW_DOMAIN_PACKAGE;
}

static double most_w(const struct fw_monitor_context *context, struct fw_monitor *rapl, const struct fw_rapl_zone *zone)
{
	const struct fw_rapl_zone *parent = parent_of(rapl, zone);

	if (zone->domain.kind == FW_DOMAIN_PSYS)
		return FW_COUNTER_MOST_W;
	double watts = fw_platform_package_most_w(context, zone->limit_w);
	return parent ? fmax(isnan(zone->limit_w) ? 0 : watts, fw_platform_package_most_w(context, parent->limit_w)) : watts;
}

/* The hardware counts in 32 bits: the range tells the unit. */
static double step_uj(const struct fw_rapl_zone *zone)
{
	double step = (double)zone->range / UINT32_MAX;

	return step < 1 ? 1 : step;
}

void fw_rapl_choose(const struct fw_monitor_context *context, struct fw_monitor *rapl)
{
	leave_out_duplicates(rapl);
	leave_out_mixed(rapl);
	leave_out_amd_cores(context->machine, rapl);
	for (size_t i = 0; i < rapl->zone_count; i++) {
		struct fw_rapl_zone *zone = &rapl->zones[i];
		struct fw_domain *domain = &zone->domain;

		if (zone->left_out)
			continue;
		domain->is_root = is_root(rapl, zone);
		domain->is_virtual = zone->range == 0 || !zone->named || (context->machine && context->machine->hypervisor[0]);
		domain->most_w = most_w(context, rapl, zone);
		domain->quantum_j = step_uj(zone) / 1e6;
		rapl->several_psys |= domain->kind == FW_DOMAIN_PSYS && domain->package > 0;
		rapl->dram_unit_is_old |= fw_platform_has_old_dram_unit(context->machine, domain);
	}
}
