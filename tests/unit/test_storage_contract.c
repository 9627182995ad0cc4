/* SPDX-License-Identifier: Apache-2.0
 *
 * What every storage must do, as src/storage/storage.h says; run for each member of the family.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/buffer.h"
#include "base/tree.h"
#include "storage/file_publish_internal.h"
#include "tests/unit/support.h"

enum { DEADLINE_S = 20 };

/* A storage on a fixture tree, with the loop that its callbacks come on. */
struct fixture {
	struct tree tree;
	struct fw_loop *loop;
	struct fw_pool *pool;
	struct fw_storage *storage;
	/* of the last call */
	int rc;
	char *message;
	struct fw_storage_objects objects;
	uint32_t outputs[16];
	struct fw_staged *staged;
};

static void fixture_done(struct fixture *fixture)
{
	if (fixture->staged)
		fixture->storage->ops->release(fixture->storage, fixture->staged);
	fw_storage_objects_done(&fixture->objects);
	free(fixture->message);
	fw_storage_close(fixture->storage);
	fw_pool_free(fixture->pool);
	fw_loop_free(fixture->loop);
	tree_remove_cleanup(&fixture->tree);
}
#define fw_cleanup_fixture __attribute__((cleanup(fixture_done)))

static struct fixture open_on(struct tree tree)
{
	struct fixture fixture = {.tree = tree};
	struct fw_error *error = NULL;
	fw_cleanup_free char *uri = fw_printf("file:%s", tree.path);

	alarm(DEADLINE_S);
	assert_ok(fw_loop_new(&fixture.loop, &error), error);
	assert_ok(fw_pool_new(fixture.loop, 1, &fixture.pool, &error), error);
	assert_ok(fw_storage_open(uri, &(struct fw_storage_host){fixture.loop, fixture.pool, NULL}, &fixture.storage, &error), error);
	return fixture;
}

static void remember(struct fixture *fixture, int rc, const struct fw_error *error)
{
	fixture->rc = rc;
	free(fixture->message);
	fixture->message = error ? fw_error_describe(error) : NULL;
	fw_loop_stop(fixture->loop);
}

static void take_objects(struct fixture *fixture, struct fw_storage_objects *objects)
{
	fw_storage_objects_done(&fixture->objects);
	fixture->objects = *objects;
	memset(objects, 0, sizeof *objects);
}

static void listed(void *context, int rc, struct fw_storage_objects *objects, const struct fw_error *error)
{
	take_objects(context, objects);
	remember(context, rc, error);
}

static void published(void *context, int rc, struct fw_storage_objects *objects, const uint32_t *output_of,
                      const struct fw_error *error)
{
	struct fixture *fixture = context;

	for (size_t i = 0; i < objects->list.count && i < FW_COUNT_OF(fixture->outputs); i++)
		fixture->outputs[i] = output_of[i];
	take_objects(fixture, objects);
	remember(fixture, rc, error);
}

static void done(void *context, int rc, const struct fw_error *error)
{
	remember(context, rc, error);
}

static void list(struct fixture *fixture, const char *pattern)
{
	fixture->storage->ops->list(fixture->storage, pattern, listed, fixture);
	fw_loop_run(fixture->loop, NULL);
}

/* Publishes the directory "work" of the tree as split/3.1 with outputs "chunks" (and "reports"). */
static void publish(struct fixture *fixture, const char *const *names, size_t count)
{
	fw_cleanup_free char *directory = fw_printf("%s/work", fixture->tree.path);
	struct fw_publication_output outputs[2] = {{"chunks", names, count}, {"reports", NULL, 0}};
	struct fw_publication publication = {
		.key = {"r1", "split", 3, 1}, .directory = directory, .outputs = outputs, .output_count = 2};

	fixture->storage->ops->publish(fixture->storage, &publication, published, fixture);
	fw_loop_run(fixture->loop, NULL);
}

