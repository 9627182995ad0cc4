/* SPDX-License-Identifier: Apache-2.0
 *
 * What a storage that is a directory does beside the contract: links, modes, files that are not copied, a full disk.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/tree.h"
#include "storage/file_publish_internal.h"
#include "tests/unit/storage_world.h"

static bool keep_first(void *context, const struct fw_attempt_key *key)
{
	(void)context;
	return strcmp(key->stage, "split") == 0 && key->attempt == 1;
}

enum { UID = 54321 }; /* of a worker */

/* The attempt with work/chunks/a, all of it the worker's. */
static void attempt_of(const struct storage_world *world, uid_t uid)
{
	static const char *const paths[] = {"work", "work/chunks", "work/chunks/a", "work/reports"};

	for (size_t i = 0; uid != geteuid() && i < FW_COUNT_OF(paths); i++)
		assert_int_equal(fchownat(world->tree.fd, paths[i], uid, uid, 0), 0);
}

static void assert_kept(struct storage_world *world)
{
	fw_cleanup_free char *text = world_text(world, "runs/r1/split/3.1/chunks/a");

	assert_string_equal(text, "as it was");
}

static void a_local_file_is_not_copied(void **state)
{
	(void)state;
	fw_cleanup_world struct storage_world world = world_open(tree_of("rows/a", "0123456789", NULL));
	fw_cleanup_free char *path = fw_printf("%s/rows/a", world.tree.path);

	world_stage_in(&world, "rows/a", 3, 4);
	assert_string_equal(world.staged->path, path);
	assert_int_equal(world.staged->offset, 3);
}

static void refuses_a_link_that_leaves_the_storage(void **state)
{
	(void)state;
	fw_cleanup_world struct storage_world world =
		world_open(tree_of("a/in", "x", "a/inside", "-> in", "b/out", "-> /etc/hostname", NULL));

	world_list(&world, "a/*");
	assert_int_equal(world.objects.list.count, 2);
	world_list(&world, "b/*");
	assert_int_equal(world.rc, FW_E_INVALID);
	assert_non_null(strstr(world.message, "b/out is a link that leaves the storage"));
}

static void refuses_a_directory_that_is_a_link_out_of_the_storage(void **state)
{
	(void)state;
	fw_cleanup_tree struct tree outside = tree_of("sub/secret", "x", NULL);
	fw_cleanup_free char *link = fw_printf("-> %s", outside.path);
	fw_cleanup_world struct storage_world world = world_open(tree_of("out", link, "a/in", "x", "alias", "-> a", NULL));

	world_list(&world, "out/sub/*");
	assert_int_equal(world.rc, FW_E_INVALID);
	assert_non_null(strstr(world.message, "out/sub is a link that leaves the storage"));
	world_list(&world, "alias/*");
	assert_int_equal(world.rc, FW_OK);
	assert_int_equal(world.objects.list.count, 1);
	assert_string_equal(world.objects.list.items[0].key, "alias/in");
}

static void resets_modes(void **state)
{
	(void)state;
	fw_cleanup_world struct storage_world world = world_open(tree_of("work/chunks/a", "a", "work/reports/", "", NULL));
	struct stat stat;

	fchmodat(world.tree.fd, "work/chunks/a", 06777, 0);
	world_publish(&world, NULL, 0);
	assert_int_equal(world.rc, FW_OK);
	assert_int_equal(fstatat(world.tree.fd, "runs/r1/split/3.1/chunks/a", &stat, 0), 0);
	assert_int_equal(stat.st_mode & 07777, 0644);
	assert_int_equal(stat.st_uid, geteuid());
}

