/* SPDX-License-Identifier: Apache-2.0
 *
 * The channels of energy and power that hwmon shows. Chips are numbered as they come, so that only their names count.
 * Drivers of the old kind keep their files in the chip's device. Energy is taken where a chip has both, and the mean
 * before the moment: what is summed must not miss peaks.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/time.h"
#include "energy/hwmon_internal.h"
#include "host/sysfs.h"

#define HWMON "sys/class/hwmon"

/* What is told more seldom cannot be waited for at the end of an invocation, and slices of all counters keep its pace. */
#define MOST_UPDATE_S 0.5

enum { SLOW_NS = 1000000, PATH_BYTES = 128, FILES = 512, CHIPS = 256 };

/* One chip while its files are looked at. */
struct chip {
	char directory[PATH_BYTES]; /* "sys/class/hwmon/hwmon3" or its device */
	char name[32];
	int gpu;
};

static DIR *open_directory(const struct fw_root *root, const char *path)
{
	int fd = openat(root->fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *directory = fd >= 0 ? fdopendir(fd) : NULL;

	if (fd >= 0 && !directory)
		close(fd);
	return directory;
}

static bool has_file(const struct fw_root *root, const struct chip *chip, const char *kind, unsigned number, const char *end)
{
	char path[PATH_BYTES + 64];

	snprintf(path, sizeof path, "%s/%s%u_%s", chip->directory, kind, number, end);
	return faccessat(root->fd, path, F_OK, 0) == 0;
}

/* ACPI meters have no label: their maker's text says what they measure. */
static void read_label(const struct fw_root *root, const struct chip *chip, const struct fw_hwmon_file *file, char *label,
                       size_t size)
{
	const char *kind = file->is_power ? "power" : "energy";

	label[0] = '\0';
	if (!fw_sysfs_text(root, label, size, "%s/%s%u_label", chip->directory, kind, file->number) &&
	    !fw_sysfs_text(root, label, size, "%s/%s%u_oem_info", chip->directory, kind, file->number) &&
	    !fw_sysfs_text(root, label, size, "%s/device/%s%u_oem_info", chip->directory, kind, file->number))
		label[0] = '\0';
}

static bool is_known_already(const struct fw_monitor *hwmon, const struct fw_hwmon_channel *fresh)
{
	for (size_t i = 0; i < hwmon->count; i++)
		if (strcmp(hwmon->channels[i].domain.name, fresh->domain.name) == 0)
			return true;
	return false;
}

/* Two chips of one name are two parts: the second's channels are told apart by a number of ours. */
static void make_name_unique(const struct fw_monitor *hwmon, struct fw_hwmon_channel *fresh)
{
	char base[sizeof fresh->domain.name];

	memcpy(base, fresh->domain.name, sizeof base);
	for (unsigned number = 2; is_known_already(hwmon, fresh); number++)
		snprintf(fresh->domain.name, sizeof fresh->domain.name, "%.36s #%u", base, number);
}

static void set_limits(const struct fw_root *root, const struct chip *chip, const struct fw_hwmon_file *file,
                       struct fw_hwmon_channel *channel)
{
	struct fw_domain *domain = &channel->domain;
	int64_t interval_ms;

	domain->source = "hwmon";
	domain->quantum_j = 1e-6;
	domain->update_s = NAN;
	domain->most_w = FW_COUNTER_MOST_W;
	if (file->is_power && fw_sysfs_number(root, &interval_ms, "%s/power%u_average_interval", chip->directory, file->number) &&
	    interval_ms > 0)
		domain->update_s = (double)interval_ms / 1e3;
	if (domain->update_s > 0 && domain->update_s * 1e9 / 2 > (double)channel->least_ns)
		channel->least_ns = (uint64_t)(domain->update_s * 1e9 / 2);
	if (channel->least_ns > 0)
		domain->update_s = fmax(domain->update_s, (double)channel->least_ns / 1e9); /* of NAN and a number: the number */
	channel->is_coarse = domain->is_root && domain->update_s > MOST_UPDATE_S;
	if (channel->is_coarse)
		domain->is_root = false;
	fw_counter_init(&channel->counter, &(struct fw_counter_limits){1e-6, 0, 1, domain->most_w, domain->update_s});
	fw_power_sum_init(&channel->sum, domain->most_w);
}

/* The least of three: we may not have run in between. 0: no hardware answers. */
static uint64_t time_to_read_ns(int fd)
{
	uint64_t least_ns = UINT64_MAX;
	char text[32];

	for (unsigned i = 0; i < 3 && least_ns >= SLOW_NS; i++) {
		uint64_t began = fw_monotonic_ns();

		if (fw_pread_text(fd, text, sizeof text) <= 0)
			return 0;
		uint64_t took_ns = fw_monotonic_ns() - began;
		least_ns = took_ns < least_ns ? took_ns : least_ns;
	}
	return least_ns > 0 ? least_ns : 1;
}

/* A channel that takes long is read a hundredth of the time, or not at all when it counts in no total. */
static bool answers(struct fw_monitor *hwmon, struct fw_hwmon_channel *channel)
{
	uint64_t took_ns = time_to_read_ns(channel->fd);

	if (took_ns > 0 && took_ns < SLOW_NS)
		return true;
	channel->least_ns = 100 * took_ns;
	hwmon->slow += took_ns > 0 && !channel->domain.is_root;
	return took_ns > 0 && channel->domain.is_root;
}

static void add_channel(const struct fw_root *root, struct chip *chip, const struct fw_hwmon_file *file,
                        struct fw_monitor *hwmon)
{
	struct fw_hwmon_channel fresh = {.is_power = file->is_power};
	char label[64], path[PATH_BYTES + 64];

	read_label(root, chip, file, label, sizeof label);
	if (!fw_hwmon_label_parse(fw_str_of(chip->name), fw_str_of(label), &fresh.domain)) {
		hwmon->cores++;
		return;
	}
	if (hwmon->count == FW_HWMON_CHANNELS) {
		hwmon->unlisted++;
		return;
	}
	snprintf(path, sizeof path, "%s/%s%u_%s", chip->directory, file->is_power ? "power" : "energy", file->number,
	         file->is_average ? "average" : "input");
	fresh.fd = fw_root_open_file(root, path);
	if (fresh.fd < 0) {
		hwmon->refused += errno == EACCES || errno == EPERM;
		return;
	}
	if (!answers(hwmon, &fresh)) {
		close(fresh.fd);
		return;
	}
	set_limits(root, chip, file, &fresh);
	if (fresh.domain.kind == FW_DOMAIN_GPU) {
		fresh.domain.gpu = chip->gpu;
		fresh.domain.is_unshared = true;
	}
	make_name_unique(hwmon, &fresh);
	hwmon->channels[hwmon->count++] = fresh;
}

static bool is_wanted(const struct fw_root *root, const struct chip *chip, const struct fw_hwmon_file *file)
{
	if (!file->is_power)
		return true;
	return !has_file(root, chip, "energy", file->number, "input") &&
	       (file->is_average || !has_file(root, chip, "power", file->number, "average"));
}

static int by_number(const void *a, const void *b)
{
	const struct fw_hwmon_file *first = a, *second = b;

	if (first->is_power != second->is_power)
		return first->is_power - second->is_power;
	return (first->number > second->number) - (first->number < second->number);
}

/* In the order of their numbers, whatever the directory's. */
static size_t add_channels(const struct fw_root *root, struct chip *chip, struct fw_monitor *hwmon)
{
	DIR *directory = open_directory(root, chip->directory);
	struct fw_hwmon_file files[FILES];
	size_t count = 0;

	if (!directory)
		return 0;
	for (const struct dirent *entry; count < FILES && (entry = readdir(directory));)
		count += fw_hwmon_file_parse(fw_str_of(entry->d_name), &files[count]);
	closedir(directory);
	qsort(files, count, sizeof *files, by_number);
	for (size_t i = 0; i < count; i++)
		if (is_wanted(root, chip, &files[i]))
			add_channel(root, chip, &files[i], hwmon);
	return count;
}

static bool name_chip(const struct fw_root *root, struct chip *chip)
{
	return fw_sysfs_text(root, chip->name, sizeof chip->name, "%s/name", chip->directory) ||
	       fw_sysfs_text(root, chip->name, sizeof chip->name, "%s/device/name", chip->directory);
}

static void add_chip(const struct fw_root *root, unsigned number, int *gpus, struct fw_monitor *hwmon)
{
	struct chip chip = {.gpu = *gpus};
	size_t before = hwmon->count;

	snprintf(chip.directory, sizeof chip.directory, HWMON "/hwmon%u", number);
	if (!name_chip(root, &chip))
		return;
	if (add_channels(root, &chip, hwmon) == 0) {
		snprintf(chip.directory, sizeof chip.directory, HWMON "/hwmon%u/device", number);
		add_channels(root, &chip, hwmon);
	}
	*gpus += hwmon->count > before && hwmon->channels[before].domain.kind == FW_DOMAIN_GPU;
}

int fw_hwmon_find(const struct fw_root *root, struct fw_monitor *hwmon, struct fw_error **err)
{
	DIR *directory = open_directory(root, HWMON);
	bool present[CHIPS] = {false};
	int gpus = 0;

	if (!directory && errno == ENOENT)
		return fw_fail(err, FW_E_ABSENT, "this kernel shows no sensors: there is no /" HWMON);
	if (!directory && errno == ENOTDIR)
		return fw_error_hint(err, fw_fail(err, FW_E_INVALID, "/" HWMON " is no directory"),
		                     "this is no sysfs: mount it there, or give --counters-root the directory that holds the host's sys");
	if (!directory)
		return fw_fail_errno(err, errno, "open /" HWMON);
	for (const struct dirent *entry; (entry = readdir(directory));) {
		struct fw_str text = fw_str_of(entry->d_name);
		uint64_t number;

		if (fw_str_starts(text, "hwmon") && fw_str_to_u64((struct fw_str){text.text + 5, text.length - 5}, &number) &&
		    number < CHIPS)
			present[number] = true;
	}
	closedir(directory);
	for (unsigned number = 0; number < CHIPS; number++)
		if (present[number])
			add_chip(root, number, &gpus, hwmon);
	return FW_OK;
}
