/* SPDX-License-Identifier: Apache-2.0
 *
 * What every storage must do, as src/storage/storage.h says; run for each member of the family: storage_world.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/tree.h"
#include "tests/unit/storage_world.h"

static void lists_by_glob_sorted_and_never_what_runs_made(void **state)
{
	(void)state;
	fw_cleanup_world struct storage_world world = world_open(
		tree_of("videos/b.mp4", "bb", "videos/a.mp4", "a", "videos/deep/c.mp4", "c", "videos/x.txt", "x",
	            "runs/r0/split/0.1/chunks/z.mp4", "z", NULL));

	world_list(&world, "videos/*.mp4");
	assert_int_equal(world.objects.list.count, 2);
	assert_string_equal(world.objects.list.items[0].key, "videos/a.mp4");
	assert_int_equal(world.objects.list.items[1].bytes, 2);
	world_list(&world, "**/*.mp4");
	assert_int_equal(world.objects.list.count, 3);
	world_list(&world, "vid*/b.*");
	assert_int_equal(world.objects.list.count, 1);
	world_list(&world, "videos/b.mp4");
	assert_int_equal(world.objects.list.count, 1);
	world_list(&world, "nowhere/*.mp4");
	assert_int_equal(world.rc, FW_OK);
	assert_int_equal(world.objects.list.count, 0);
}

static void an_object_or_a_range_of_one_becomes_a_local_file(void **state)
{
	(void)state;
	fw_cleanup_world struct storage_world world = world_open(tree_of("rows/a b+%.csv", "0123456789", NULL));

	world_stage_in(&world, "rows/a b+%.csv", 0, -1);
	assert_staged(&world, "0123456789");
	world_stage_in(&world, "rows/a b+%.csv", 3, 4);
	assert_staged(&world, "3456");
	world_stage_in(&world, "rows/a b+%.csv", 8, -1);
	assert_staged(&world, "89");
	world_stage_in(&world, "rows/a b+%.csv", 10, 0);
	assert_staged(&world, "");
	world_stage_in(&world, "rows/a b+%.csv", 8, 3);
	assert_int_equal(world.rc, FW_E_INVALID);
	world_stage_in(&world, "rows/none", 0, -1);
	assert_int_equal(world.rc, FW_E_ABSENT);
	assert_non_null(strstr(world.message, "rows/none"));
	assert_null(world.staged);
}

static void assert_changed(const struct storage_world *world)
{
	assert_int_equal(world->rc, FW_E_CONFLICT);
	assert_string_equal(world->message, "object rows/a.csv changed while the run read it");
}

static void what_was_replaced_is_not_read_as_what_it_was(void **state)
{
	fw_cleanup_world struct storage_world world = world_open(tree_of("rows/a.csv", "0123456789", NULL));
	fw_cleanup_free char *version = world_version(&world, "rows/a.csv");

	(void)state;
	world_read_version(&world, "rows/a.csv", version, 10);
	assert_int_equal(world.rc, FW_OK);
	world_replace(&world, "rows/a.csv", "abcdefghijkl");
	world_read_version(&world, "rows/a.csv", version, 10);
	assert_changed(&world);
	world_read_version(&world, "rows/a.csv", NULL, 10);
	assert_int_equal(world.rc, FW_OK);
}

static void what_was_listed_is_staged_or_nothing(void **state)
{
	only_in_a_bucket(); /* files are read where they lie */
	fw_cleanup_world struct storage_world world = world_open(tree_of("rows/a.csv", "0123456789", NULL));

	(void)state;
	world_list(&world, "rows/*");
	assert_int_equal(world.objects.list.count, 1);
	fw_cleanup_free char *listed = fw_strdup(world.objects.list.items[0].version);
	fw_cleanup_free char *version = world_version(&world, "rows/a.csv");

	assert_string_equal(listed, version);
	world_stage_in_version(&world, "rows/a.csv", listed, 10);
	assert_staged(&world, "0123456789");
	world_replace(&world, "rows/a.csv", "9876543210");
	world_stage_in_version(&world, "rows/a.csv", listed, 9);
	assert_changed(&world);
	world_stage_in_version(&world, "rows/a.csv", listed, 0);
	assert_changed(&world);
	world_stage_in_version(&world, "rows/a.csv", NULL, 10);
	assert_staged(&world, "9876543210");
	world_stage_in_version(&world, "rows/a.csv", listed, 10);
	assert_staged(&world, "0123456789"); /* it is still here */
}