/* Directories are no objects, but each costs as much as one: an attempt of nothing else must be bounded, too. */
static void directories_count_as_objects_do(void **state)
{
	(void)state;
	fw_cleanup_world struct storage_world world = world_open(tree_of("work/chunks/a/", "", "work/chunks/b/", "", "work/chunks/c/", "", NULL));
	fw_cleanup_fd int work = openat(world.tree.fd, "work", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct fw_storage_objects objects = {0};
	struct fw_publishing publishing = {.output = "chunks", .prefix = "p", .fresh_fd = -1, .objects = &objects,
	                                   .seen = FW_PUBLISH_MAX_OBJECTS - 3};
	struct fw_error *err = NULL;

	assert_ok(fw_publish_output(&publishing, work, NULL, 0, &err), err);
	publishing.seen = FW_PUBLISH_MAX_OBJECTS - 2;
	assert_error_is(fw_publish_output(&publishing, work, NULL, 0, &err), &err, FW_E_FUNCTION,
	                "the function left more than 100000 files and directories");
}

/* A worker of our own uid may open whatever it reaches by a directory that it kept. */
static void a_kept_directory_does_not_lead_to_what_is_published(void **state)
{
	(void)state;
	fw_cleanup_world struct storage_world world = world_open(tree_of("work/chunks/a", "as it was", "work/reports/", "", NULL));
	fw_cleanup_fd int directory = openat(world.tree.fd, "work/chunks", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	world_publish(&world, NULL, 0);
	assert_int_equal(world.rc, FW_OK);
	assert_int_equal(openat(directory, "a", O_WRONLY | O_CLOEXEC), -1);
	assert_kept(&world);
}

static void a_file_that_nobody_writes_to_is_not_copied(void **state)
{
	(void)state;
	if (geteuid() != 0) {
		print_message("skipped: another user's files need root\n");
		skip();
	}
	fw_cleanup_world struct storage_world world = world_open(tree_of("work/chunks/a", "as it was", "work/reports/", "", NULL));
	fw_cleanup_fd int reader = openat(world.tree.fd, "work/chunks/a", O_RDONLY | O_CLOEXEC);
	struct stat before, after;

	attempt_of(&world, UID);
	assert_int_equal(fstat(reader, &before), 0);
	world_publish(&world, NULL, 0);
	assert_kept(&world);
	assert_int_equal(fstatat(world.tree.fd, "runs/r1/split/3.1/chunks/a", &after, 0), 0);
	assert_int_equal(after.st_ino, before.st_ino);
}

static void a_copy_keeps_holes(void **state)
{
	(void)state;
	enum { MB = 1 << 20 };
	fw_cleanup_world struct storage_world world = world_open(tree_of("work/chunks/a", "a", "work/reports/", "", NULL));
	fw_cleanup_fd int fd = openat(world.tree.fd, "work/chunks/a", O_RDWR | O_CLOEXEC);
	char end[4] = "";
	struct stat stat;

	assert_int_equal(pwrite(fd, "end", 3, (off_t)4096 * MB), 3);
	world_publish(&world, NULL, 0);
	assert_int_equal(world.rc, FW_OK);
	fw_cleanup_fd int kept = openat(world.tree.fd, "runs/r1/split/3.1/chunks/a", O_RDONLY | O_CLOEXEC);

	assert_int_equal(fstat(kept, &stat), 0);
	assert_int_equal(stat.st_size, (int64_t)4096 * MB + 3);
	assert_int_equal(pread(kept, end, 3, (off_t)4096 * MB), 3);
	assert_string_equal(end, "end");
	assert_in_range(stat.st_blocks * 512, 1, MB);
}

static void wait_for_the_end(void *context)
{
	struct pollfd ended = {.fd = *(int *)context, .events = POLLIN};

	poll(&ended, 1, -1); /* the alarm is the deadline */
}

static void nobody_waits(void *context)
{
	(void)context;
}

/* It may be a million files that are thrown away. */
static void what_is_removed_does_not_hold_up_what_is_published(void **state)
{
	(void)state;
	fw_cleanup_world struct storage_world world =
		world_open(tree_of("runs/r1/.attempts/w0/x", "x", "runs/r1/split/0.2/o/a", "b", NULL));
	fw_cleanup_free char *directory = fw_printf("%s/runs/r1/.attempts/w0", world.tree.path);
	int ends[2];

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	fw_pool_submit(world.pool, wait_for_the_end, nobody_waits, &ends[0]); /* its only thread */
	world.storage->ops->discard(world.storage, directory, world_ended, &world);
	world_wait(&world);
	assert_int_equal(world.rc, FW_OK);
	assert_false(world_has(&world, "runs/r1/.attempts/w0"));
	world.storage->ops->sweep(world.storage, "r1", keep_first, world_ended, &world);
	world_wait(&world);
	assert_false(world_has(&world, "runs/r1/split/0.2"));
	close(ends[1]);
	fw_storage_close(FW_TAKE(world.storage));
	fw_pool_free(FW_TAKE(world.pool)); /* which still looks at the pipe */
	close(ends[0]);
}

/* Needs root: a filesystem of 1 MB whose free space is used up before the attempt's directory is taken over. */
static void a_full_disk_leaves_nothing_half_visible(void **state)
{
	(void)state;
	fw_cleanup_tree struct tree outer = tree_of("small/", "", NULL);
	fw_cleanup_free char *small = fw_printf("%s/small", outer.path);

	if (mount("none", small, "tmpfs", 0, "size=64k,nr_inodes=12") < 0) {
		print_message("skipped: mounting a small filesystem needs root (%s)\n", strerror(errno));
		free(FW_TAKE(small)); /* skip() does not return */
		tree_remove_cleanup(&outer);
		skip();
	}
	struct tree inner = {.fd = open(small, O_RDONLY | O_DIRECTORY | O_CLOEXEC)};

	snprintf(inner.path, sizeof inner.path, "%s", small);
	tree_write(&inner, "work/chunks/a", "a");
	tree_write(&inner, "work/reports/", "");
	for (int i = 0; i < 12; i++) { /* no inode is left for runs/r1/split */
		char name[16];

		snprintf(name, sizeof name, "fill%d", i);
		int fd = openat(inner.fd, name, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
		if (fd >= 0)
			close(fd);
	}
	{
		struct storage_world world = world_open(inner);

		world_publish(&world, NULL, 0);
		assert_int_equal(world.rc, FW_E_NO_SPACE);
		assert_non_null(strstr(world.message, "No space left"));
		assert_false(world_has(&world, "runs/r1/split/3.1"));
		assert_false(world_has_here(&world, "work"));
		fw_storage_objects_done(&world.objects);
		free(world.message);
		free(world.uri);
		fw_storage_close(world.storage);
		fw_pool_free(world.pool);
		fw_loop_free(world.loop);
		close(inner.fd);
	}
	assert_int_equal(umount2(small, MNT_DETACH), 0);
}

static void refuses_a_file_whose_name_is_not_text(void **state)
{
	(void)state;
	fw_cleanup_world struct storage_world world = world_open(tree_of("in/a\xff", "a", NULL));

	world_list(&world, "in/*");
	assert_int_equal(world.rc, FW_E_INVALID);
}


FW_TESTS(a_local_file_is_not_copied, refuses_a_file_whose_name_is_not_text, refuses_a_link_that_leaves_the_storage,
         refuses_a_directory_that_is_a_link_out_of_the_storage, resets_modes, directories_count_as_objects_do,
         a_kept_directory_does_not_lead_to_what_is_published, a_file_that_nobody_writes_to_is_not_copied,
         a_copy_keeps_holes, what_is_removed_does_not_hold_up_what_is_published, a_full_disk_leaves_nothing_half_visible)
