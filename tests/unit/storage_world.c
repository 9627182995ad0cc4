/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/storage_world.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/tree.h"
#include "storage/s3_internal.h"

enum { DEADLINE_S = 60 };

static const char *bucket(void)
{
	return getenv("FLEXWATT_TEST_STORAGE");
}

bool world_is_bucket(void)
{
	return bucket();
}

void only_on_a_directory(void)
{
	if (!bucket())
		return;
	print_message("skipped: files of a directory, the storage is a bucket\n");
	skip();
}

void only_in_a_bucket(void)
{
	if (bucket())
		return;
	print_message("skipped: objects of a bucket, the storage is a directory\n");
	skip();
}

/* ---- the bucket ---- */

/* Its own prefix for each world. */
static char *bucket_uri(void)
{
	static unsigned number;
	fw_cleanup_s3_uri struct fw_s3_uri uri = {0};
	fw_cleanup_free char *prefix = fw_printf("contract/%d-%u", (int)getpid(), ++number);
	size_t offset = 0;

	assert_ok(fw_s3_uri_parse(bucket(), strlen(bucket()), &uri, &offset, NULL), NULL);
	assert_ok(fw_s3_uri_set(&uri, FW_S3_URI_PREFIX, prefix, NULL), NULL);
	return fw_s3_uri_text(&uri);
}

struct filling {
	struct storage_world *world;
	struct fw_s3_wait wait;
};

static int put_file(void *context, const char *path, int parent_fd, const char *name, const struct stat *stat,
                    struct fw_error **err)
{
	struct filling *filling = context;
	struct fw_s3_storage *storage = (struct fw_s3_storage *)filling->world->storage;
	fw_cleanup_free char *key = fw_s3_key(storage, path);

	if (S_ISDIR(stat->st_mode))
		return strcmp(path, "work") == 0 || strcmp(path, "scratch") == 0 || strcmp(name, ".attempts") == 0 ? FW_TREE_SKIP
		                                                                                                  : FW_OK;
	fw_cleanup_fd int fd = openat(parent_fd, name, O_RDONLY | O_CLOEXEC);

	fw_s3_put(filling->wait.s3, &(struct fw_s3_put){.key = key, .fd = fd, .length = stat->st_size}, fw_s3_wait_done,
	          &filling->wait);
	return fw_s3_wait(&filling->wait, err);
}

static void fill_bucket(struct storage_world *world)
{
	struct filling filling = {.world = world};
	struct fw_error *error = NULL;
	fw_cleanup_free char *directory = NULL;

	assert_ok(fw_s3_wait_begin((struct fw_s3_storage *)world->storage, &filling.wait, &error), error);
	assert_ok(fw_tree_walk(world->tree.fd, ".", put_file, &filling, &error), error);
	fw_s3_wait_end(&filling.wait);
	assert_ok(world->storage->ops->attempts_root(world->storage, "r1", &directory, &error), error);
}

struct emptying {
	struct fw_s3_wait wait; /* first */
	const char *prefix;
	FW_VECTOR(char *) keys;
	size_t uploads;
};

static bool add_keys(void *context, const struct fw_s3_item *items, size_t count)
{
	struct emptying *emptying = context;

	for (size_t i = 0; i < count; i++)
		if (items[i].upload_id)
			emptying->uploads += strncmp(items[i].key, emptying->prefix, strlen(emptying->prefix)) == 0;
		else
			FW_PUSH(&emptying->keys, fw_strdup(items[i].key));
	return true;
}

/* No upload may have been left open. All of the bucket's come by: MinIO lists none by a prefix that is not the whole key. */
static void empty_bucket(struct storage_world *world)
{
	struct fw_s3_storage *storage = (struct fw_s3_storage *)world->storage;
	struct emptying emptying = {.prefix = storage->prefix};

	assert_ok(fw_s3_wait_begin(storage, &emptying.wait, NULL), NULL);
	fw_s3_list(emptying.wait.s3, &(struct fw_s3_list){.prefix = storage->prefix, .page = add_keys}, fw_s3_wait_done,
	           &emptying.wait);
	assert_ok(fw_s3_wait(&emptying.wait, NULL), NULL);
	fw_s3_list_uploads(emptying.wait.s3, "", add_keys, fw_s3_wait_done, &emptying.wait);
	assert_ok(fw_s3_wait(&emptying.wait, NULL), NULL);
	for (size_t i = 0; i < emptying.keys.count; i++) {
		fw_s3_delete(emptying.wait.s3, emptying.keys.items[i], fw_s3_wait_done, &emptying.wait);
		fw_s3_wait(&emptying.wait, NULL);
		free(emptying.keys.items[i]);
	}
	free(emptying.keys.items);
	fw_s3_wait_end(&emptying.wait);
	assert_int_equal(emptying.uploads, 0);
}

