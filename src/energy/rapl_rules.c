/* SPDX-License-Identifier: Apache-2.0
 *
 * Which zones are domains and which of these make the machine's total: packages and the dram beside them, each once.
 * core and uncore are within their package; psys holds everything or, on some machines, something else: both are shown
 * and never added. What is left out keeps its reason for `flexwatt monitors`.
 */
#include <math.h>
#include <string.h>

#include "energy/rapl_internal.h"

/* Short peaks of small processors go far beyond what their limits tell; a wrap is still told from a reset by kilojoules. */
#define LEAST_MOST_W 200.0
/* A package of which neither limits nor TDP are known. */
#define UNKNOWN_PACKAGE_W 1000.0

enum { INTEL_FAMILY = 6, SAPPHIRE_RAPIDS = 143, EMERALD_RAPIDS = 207 };

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

static bool is_amd(const struct fw_machine *machine)
{
	return machine && (strcmp(machine->vendor, "AuthenticAMD") == 0 || strcmp(machine->vendor, "HygonGenuine") == 0);
}

static void leave_out_amd_cores(const struct fw_machine *machine, struct fw_monitor *rapl)
{
	for (size_t i = 0; i < rapl->zone_count; i++)
		if (is_amd(machine) && rapl->zones[i].domain.kind == FW_DOMAIN_CORE && !rapl->zones[i].left_out)
			rapl->zones[i].left_out = "counts one core alone on this processor";
}

static bool is_root(struct fw_monitor *rapl, const struct fw_rapl_zone *zone)
{
	const struct fw_rapl_zone *parent = parent_of(rapl, zone);

	if (zone->domain.kind == FW_DOMAIN_PACKAGE)
		return !parent;
	return zone->domain.kind == FW_DOMAIN_DRAM && parent && parent->domain.kind == FW_DOMAIN_PACKAGE;
}

static double package_most_w(const struct fw_monitor_context *context, const struct fw_rapl_zone *zone)
{
	struct fw_processor processor = {0};
	double watts = zone->limit_w;

	if (context->catalogue && context->machine)
		fw_catalogue_processor(context->catalogue, context->machine->cpu_model, context->machine->vendor,
		                       context->machine->family, context->machine->model, &processor);
	if (processor.exact)
		watts = fmax(watts, processor.tdp_w);
	return isnan(watts) ? UNKNOWN_PACKAGE_W : fmax(1.5 * watts, LEAST_MOST_W);
}

static double most_w(const struct fw_monitor_context *context, struct fw_monitor *rapl, const struct fw_rapl_zone *zone)
{
	const struct fw_rapl_zone *parent = parent_of(rapl, zone);

	if (zone->domain.kind == FW_DOMAIN_PSYS)
		return FW_COUNTER_MOST_W;
	double watts = package_most_w(context, zone);
	return parent ? fmax(isnan(zone->limit_w) ? 0 : watts, package_most_w(context, parent)) : watts;
}

/* The hardware counts in 32 bits: the range tells the unit. */
static double step_uj(const struct fw_rapl_zone *zone)
{
	double step = (double)zone->range / UINT32_MAX;

	return step < 1 ? 1 : step;
}

/* Server DRAM was counted by 15.3 µJ whatever the processor said; since Sapphire Rapids that is wrong by four, and a
 * kernel that still does it shows the old range. */
static bool has_old_dram_unit(const struct fw_machine *machine, const struct fw_rapl_zone *zone)
{
	return machine && machine->family == INTEL_FAMILY &&
	       (machine->model == SAPPHIRE_RAPIDS || machine->model == EMERALD_RAPIDS) &&
	       zone->domain.kind == FW_DOMAIN_DRAM && step_uj(zone) > 15 && step_uj(zone) < 16;
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
		rapl->dram_unit_is_old |= has_old_dram_unit(context->machine, zone);
	}
}
