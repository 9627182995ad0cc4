/* SPDX-License-Identifier: Apache-2.0
 *
 * Sensors of hwmon: counters of joules as they are, and power added up over measured time. The two are never mixed: a
 * file of watts can only become energy by the trapezoid.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/time.h"
#include "energy/hwmon_internal.h"

enum { MOST_TOLD = 16 }; /* channels, each by name */

static void hwmon_close(struct fw_monitor *hwmon)
{
	if (!hwmon)
		return;
	for (size_t i = 0; i < hwmon->count; i++)
		close(hwmon->channels[i].fd);
	free(hwmon);
}
FW_DEFINE_CLEANUP(struct fw_monitor *, hwmon_close)

static int hwmon_open(const struct fw_monitor_context *context, struct fw_monitor **monitor, struct fw_error **err)
{
	FW_CLEANUP(hwmon_close) struct fw_monitor *hwmon = fw_alloc(sizeof *hwmon);

	int rc = fw_hwmon_find(context->root, hwmon, err);
	if (rc == FW_E_ABSENT)
		return fw_error_hint(err, rc, "machines whose sensors the kernel drives have it, virtual machines mostly not");
	if (rc != FW_OK)
		return rc;
	if (hwmon->refused > 0 && hwmon->count == 0) {
		fw_fail(err, FW_E_PERMISSION, "%zu sensors of power or energy may not be read", hwmon->refused);
		if (!fw_root_is_live(context->root)) /* no capability is used for files that the user names */
			return fw_error_hint(err, FW_E_PERMISSION, "files below --counters-root are read as the user: run as root, or chmod a+r them");
		return fw_error_hint(err, FW_E_PERMISSION, "run as root, or scripts/install-caps (cap_dac_read_search for "
		                     "flexwatt's file), or let a udev rule "
		                     "chmod a+r the files energy*_input and power*_average below /sys/class/hwmon");
	}
	if (hwmon->count == 0)
		return fw_fail(err, FW_E_ABSENT, "no sensor of hwmon tells power or energy");
	for (size_t i = 0; i < hwmon->count; i++)
		hwmon->domains[i] = hwmon->channels[i].domain;
	*monitor = FW_TAKE(hwmon);
	return FW_OK;
}

static size_t hwmon_domains(struct fw_monitor *hwmon, const struct fw_domain **domains)
{
	*domains = hwmon->domains;
	return hwmon->count;
}

static void read_power(struct fw_hwmon_channel *channel, struct fw_str text, uint64_t before_ns, uint64_t after_ns,
                       struct fw_domain_reading *reading)
{
	struct fw_microwatts power;

	if (fw_hwmon_power_parse(text, &power))
		fw_power_sum_read(&channel->sum, fw_watts_of_micro(power), before_ns, after_ns, reading);
	else
		fw_power_sum_miss(&channel->sum, before_ns, after_ns, reading);
}

static void read_energy(struct fw_hwmon_channel *channel, struct fw_str text, uint64_t before_ns, uint64_t after_ns,
                        struct fw_domain_reading *reading)
{
	struct fw_microjoules energy;

	if (fw_hwmon_energy_parse(text, &energy))
		fw_counter_read(&channel->counter, energy.uj, before_ns, after_ns, reading);
	else
		fw_counter_miss(&channel->counter, before_ns, after_ns, reading);
}

static void read_channel(struct fw_hwmon_channel *channel, struct fw_domain_reading *reading)
{
	char text[32];
	uint64_t before_ns = fw_monotonic_ns();
	ssize_t length = fw_pread_text(channel->fd, text, sizeof text);
	int errnum = length < 0 ? errno : EBADMSG;
	uint64_t after_ns = fw_monotonic_ns();
	struct fw_str told = {text, length > 0 ? (size_t)length : 0}; /* no text is no number */

	(channel->is_power ? read_power : read_energy)(channel, told, before_ns, after_ns, reading);
	if (isnan(reading->joules))
		reading->reason = fw_domain_reason_of_errno(errnum);
	channel->read_ns = after_ns;
	channel->latest = *reading;
}

/* Too early to ask again: power goes on as it was, a counter is as it was told, then. */
static void read_again(struct fw_hwmon_channel *channel, uint64_t now_ns, struct fw_domain_reading *reading)
{
	if (channel->is_power && channel->sum.has_watts && !isnan(channel->latest.joules)) {
		fw_power_sum_read(&channel->sum, channel->sum.watts, now_ns, now_ns, reading);
		return;
	}
	*reading = channel->latest;
	reading->flags &= (unsigned)FW_DOMAIN_GAP; /* what else it tells was told */
}

static void hwmon_read(struct fw_monitor *hwmon, struct fw_domain_reading *readings)
{
	for (size_t i = 0; i < hwmon->count; i++) {
		struct fw_hwmon_channel *channel = &hwmon->channels[i];
		uint64_t now_ns = channel->least_ns > 0 ? fw_monotonic_ns() : 0;

		if (channel->least_ns > 0 && channel->read_ns > 0 && now_ns < channel->read_ns + channel->least_ns)
			read_again(channel, now_ns, &readings[i]);
		else
			read_channel(channel, &readings[i]);
	}
}

/* Where a package is its cores alone, what stands beside them is in the total, which it is in on no other machine. */
static const char *describe_kind(const struct fw_domain *domain)
{
	return domain->kind == FW_DOMAIN_UNCORE && domain->is_root ? "uncore (added: the package's sensor is without it)"
	                                                           : fw_domain_kind_names[domain->kind];
}

static char *hwmon_describe(struct fw_monitor *hwmon)
{
	fw_cleanup_buffer struct fw_buffer out;

	fw_buffer_init(&out, 16384);
	for (size_t i = 0; i < hwmon->count && i < MOST_TOLD; i++) {
		const struct fw_hwmon_channel *channel = &hwmon->channels[i];

		fw_buffer_printf(&out, "%s%s: %s, %s%s", i > 0 ? "; " : "", channel->domain.name,
		                 describe_kind(&channel->domain), channel->is_power ? "from power" : "a counter",
		                 channel->domain.is_root || channel->is_coarse ? "" : " (not added)");
		if (channel->is_coarse)
			fw_buffer_printf(&out, " (not added: told anew every %g s only)", channel->domain.update_s);
	}
	if (hwmon->count > MOST_TOLD)
		fw_buffer_printf(&out, "; %zu more", hwmon->count - MOST_TOLD);
	if (hwmon->cores > 0)
		fw_buffer_printf(&out, "; without %zu counters of single cores", hwmon->cores);
	if (hwmon->slow > 0)
		fw_buffer_printf(&out, "; without %zu that take over 1 ms to read", hwmon->slow);
	if (hwmon->refused > 0)
		fw_buffer_printf(&out, "; without %zu that may not be read", hwmon->refused);
	if (hwmon->unlisted > 0)
		fw_buffer_printf(&out, "; without %zu more", hwmon->unlisted);
	return fw_buffer_take(&out);
}

const struct fw_monitor_ops fw_monitor_hwmon = {
	.name = "hwmon",
	.method = "hwmon/1",
	.gives = "energy (measured: counters, or power over time)",
	.open = hwmon_open,
	.describe = hwmon_describe,
	.domains = hwmon_domains,
	.read = hwmon_read,
	.close = hwmon_close,
};