static void publishes_what_is_declared_in_its_order(void **state)
{
	(void)state;
	fw_cleanup_world struct storage_world world = world_open(
		tree_of("work/chunks/2", "22", "work/chunks/1", "1", "work/chunks/undeclared", "u", "work/reports/r", "r",
	            "work/scratch", "s", NULL));
	const char *const names[] = {"2", "1"};

	world_publish(&world, names, 2);
	assert_int_equal(world.rc, FW_OK);
	assert_int_equal(world.objects.list.count, 3);
	assert_string_equal(world.objects.list.items[0].key, "runs/r1/split/3.1/chunks/2");
	assert_string_equal(world.objects.list.items[1].key, "runs/r1/split/3.1/chunks/1");
	assert_string_equal(world.objects.list.items[2].key, "runs/r1/split/3.1/reports/r");
	assert_int_equal(world.outputs[2], 1);
	assert_true(world_has(&world, "runs/r1/split/3.1/chunks/1"));
	assert_false(world_has(&world, "runs/r1/split/3.1/chunks/undeclared"));
	assert_false(world_has(&world, "runs/r1/split/3.1/scratch"));
	assert_false(world_has_here(&world, "work"));
}

static void refuses_links_devices_and_fifos(void **state)
{
	(void)state;
	{
		fw_cleanup_world struct storage_world world =
			world_open(tree_of("work/chunks/l", "-> /etc/passwd", "work/reports/", "", NULL));

		world_publish(&world, NULL, 0);
		assert_nothing_visible(&world, FW_E_FUNCTION, "output 'chunks': the function left a symbolic link: l");
	}
	{
		fw_cleanup_world struct storage_world world = world_open(tree_of("work/chunks/", "", "work/reports/", "", NULL));

		assert_int_equal(mkfifoat(world.tree.fd, "work/chunks/f", 0600), 0);
		world_publish(&world, NULL, 0);
		assert_nothing_visible(&world, FW_E_FUNCTION, "left a FIFO: f");
	}
	{
		fw_cleanup_world struct storage_world world =
			world_open(tree_of("secret", "s", "work/chunks/", "", "work/reports/", "", NULL));

		assert_int_equal(linkat(world.tree.fd, "secret", world.tree.fd, "work/chunks/h", 0), 0);
		world_publish(&world, NULL, 0);
		assert_nothing_visible(&world, FW_E_FUNCTION, "left a hard link: h");
	}
	if (geteuid() == 0) {
		fw_cleanup_world struct storage_world world = world_open(tree_of("work/chunks/", "", "work/reports/", "", NULL));

		if (mknodat(world.tree.fd, "work/chunks/d", S_IFCHR | 0600, 0x103) == 0) {
			world_publish(&world, NULL, 0);
			assert_nothing_visible(&world, FW_E_FUNCTION, "left a device: d");
		}
	}
}

static void refuses_names_that_are_not_text(void **state)
{
	(void)state;
	fw_cleanup_world struct storage_world world = world_open(tree_of("work/chunks/a\xff", "a", "work/reports/", "", NULL));

	world_publish(&world, NULL, 0);
	assert_nothing_visible(&world, FW_E_FUNCTION, "left a name that is not UTF-8");
}

static void refuses_a_declared_object_that_was_not_written(void **state)
{
	(void)state;
	fw_cleanup_world struct storage_world world = world_open(tree_of("work/chunks/a", "a", "work/reports/", "", NULL));
	const char *const names[] = {"a", "b"};

	world_publish(&world, names, 2);
	assert_nothing_visible(&world, FW_E_FUNCTION, "the answer declares 'b', which was not written");
}

static void a_second_publication_of_an_attempt_changes_nothing(void **state)
{
	(void)state;
	fw_cleanup_world struct storage_world world =
		world_open(tree_of("work/chunks/a", "second", "work/reports/", "", "runs/r1/split/3.1/chunks/a", "first", NULL));

	world_publish(&world, NULL, 0);
	assert_int_not_equal(world.rc, FW_OK);
	assert_int_equal(world.objects.list.count, 0);
	fw_cleanup_free char *text = world_text(&world, "runs/r1/split/3.1/chunks/a");

	assert_string_equal(text, "first");
}

enum { UID = 54321 }; /* of a worker */

/* The attempt with work/chunks/a, all of it the worker's. */
static void attempt_of(const struct storage_world *world, uid_t uid)
{
	static const char *const paths[] = {"work", "work/chunks", "work/chunks/a", "work/reports"};

	for (size_t i = 0; uid != geteuid() && i < FW_COUNT_OF(paths); i++)
		assert_int_equal(fchownat(world->tree.fd, paths[i], uid, uid, 0), 0);
}

