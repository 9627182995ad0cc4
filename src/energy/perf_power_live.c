/* SPDX-License-Identifier: Apache-2.0
 *
 * The first milliseconds of the events: sysfs tells the unit that the kernel sums in, the counts themselves show the
 * step of the hardware: what it never sets are the bits below its own unit. A package that is switched on and uses
 * nothing does not exist; a count that stands still is one that a hypervisor answers for.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/time.h"
#include "energy/perf_power_internal.h"
#include "energy/platform.h"

enum {
	MOVES = 8,             /* enough for an interval, and for the least bit to have been set */
	LEAST_NS = 20000000,   /* so long for those that move */
	STILL_NS = 50000000,   /* no package is idle enough to use less than a step in that time */
	PAUSE_NS = 200000
};
/* For events that did not move: memory and platforms of servers count in whole joules at worst. */
#define UNKNOWN_STEP_J 1.0
/* The kernel takes what was added since it looked last for a signed number of 32 bits. */
#define KERNEL_STEPS 2147483648.0

static bool is_watched(const struct fw_power_event *event)
{
	return event->core < 0 && !event->stands_still;
}

static void look(struct fw_monitor *power, struct fw_power_event *event)
{
	uint64_t count, now_ns;

	if (power->ops->read(power->ops->context, event->fd, &count) != 0 || count == event->last)
		return;
	now_ns = fw_monotonic_ns();
	if (event->moves++ == 0)
		event->first_ns = now_ns;
	event->moved_ns = now_ns;
	event->seen |= count;
	event->last = count;
}

static bool wants_more(const struct fw_monitor *power, uint64_t passed_ns)
{
	bool any_moved = false, all_done = true;

	for (size_t i = 0; i < power->count; i++) {
		const struct fw_power_event *event = &power->events[i];

		if (!is_watched(event) || event->domain.kind != FW_DOMAIN_PACKAGE)
			continue;
		any_moved |= event->moves > 0;
		all_done &= event->moves >= MOVES;
	}
	return !all_done && passed_ns < (uint64_t)(any_moved ? LEAST_NS : STILL_NS);
}

static double step_of(const struct fw_power_event *event)
{
	return event->seen ? ldexp(event->scale, __builtin_ctzll(event->seen)) : UNKNOWN_STEP_J;
}

static const struct fw_power_event *package_of(const struct fw_monitor *power, const struct fw_power_event *event)
{
	for (size_t i = 0; i < power->count; i++)
		if (power->events[i].domain.kind == FW_DOMAIN_PACKAGE && power->events[i].domain.package == event->domain.package)
			return &power->events[i];
	return NULL;
}

static void set_limits(const struct fw_monitor_context *context, struct fw_monitor *power, struct fw_power_event *event)
{
	const struct fw_power_event *package = package_of(power, event);
	struct fw_domain *domain = &event->domain;
	/* A core counts in its package's unit. */
	double step_j = step_of(event->core >= 0 && package ? package : event);

	domain->quantum_j = step_j;
	domain->update_s = event->moves > 1 ? (double)(event->moved_ns - event->first_ns) / 1e9 / (event->moves - 1) : NAN;
	domain->most_w = domain->kind == FW_DOMAIN_PSYS ? FW_COUNTER_MOST_W : fw_platform_package_most_w(context, NAN);
	event->longest_s = step_j * KERNEL_STEPS / domain->most_w;
	power->dram_unit_is_old |= fw_platform_has_old_dram_unit(context->machine, domain);
	fw_counter_init(&event->counter, &(struct fw_counter_limits){event->scale, 0, step_j / event->scale, domain->most_w,
	                                                             domain->update_s});
}

/* Without its package nothing else of it is believed either. */
static void leave_out_still(struct fw_monitor *power)
{
	size_t kept = 0;

	for (size_t i = 0; i < power->count; i++)
		power->events[i].stands_still = power->events[i].domain.kind == FW_DOMAIN_PACKAGE && power->events[i].moves == 0;
	for (size_t i = 0; i < power->count; i++) {
		const struct fw_power_event *package = package_of(power, &power->events[i]);

		if (power->events[i].domain.kind != FW_DOMAIN_PACKAGE && package && package->stands_still)
			power->events[i].stands_still = true;
	}
	for (size_t i = 0; i < power->count; i++) {
		struct fw_power_event *event = &power->events[i];

		if (!event->stands_still) {
			power->events[kept++] = *event;
			continue;
		}
		if (event->domain.kind == FW_DOMAIN_PACKAGE)
			fw_power_note(power, "without %s: it stands still", event->domain.name);
		power->ops->close(power->ops->context, event->fd);
	}
	power->count = kept;
}

/* An interrupt to each core: read a hundredth of the time at most. */
static void time_cores(struct fw_monitor *power)
{
	uint64_t began_ns = fw_monotonic_ns(), count;

	for (size_t i = 0; i < power->count; i++)
		if (power->events[i].core >= 0)
			(void)power->ops->read(power->ops->context, power->events[i].fd, &count);
	power->cores_least_ns = 100 * (fw_monotonic_ns() - began_ns);
}

void fw_power_measure(const struct fw_monitor_context *context, struct fw_monitor *power)
{
	const struct timespec pause = {.tv_nsec = PAUSE_NS};
	uint64_t began_ns = fw_monotonic_ns();

	for (size_t i = 0; i < power->count; i++)
		(void)power->ops->read(power->ops->context, power->events[i].fd, &power->events[i].last);
	while (wants_more(power, fw_monotonic_ns() - began_ns)) {
		nanosleep(&pause, NULL);
		for (size_t i = 0; i < power->count; i++)
			if (is_watched(&power->events[i]))
				look(power, &power->events[i]);
	}
	leave_out_still(power);
	for (size_t i = 0; i < power->count; i++)
		set_limits(context, power, &power->events[i]);
	time_cores(power);
}
