/* SPDX-License-Identifier: Apache-2.0
 *
 * What the engine itself reads of objects in a directory: their version, and their bytes in pieces.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buffer.h"
#include "storage/storage.h"
#include "tests/unit/support.h"

struct world {
	struct tree tree;
	struct fw_loop *loop;
	struct fw_pool *pool;
	struct fw_storage *storage;
	struct fw_buffer bytes;
	size_t enough; /* the sink wants no more than that many; 0: all */
	size_t largest;
	int rc;
	char *message, *version;
	int64_t size;
	bool settled;
};

static void world_init(struct world *world, struct tree tree)
{
	struct fw_error *err = NULL;
	fw_cleanup_free char *uri = fw_printf("file:%s", tree.path);

	*world = (struct world){.tree = tree};
	fw_buffer_init(&world->bytes, 100 << 20);
	assert_ok(fw_loop_new(&world->loop, &err), err);
	assert_ok(fw_pool_new(world->loop, 1, &world->pool, &err), err);
	assert_ok(fw_storage_open(uri, &(struct fw_storage_host){world->loop, world->pool, NULL}, &world->storage, &err), err);
}

static void world_done(struct world *world)
{
	fw_pool_free(world->pool);
	fw_storage_close(world->storage);
	fw_loop_free(world->loop);
	fw_buffer_done(&world->bytes);
	free(world->message);
	free(world->version);
	tree_remove_cleanup(&world->tree);
}
#define fw_cleanup_world __attribute__((cleanup(world_done)))

static void remember(struct world *world, int rc, const struct fw_error *error)
{
	free(world->message);
	world->message = fw_strdup(error ? fw_error_message(error) : "");
	world->rc = rc;
	fw_loop_stop(world->loop);
}

static void looked(void *context, int rc, const struct fw_storage_stat *stat, const struct fw_error *error)
{
	struct world *world = context;

	free(FW_TAKE(world->version));
	if (rc == FW_OK) {
		world->version = fw_strdup(stat->version);
		world->size = stat->bytes;
		world->settled = stat->settled;
	}
	remember(world, rc, error);
}

static void look(struct world *world, const char *key)
{
	world->storage->ops->stat(world->storage, key, looked, world);
	fw_loop_run(world->loop, NULL);
}

static int take(void *context, const void *bytes, size_t length)
{
	struct world *world = context;

	fw_buffer_append(&world->bytes, bytes, length);
	if (length > world->largest)
		world->largest = length;
	return world->enough && world->bytes.length >= world->enough ? 7 : FW_OK;
}

static void done(void *context, int rc, const struct fw_error *error)
{
	remember(context, rc, error);
}

static void read_bytes(struct world *world, const char *key, int64_t offset, int64_t length)
{
	fw_buffer_clear(&world->bytes);
	world->storage->ops->read(world->storage, &(struct fw_storage_range){key, NULL, offset, length}, take, done, world);
	fw_loop_run(world->loop, NULL);
}

static void a_change_of_an_object_changes_its_version(void **state)
{
	fw_cleanup_world struct world world;
	const struct timespec old[2] = {{.tv_sec = 1700000000}, {.tv_sec = 1700000000}};

	(void)state;
	world_init(&world, tree_of("in/a", "one", NULL));
	look(&world, "in/a");
	assert_int_equal(world.rc, FW_OK);
	assert_int_equal(world.size, 3);
	assert_false(world.settled); /* it could be written again in the same tick of the clock */
	fw_cleanup_free char *first = fw_strdup(world.version);

	look(&world, "in/a");
	assert_string_equal(world.version, first);
	assert_int_equal(utimensat(world.tree.fd, "in/a", old, 0), 0);
	look(&world, "in/a");
	assert_true(world.settled);
	assert_string_not_equal(world.version, first);
	look(&world, "in/b");
	assert_int_equal(world.rc, FW_E_ABSENT);
	assert_string_equal(world.message, "object in/b: No such file or directory");
}

static void bytes_come_in_order_and_in_pieces(void **state)
{
	enum { SIZE = 70 << 20 }; /* more than one job reads */
	fw_cleanup_world struct world world;
	fw_cleanup_free char *path = NULL;

	(void)state;
	world_init(&world, tree_of("a", "0123456789", "empty", "", NULL));
	read_bytes(&world, "a", 0, 10);
	assert_string_equal(world.bytes.data, "0123456789");
	read_bytes(&world, "a", 3, 4);
	assert_string_equal(world.bytes.data, "3456");
	read_bytes(&world, "a", 10, 0);
	assert_int_equal(world.rc, FW_OK);
	read_bytes(&world, "empty", 0, 0);
	assert_int_equal(world.rc, FW_OK);
	path = fw_printf("%s/large", world.tree.path);
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	assert_int_equal(ftruncate(fd, SIZE), 0);
	assert_int_equal(pwrite(fd, "end", 3, SIZE - 3), 3);
	close(fd);
	read_bytes(&world, "large", 1, SIZE - 1);
	assert_int_equal(world.rc, FW_OK);
	assert_int_equal(world.bytes.length, SIZE - 1);
	assert_memory_equal(world.bytes.data + SIZE - 4, "end", 3);
	assert_true(world.largest <= 1 << 20); /* memory is bounded */
}

static void a_sink_that_has_enough_ends_the_reading(void **state)
{
	fw_cleanup_world struct world world;
	fw_cleanup_free char *path = NULL;

	(void)state;
	world_init(&world, tree_of("a", "", NULL));
	path = fw_printf("%s/a", world.tree.path);
	assert_int_equal(truncate(path, (off_t)1 << 40), 0);
	world.enough = 1000000;
	read_bytes(&world, "a", 0, (int64_t)1 << 40);
	assert_int_equal(world.rc, 7);
	assert_string_equal(world.message, "");
	assert_true(world.bytes.length < 2000000);
}

static void an_object_that_ends_too_early_has_changed(void **state)
{
	fw_cleanup_world struct world world;

	(void)state;
	world_init(&world, tree_of("a", "0123456789", NULL));
	read_bytes(&world, "a", 5, 20);
	assert_int_equal(world.rc, FW_E_CONFLICT);
	assert_string_equal(world.message, "object a changed while the run read it");
	read_bytes(&world, "b", 0, 20);
	assert_int_equal(world.rc, FW_E_ABSENT);
}

FW_TESTS(a_change_of_an_object_changes_its_version, bytes_come_in_order_and_in_pieces,
         a_sink_that_has_enough_ends_the_reading, an_object_that_ends_too_early_has_changed)