static void assert_published(struct storage_world *world, const char *text)
{
	fw_cleanup_free char *found = world_text(world, "runs/r1/split/3.1/chunks/a");

	assert_string_equal(found, text);
	assert_int_equal(world->objects.list.count, 1);
	assert_int_equal(world->objects.list.items[0].bytes, strlen(text));
}

/* A worker that lives on kept a descriptor and a mapping of what it wrote. */
static void what_was_published_stays_as_it_was(uid_t uid, bool by_mapping)
{
	fw_cleanup_world struct storage_world world = world_open(tree_of("work/chunks/a", "as it was", "work/reports/", "", NULL));
	fw_cleanup_fd int fd = openat(world.tree.fd, "work/chunks/a", O_RDWR | O_CLOEXEC);
	char *mapped = mmap(NULL, 9, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	assert_true(fd >= 0 && mapped != MAP_FAILED);
	attempt_of(&world, uid);
	if (by_mapping)
		fd = (close(fd), -1);
	world_publish(&world, NULL, 0);
	assert_int_equal(world.rc, FW_OK);
	if (by_mapping)
		memcpy(mapped, "changed!!", 9);
	else
		assert_int_equal(pwrite(fd, "changed and longer", 18, 0), 18);
	assert_published(&world, "as it was");
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
	fw_cleanup_world struct storage_world world = world_open(tree_of("work/chunks/", "", "work/reports/", "", NULL));
	int status = 0;

	for (int i = 0; i < FILES; i++) {
		fw_cleanup_free char *path = fw_printf("work/chunks/f%04d", i);

		tree_write(&world.tree, path, "x");
		assert_int_equal(fchownat(world.tree.fd, path, UID, UID, 0), 0);
	}
	assert_int_equal(fchmodat(world.tree.fd, ".", 0711, 0), 0);
	assert_int_equal(fchownat(world.tree.fd, "work/chunks", UID, UID, 0), 0);
	assert_int_equal(fchownat(world.tree.fd, "work", UID, UID, 0), 0);
	pid_t pid = exchange_the_output(&world.tree, UID);

	world_publish(&world, NULL, 0);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(world.rc, FW_OK);
	assert_int_equal(world.objects.list.count, FILES);
	fw_cleanup_free char *first = world_text(&world, "runs/r1/split/3.1/chunks/f0000");

	assert_string_equal(first, "x");
	assert_false(world_has(&world, "runs/r1/split/3.1/other"));
}

static bool keep_first(void *context, const struct fw_attempt_key *key)
{
	(void)context;
	return strcmp(key->stage, "split") == 0 && key->attempt == 1;
}

static void sweeps_what_lost(void **state)
{
	(void)state;
	fw_cleanup_world struct storage_world world =
		world_open(tree_of("runs/r1/.attempts/w0/x", "x", "runs/r1/split/0.1/o/a", "a", "runs/r1/split/0.2/o/a", "b",
	                    "runs/r1/split/notes", "n", "runs/r2/split/0.2/o/a", "c", NULL));

	world.storage->ops->sweep(world.storage, "r1", keep_first, world_ended, &world);
	world_wait(&world);
	assert_int_equal(world.rc, FW_OK);
	assert_false(world_has(&world, "runs/r1/.attempts"));
	assert_true(world_has(&world, "runs/r1/split/0.1/o/a"));
	assert_false(world_has(&world, "runs/r1/split/0.2"));
	assert_true(world_has(&world, "runs/r1/split/notes"));
	assert_true(world_has(&world, "runs/r2/split/0.2/o/a"));
}

static void removes_a_run_and_tells_its_disk(void **state)
{
	(void)state;
	fw_cleanup_world struct storage_world world =
		world_open(tree_of("runs/r1/split/0.1/o/a", "a", "runs/r2/split/0.1/o/a", "a", NULL));
	int64_t bytes = 0;

	assert_ok(world.storage->ops->usage(world.storage, "r1", &bytes, NULL), NULL);
	assert_true(bytes > 0);
	assert_ok(world.storage->ops->remove_run(world.storage, "r1", NULL), NULL);
	assert_false(world_has(&world, "runs/r1"));
	assert_true(world_has(&world, "runs/r2"));
	assert_ok(world.storage->ops->usage(world.storage, "r1", &bytes, NULL), NULL);
	assert_int_equal(bytes, 0);
}

static void a_name_is_one_runs_alone(void **state)
{
	(void)state;
	fw_cleanup_world struct storage_world world = world_open(tree_of("runs/old/a/0.1/out/x", "1", NULL));
	struct fw_error *error = NULL;

	assert_ok(world.storage->ops->claim(world.storage, "new", &error), error);
	assert_error_is(world.storage->ops->claim(world.storage, "new", &error), &error, FW_E_CONFLICT, "runs/new");
	assert_error_is(world.storage->ops->claim(world.storage, "old", &error), &error, FW_E_CONFLICT, "runs/old");
	assert_true(world_has(&world, "runs/old/a/0.1/out/x"));
}

enum { CLAIMANTS = 6, WON = 0, LOST = 1, FAILED = 2 };

static void claim_and_exit(const char *uri, int gate)
{
	struct fw_storage *storage = NULL;
	char byte;
	int rc = fw_storage_open(uri, NULL, &storage, NULL);

	while (rc == FW_OK && read(gate, &byte, 1) < 0 && errno == EINTR)
		continue;
	if (rc == FW_OK)
		rc = storage->ops->claim(storage, "contended", NULL);
	_exit(rc == FW_OK ? WON : rc == FW_E_CONFLICT ? LOST : FAILED);
}

static void of_engines_that_claim_a_name_at_once_one_has_it(void **state)
{
	(void)state;
	fw_cleanup_world struct storage_world world = world_open(tree_of("x", "1", NULL));
	pid_t claimants[CLAIMANTS];
	int gate[2], count[3] = {0}, status = 0;

	assert_int_equal(pipe(gate), 0);
	for (size_t i = 0; i < CLAIMANTS; i++) {
		claimants[i] = fork();
		assert_true(claimants[i] >= 0);
		if (claimants[i] == 0) {
			close(gate[1]);
			claim_and_exit(world.uri, gate[0]);
		}
	}
	close(gate[1]); /* they are let go together */
	for (size_t i = 0; i < CLAIMANTS; i++) {
		assert_int_equal(waitpid(claimants[i], &status, 0), claimants[i]);
		assert_true(WIFEXITED(status) && WEXITSTATUS(status) <= FAILED);
		count[WEXITSTATUS(status)]++;
	}
	close(gate[0]);
	assert_int_equal(count[WON], 1);
	assert_int_equal(count[LOST], CLAIMANTS - 1);
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

/* Everything that a key may hold, and the bytes that signatures go by. */
static void odd_keys_are_keys_as_others(void **state)
{
	(void)state;
	static const char *const names[] = {"a b", "a+b", "a%2Fb", "ä€", "a?b&c=d", "a'b\"c", "a#b", "a;b:c@d"};
	fw_cleanup_world struct storage_world world = world_open(tree_of("work/chunks/", "", "work/reports/", "", NULL));

	for (size_t i = 0; i < FW_COUNT_OF(names); i++) {
		fw_cleanup_free char *path = fw_printf("work/chunks/%s", names[i]);

		tree_write(&world.tree, path, names[i]);
	}
	world_publish(&world, names, FW_COUNT_OF(names));
	assert_int_equal(world.rc, FW_OK);
	for (size_t i = 0; i < FW_COUNT_OF(names); i++) {
		fw_cleanup_free char *key = fw_printf("runs/r1/split/3.1/chunks/%s", names[i]);
		fw_cleanup_free char *text = world_text(&world, key);

		assert_string_equal(text, names[i]);
		world_stage_in(&world, key, 0, -1);
		assert_staged(&world, names[i]);
	}
}

FW_TESTS(lists_by_glob_sorted_and_never_what_runs_made, an_object_or_a_range_of_one_becomes_a_local_file,
         what_was_replaced_is_not_read_as_what_it_was, what_was_listed_is_staged_or_nothing,
         odd_keys_are_keys_as_others, publishes_what_is_declared_in_its_order, refuses_links_devices_and_fifos,
         refuses_names_that_are_not_text, refuses_a_declared_object_that_was_not_written,
         a_second_publication_of_an_attempt_changes_nothing, sweeps_what_lost, removes_a_run_and_tells_its_disk,
         a_name_is_one_runs_alone, of_engines_that_claim_a_name_at_once_one_has_it, says_that_the_storage_is_not_there, what_was_checked_cannot_be_exchanged,
         a_writer_of_our_own_uid_cannot_change_what_is_published,
         a_writer_of_another_uid_cannot_change_what_is_published)
