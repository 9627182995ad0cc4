/* SPDX-License-Identifier: Apache-2.0
 *
 * What no file tells and only moving counters show: how often they are updated, which dies show one and the same
 * counter, which counters a hypervisor lets stand still, whether psys holds the packages at all.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/time.h"
#include "energy/rapl_internal.h"
#include "host/procfs.h"

enum {
	MEASURE_NS = 5000000,
	MOVES = 8,               /* enough for an interval */
	MIRROR_SAMPLES = 3,
	MIRROR_PAUSE_NS = 300000,
	STILL_READS = 3,
	STILL_NS = 300000000,    /* no processor is idle enough to use less than a step in that time */
	STILL_BUSY_NS = 50000000 /* while its CPUs worked */
};

static int by_size(const void *a, const void *b)
{
	const double *first = a, *second = b;

	return (*first > *second) - (*first < *second);
}

/* Spins on one counter until it has moved often enough: the kernel passes the hardware's updates on as they come. The
 * median of the times in between, as one of them may be of ours: a moment in which we did not run. */
static void measure_interval(struct fw_monitor *rapl, const struct fw_rapl_zone *zone)
{
	uint64_t began = fw_monotonic_ns(), moved_ns = 0, last, now_uj;
	double between_s[MOVES];
	unsigned moves = 0;

	if (fw_rapl_zone_read(zone, &last) != FW_OK)
		return;
	while (moves < MOVES && fw_monotonic_ns() - began < MEASURE_NS && fw_rapl_zone_read(zone, &now_uj) == FW_OK) {
		if (now_uj == last)
			continue;
		uint64_t now = fw_monotonic_ns();

		if (moves > 0)
			between_s[moves - 1] = (double)(now - moved_ns) / 1e9;
		if (now_uj > last)
			rapl->step_j = fmin(rapl->step_j, (double)(now_uj - last) / 1e6); /* of NAN and a number: the number */
		moved_ns = now;
		last = now_uj;
		moves++;
	}
	if (moves < 2)
		return;
	qsort(between_s, moves - 1, sizeof *between_s, by_size);
	rapl->update_s = between_s[(moves - 1) / 2];
}

/* Two readings of the first around one of the second: a counter that both show lies between. */
static bool shows_same(const struct fw_rapl_zone *a, const struct fw_rapl_zone *b)
{
	uint64_t before, between, after;

	if (fw_rapl_zone_read(a, &before) || fw_rapl_zone_read(b, &between) || fw_rapl_zone_read(a, &after))
		return false;
	return between != 0 && (after < before || (before <= between && between <= after));
}

static bool may_mirror(const struct fw_rapl_zone *a, const struct fw_rapl_zone *b)
{
	return !a->left_out && !b->left_out && a->mirror_of == FW_RAPL_NO_ZONE && a->domain.kind == FW_DOMAIN_PACKAGE &&
	       b->domain.kind == FW_DOMAIN_PACKAGE && a->domain.package == b->domain.package && a->domain.package >= 0;
}

static bool mirrors(const struct fw_rapl_zone *a, const struct fw_rapl_zone *b)
{
	for (unsigned sample = 0; sample < MIRROR_SAMPLES; sample++) {
		if (!shows_same(a, b))
			return false;
		usleep(MIRROR_PAUSE_NS / 1000);
	}
	return true;
}

/* What is inside a mirrored die is shown twice as well. */
static void follow_parents(struct fw_monitor *rapl)
{
	for (size_t i = 0; i < rapl->zone_count; i++) {
		struct fw_rapl_zone *zone = &rapl->zones[i];

		if (zone->parent != FW_RAPL_NO_ZONE && rapl->zones[zone->parent].mirror_of != FW_RAPL_NO_ZONE)
			zone->domain.is_root = false;
	}
}

static void find_mirrors(struct fw_monitor *rapl)
{
	for (size_t i = 0; i < rapl->zone_count; i++)
		for (size_t j = 0; j < i; j++) {
			struct fw_rapl_zone *zone = &rapl->zones[i];

			if (zone->mirror_of != FW_RAPL_NO_ZONE || !may_mirror(&rapl->zones[j], zone) || !mirrors(&rapl->zones[j], zone))
				continue;
			zone->mirror_of = (int)j;
			zone->domain.is_root = false;
		}
	follow_parents(rapl);
}

void fw_rapl_measure(struct fw_monitor *rapl)
{
	rapl->update_s = rapl->step_j = NAN;
	find_mirrors(rapl);
	for (size_t i = 0; i < rapl->zone_count; i++)
		if (!rapl->zones[i].left_out && rapl->zones[i].domain.is_root) {
			measure_interval(rapl, &rapl->zones[i]);
			break;
		}
	for (size_t i = 0; i < rapl->zone_count; i++) {
		rapl->zones[i].domain.update_s = rapl->update_s;
		if (rapl->zones[i].range == 0 && rapl->step_j > 0)
			rapl->zones[i].domain.quantum_j = rapl->step_j;
	}
}

static int64_t busy_ns(const struct fw_monitor *rapl)
{
	char text[256];
	struct fw_cpu_times times;
	ssize_t length = rapl->stat_fd >= 0 ? fw_pread_text(rapl->stat_fd, text, sizeof text) : -1;

	if (length < 0 || !fw_cpu_times_parse((struct fw_str){text, (size_t)length}, -1, &times))
		return -1;
	return fw_cpu_times_busy_ns(&times);
}