static bool any_key(void *context, const struct fw_s3_item *items, size_t count)
{
	struct fw_s3_wait *wait = context;

	(void)items;
	wait->found = wait->found || count > 0;
	return true;
}

static bool bucket_has(struct storage_world *world, const char *key)
{
	struct fw_s3_storage *storage = (struct fw_s3_storage *)world->storage;
	fw_cleanup_s3_wait struct fw_s3_wait wait = {0};
	fw_cleanup_free char *prefix = fw_s3_key(storage, key);

	assert_ok(fw_s3_wait_begin(storage, &wait, NULL), NULL);
	fw_s3_list(wait.s3, &(struct fw_s3_list){.prefix = prefix, .page = any_key}, fw_s3_wait_done, &wait);
	assert_ok(fw_s3_wait(&wait, NULL), NULL);
	return wait.found;
}

/* ---- the world ---- */

struct storage_world world_open(struct tree tree)
{
	struct storage_world world = {.tree = tree};
	struct fw_error *error = NULL;
	fw_cleanup_free char *scratch = fw_printf("%s/scratch", tree.path);

	alarm(DEADLINE_S);
	world.uri = bucket() ? bucket_uri() : fw_printf("file:%s", tree.path);
	assert_ok(fw_loop_new(&world.loop, &error), error);
	assert_ok(fw_pool_new(world.loop, 1, &world.pool, &error), error);
	const struct fw_storage_host host = {world.loop, world.pool, scratch};

	assert_ok(fw_storage_open(world.uri, &host, &world.storage, &error), error);
	if (bucket())
		fill_bucket(&world);
	return world;
}

void world_done(struct storage_world *world)
{
	if (world->staged)
		world->storage->ops->release(world->storage, world->staged);
	if (bucket())
		empty_bucket(world);
	fw_storage_objects_done(&world->objects);
	free(world->message);
	fw_storage_close(world->storage);
	fw_pool_free(world->pool);
	fw_loop_free(world->loop);
	free(world->uri);
	tree_remove_cleanup(&world->tree);
}

static void remember(struct storage_world *world, int rc, const struct fw_error *error)
{
	world->rc = rc;
	free(world->message);
	world->message = error ? fw_error_describe(error) : NULL;
	fw_loop_stop(world->loop);
}

void world_wait(struct storage_world *world)
{
	assert_ok(fw_loop_run(world->loop, NULL), NULL);
}

void world_ended(void *context, int rc, const struct fw_error *error)
{
	remember(context, rc, error);
}

static void take_objects(struct storage_world *world, struct fw_storage_objects *objects)
{
	fw_storage_objects_done(&world->objects);
	world->objects = *objects;
	memset(objects, 0, sizeof *objects);
}

static void listed(void *context, int rc, struct fw_storage_objects *objects, const struct fw_error *error)
{
	take_objects(context, objects);
	remember(context, rc, error);
}

void world_list(struct storage_world *world, const char *pattern)
{
	world->storage->ops->list(world->storage, pattern, listed, world);
	world_wait(world);
}

static void published(void *context, int rc, struct fw_storage_objects *objects, const uint32_t *output_of,
                      const struct fw_error *error)
{
	struct storage_world *world = context;

	for (size_t i = 0; i < objects->list.count && i < FW_COUNT_OF(world->outputs); i++)
		world->outputs[i] = output_of[i];
	take_objects(world, objects);
	remember(world, rc, error);
}

void world_publish(struct storage_world *world, const char *const *names, size_t count)
{
	fw_cleanup_free char *directory = fw_printf("%s/work", world->tree.path);
	struct fw_publication_output outputs[2] = {{"chunks", names, count}, {"reports", NULL, 0}};
	struct fw_publication publication = {
		.key = {"r1", "split", 3, 1}, .directory = directory, .outputs = outputs, .output_count = 2};

	world->storage->ops->publish(world->storage, &publication, published, world);
	world_wait(world);
}

static void staged(void *context, int rc, struct fw_staged *range, const struct fw_error *error)
{
	struct storage_world *world = context;

	if (world->staged)
		world->storage->ops->release(world->storage, world->staged);
	world->staged = range;
	remember(world, rc, error);
}

void world_stage_in(struct storage_world *world, const char *key, int64_t offset, int64_t length)
{
	world->storage->ops->stage_in(world->storage, &(struct fw_storage_range){key, NULL, offset, length}, staged, world);
	world_wait(world);
}

