/* SPDX-License-Identifier: Apache-2.0
 *
 * The machines of tests/fixtures/energy, each copied, opened, read, changed as its expected.json tells, read again.
 */
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "base/memory.h"
#include "base/tree.h"
#include "host/cgroup.h"
#include "tests/unit/counter_world.h"
#include "tests/unit/power_kernel.h"

FW_DEFINE_CLEANUP(struct fw_cgroups *, fw_cgroups_close)

static int copy_entry(void *context, const char *path, int parent_fd, const char *name, const struct stat *stat,
                      struct fw_error **err)
{
	struct tree *tree = context;
	fw_cleanup_buffer struct fw_buffer content;
	char target[256] = "-> ";

	fw_buffer_init(&content, 1 << 20);
	if (S_ISLNK(stat->st_mode)) {
		assert_true(readlinkat(parent_fd, name, target + 3, sizeof target - 4) > 0);
		tree_write(tree, path, target);
	} else if (S_ISREG(stat->st_mode)) {
		assert_ok(fw_read_file(parent_fd, name, &content, err), *err);
		tree_write(tree, path, content.length > 0 ? content.data : "");
	}
	return FW_OK;
}

static json_t *load(const struct world *world)
{
	fw_cleanup_buffer struct fw_buffer text;
	struct fw_error *err = NULL;
	json_t *json = NULL;

	fw_buffer_init(&text, 1 << 20);
	assert_ok(fw_root_read(&world->root, "expected.json", &text, &err), err);
	assert_ok(fw_json_load("expected.json", text.data, text.length, &json, &err), err);
	return json;
}

static json_t *set_up(struct world *world, const char *name)
{
	fw_cleanup_free char *path = fw_printf("%s/tests/fixtures/energy/%s", getenv("FLEXWATT_SOURCE"), name);
	struct fw_error *err = NULL;

	world_init(world);
	assert_ok(fw_tree_walk(AT_FDCWD, path, copy_entry, &world->tree, &err), err);
	assert_ok(fw_machine_read(&world->root, &world->machine, &err), err);
	json_t *expected = load(world);
	assert_string_equal(world->machine.vendor, json_string_value(fw_json_at(expected, "machine.vendor")));
	assert_int_equal(world->machine.packages, json_integer_value(fw_json_at(expected, "machine.packages")));
	return expected;
}

static void change(struct world *world, const json_t *expected)
{
	const char *path;
	json_t *text;

	world_pass_ms(world, (unsigned)json_integer_value(fw_json_at(expected, "change.pass_ms")));
	json_object_foreach((json_t *)fw_json_at(expected, "change.files"), path, text)
		tree_write(&world->tree, path, json_string_value(text));
}

/* A number: joules. {"w": …}: mean watts, over the time that lay between the two readings. */
static double joules_of(const json_t *value, double seconds)
{
	return json_is_object(value) ? json_number_value(json_object_get(value, "w")) * seconds : json_number_value(value);
}

static double seconds_between(const struct fw_domain_reading *a, const struct fw_domain_reading *b)
{
	return (double)(b->before_ns - a->before_ns + (b->after_ns - a->after_ns)) / 2e9;
}

static void check_domain(const struct fw_domain *domain, const json_t *expected, bool is_virtual)
{
	assert_string_equal(domain->name, json_string_value(json_object_get(expected, "name")));
	assert_string_equal(fw_domain_kind_names[domain->kind], json_string_value(json_object_get(expected, "kind")));
	assert_int_equal(domain->package, json_integer_value(json_object_get(expected, "package")));
	assert_int_equal(domain->die, json_integer_value(json_object_get(expected, "die")));
	assert_int_equal(domain->is_root, json_boolean_value(json_object_get(expected, "root")));
	assert_int_equal(domain->is_virtual, is_virtual);
	double step_uj = json_number_value(json_object_get(expected, "step_uj"));
	assert_near(domain->quantum_j * 1e6, step_uj, step_uj / 1e4);
}

static void check_rejection(struct world *world)
{
	for (unsigned i = 1; i <= 6; i++) {
		world_pass_ms(world, 80);
		world_busy_ms(world, 12000 + 80 * i); /* it said 12 s before */
		world_read(world);
	}
	assert_true(isnan(world->readings[0].joules));
	world_says(world, "stands still while CPUs work");
}

static void check_monitor(struct world *world, const struct fw_monitor_ops *ops, const json_t *all, const json_t *expected)
{
	const json_t *domains = json_object_get(expected, "domains"), *says = json_object_get(expected, "says");
	struct fw_domain_reading first[WORLD_DOMAINS];
	double tolerance = 1e-6 + json_number_value(json_object_get(expected, "tolerance_j"));

	world_open(world, ops);
	assert_int_equal(world->count, json_array_size(domains));
	world_read(world);
	memcpy(first, world->readings, sizeof first);
	for (size_t i = 0; i < world->count; i++) {
		check_domain(&world->domains[i], json_array_get(domains, i), json_is_true(json_object_get(expected, "virtual")));
		assert_near(first[i].joules, 0, 0);
	}
	change(world, all);
	world_read(world);
	double total = 0;
	for (size_t i = 0; i < world->count; i++) {
		const struct fw_domain_reading *now = &world->readings[i];
		const json_t *after = json_object_get(json_array_get(domains, i), "after");

		assert_near(now->joules, joules_of(after, seconds_between(&first[i], now)), tolerance);
		assert_near(now->lost_j, 0, 0);
		if (world->domains[i].is_root)
			total += joules_of(after, seconds_between(&first[i], now));
	}
	assert_near(world_total_j(world), total, 2 * tolerance);
	if (json_is_number(json_object_get(expected, "total_j")))
		assert_near(total, json_number_value(json_object_get(expected, "total_j")), tolerance);
	for (size_t i = 0; i < json_array_size(says); i++)
		world_says(world, json_string_value(json_array_get(says, i)));
	if (json_is_true(json_object_get(expected, "rejected_under_load")))
		check_rejection(world);
	ops->close(world->monitor);
	world->ops = NULL;
}

