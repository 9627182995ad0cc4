/* SPDX-License-Identifier: Apache-2.0
 *
 * Two runs that were given the same name: the second is refused, and nothing of the first is touched.
 */
#include <fcntl.h>

#include "backend/driver.h"
#include "base/tree.h"
#include "tests/unit/store_support.h"

static const char name[] = "20260101-000000-abc";
static const char text[] = "name: w\nstorage: ./data\nfunction: {command: [\"true\"]}\nstages: {a: {workers: 1}}\n";

/* ---- a backend that has a machine and no workers ---- */

static struct fw_backend nowhere;

static int nowhere_open(const struct fw_backend_context *context, struct fw_backend **backend, struct fw_error **err)
{
	fw_cleanup_free char *logs = fw_printf("%s/logs/%s", context->state_directory, context->run);

	*backend = &nowhere;
	return fw_make_directories(AT_FDCWD, logs, 0700, err);
}

static void nowhere_capacity(struct fw_backend *backend, int64_t *millivcpus, int64_t *memory_mb)
{
	(void)backend;
	*millivcpus = *memory_mb = 10000;
}

static bool nowhere_processor(struct fw_backend *backend, struct fw_processor *processor)
{
	(void)backend;
	(void)processor;
	return false;
}

static json_t *nowhere_describe(struct fw_backend *backend)
{
	(void)backend;
	return json_object();
}

static json_t *nowhere_energy_books(struct fw_backend *backend)
{
	(void)backend;
	return NULL;
}

static void nowhere_close(struct fw_backend *backend)
{
	(void)backend;
}

static const struct fw_backend_ops nowhere_ops = {.name = "nowhere", .open = nowhere_open, .capacity = nowhere_capacity,
	.processor = nowhere_processor, .describe = nowhere_describe, .energy_books = nowhere_energy_books, .close = nowhere_close};
static struct fw_backend nowhere = {.ops = &nowhere_ops};

/* ---- tests ---- */

struct place {
	struct tree tree;
	struct fw_store *store;
	struct fw_workflow *workflow;
	struct fw_driver_options options;
	char *state;
};

static void place_done(struct place *place)
{
	fw_store_close(place->store);
	fw_workflow_free(place->workflow);
	json_decref(place->options.options);
	free(place->state);
	tree_remove_cleanup(&place->tree);
}
#define fw_cleanup_place __attribute__((cleanup(place_done)))

static struct place place_of(void)
{
	struct place place = {.tree = tree_of("data/", "", "state/", "", NULL)};
	fw_cleanup_free char *path = store_path(&place.tree), *file = fw_printf("%s/w.yaml", place.tree.path);

	place.store = open_store(path);
	place.state = fw_printf("%s/state", place.tree.path);
	assert_ok(fw_workflow_parse(file, text, strlen(text), NULL, false, &place.workflow, NULL), NULL);
	place.options = (struct fw_driver_options){.workflow = place.workflow, .backend = &nowhere_ops, .store = place.store,
		.state_directory = place.state, .region = "eu-central-1", .region_said = "--region", .run = name,
		.options = json_object()};
	return place;
}

static void assert_there(const struct place *place, const char *path, bool wanted)
{
	assert_int_equal(faccessat(place->tree.fd, path, F_OK, 0) == 0, wanted);
}

static void a_run_in_the_storage_keeps_what_it_has(void **state)
{
	fw_cleanup_place struct place place = place_of();
	struct fw_driver *driver = NULL;
	struct fw_error *error = NULL;

	(void)state;
	tree_write(&place.tree, "data/runs/20260101-000000-abc/a/0.1/out/x", "another's");
	int rc = fw_driver_new(&place.options, &driver, &error);

	assert_error_is(rc, &error, FW_E_CONFLICT, name);
	assert_there(&place, "data/runs/20260101-000000-abc/a/0.1/out/x", true);
}

static void a_run_in_the_store_keeps_its_row_and_its_logs(void **state)
{
	fw_cleanup_place struct place place = place_of();
	struct fw_driver *driver = NULL;
	struct fw_error *error = NULL;
	struct fw_run_row row = {.run = NULL};

	(void)state;
	insert_run(place.store, name, 1);
	flush(place.store);
	tree_write(&place.tree, "state/logs/20260101-000000-abc/a-0.1.log", "another's");
	int rc = fw_driver_new(&place.options, &driver, &error);

	assert_int_not_equal(rc, FW_OK);
	fw_error_free(error);
	assert_there(&place, "state/logs/20260101-000000-abc/a-0.1.log", true);
	assert_there(&place, "data/runs/20260101-000000-abc", false);
	assert_ok(fw_store_run_get(place.store, name, &row, NULL), NULL);
	fw_run_row_done(&row);
}

static void a_run_that_cannot_begin_leaves_nothing(void **state)
{
	fw_cleanup_place struct place place = place_of();
	struct fw_driver *driver = NULL;
	struct fw_error *error = NULL;
	struct fw_run_row row = {.run = NULL};

	(void)state;
	place.workflow->stages.items[0].memory_mb = 10240; /* more than there is */
	int rc = fw_driver_new(&place.options, &driver, &error);

	assert_error_is(rc, &error, FW_E_LIMIT, "needs 10240 MB");
	assert_there(&place, "state/logs/20260101-000000-abc", false);
	assert_there(&place, "data/runs/20260101-000000-abc", false);
	assert_int_not_equal(fw_store_run_get(place.store, name, &row, NULL), FW_OK);
}

FW_TESTS(a_run_in_the_storage_keeps_what_it_has, a_run_in_the_store_keeps_its_row_and_its_logs,
         a_run_that_cannot_begin_leaves_nothing)