void world_stage_in_version(struct storage_world *world, const char *key, const char *version, int64_t length)
{
	world->storage->ops->stage_in(world->storage, &(struct fw_storage_range){key, version, 0, length}, staged, world);
	world_wait(world);
}

bool world_has_here(const struct storage_world *world, const char *path)
{
	return faccessat(world->tree.fd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

bool world_has(struct storage_world *world, const char *key)
{
	return bucket() ? bucket_has(world, key) : world_has_here(world, key);
}

struct text {
	struct storage_world *world;
	int64_t bytes;
	struct fw_buffer read;
};

static void stat_known(void *context, int rc, const struct fw_storage_stat *stat, const struct fw_error *error)
{
	struct text *text = context;

	text->bytes = rc == FW_OK ? stat->bytes : -1;
	remember(text->world, rc, error);
}

static int keep_bytes(void *context, const void *bytes, size_t length)
{
	return fw_buffer_append(&((struct text *)context)->read, bytes, length);
}

static void was_read(void *context, int rc, const struct fw_error *error)
{
	remember(((struct text *)context)->world, rc, error);
}

static void version_known(void *context, int rc, const struct fw_storage_stat *stat, const struct fw_error *error)
{
	struct text *text = context;

	fw_buffer_text(&text->read, rc == FW_OK ? stat->version : "");
	remember(text->world, rc, error);
}

char *world_version(struct storage_world *world, const char *key)
{
	struct text text = {.world = world};

	fw_buffer_init(&text.read, 1000);
	world->storage->ops->stat(world->storage, key, version_known, &text);
	world_wait(world);
	assert_int_equal(world->rc, FW_OK);
	return fw_buffer_take(&text.read);
}

void world_read_version(struct storage_world *world, const char *key, const char *version, int64_t length)
{
	struct text text = {.world = world};

	fw_buffer_init(&text.read, (size_t)length + 1);
	world->storage->ops->read(world->storage, &(struct fw_storage_range){key, version, 0, length}, keep_bytes, was_read, &text);
	world_wait(world);
	fw_buffer_done(&text.read);
}

static void replace_in_bucket(const struct storage_world *world, const char *key, const char *text)
{
	const struct fw_s3_storage *storage = (struct fw_s3_storage *)world->storage;
	fw_cleanup_s3_wait struct fw_s3_wait wait = {0};
	fw_cleanup_free char *name = fw_s3_key(storage, key);

	assert_ok(fw_s3_wait_begin(storage, &wait, NULL), NULL);
	fw_s3_put(wait.s3, &(struct fw_s3_put){.key = name, .data = text, .length = (int64_t)strlen(text)}, fw_s3_wait_done,
	          &wait);
	assert_ok(fw_s3_wait(&wait, NULL), NULL);
}

void world_replace(struct storage_world *world, const char *key, const char *text)
{
	if (bucket()) {
		replace_in_bucket(world, key, text);
		return;
	}
	assert_int_equal(unlinkat(world->tree.fd, key, 0), 0);
	assert_ok(fw_write_file(world->tree.fd, key, text, strlen(text), 0644, NULL), NULL);
}

char *world_text(struct storage_world *world, const char *key)
{
	struct text text = {.world = world};

	world->storage->ops->stat(world->storage, key, stat_known, &text);
	world_wait(world);
	assert_int_equal(world->rc, FW_OK);
	fw_buffer_init(&text.read, (size_t)text.bytes + 1);
	world->storage->ops->read(world->storage, &(struct fw_storage_range){key, NULL, 0, text.bytes}, keep_bytes, was_read, &text);
	world_wait(world);
	assert_int_equal(world->rc, FW_OK);
	return fw_buffer_take(&text.read);
}

void assert_staged(const struct storage_world *world, const char *text)
{
	fw_cleanup_buffer struct fw_buffer bytes;

	if (world->rc != FW_OK)
		fail_msg("not staged: %s", world->message);
	assert_int_equal(world->staged->length, strlen(text));
	fw_buffer_init(&bytes, 1000);
	assert_ok(fw_read_file(AT_FDCWD, world->staged->path, &bytes, NULL), NULL);
	assert_in_range(bytes.length, (uint64_t)world->staged->offset + strlen(text), 1000);
	assert_memory_equal(bytes.data + world->staged->offset, text, strlen(text));
}

void assert_nothing_visible(struct storage_world *world, int rc, const char *text)
{
	assert_int_equal(world->rc, rc);
	assert_non_null(world->message);
	if (!strstr(world->message, text))
		fail_msg("expected '%s' in: %s", text, world->message);
	assert_false(world_has(world, "runs/r1/split/3.1"));
	assert_false(world_has_here(world, "work"));
	assert_int_equal(world->objects.list.count, 0);
}
