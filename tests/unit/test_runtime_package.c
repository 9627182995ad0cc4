/* SPDX-License-Identifier: Apache-2.0 */
#include <archive.h>
#include <archive_entry.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/digest.h"
#include "runtime/package_internal.h"
#include "tests/unit/sandbox_world.h"

static char *cached(const char *name, char digest[65])
{
	struct fw_error *err = NULL;
	char *path = NULL;

	assert_ok(fw_package_cache(world.sandboxes, below(name), digest, &path, &err), err);
	return path;
}

static void refused(const char *name, int code, const char *text)
{
	struct fw_error *err = NULL;
	char digest[65], *path = NULL;

	assert_error_is(fw_package_cache(world.sandboxes, below(name), digest, &path, &err), &err, code, text);
	assert_null(path);
}

static void assert_file(const char *directory, const char *name, mode_t mode, const char *content)
{
	char path[256];
	struct stat stat_;
	struct fw_buffer text;

	snprintf(path, sizeof path, "%s/%s", directory, name);
	assert_int_equal(stat(path, &stat_), 0);
	assert_int_equal(stat_.st_mode & 07777, mode);
	fw_buffer_init(&text, 1 << 20);
	assert_ok(fw_read_file(AT_FDCWD, path, &text, NULL), NULL);
	assert_string_equal(text.data, content);
	fw_buffer_done(&text);
}

struct member {
	const char *name;
	mode_t mode;
	const char *content; /* of a link: its target */
};

static void write_zip(const char *name, const struct member *members)
{
	struct archive *zip = archive_write_new();

	archive_write_set_format_zip(zip);
	assert_int_equal(archive_write_open_filename(zip, below(name)), ARCHIVE_OK);
	for (; members->name; members++) {
		struct archive_entry *entry = archive_entry_new();

		archive_entry_set_pathname(entry, members->name);
		archive_entry_set_mode(entry, members->mode);
		if (S_ISLNK(members->mode))
			archive_entry_set_symlink(entry, members->content);
		else
			archive_entry_set_size(entry, (la_int64_t)strlen(members->content));
		assert_int_equal(archive_write_header(zip, entry), ARCHIVE_OK);
		if (S_ISREG(members->mode))
			archive_write_data(zip, members->content, strlen(members->content));
		archive_entry_free(entry);
	}
	assert_int_equal(archive_write_close(zip), ARCHIVE_OK);
	archive_write_free(zip);
}

static size_t entries_of_cache(void)
{
	return count_entries(below("state/packages"));
}

static void a_directory_is_copied_once_readable_by_all(void **state)
{
	(void)state;
	char digest[65], again[65];

	tree_write(&world.tree, "one/bootstrap", "#!/bin/sh\n");
	tree_write(&world.tree, "one/lib/data.txt", "data");
	tree_write(&world.tree, "one/link", "-> lib/data.txt");
	chmod(below("one/bootstrap"), 04700);
	chmod(below("one/lib/data.txt"), 0600);
	fw_cleanup_free char *path = cached("one", digest);
	size_t entries = entries_of_cache();
	fw_cleanup_free char *second = cached("one", again);

	assert_file(path, "bootstrap", 0755, "#!/bin/sh\n");
	assert_file(path, "lib/data.txt", 0644, "data");
	assert_file(path, "link", 0644, "data");
	assert_string_equal(path, second);
	assert_string_equal(digest, again);
	assert_int_equal(entries_of_cache(), entries);
}

static void another_content_is_another_package(void **state)
{
	(void)state;
	char first[65], second[65];

	tree_write(&world.tree, "two/bootstrap", "1");
	fw_cleanup_free char *path = cached("two", first);
	tree_write(&world.tree, "two/bootstrap", "2");
	fw_cleanup_free char *other = cached("two", second);

	assert_string_not_equal(path, other);
	assert_file(path, "bootstrap", 0644, "1");
	assert_file(other, "bootstrap", 0644, "2");
}

static void a_link_to_a_package_is_the_package(void **state)
{
	(void)state;
	char first[65], second[65];

	tree_write(&world.tree, "three/bootstrap", "3");
	tree_write(&world.tree, "three-link", "-> three");
	fw_cleanup_free char *path = cached("three", first), *linked = cached("three-link", second);

	assert_string_equal(path, linked);
}

