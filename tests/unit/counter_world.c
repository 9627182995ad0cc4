/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/counter_world.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/time.h"

void world_init(struct world *world)
{
	struct fw_error *err = NULL;

	*world = (struct world){.tree = tree_of("sys/class/", "", NULL)};
	assert_ok(fw_root_open(world->tree.path, &world->root, &err), err);
	strcpy(world->machine.vendor, "GenuineIntel");
	world->machine.family = 6;
	world->machine.model = 106;
	world_busy_ms(world, 0);
}

void world_done(struct world *world)
{
	if (world->ops)
		world->ops->close(world->monitor);
	fw_root_close(&world->root);
	tree_remove_cleanup(&world->tree);
}

/* intel-rapl:0:1 is sys/devices/virtual/powercap/intel-rapl/intel-rapl:0/intel-rapl:0:1 */
static char *zone_path(const char *entry)
{
	const char *colon = strchr(entry, ':');
	char *path = fw_printf("sys/devices/virtual/powercap/%.*s", (int)(colon - entry), entry);

	for (const char *end = colon; end; end = strchr(end + 1, ':')) {
		const char *next = strchr(end + 1, ':');
		char *deeper = fw_printf("%s/%.*s", path, (int)(next ? next - entry : (long)strlen(entry)), entry);

		free(path);
		path = deeper;
	}
	return path;
}

void world_zone_file(struct world *world, const char *entry, const char *file, const char *text)
{
	fw_cleanup_free char *directory = zone_path(entry);
	fw_cleanup_free char *path = fw_printf("%s/%s", directory, file);

	tree_write(&world->tree, path, text);
}

void world_energy(struct world *world, const char *entry, uint64_t energy_uj)
{
	char text[32];

	snprintf(text, sizeof text, "%" PRIu64 "\n", energy_uj);
	world_zone_file(world, entry, "energy_uj", text);
}

void world_zone(struct world *world, const char *entry, const char *name, uint64_t energy_uj, uint64_t range_uj)
{
	fw_cleanup_free char *directory = zone_path(entry);
	fw_cleanup_free char *link = fw_printf("sys/class/powercap/%s", entry);
	fw_cleanup_free char *target = fw_printf("-> ../../%s", directory + strlen("sys/"));
	char text[96];

	world_energy(world, entry, energy_uj);
	snprintf(text, sizeof text, "%s\n", name);
	world_zone_file(world, entry, "name", text);
	snprintf(text, sizeof text, "%" PRIu64 "\n", range_uj);
	if (range_uj > 0)
		world_zone_file(world, entry, "max_energy_range_uj", text);
	tree_write(&world->tree, link, target);
}

void world_busy_ms(struct world *world, uint64_t busy_ms)
{
	char text[96];

	snprintf(text, sizeof text, "cpu  %" PRIu64 " 0 0 1000 0 0 0 0 0 0\n", busy_ms / 10);
	tree_write(&world->tree, "proc/stat", text);
}

int world_try_open(struct world *world, const struct fw_monitor_ops *ops, struct fw_error **err)
{
	struct fw_monitor_context context = {&world->root, &world->machine, NULL};
	int rc = ops->open(&context, &world->monitor, err);

	if (rc != FW_OK)
		return rc;
	world->ops = ops;
	world->count = ops->domains(world->monitor, &world->domains);
	assert_true(world->count <= WORLD_DOMAINS);
	return rc;
}

void world_open(struct world *world, const struct fw_monitor_ops *ops)
{
	struct fw_error *err = NULL;

	assert_ok(world_try_open(world, ops, &err), err);
}

void world_read(struct world *world)
{
	world->ops->read(world->monitor, world->readings);
}

void world_pass_ms(struct world *world, unsigned ms)
{
	uint64_t until = world->readings[0].after_ns + ms * FW_NS_PER_MS;
	struct timespec at = {(time_t)(until / FW_NS_PER_S), (long)(until % FW_NS_PER_S)};

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) != 0)
		;
}

static size_t find(const struct world *world, const char *name)
{
	for (size_t i = 0; i < world->count; i++)
		if (strcmp(world->domains[i].name, name) == 0)
			return i;
	return SIZE_MAX;
}

bool world_has(const struct world *world, const char *name)
{
	return find(world, name) != SIZE_MAX;
}

const struct fw_domain_reading *world_reading(const struct world *world, const char *name)
{
	if (!world_has(world, name))
		fail_msg("no domain %s", name);
	return &world->readings[find(world, name)];
}

const struct fw_domain *world_domain(const struct world *world, const char *name)
{
	if (!world_has(world, name))
		fail_msg("no domain %s", name);
	return &world->domains[find(world, name)];
}

double world_total_j(const struct world *world)
{
	double sum = 0;

	for (size_t i = 0; i < world->count; i++)
		if (world->domains[i].is_root)
			sum += world->readings[i].joules;
	return sum;
}

void world_says(struct world *world, const char *text)
{
	fw_cleanup_free char *told = world->ops->describe(world->monitor);

	if (!strstr(told, text))
		fail_msg("expected '%s' in: %s", text, told);
}

void world_break(struct world *world, const char *path)
{
	fw_cleanup_free char *wanted = fw_printf("%s/%s", world->tree.path, path);
	DIR *directory = opendir("/proc/self/fd");
	fw_cleanup_fd int broken = open("/proc/self/mem", O_RDONLY | O_CLOEXEC); /* nothing is mapped at 0: EIO */
	unsigned count = 0;

	assert_non_null(directory);
	for (const struct dirent *entry; (entry = readdir(directory));) {
		char target[256];
		ssize_t length = readlinkat(dirfd(directory), entry->d_name, target, sizeof target - 1);

		if (length < 0)
			continue;
		target[length] = '\0';
		if (strcmp(target, wanted) == 0) {
			assert_true(dup2(broken, atoi(entry->d_name)) >= 0);
			count++;
		}
	}
	closedir(directory);
	assert_int_equal(count, 1);
}