/* A root that stands still while CPUs work is no meter, until it moves. */
static void judge_stillness(const struct fw_monitor *rapl, struct fw_rapl_zone *zone, struct fw_domain_reading *reading)
{
	bool moved = isnan(zone->joules) || reading->raw != zone->shown_uj;

	if (moved)
		atomic_store(&zone->rejected, false);
	if (moved || zone->still == 0) {
		zone->still = moved ? 0 : 1;
		zone->still_since_ns = reading->after_ns;
		zone->still_busy_ns = moved ? -1 : busy_ns(rapl);
		return;
	}
	if (++zone->still < STILL_READS || reading->after_ns - zone->still_since_ns < STILL_NS)
		return;
	reading->flags |= FW_DOMAIN_STALE;
	reading->reason = FW_REASON_STILL;
	int64_t busy = busy_ns(rapl);
	if (zone->still_busy_ns >= 0 && busy - zone->still_busy_ns >= STILL_BUSY_NS)
		atomic_store(&zone->rejected, true);
}

static double roots_j(const struct fw_monitor *rapl, int package)
{
	double sum = 0;
	bool any = false;

	for (size_t i = 0; i < rapl->zone_count; i++) {
		const struct fw_rapl_zone *zone = &rapl->zones[i];

		if (zone->left_out || zone->domain.kind != FW_DOMAIN_PACKAGE || !zone->domain.is_root)
			continue;
		if (package >= 0 && zone->domain.package != package)
			continue;
		sum += zone->joules;
		any = true;
	}
	return any ? sum : NAN;
}

/* Over 100 of its steps psys must hold its packages; one that does not measures something else. */
static void judge_psys(const struct fw_monitor *rapl, struct fw_rapl_zone *zone, const struct fw_domain_reading *reading)
{
	double roots = roots_j(rapl, zone->domain.package < 0 && rapl->several_psys ? 0 : zone->domain.package);

	if (isnan(roots) || isnan(reading->joules))
		return;
	if (isnan(zone->gate_j)) {
		zone->gate_j = reading->joules;
		zone->gate_roots_j = roots;
		return;
	}
	double psys = reading->joules - zone->gate_j, packages = roots - zone->gate_roots_j;
	if (fmax(psys, packages) < 100 * zone->domain.quantum_j || packages < 1)
		return;
	if (psys < 0.95 * packages)
		atomic_store(&zone->rejected, true);
	zone->gate_j = NAN; /* the next window */
}

static void judge_mirror(const struct fw_monitor *rapl, struct fw_rapl_zone *zone, const struct fw_domain_reading *reading)
{
	const struct fw_rapl_zone *first = &rapl->zones[zone->mirror_of];
	double apart = fabs(reading->joules - first->joules);

	/* Between the two reads no more than a few milliseconds at full power can have passed. */
	if (apart > zone->domain.most_w * 0.02 + 4 * zone->domain.quantum_j)
		zone->diverged = true;
}

static void note(struct fw_rapl_zone *zone, const struct fw_domain_reading *reading)
{
	if (isnan(reading->joules))
		return;
	zone->joules = reading->joules;
	zone->shown_uj = reading->raw;
}

/* Of a rejected counter nothing is told; what a diverged mirror counted is missing in its first. */
static void pronounce(const struct fw_rapl_zone *zone, const struct fw_rapl_zone *zones, struct fw_domain_reading *readings)
{
	struct fw_domain_reading *reading = &readings[zone->number];

	if (zone->diverged)
		readings[zones[zone->mirror_of].number].lost_j += zone->joules;
	if (atomic_load(&zone->rejected)) {
		bool is_psys = zone->domain.kind == FW_DOMAIN_PSYS;

		reading->joules = NAN;
		reading->flags |= is_psys ? FW_DOMAIN_GAP : FW_DOMAIN_STALE;
		reading->reason = is_psys ? FW_REASON_TOO_LITTLE : FW_REASON_STILL;
	}
}

void fw_rapl_judge(struct fw_monitor *rapl, struct fw_domain_reading *readings)
{
	bool whole = true; /* nothing is missing in any of the readings */

	for (size_t d = 0; d < rapl->domain_count; d++) {
		struct fw_rapl_zone *zone = &rapl->zones[rapl->zone_of[d]];

		if (zone->domain.is_root && !isnan(readings[d].joules))
			judge_stillness(rapl, zone, &readings[d]);
		note(zone, &readings[d]);
		whole &= !(readings[d].flags & (FW_DOMAIN_GAP | FW_DOMAIN_RESET));
	}
	for (size_t d = 0; d < rapl->domain_count; d++) {
		struct fw_rapl_zone *zone = &rapl->zones[rapl->zone_of[d]];

		if (zone->domain.kind == FW_DOMAIN_PSYS && whole)
			judge_psys(rapl, zone, &readings[d]);
		else
			zone->gate_j = NAN;
		if (zone->mirror_of != FW_RAPL_NO_ZONE && whole)
			judge_mirror(rapl, zone, &readings[d]);
	}
	for (size_t d = 0; d < rapl->domain_count; d++)
		pronounce(&rapl->zones[rapl->zone_of[d]], rapl->zones, readings);
}