static void links_that_leave_are_refused(void **state)
{
	(void)state;
	static const struct member zip[] = {{"d/passwd", S_IFLNK | 0777, "../../etc/passwd"}, {NULL, 0, NULL}};

	tree_write(&world.tree, "absolute/link", "-> /etc/passwd");
	tree_write(&world.tree, "upward/a/link", "-> ../../secret");
	refused("absolute", FW_E_INVALID, "'link': link 'link' leads out of it, to /etc/passwd");
	refused("upward", FW_E_INVALID, "leads out of it, to ../../secret");
	write_zip("link.zip", zip);
	refused("link.zip", FW_E_INVALID, "leads out of it, to ../../etc/passwd");
}

/* d/up leads to the top, so that the name behind it climbs out, and an entry below the link would be made there. */
static void a_link_that_climbs_behind_another_link_is_refused(void **state)
{
	(void)state;
	static const struct member zip[] = {{"a/b/keep", S_IFREG | 0644, ""}, {"a/b/up", S_IFLNK | 0777, ".."},
		{"out", S_IFLNK | 0777, "a/b/up/../.."}, {"out/made/link", S_IFLNK | 0777, "x"}, {NULL, 0, NULL}};
	size_t entries = entries_of_cache();

	tree_write(&world.tree, "climbs/a/b/keep", "");
	tree_write(&world.tree, "climbs/a/up", "-> ..");
	tree_write(&world.tree, "climbs/out", "-> a/up/../..");
	write_zip("climbs.zip", zip);
	refused("climbs", FW_E_INVALID, "link 'out' goes down and up again, to a/up/../..");
	refused("climbs.zip", FW_E_INVALID, "link 'out' goes down and up again, to a/b/up/../..");
	assert_int_equal(entries_of_cache(), entries);
}

static void devices_and_pipes_are_refused(void **state)
{
	(void)state;
	tree_write(&world.tree, "pipe/bootstrap", "x");
	assert_int_equal(mkfifo(below("pipe/fifo"), 0644), 0);
	refused("pipe", FW_E_INVALID, "fifo");
}

static void a_zip_is_unpacked_with_its_modes(void **state)
{
	(void)state;
	static const struct member zip[] = {{"bootstrap", S_IFREG | 0755, "#!/bin/sh\n"}, {"lib/", S_IFDIR | 0700, ""},
		{"lib/data.txt", S_IFREG | 0600, "data"}, {"deep/er/file", S_IFREG | 04644, "x"},
		{"link", S_IFLNK | 0777, "lib/data.txt"}, {NULL, 0, NULL}};
	char digest[65];

	write_zip("good.zip", zip);
	fw_cleanup_free char *path = cached("good.zip", digest);

	assert_file(path, "bootstrap", 0755, "#!/bin/sh\n");
	assert_file(path, "lib/data.txt", 0644, "data");
	assert_file(path, "deep/er/file", 0644, "x");
	assert_file(path, "link", 0644, "data");
}

static void zip_names_that_leave_are_refused_and_leave_nothing(void **state)
{
	(void)state;
	static const struct member upward[] = {{"ok", S_IFREG | 0644, "1"}, {"../escaped", S_IFREG | 0644, "2"}, {NULL, 0, NULL}};
	static const struct member absolute[] = {{"/tmp/flexwatt-escaped", S_IFREG | 0644, "2"}, {NULL, 0, NULL}};
	static const struct member through[] = {{"up", S_IFLNK | 0777, "."}, {"up/file", S_IFREG | 0644, "2"}, {NULL, 0, NULL}};
	size_t entries = entries_of_cache();

	write_zip("slip.zip", upward);
	write_zip("absolute.zip", absolute);
	write_zip("through.zip", through);
	refused("slip.zip", FW_E_INVALID, "'../escaped': the name leaves the package");
	refused("absolute.zip", FW_E_INVALID, "the name leaves the package");
	refused("through.zip", FW_E_INVALID, "'up'");
	assert_int_equal(entries_of_cache(), entries);
	assert_int_not_equal(access(below("state/packages/escaped"), F_OK), 0);
	assert_int_not_equal(access("/tmp/flexwatt-escaped", F_OK), 0);
}

