/* SPDX-License-Identifier: Apache-2.0
 *
 * The zones that powercap shows, as they are. /sys/class/powercap is a flat directory of links; in containers the links
 * are often there and their targets are not. Counters are opened once and read in place.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "energy/rapl_internal.h"
#include "host/sysfs.h"

#define POWERCAP "sys/class/powercap"

int fw_rapl_zone_read(const struct fw_rapl_zone *zone, uint64_t *microjoules)
{
	char text[32];
	ssize_t length;

	if (zone->fd < 0)
		return ENODEV;
	length = fw_pread_text(zone->fd, text, sizeof text);
	if (length < 0)
		return errno;
	return fw_rapl_energy_parse((struct fw_str){text, (size_t)length}, microjoules) ? FW_OK : EBADMSG;
}

static int open_energy(const struct fw_root *root, const char *entry)
{
	char path[96];

	snprintf(path, sizeof path, POWERCAP "/%s/energy_uj", entry);
	return fw_root_open_file(root, path);
}

static ssize_t read_name(const struct fw_root *root, const char *entry, char *text, size_t size)
{
	char path[96];

	snprintf(path, sizeof path, POWERCAP "/%s/name", entry);
	return fw_root_peek(root, path, text, size);
}

void fw_rapl_zone_reopen(const struct fw_root *root, struct fw_rapl_zone *zone)
{
	char text[64];
	ssize_t length = read_name(root, zone->entry, text, sizeof text);
	struct fw_domain now = {.package = -1};

	if (zone->named != (length >= 0))
		return;
	if (zone->named) {
		fw_rapl_name_parse((struct fw_str){text, (size_t)length}, &now);
		if (strcmp(now.name, zone->domain.name) != 0)
			return; /* zones were numbered anew: this is another one */
	}
	int fd = open_energy(root, zone->entry);

	if (fd < 0)
		return;
	if (zone->fd >= 0)
		close(zone->fd);
	zone->fd = fd;
}

/* Limits that firmware leaves open are told as thousands of watts: they say nothing. */
static double highest_limit_w(const struct fw_root *root, const char *entry)
{
	static const char *const files[] = {"constraint_0_max_power_uw", "constraint_1_max_power_uw",
	                                    "constraint_0_power_limit_uw", "constraint_1_power_limit_uw"};
	double highest = NAN;

	for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
		int64_t microwatts;

		if (!fw_sysfs_number(root, &microwatts, POWERCAP "/%s/%s", entry, files[i]) || microwatts <= 0)
			continue;
		double watts = fw_watts_of_micro((struct fw_microwatts){(uint64_t)microwatts});
		if (watts <= 1000)
			highest = fmax(highest, watts);
	}
	return highest;
}

static void note_unreadable(struct fw_rapl_zone *zone, int errnum)
{
	zone->left_out = errnum == EACCES || errnum == EPERM ? "not permitted" : "cannot be read";
	zone->unread = true;
	zone->refused = errnum == EACCES || errnum == EPERM;
}

static void describe_zone(const struct fw_root *root, const struct fw_rapl_entry *entry, struct fw_rapl_zone *zone)
{
	int64_t range;
	char text[64];
	ssize_t length = read_name(root, zone->entry, text, sizeof text);
	int name_errnum = length < 0 ? errno : 0;

	zone->mmio = entry->mmio;
	zone->named = length >= 0;
	zone->parent = zone->mirror_of = FW_RAPL_NO_ZONE;
	zone->domain = (struct fw_domain){.source = "rapl", .gpu = -1, .package = -1, .die = -1, .update_s = NAN};
	if (zone->named) {
		fw_rapl_name_parse((struct fw_str){text, (size_t)length}, &zone->domain);
	} else {
		memcpy(zone->domain.name, zone->entry, sizeof zone->entry);
		zone->domain.kind = entry->parent_length == 0 && name_errnum == ENOENT ? FW_DOMAIN_PACKAGE : FW_DOMAIN_OTHER;
	}
	if (fw_sysfs_number(root, &range, POWERCAP "/%s/max_energy_range_uj", zone->entry) && range > 0)
		zone->range = (uint64_t)range;
	zone->limit_w = highest_limit_w(root, zone->entry);
	zone->fd = open_energy(root, zone->entry);
	int errnum = zone->fd < 0 ? errno : fw_rapl_zone_read(zone, &zone->first_uj);
	if (errnum == 0 && name_errnum != ENOENT)
		errnum = name_errnum;
	if (errnum)
		note_unreadable(zone, errnum);
	else if (zone->first_uj > zone->range)
		zone->range = 0; /* it has gone beyond what is told: no wrap can be computed from that */
}

static void add_zone(const struct fw_root *root, const char *name, struct fw_monitor *rapl)
{
	struct fw_rapl_entry entry;
	struct stat stat;
	char path[96];

	if (!fw_rapl_entry_parse(fw_str_of(name), &entry))
		return;
	snprintf(path, sizeof path, POWERCAP "/%.*s", FW_RAPL_ENTRY, name);
	if (fstatat(root->fd, path, &stat, 0) != 0 && errno == ENOENT) {
		rapl->masked++;
		return;
	}
	if (rapl->zone_count == FW_RAPL_ZONES) {
		rapl->unlisted++;
		return;
	}
	struct fw_rapl_zone *zone = &rapl->zones[rapl->zone_count++];

	memcpy(zone->entry, name, strlen(name)); /* the parser has looked at its length */
	describe_zone(root, &entry, zone);
}

static int by_entry(const void *a, const void *b)
{
	const struct fw_rapl_zone *first = a, *second = b;

	return first->mmio != second->mmio ? first->mmio - second->mmio : strverscmp(first->entry, second->entry);
}

static void find_parents(struct fw_monitor *rapl)
{
	for (size_t i = 0; i < rapl->zone_count; i++) {
		struct fw_rapl_zone *zone = &rapl->zones[i];
		struct fw_rapl_entry entry;

		if (!fw_rapl_entry_parse(fw_str_of(zone->entry), &entry) || entry.parent_length == 0)
			continue;
		for (size_t j = 0; j < rapl->zone_count; j++)
			if (strlen(rapl->zones[j].entry) == entry.parent_length &&
			    strncmp(rapl->zones[j].entry, zone->entry, entry.parent_length) == 0)
				zone->parent = (int)j;
		if (zone->parent != FW_RAPL_NO_ZONE && zone->domain.package < 0) {
			zone->domain.package = rapl->zones[zone->parent].domain.package;
			zone->domain.die = rapl->zones[zone->parent].domain.die;
		}
	}
}

int fw_rapl_find(const struct fw_root *root, struct fw_monitor *rapl, struct fw_error **err)
{
	int fd = openat(root->fd, POWERCAP, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *directory = fd >= 0 ? fdopendir(fd) : NULL;

	if (!directory && errno == ENOENT)
		return fw_fail(err, FW_E_ABSENT, "this kernel shows no powercap: there is no /" POWERCAP);
	if (!directory && errno == ENOTDIR)
		return fw_error_hint(err, fw_fail(err, FW_E_INVALID, "/" POWERCAP " is no directory"),
		                     "this is no sysfs: mount it there, or give --counters-root the directory that holds the host's sys");
	if (!directory)
		return fw_fail_errno(err, errno, "open /" POWERCAP);
	for (const struct dirent *entry; (entry = readdir(directory));)
		add_zone(root, entry->d_name, rapl);
	closedir(directory);
	qsort(rapl->zones, rapl->zone_count, sizeof *rapl->zones, by_entry);
	find_parents(rapl);
	return FW_OK;
}
