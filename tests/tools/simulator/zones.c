/* SPDX-License-Identifier: Apache-2.0
 *
 * Files of zones: zones.h.
 */
#include "zones.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { WIDTH = 20, PATH = 1024 };

static bool fail(const char *path)
{
	fprintf(stderr, "energy-simulator: %s: %s\n", path, strerror(errno));
	return false;
}

bool sim_make_directories(char *path)
{
	for (char *slash = strchr(path + 1, '/');; slash = strchr(slash + 1, '/')) {
		if (slash)
			*slash = '\0';
		if (mkdir(path, 0755) != 0 && errno != EEXIST)
			return fail(path);
		if (!slash)
			return true;
		*slash = '/';
	}
}

static bool write_file(const struct sim_zone *zone, const char *name, const char *text)
{
	char path[PATH];

	snprintf(path, sizeof path, "%s/%s", zone->path, name);
	FILE *file = fopen(path, "we");
	bool written = file && fputs(text, file) >= 0;

	if (file && fclose(file) != 0)
		written = false;
	return written || fail(path);
}

static bool open_counter(struct sim_zone *zone)
{
	char path[PATH];

	snprintf(path, sizeof path, "%s/energy_uj", zone->path);
	zone->fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0444);
	return zone->fd >= 0 || fail(path);
}

static bool link_class(const struct sim_zone *zone, const char *root)
{
	char path[PATH], target[PATH];

	snprintf(path, sizeof path, "%s/sys/class/powercap", root);
	if (!sim_make_directories(path))
		return false;
	snprintf(path, sizeof path, "%s/sys/class/powercap/%s", root, zone->entry);
	snprintf(target, sizeof target, "../../%s", zone->path + strlen(root) + strlen("/sys/"));
	return symlink(target, path) == 0 || errno == EEXIST || fail(path);
}

bool sim_zone_make(struct sim_zone *zone, const char *root)
{
	char text[64];

	if (!sim_make_directories(zone->path) || !link_class(zone, root))
		return false;
	snprintf(text, sizeof text, "%s\n", zone->name);
	if (!write_file(zone, "name", text))
		return false;
	snprintf(text, sizeof text, "%" PRIu64 "\n", sim_counter_range_uj(&zone->counter));
	if (!write_file(zone, "max_energy_range_uj", text))
		return false;
	snprintf(text, sizeof text, "%.0f\n", zone->most_w * 1e6);
	if (!write_file(zone, "constraint_0_name", "long_term\n") || !write_file(zone, "constraint_0_max_power_uw", text) ||
	    !write_file(zone, "enabled", "0\n") || !open_counter(zone))
		return false;
	sim_zone_show(zone, 0);
	return true;
}

void sim_zone_show(struct sim_zone *zone, double joules)
{
	char text[WIDTH + 8];

	if (joules > zone->shown_j)
		zone->shown_j = joules;
	if (zone->fd < 0 || zone->stuck)
		return;
	uint64_t shows = sim_counter_shows_uj(&zone->counter, zone->shown_j - zone->reset_j);
	int length = zone->garbled ? snprintf(text, sizeof text, "%-*s\n", WIDTH, "12x4")
	                           : snprintf(text, sizeof text, "%-*" PRIu64 "\n", WIDTH, shows);

	if (pwrite(zone->fd, text, (size_t)length, 0) != length)
		fail(zone->path);
}

static bool vanish(struct sim_zone *zone)
{
	char path[PATH];

	snprintf(path, sizeof path, "%s/energy_uj", zone->path);
	if (zone->fd >= 0 && ftruncate(zone->fd, 0) == 0) /* readers that have it open read nothing more */
		close(zone->fd);
	zone->fd = -1;
	return unlink(path) == 0;
}

static bool reset(struct sim_zone *zone)
{
	zone->reset_j = zone->shown_j;
	zone->counter.start_uj = 0;
	return true;
}

static bool set(bool *what, bool to)
{
	*what = to;
	return true;
}

static bool permit(const struct sim_zone *zone, mode_t mode)
{
	return zone->fd >= 0 && fchmod(zone->fd, mode) == 0;
}

bool sim_zone_act(struct sim_zone *zone, const char *action, double joules)
{
	bool done = strcmp(action, "reset") == 0     ? reset(zone)
	            : strcmp(action, "stick") == 0   ? set(&zone->stuck, true)
	            : strcmp(action, "free") == 0    ? set(&zone->stuck, false)
	            : strcmp(action, "garble") == 0  ? set(&zone->garbled, true)
	            : strcmp(action, "mend") == 0    ? set(&zone->garbled, false)
	            : strcmp(action, "vanish") == 0  ? vanish(zone)
	            : strcmp(action, "restore") == 0 ? open_counter(zone)
	            : strcmp(action, "forbid") == 0  ? permit(zone, 0)
	            : strcmp(action, "allow") == 0   ? permit(zone, 0444)
	                                             : false;

	sim_zone_show(zone, joules);
	return done;
}