static void a_zip_bomb_is_refused_and_leaves_nothing(void **state)
{
	(void)state;
	size_t bytes = ((size_t)FW_PACKAGE_MAX_MB + 6) << 20, entries = entries_of_cache();
	char *zeros = calloc(1, bytes);
	struct archive *zip = archive_write_new();
	struct archive_entry *entry = archive_entry_new();

	archive_write_set_format_zip(zip);
	assert_int_equal(archive_write_open_filename(zip, below("bomb.zip")), ARCHIVE_OK);
	archive_entry_set_pathname(entry, "zeros");
	archive_entry_set_mode(entry, S_IFREG | 0644);
	archive_entry_set_size(entry, (la_int64_t)bytes);
	archive_write_header(zip, entry);
	archive_write_data(zip, zeros, bytes);
	archive_write_close(zip);
	archive_write_free(zip);
	archive_entry_free(entry);
	free(zeros);

	refused("bomb.zip", FW_E_LIMIT, "larger than 250 MB unpacked");
	assert_int_equal(entries_of_cache(), entries);
}

static void a_zip_of_too_many_entries_is_refused(void **state)
{
	(void)state;
	struct member *many = calloc(FW_PACKAGE_MAX_ENTRIES + 2, sizeof *many);
	size_t entries = entries_of_cache();

	for (size_t i = 0; i <= FW_PACKAGE_MAX_ENTRIES; i++)
		many[i] = (struct member){"d/", S_IFDIR | 0755, ""};
	write_zip("many.zip", many);
	free(many);
	refused("many.zip", FW_E_LIMIT, "it holds more than 100000 files");
	assert_int_equal(entries_of_cache(), entries);
}

static void a_zip_with_a_file_twice_is_refused(void **state)
{
	(void)state;
	static const struct member zip[] = {{"a", S_IFREG | 0644, "1"}, {"a", S_IFREG | 0644, "2"}, {NULL, 0, NULL}};

	write_zip("twice.zip", zip);
	refused("twice.zip", FW_E_INVALID, "'a': it is there twice");
}

static void broken_and_foreign_files_are_refused(void **state)
{
	(void)state;
	tree_write(&world.tree, "text.zip", "this is no zip at all, not even nearly one");
	tree_write(&world.tree, "empty.zip", "");
	refused("text.zip", FW_E_INVALID, "text.zip");
	refused("empty.zip", FW_E_INVALID, "neither a directory nor a zip");
	refused("missing", FW_E_ABSENT, "missing");
}

/* Directories that a killed engine was filling; those of engines that live, or that cannot be known, stay. */
static void what_a_killed_engine_was_filling_is_removed(void **state)
{
	(void)state;
	char digest[65], gone[128], lives[128];
	struct stat stat_;

	assert_int_equal(stat("/proc/self/ns/pid", &stat_), 0);
	snprintf(gone, sizeof gone, "state/packages/.new-%llu.%d.1-0", (unsigned long long)stat_.st_ino, (int)getpid());
	snprintf(lives, sizeof lives, "state/packages/.new-%llu.%d.1-0", (unsigned long long)stat_.st_ino + 1, (int)getpid());
	tree_write(&world.tree, "filled/bootstrap", "x");
	fw_cleanup_free char *first = cached("filled", digest);
	assert_int_equal(mkdir(below(gone), 0700), 0);
	assert_int_equal(mkdir(below(lives), 0700), 0);
	tree_write(&world.tree, "filled/bootstrap", "y");
	fw_cleanup_free char *second = cached("filled", digest);

	assert_int_not_equal(access(below(gone), F_OK), 0);
	assert_int_equal(access(below(lives), F_OK), 0);
	assert_int_equal(rmdir(below(lives)), 0);
}

/* Built anew by another program while it is copied: the cache must not keep the mixture under the digest of the old. */
static void *rebuild(void *context)
{
	const atomic_bool *stop = context;

	for (unsigned i = 0; !atomic_load(stop); i++) {
		char text[32];

		for (unsigned file = 0; file < 8; file++) {
			char name[48];

			snprintf(name, sizeof name, "moving/%u", file);
			snprintf(text, sizeof text, "%08u", i);
			tree_write(&world.tree, name, text);
		}
	}
	return NULL;
}

static void a_package_that_changes_while_it_is_copied_is_never_kept(void **state)
{
	(void)state;
	atomic_bool stop = false;
	pthread_t thread;

	for (unsigned file = 0; file < 8; file++) {
		char name[48];

		snprintf(name, sizeof name, "moving/%u", file);
		tree_write(&world.tree, name, "00000000");
	}
	assert_int_equal(pthread_create(&thread, NULL, rebuild, &stop), 0);
	for (int i = 0; i < 50; i++) {
		char digest[65], kept[65], *path = NULL;

		if (fw_package_cache(world.sandboxes, below("moving"), digest, &path, NULL) != FW_OK)
			continue;
		assert_ok(fw_digest_tree(AT_FDCWD, path, kept, NULL), NULL);
		assert_string_equal(kept, digest);
		free(path);
	}
	atomic_store(&stop, true);
	pthread_join(thread, NULL);
}