static bool exists(const struct fixture *fixture, const char *path)
{
	return faccessat(fixture->tree.fd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static void assert_nothing_visible(struct fixture *fixture, int rc, const char *text)
{
	assert_int_equal(fixture->rc, rc);
	assert_non_null(fixture->message);
	if (!strstr(fixture->message, text))
		fail_msg("expected '%s' in: %s", text, fixture->message);
	assert_false(exists(fixture, "runs/r1/split/3.1"));
	assert_false(exists(fixture, "work"));
	assert_int_equal(fixture->objects.list.count, 0);
}

static void lists_by_glob_sorted_and_never_what_runs_made(void **state)
{
	(void)state;
	fw_cleanup_fixture struct fixture fixture = open_on(
		tree_of("videos/b.mp4", "bb", "videos/a.mp4", "a", "videos/deep/c.mp4", "c", "videos/x.txt", "x",
	            "runs/r0/split/0.1/chunks/z.mp4", "z", NULL));

	list(&fixture, "videos/*.mp4");
	assert_int_equal(fixture.objects.list.count, 2);
	assert_string_equal(fixture.objects.list.items[0].key, "videos/a.mp4");
	assert_int_equal(fixture.objects.list.items[1].bytes, 2);
	list(&fixture, "**/*.mp4");
	assert_int_equal(fixture.objects.list.count, 3);
	list(&fixture, "nowhere/*.mp4");
	assert_int_equal(fixture.rc, FW_OK);
	assert_int_equal(fixture.objects.list.count, 0);
}

static void staged(void *context, int rc, struct fw_staged *range, const struct fw_error *error)
{
	struct fixture *fixture = context;

	if (fixture->staged)
		fixture->storage->ops->release(fixture->storage, fixture->staged);
	fixture->staged = range;
	remember(fixture, rc, error);
}

static void stage_in(struct fixture *fixture, const char *key, int64_t offset, int64_t length)
{
	fixture->storage->ops->stage_in(fixture->storage, key, offset, length, staged, fixture);
	fw_loop_run(fixture->loop, NULL);
}

static void assert_staged(const struct fixture *fixture, const char *text)
{
	fw_cleanup_buffer struct fw_buffer bytes;

	assert_int_equal(fixture->rc, FW_OK);
	assert_int_equal(fixture->staged->length, strlen(text));
	fw_buffer_init(&bytes, 1000);
	assert_ok(fw_read_file(AT_FDCWD, fixture->staged->path, &bytes, NULL), NULL);
	assert_in_range(bytes.length, (uint64_t)fixture->staged->offset + strlen(text), 1000);
	assert_memory_equal(bytes.data + fixture->staged->offset, text, strlen(text));
}

static void an_object_or_a_range_of_one_becomes_a_local_file(void **state)
{
	(void)state;
	fw_cleanup_fixture struct fixture fixture = open_on(tree_of("rows/a b+%.csv", "0123456789", NULL));

	stage_in(&fixture, "rows/a b+%.csv", 0, -1);
	assert_staged(&fixture, "0123456789");
	stage_in(&fixture, "rows/a b+%.csv", 3, 4);
	assert_staged(&fixture, "3456");
	stage_in(&fixture, "rows/a b+%.csv", 8, -1);
	assert_staged(&fixture, "89");
	stage_in(&fixture, "rows/a b+%.csv", 10, 0);
	assert_staged(&fixture, "");
	stage_in(&fixture, "rows/a b+%.csv", 8, 3);
	assert_int_equal(fixture.rc, FW_E_INVALID);
	stage_in(&fixture, "rows/none", 0, -1);
	assert_int_equal(fixture.rc, FW_E_ABSENT);
	assert_non_null(strstr(fixture.message, "rows/none"));
	assert_null(fixture.staged);
}

static void a_local_file_is_not_copied(void **state)
{
	(void)state;
	fw_cleanup_fixture struct fixture fixture = open_on(tree_of("rows/a", "0123456789", NULL));
	fw_cleanup_free char *path = fw_printf("%s/rows/a", fixture.tree.path);

	stage_in(&fixture, "rows/a", 3, 4);
	assert_string_equal(fixture.staged->path, path);
	assert_int_equal(fixture.staged->offset, 3);
}

static void refuses_a_link_that_leaves_the_storage(void **state)
{
	(void)state;
	fw_cleanup_fixture struct fixture fixture =
		open_on(tree_of("a/in", "x", "a/inside", "-> in", "b/out", "-> /etc/hostname", NULL));

	list(&fixture, "a/*");
	assert_int_equal(fixture.objects.list.count, 2);
	list(&fixture, "b/*");
	assert_int_equal(fixture.rc, FW_E_INVALID);
	assert_non_null(strstr(fixture.message, "b/out is a link that leaves the storage"));
}

static void refuses_a_directory_that_is_a_link_out_of_the_storage(void **state)
{
	(void)state;
	fw_cleanup_tree struct tree outside = tree_of("sub/secret", "x", NULL);
	fw_cleanup_free char *link = fw_printf("-> %s", outside.path);
	fw_cleanup_fixture struct fixture fixture = open_on(tree_of("out", link, "a/in", "x", "alias", "-> a", NULL));

	list(&fixture, "out/sub/*");
	assert_int_equal(fixture.rc, FW_E_INVALID);
	assert_non_null(strstr(fixture.message, "out/sub is a link that leaves the storage"));
	list(&fixture, "alias/*");
	assert_int_equal(fixture.rc, FW_OK);
	assert_int_equal(fixture.objects.list.count, 1);
	assert_string_equal(fixture.objects.list.items[0].key, "alias/in");
}

static void publishes_what_is_declared_in_its_order(void **state)
{
	(void)state;
	fw_cleanup_fixture struct fixture fixture = open_on(
		tree_of("work/chunks/2", "22", "work/chunks/1", "1", "work/chunks/undeclared", "u", "work/reports/r", "r",
	            "work/scratch", "s", NULL));
	const char *const names[] = {"2", "1"};

	publish(&fixture, names, 2);
	assert_int_equal(fixture.rc, FW_OK);
	assert_int_equal(fixture.objects.list.count, 3);
	assert_string_equal(fixture.objects.list.items[0].key, "runs/r1/split/3.1/chunks/2");
	assert_string_equal(fixture.objects.list.items[1].key, "runs/r1/split/3.1/chunks/1");
	assert_string_equal(fixture.objects.list.items[2].key, "runs/r1/split/3.1/reports/r");
	assert_int_equal(fixture.outputs[2], 1);
	assert_true(exists(&fixture, "runs/r1/split/3.1/chunks/1"));
	assert_false(exists(&fixture, "runs/r1/split/3.1/chunks/undeclared"));
	assert_false(exists(&fixture, "runs/r1/split/3.1/scratch"));
	assert_false(exists(&fixture, "work"));
}

static void resets_modes(void **state)
{
	(void)state;
	fw_cleanup_fixture struct fixture fixture = open_on(tree_of("work/chunks/a", "a", "work/reports/", "", NULL));
	struct stat stat;

	fchmodat(fixture.tree.fd, "work/chunks/a", 06777, 0);
	publish(&fixture, NULL, 0);
	assert_int_equal(fixture.rc, FW_OK);
	assert_int_equal(fstatat(fixture.tree.fd, "runs/r1/split/3.1/chunks/a", &stat, 0), 0);
	assert_int_equal(stat.st_mode & 07777, 0644);
	assert_int_equal(stat.st_uid, geteuid());
}

static void refuses_links_devices_and_fifos(void **state)
{
	(void)state;
	{
		fw_cleanup_fixture struct fixture fixture =
			open_on(tree_of("work/chunks/l", "-> /etc/passwd", "work/reports/", "", NULL));

		publish(&fixture, NULL, 0);
		assert_nothing_visible(&fixture, FW_E_FUNCTION, "output 'chunks': the function left a symbolic link: l");
	}
	{
		fw_cleanup_fixture struct fixture fixture = open_on(tree_of("work/chunks/", "", "work/reports/", "", NULL));

		assert_int_equal(mkfifoat(fixture.tree.fd, "work/chunks/f", 0600), 0);
		publish(&fixture, NULL, 0);
		assert_nothing_visible(&fixture, FW_E_FUNCTION, "left a FIFO: f");
	}
	{
		fw_cleanup_fixture struct fixture fixture =
			open_on(tree_of("secret", "s", "work/chunks/", "", "work/reports/", "", NULL));

		assert_int_equal(linkat(fixture.tree.fd, "secret", fixture.tree.fd, "work/chunks/h", 0), 0);
		publish(&fixture, NULL, 0);
		assert_nothing_visible(&fixture, FW_E_FUNCTION, "left a hard link: h");
	}
	if (geteuid() == 0) {
		fw_cleanup_fixture struct fixture fixture = open_on(tree_of("work/chunks/", "", "work/reports/", "", NULL));

		if (mknodat(fixture.tree.fd, "work/chunks/d", S_IFCHR | 0600, 0x103) == 0) {
			publish(&fixture, NULL, 0);
			assert_nothing_visible(&fixture, FW_E_FUNCTION, "left a device: d");
		}
	}
}

/* Directories are no objects, but each costs as much as one: an attempt of nothing else must be bounded, too. */
static void directories_count_as_objects_do(void **state)
{
	(void)state;
	fw_cleanup_fixture struct fixture fixture = open_on(tree_of("work/chunks/a/", "", "work/chunks/b/", "", "work/chunks/c/", "", NULL));
	fw_cleanup_fd int work = openat(fixture.tree.fd, "work", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct fw_storage_objects objects = {0};
	struct fw_publishing publishing = {.output = "chunks", .prefix = "p", .fresh_fd = -1, .objects = &objects,
	                                   .seen = FW_PUBLISH_MAX_OBJECTS - 3};
	struct fw_error *err = NULL;

	assert_ok(fw_publish_output(&publishing, work, NULL, 0, &err), err);
	publishing.seen = FW_PUBLISH_MAX_OBJECTS - 2;
	assert_error_is(fw_publish_output(&publishing, work, NULL, 0, &err), &err, FW_E_FUNCTION,
	                "the function left more than 100000 files and directories");
}

static void refuses_names_that_are_not_text(void **state)
{
	(void)state;
	{
		fw_cleanup_fixture struct fixture fixture =
			open_on(tree_of("work/chunks/a\xff", "a", "work/reports/", "", NULL));

		publish(&fixture, NULL, 0);
		assert_nothing_visible(&fixture, FW_E_FUNCTION, "left a name that is not UTF-8");
	}
	fw_cleanup_fixture struct fixture fixture = open_on(tree_of("in/a\xff", "a", NULL));

	list(&fixture, "in/*");
	assert_int_equal(fixture.rc, FW_E_INVALID);
}

static void refuses_a_declared_object_that_was_not_written(void **state)
{
	(void)state;
	fw_cleanup_fixture struct fixture fixture = open_on(tree_of("work/chunks/a", "a", "work/reports/", "", NULL));
	const char *const names[] = {"a", "b"};

	publish(&fixture, names, 2);
	assert_nothing_visible(&fixture, FW_E_FUNCTION, "the answer declares 'b', which was not written");
}

static void a_second_publication_of_an_attempt_changes_nothing(void **state)
{
	(void)state;
	fw_cleanup_fixture struct fixture fixture =
		open_on(tree_of("work/chunks/a", "second", "work/reports/", "", "runs/r1/split/3.1/chunks/a", "first", NULL));

	publish(&fixture, NULL, 0);
	assert_int_not_equal(fixture.rc, FW_OK);
	assert_int_equal(fixture.objects.list.count, 0);
	fw_cleanup_buffer struct fw_buffer text;

	fw_buffer_init(&text, 100);
	assert_ok(fw_read_file(fixture.tree.fd, "runs/r1/split/3.1/chunks/a", &text, NULL), NULL);
	assert_string_equal(text.data, "first");
}

enum { UID = 54321 }; /* of a worker */

/* The attempt with work/chunks/a, all of it the worker's. */
static void attempt_of(const struct fixture *fixture, uid_t uid)
{
	static const char *const paths[] = {"work", "work/chunks", "work/chunks/a", "work/reports"};

	for (size_t i = 0; uid != geteuid() && i < FW_COUNT_OF(paths); i++)
		assert_int_equal(fchownat(fixture->tree.fd, paths[i], uid, uid, 0), 0);
}

static void assert_published(const struct fixture *fixture, const char *text)
{
	fw_cleanup_buffer struct fw_buffer buffer;

	fw_buffer_init(&buffer, 100);
	assert_ok(fw_read_file(fixture->tree.fd, "runs/r1/split/3.1/chunks/a", &buffer, NULL), NULL);
	assert_string_equal(buffer.data, text);
	assert_int_equal(fixture->objects.list.count, 1);
	assert_int_equal(fixture->objects.list.items[0].bytes, strlen(text));
}

/* A worker that lives on kept a descriptor and a mapping of what it wrote. */
static void what_was_published_stays_as_it_was(uid_t uid, bool by_mapping)
{
	fw_cleanup_fixture struct fixture fixture = open_on(tree_of("work/chunks/a", "as it was", "work/reports/", "", NULL));
	fw_cleanup_fd int fd = openat(fixture.tree.fd, "work/chunks/a", O_RDWR | O_CLOEXEC);
	char *mapped = mmap(NULL, 9, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	assert_true(fd >= 0 && mapped != MAP_FAILED);
	attempt_of(&fixture, uid);
	if (by_mapping)
		fd = (close(fd), -1);
	publish(&fixture, NULL, 0);
	assert_int_equal(fixture.rc, FW_OK);
	if (by_mapping)
		memcpy(mapped, "changed!!", 9);
	else
		assert_int_equal(pwrite(fd, "changed and longer", 18, 0), 18);
	assert_published(&fixture, "as it was");
	munmap(mapped, 9);
}

static void a_writer_of_our_own_uid_cannot_change_what_is_published(void **state)
{
	(void)state;
	what_was_published_stays_as_it_was(geteuid(), false);
	what_was_published_stays_as_it_was(geteuid(), true);
}

static void a_writer_of_another_uid_cannot_change_what_is_published(void **state)
{
	(void)state;
	if (geteuid() != 0) {
		print_message("skipped: another user's files need root\n");
		skip();
	}
	what_was_published_stays_as_it_was(UID, false);
	what_was_published_stays_as_it_was(UID, true);
}

/* A worker of our own uid may open whatever it reaches by a directory that it kept. */
static void a_kept_directory_does_not_lead_to_what_is_published(void **state)
{
	(void)state;
	fw_cleanup_fixture struct fixture fixture = open_on(tree_of("work/chunks/a", "as it was", "work/reports/", "", NULL));
	fw_cleanup_fd int directory = openat(fixture.tree.fd, "work/chunks", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	publish(&fixture, NULL, 0);
	assert_int_equal(fixture.rc, FW_OK);
	assert_int_equal(openat(directory, "a", O_WRONLY | O_CLOEXEC), -1);
	assert_published(&fixture, "as it was");
}

static void a_file_that_nobody_writes_to_is_not_copied(void **state)
{
	(void)state;
	if (geteuid() != 0) {
		print_message("skipped: another user's files need root\n");
		skip();
	}
	fw_cleanup_fixture struct fixture fixture = open_on(tree_of("work/chunks/a", "as it was", "work/reports/", "", NULL));
	fw_cleanup_fd int reader = openat(fixture.tree.fd, "work/chunks/a", O_RDONLY | O_CLOEXEC);
	struct stat before, after;

	attempt_of(&fixture, UID);
	assert_int_equal(fstat(reader, &before), 0);
	publish(&fixture, NULL, 0);
	assert_published(&fixture, "as it was");
	assert_int_equal(fstatat(fixture.tree.fd, "runs/r1/split/3.1/chunks/a", &after, 0), 0);
	assert_int_equal(after.st_ino, before.st_ino);
}

static void a_copy_keeps_holes(void **state)
{
	(void)state;
	enum { MB = 1 << 20 };
	fw_cleanup_fixture struct fixture fixture = open_on(tree_of("work/chunks/a", "a", "work/reports/", "", NULL));
	fw_cleanup_fd int fd = openat(fixture.tree.fd, "work/chunks/a", O_RDWR | O_CLOEXEC);
	char end[4] = "";
	struct stat stat;

	assert_int_equal(pwrite(fd, "end", 3, (off_t)4096 * MB), 3);
	publish(&fixture, NULL, 0);
	assert_int_equal(fixture.rc, FW_OK);
	fw_cleanup_fd int kept = openat(fixture.tree.fd, "runs/r1/split/3.1/chunks/a", O_RDONLY | O_CLOEXEC);

	assert_int_equal(fstat(kept, &stat), 0);
	assert_int_equal(stat.st_size, (int64_t)4096 * MB + 3);
	assert_int_equal(pread(kept, end, 3, (off_t)4096 * MB), 3);
	assert_string_equal(end, "end");
	assert_in_range(stat.st_blocks * 512, 1, MB);
}

/* What a function left running: once its output has been looked at, another one stands in its place. */
static pid_t exchange_the_output(const struct tree *tree, uid_t uid)
{
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	struct stat stat;

	if (fchdir(tree->fd) != 0 || chdir("work") != 0 || setresgid(uid, uid, uid) != 0 || setresuid(uid, uid, uid) != 0)
		_exit(1);
	while (fstatat(AT_FDCWD, "chunks", &stat, 0) == 0 && stat.st_uid == uid)
		continue;
	if (rename("chunks", "other") == 0 && mkdir("chunks", 0755) == 0)
		(void)!symlink("/etc/shadow", "chunks/f0000");
	_exit(0);
}

/* Needs root: the function runs as somebody else. */
static void what_was_checked_cannot_be_exchanged(void **state)
{
	(void)state;
	enum { FILES = 2000 };
	if (geteuid() != 0) {
		print_message("skipped: another user's files need root\n");
		skip();
	}
	fw_cleanup_fixture struct fixture fixture = open_on(tree_of("work/chunks/", "", "work/reports/", "", NULL));
	struct stat stat;
	int status = 0;

	for (int i = 0; i < FILES; i++) {
		fw_cleanup_free char *path = fw_printf("work/chunks/f%04d", i);

		tree_write(&fixture.tree, path, "x");
		assert_int_equal(fchownat(fixture.tree.fd, path, UID, UID, 0), 0);
	}
	assert_int_equal(fchmodat(fixture.tree.fd, ".", 0711, 0), 0);
	assert_int_equal(fchownat(fixture.tree.fd, "work/chunks", UID, UID, 0), 0);
	assert_int_equal(fchownat(fixture.tree.fd, "work", UID, UID, 0), 0);
	pid_t pid = exchange_the_output(&fixture.tree, UID);

	publish(&fixture, NULL, 0);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(fixture.rc, FW_OK);
	assert_int_equal(fixture.objects.list.count, FILES);
	assert_int_equal(fstatat(fixture.tree.fd, "runs/r1/split/3.1/chunks/f0000", &stat, AT_SYMLINK_NOFOLLOW), 0);
	assert_true(S_ISREG(stat.st_mode));
	assert_false(exists(&fixture, "runs/r1/split/3.1/other"));
}

static bool keep_first(void *context, const struct fw_attempt_key *key)
{
	(void)context;
	return strcmp(key->stage, "split") == 0 && key->attempt == 1;
}

static void sweeps_what_lost(void **state)
{
	(void)state;
	fw_cleanup_fixture struct fixture fixture =
		open_on(tree_of("runs/r1/.attempts/w0/x", "x", "runs/r1/split/0.1/o/a", "a", "runs/r1/split/0.2/o/a", "b",
	                    "runs/r1/split/notes", "n", "runs/r2/split/0.2/o/a", "c", NULL));

	fixture.storage->ops->sweep(fixture.storage, "r1", keep_first, done, &fixture);
	fw_loop_run(fixture.loop, NULL);
	assert_int_equal(fixture.rc, FW_OK);
	assert_false(exists(&fixture, "runs/r1/.attempts"));
	assert_true(exists(&fixture, "runs/r1/split/0.1/o/a"));
	assert_false(exists(&fixture, "runs/r1/split/0.2"));
	assert_true(exists(&fixture, "runs/r1/split/notes"));
	assert_true(exists(&fixture, "runs/r2/split/0.2/o/a"));
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
	fw_cleanup_fixture struct fixture fixture =
		open_on(tree_of("runs/r1/.attempts/w0/x", "x", "runs/r1/split/0.2/o/a", "b", NULL));
	fw_cleanup_free char *directory = fw_printf("%s/runs/r1/.attempts/w0", fixture.tree.path);
	int ends[2];

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	fw_pool_submit(fixture.pool, wait_for_the_end, nobody_waits, &ends[0]); /* its only thread */
	fixture.storage->ops->discard(fixture.storage, directory, done, &fixture);
	fw_loop_run(fixture.loop, NULL);
	assert_int_equal(fixture.rc, FW_OK);
	assert_false(exists(&fixture, "runs/r1/.attempts/w0"));
	fixture.storage->ops->sweep(fixture.storage, "r1", keep_first, done, &fixture);
	fw_loop_run(fixture.loop, NULL);
	assert_false(exists(&fixture, "runs/r1/split/0.2"));
	close(ends[1]);
	fw_storage_close(FW_TAKE(fixture.storage));
	fw_pool_free(FW_TAKE(fixture.pool)); /* which still looks at the pipe */
	close(ends[0]);
}

static void removes_a_run_and_tells_its_disk(void **state)
{
	(void)state;
	fw_cleanup_fixture struct fixture fixture =
		open_on(tree_of("runs/r1/split/0.1/o/a", "a", "runs/r2/split/0.1/o/a", "a", NULL));
	int64_t bytes = 0;

	assert_ok(fixture.storage->ops->usage(fixture.storage, "r1", &bytes, NULL), NULL);
	assert_true(bytes > 0);
	assert_ok(fixture.storage->ops->remove_run(fixture.storage, "r1", NULL), NULL);
	assert_false(exists(&fixture, "runs/r1"));
	assert_true(exists(&fixture, "runs/r2"));
	assert_ok(fixture.storage->ops->usage(fixture.storage, "r1", &bytes, NULL), NULL);
	assert_int_equal(bytes, 0);
}

static void a_name_is_one_runs_alone(void **state)
{
	(void)state;
	fw_cleanup_fixture struct fixture fixture = open_on(tree_of("runs/old/a/0.1/out/x", "1", NULL));
	struct fw_error *error = NULL;

	assert_ok(fixture.storage->ops->claim(fixture.storage, "new", &error), error);
	assert_error_is(fixture.storage->ops->claim(fixture.storage, "new", &error), &error, FW_E_CONFLICT, "runs/new");
	assert_error_is(fixture.storage->ops->claim(fixture.storage, "old", &error), &error, FW_E_CONFLICT, "runs/old");
	assert_true(exists(&fixture, "runs/old/a/0.1/out/x"));
}

static void says_that_the_storage_is_not_there(void **state)
{
	(void)state;
	struct fw_error *error = NULL;
	struct fw_storage *storage = NULL;
	int rc = fw_storage_open("file:/nonexistent/data", NULL, &storage, &error);

	assert_error_is(rc, &error, FW_E_ABSENT, "--storage DIR");
	rc = fw_storage_open("gopher://x", NULL, &storage, &error);
	assert_error_is(rc, &error, FW_E_UNAVAILABLE, "gopher://x");
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
		struct fixture fixture = open_on(inner);

		publish(&fixture, NULL, 0);
		assert_int_equal(fixture.rc, FW_E_NO_SPACE);
		assert_non_null(strstr(fixture.message, "No space left"));
		assert_false(exists(&fixture, "runs/r1/split/3.1"));
		assert_false(exists(&fixture, "work"));
		fw_storage_objects_done(&fixture.objects);
		free(fixture.message);
		fw_storage_close(fixture.storage);
		fw_pool_free(fixture.pool);
		fw_loop_free(fixture.loop);
		close(inner.fd);
	}
	assert_int_equal(umount2(small, MNT_DETACH), 0);
}

FW_TESTS(lists_by_glob_sorted_and_never_what_runs_made, an_object_or_a_range_of_one_becomes_a_local_file,
         a_local_file_is_not_copied, refuses_a_link_that_leaves_the_storage,
         refuses_a_directory_that_is_a_link_out_of_the_storage,
         publishes_what_is_declared_in_its_order, resets_modes, refuses_links_devices_and_fifos,
         directories_count_as_objects_do, refuses_names_that_are_not_text,
         refuses_a_declared_object_that_was_not_written, a_second_publication_of_an_attempt_changes_nothing,
         sweeps_what_lost,
         what_is_removed_does_not_hold_up_what_is_published, removes_a_run_and_tells_its_disk, a_name_is_one_runs_alone, says_that_the_storage_is_not_there,
         a_full_disk_leaves_nothing_half_visible, what_was_checked_cannot_be_exchanged,
         a_writer_of_our_own_uid_cannot_change_what_is_published, a_writer_of_another_uid_cannot_change_what_is_published,
         a_kept_directory_does_not_lead_to_what_is_published, a_file_that_nobody_writes_to_is_not_copied,
         a_copy_keeps_holes)