static void check_refusal(struct world *world, const struct fw_monitor_ops *ops, const json_t *expected)
{
	struct fw_error *err = NULL;
	int rc = world_try_open(world, ops, &err);

	assert_string_equal(fw_code_name(rc), json_string_value(json_object_get(expected, "refused")));
	if (!strstr(fw_error_message(err), json_string_value(json_object_get(expected, "message"))))
		fail_msg("%s", fw_error_message(err));
	assert_error_is(rc, &err, rc, json_string_value(json_object_get(expected, "hint")));
}

static int open_on_played(const struct fw_monitor_context *context, struct fw_monitor **monitor, struct fw_error **err)
{
	return fw_power_open_on(&played, context, monitor, err);
}

/* Files describe the power PMU; what it counts comes from a kernel that the test plays. */
static void check_events(const char *name)
{
	fw_cleanup_world struct world world;
	struct fw_monitor_ops perf = fw_monitor_perf;
	struct fw_domain_reading first[WORLD_DOMAINS];
	fw_cleanup_json json_t *all = set_up(&world, name);
	const json_t *domains = fw_json_at(all, "perf.domains");

	if (!domains)
		return;
	memset(&kernel, 0, sizeof kernel);
	kernel.speed = STEP;
	kernel.still_cpu = UINT_MAX;
	perf.open = open_on_played;
	world_open(&world, &perf);
	assert_int_equal(world.count, json_array_size(domains));
	world_read(&world);
	memcpy(first, world.readings, sizeof first);
	world_pass_ms(&world, 100);
	world_read(&world);
	for (size_t i = 0; i < world.count; i++) {
		const json_t *expected = json_array_get(domains, i);

		assert_string_equal(world.domains[i].name, json_string_value(json_object_get(expected, "name")));
		assert_string_equal(fw_domain_kind_names[world.domains[i].kind], json_string_value(json_object_get(expected, "kind")));
		assert_int_equal(world.domains[i].package, json_integer_value(json_object_get(expected, "package")));
		assert_int_equal(world.domains[i].is_root, json_boolean_value(json_object_get(expected, "root")));
		assert_true(first[i].joules >= 0 && world.readings[i].joules >= first[i].joules);
	}
	assert_true(world.readings[0].joules > first[0].joules);
	perf.close(world.monitor);
	world.ops = NULL;
	assert_int_equal(kernel.still_open, 0);
}

static void check_fixture(const char *name)
{
	static const struct fw_monitor_ops *const readers[] = {&fw_monitor_rapl, &fw_monitor_hwmon};
	unsigned checked = 0;

	print_message("%s\n", name);
	check_events(name);

	for (size_t i = 0; i < FW_COUNT_OF(readers); i++) {
		fw_cleanup_world struct world world;
		fw_cleanup_json json_t *all = set_up(&world, name);
		const json_t *expected = json_object_get(all, readers[i]->name);

		if (!expected)
			continue;
		if (json_object_get(expected, "refused"))
			check_refusal(&world, readers[i], expected);
		else
			check_monitor(&world, readers[i], all, expected);
		assert_true(json_array_size(json_object_get(all, "known_from")) > 0);
		checked++;
	}
	assert_true(checked > 0);
}

static void every_layout_is_read_as_its_sources_say(void **state)
{
	fw_cleanup_free char *path = fw_printf("%s/tests/fixtures/energy", getenv("FLEXWATT_SOURCE"));
	DIR *directory = opendir(path);
	unsigned count = 0;

	(void)state;
	assert_non_null(directory);
	for (const struct dirent *entry; (entry = readdir(directory));)
		if (entry->d_name[0] != '.') {
			check_fixture(entry->d_name);
			count++;
		}
	closedir(directory);
	assert_true(count >= 14);
}

static void the_folders_are_what_the_script_makes(void **state)
{
	const char *source = getenv("FLEXWATT_SOURCE");
	fw_cleanup_tree struct tree tree = tree_of("made/", "", NULL);
	fw_cleanup_free char *command = fw_printf("'%s/tests/fixtures/make-energy' '%s/made' && "
	                                          "diff -r --no-dereference '%s/tests/fixtures/energy' '%s/made'",
	                                          source, tree.path, source, tree.path);

	(void)state;
	assert_int_equal(system(command), 0);
}

static void hybrid_cgroups_are_told_as_such(void **state)
{
	fw_cleanup_world struct world world;
	fw_cleanup_json json_t *expected = set_up(&world, "hybrid-cgroups");
	FW_CLEANUP(fw_cgroups_close) struct fw_cgroups *cgroups = NULL;
	struct fw_error *err = NULL;

	(void)state;
	assert_string_equal(json_string_value(json_object_get(expected, "cgroups")), "hybrid");
	assert_ok(fw_cgroups_open(&world.root, "flexwatt", &cgroups, &err), err);
	assert_int_equal(fw_cgroups_mode(cgroups), FW_CGROUP_HYBRID);
}

FW_TESTS(every_layout_is_read_as_its_sources_say, the_folders_are_what_the_script_makes, hybrid_cgroups_are_told_as_such)