/* Built anew in its place: cut to nothing, then written. */
static void *rewrite(void *context)
{
	const atomic_bool *stop = context;
	fw_cleanup_fd int fd = open(below("moving.zip"), O_RDWR | O_CLOEXEC);
	struct stat stat_;
	fw_cleanup_free char *bytes = NULL;

	assert_int_equal(fstat(fd, &stat_), 0);
	bytes = fw_alloc((size_t)stat_.st_size);
	assert_int_equal(pread(fd, bytes, (size_t)stat_.st_size, 0), stat_.st_size);
	while (!atomic_load(stop)) {
		assert_int_equal(ftruncate(fd, 0), 0);
		assert_int_equal(pwrite(fd, bytes, (size_t)stat_.st_size, 0), stat_.st_size);
	}
	return NULL;
}

static void a_zip_that_is_cut_while_it_is_read_ends_no_engine(void **state)
{
	(void)state;
	fw_cleanup_free char *noise = fw_alloc(3000001);
	const struct member zip[] = {{"bootstrap", S_IFREG | 0755, noise}, {NULL, 0, NULL}};
	atomic_bool stop = false;
	pthread_t thread;

	for (size_t i = 0, random = 1; i < 3000000; i++, random = random * 6364136223846793005u + 1442695040888963407u)
		noise[i] = (char)('!' + (random >> 40) % 90);
	write_zip("moving.zip", zip);
	assert_int_equal(pthread_create(&thread, NULL, rewrite, &stop), 0);
	for (int i = 0; i < 60; i++) {
		char digest[65], *path = NULL;

		if (fw_package_cache(world.sandboxes, below("moving.zip"), digest, &path, NULL) == FW_OK)
			free(path);
	}
	atomic_store(&stop, true);
	pthread_join(thread, NULL);
}

static void *cache_in_thread(void *context)
{
	char digest[65];

	(void)context;
	return cached("shared", digest);
}

static void engines_that_cache_the_same_at_once_agree(void **state)
{
	(void)state;
	pthread_t threads[4];
	char *paths[4];

	tree_write(&world.tree, "shared/bootstrap", "same");
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, cache_in_thread, NULL), 0);
	for (size_t i = 0; i < 4; i++)
		pthread_join(threads[i], (void **)&paths[i]);
	for (size_t i = 0; i < 4; i++) {
		assert_string_equal(paths[i], paths[0]);
		assert_file(paths[i], "bootstrap", 0644, "same");
	}
	for (size_t i = 0; i < 4; i++)
		free(paths[i]);
	DIR *directory = opendir(below("state/packages"));
	for (struct dirent *entry; (entry = readdir(directory));)
		assert_int_not_equal(strncmp(entry->d_name, ".new", 4), 0);
	closedir(directory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_directory_is_copied_once_readable_by_all),
		cmocka_unit_test(another_content_is_another_package),
		cmocka_unit_test(a_link_to_a_package_is_the_package),
		cmocka_unit_test(links_that_leave_are_refused),
		cmocka_unit_test(a_link_that_climbs_behind_another_link_is_refused),
		cmocka_unit_test(devices_and_pipes_are_refused),
		cmocka_unit_test(a_zip_is_unpacked_with_its_modes),
		cmocka_unit_test(zip_names_that_leave_are_refused_and_leave_nothing),
		cmocka_unit_test(a_zip_bomb_is_refused_and_leaves_nothing),
		cmocka_unit_test(a_zip_of_too_many_entries_is_refused),
		cmocka_unit_test(a_zip_with_a_file_twice_is_refused),
		cmocka_unit_test(broken_and_foreign_files_are_refused),
		cmocka_unit_test(what_a_killed_engine_was_filling_is_removed),
		cmocka_unit_test(a_package_that_changes_while_it_is_copied_is_never_kept),
		cmocka_unit_test(a_zip_that_is_cut_while_it_is_read_ends_no_engine),
		cmocka_unit_test(engines_that_cache_the_same_at_once_agree),
	};
	return cmocka_run_group_tests(tests, world_set_up, world_tear_down);
}
