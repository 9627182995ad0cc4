/* SPDX-License-Identifier: Apache-2.0
 *
 * Ranges of remote objects as local files: shared, bounded, gone at the end.
 */
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/tree.h"
#include "storage/staging.h"
#include "tests/unit/support.h"

enum { WISHES = 8 };

/* The far side: it answers when the test says so. */
struct fixture {
	struct tree tree;
	char *directory;
	struct fw_staging *staging;
	int fetches;
	int fd;
	struct fw_staging_entry *entry; /* the last that was asked for */
	int given_up;
	struct wish {
		int rc, calls;
		struct fw_staged *staged;
	} wishes[WISHES];
};

static void fetch(void *context, const struct fw_storage_range *range, int fd, struct fw_staging_entry *entry)
{
	struct fixture *fixture = context;

	assert_non_null(range->key);
	fixture->fetches++;
	fixture->fd = fd;
	fixture->entry = entry;
}

static void give_up(void *context, const struct fw_staging_entry *entry)
{
	struct fixture *fixture = context;

	assert_ptr_equal(entry, fixture->entry);
	fixture->given_up++;
}

static void fixture_open(struct fixture *fixture, int64_t max_bytes)
{
	fixture->tree = tree_of("x/", "", NULL);
	const struct fw_staging_options options = {
		.directory = fixture->directory = fw_printf("%s/staged", fixture->tree.path),
		.max_bytes = max_bytes,
		.fetch = fetch,
		.give_up = give_up,
		.context = fixture,
	};

	assert_ok(fw_staging_new(&options, &fixture->staging, NULL), NULL);
}

static void fixture_done(struct fixture *fixture)
{
	fw_staging_free(fixture->staging);
	free(fixture->directory);
	tree_remove_cleanup(&fixture->tree);
}
#define fw_cleanup_fixture __attribute__((cleanup(fixture_done)))

static void done(void *context, int rc, struct fw_staged *staged, const struct fw_error *err)
{
	struct wish *wish = context;

	assert_true((rc == FW_OK) == (staged != NULL) && (rc == FW_OK) == (err == NULL));
	wish->rc = rc;
	wish->calls++;
	wish->staged = staged;
}

static void ask(struct fixture *fixture, int wish, const char *key, int64_t offset, int64_t length)
{
	fw_staging_ask(fixture->staging, &(struct fw_storage_range){key, NULL, offset, length}, done, &fixture->wishes[wish]);
}

static void arrive(struct fixture *fixture, const char *text)
{
	assert_int_equal(write(fixture->fd, text, strlen(text)), strlen(text));
	fw_staging_fetched(fixture->entry, FW_OK, (int64_t)strlen(text), NULL);
}

static void assert_given(const struct fixture *fixture, int wish, const char *text)
{
	const struct fw_staged *staged = fixture->wishes[wish].staged;
	fw_cleanup_buffer struct fw_buffer bytes;

	assert_int_equal(fixture->wishes[wish].calls, 1);
	assert_non_null(staged);
	fw_buffer_init(&bytes, 1000);
	assert_ok(fw_read_file(AT_FDCWD, staged->path, &bytes, NULL), NULL);
	assert_string_equal(bytes.data, text);
	assert_int_equal(staged->length, strlen(text));
	assert_int_equal(staged->offset, 0);
}

static void release(struct fixture *fixture, int wish)
{
	fw_staging_release(FW_TAKE(fixture->wishes[wish].staged));
}

static void who_asks_for_the_same_range_shares_one_fetch(void **state)
{
	(void)state;
	fw_cleanup_fixture struct fixture fixture = {0};

	fixture_open(&fixture, 1000);
	ask(&fixture, 0, "in/a.csv", 4, 5);
	ask(&fixture, 1, "in/a.csv", 4, 5);
	assert_int_equal(fixture.fetches, 1);
	assert_int_equal(fixture.wishes[0].calls + fixture.wishes[1].calls, 0);
	arrive(&fixture, "hello");
	ask(&fixture, 2, "in/a.csv", 4, 5);
	assert_int_equal(fixture.fetches, 1);
	for (int i = 0; i < 3; i++)
		assert_given(&fixture, i, "hello");
	assert_string_equal(fixture.wishes[0].staged->path, fixture.wishes[2].staged->path);
	assert_non_null(strstr(fixture.wishes[0].staged->path, "/a.csv"));
	ask(&fixture, 3, "in/a.csv", 0, 5);
	ask(&fixture, 4, "in/b.csv", 4, 5);
	assert_int_equal(fixture.fetches, 3);
	for (int i = 0; i < 3; i++)
		release(&fixture, i);
}

static void what_nobody_holds_makes_room_the_least_recently_used_first(void **state)
{
	(void)state;
	fw_cleanup_fixture struct fixture fixture = {0};
	const char *const keys[] = {"a", "b", "c"};

	fixture_open(&fixture, 10);
	for (int i = 0; i < 2; i++) {
		ask(&fixture, i, keys[i], 0, 4);
		arrive(&fixture, "1234");
	}
	release(&fixture, 1);
	release(&fixture, 0);
	assert_int_equal(fw_staging_bytes(fixture.staging), 8);
	ask(&fixture, 2, "c", 0, 4); /* in the place of b */
	arrive(&fixture, "5678");
	ask(&fixture, 3, "a", 0, 4);
	assert_int_equal(fixture.fetches, 3);
	ask(&fixture, 4, "b", 0, 4);
	assert_int_equal(fixture.fetches, 4);
	arrive(&fixture, "1234"); /* a and c are held: more than 10 bytes stand */
	assert_int_equal(fw_staging_bytes(fixture.staging), 12);
	assert_given(&fixture, 3, "1234");
	release(&fixture, 4);
	assert_int_equal(fw_staging_bytes(fixture.staging), 8);
	release(&fixture, 3);
	release(&fixture, 2);
}

static void what_could_not_be_fetched_is_tried_again(void **state)
{
	(void)state;
	fw_cleanup_fixture struct fixture fixture = {0};
	fw_cleanup_error struct fw_error *error = NULL;
	int rc = fw_fail(&error, FW_E_IO, "cut");

	fixture_open(&fixture, 100);
	ask(&fixture, 0, "a", 0, -1);
	ask(&fixture, 1, "a", 0, -1);
	fw_staging_fetched(fixture.entry, rc, 0, error);
	assert_int_equal(fixture.wishes[0].rc, FW_E_IO);
	assert_int_equal(fixture.wishes[1].rc, FW_E_IO);
	ask(&fixture, 2, "a", 0, -1);
	assert_int_equal(fixture.fetches, 2);
	arrive(&fixture, "now");
	assert_given(&fixture, 2, "now");
	release(&fixture, 2);
}

static void what_nobody_waits_for_any_more_is_given_up(void **state)
{
	(void)state;
	fw_cleanup_fixture struct fixture fixture = {0};

	fixture_open(&fixture, 100);
	ask(&fixture, 0, "a", 0, 50);
	ask(&fixture, 1, "a", 0, 50);
	fw_staging_forget(fixture.staging, &fixture.wishes[0]);
	assert_int_equal(fixture.given_up, 0);
	fw_staging_forget(fixture.staging, &fixture.wishes[1]);
	assert_int_equal(fixture.given_up, 1);
	assert_int_equal(fixture.wishes[0].calls + fixture.wishes[1].calls, 0);
	assert_int_equal(fw_staging_bytes(fixture.staging), 0);
	ask(&fixture, 2, "a", 0, 50);
	assert_int_equal(fixture.fetches, 2);
	fw_staging_forget(fixture.staging, &fixture.wishes[7]); /* who never asked */
	arrive(&fixture, "now");
	fw_staging_forget(fixture.staging, &fixture.wishes[2]); /* who was answered */
	assert_given(&fixture, 2, "now");
	release(&fixture, 2);
}

/* Not only when it has arrived: several at a time would pass the bound together. */
static void what_is_on_its_way_counts(void **state)
{
	(void)state;
	fw_cleanup_fixture struct fixture fixture = {0};

	fixture_open(&fixture, 10);
	ask(&fixture, 0, "a", 0, 4);
	arrive(&fixture, "1234");
	release(&fixture, 0);
	ask(&fixture, 1, "b", 0, 5);
	assert_int_equal(fw_staging_bytes(fixture.staging), 9);
	ask(&fixture, 2, "c", 0, 5); /* in the place of a */
	assert_int_equal(fw_staging_bytes(fixture.staging), 10);
}

static void a_full_disk_is_cleared_of_what_nobody_holds_and_tried_once_more(void **state)
{
	(void)state;
	fw_cleanup_fixture struct fixture fixture = {0};
	fw_cleanup_error struct fw_error *error = NULL;
	int rc = fw_fail(&error, FW_E_NO_SPACE, "full");

	fixture_open(&fixture, 1000);
	ask(&fixture, 0, "idle", 0, 4);
	arrive(&fixture, "1234");
	release(&fixture, 0);
	ask(&fixture, 1, "a", 0, 5);
	assert_int_equal(write(fixture.fd, "no", 2), 2);
	fw_staging_fetched(fixture.entry, rc, 0, error);
	assert_int_equal(fixture.fetches, 3);
	assert_int_equal(fixture.wishes[1].calls, 0);
	assert_int_equal(fw_staging_bytes(fixture.staging), 5);
	assert_int_equal(lseek(fixture.fd, 0, SEEK_SET), 0);
	arrive(&fixture, "hello");
	assert_given(&fixture, 1, "hello");
	ask(&fixture, 2, "b", 0, 5); /* nothing is idle now */
	fw_staging_fetched(fixture.entry, rc, 0, error);
	assert_int_equal(fixture.wishes[2].rc, FW_E_NO_SPACE);
	release(&fixture, 1);
}

/* Keys may be anything, names of files may not. */
static void a_key_never_leads_out_of_the_directory(void **state)
{
	(void)state;
	fw_cleanup_fixture struct fixture fixture = {0};
	char longest[600];
	const char *const keys[] = {"../../etc/passwd", "a/..", "a//", "..", longest};

	memset(longest, 'x', sizeof longest - 1);
	longest[sizeof longest - 1] = '\0';
	fixture_open(&fixture, 100);
	fw_cleanup_free char *inside = fw_printf("%s/", fixture.directory);

	for (int i = 0; i < (int)FW_COUNT_OF(keys); i++) {
		ask(&fixture, i, keys[i], 0, -1);
		arrive(&fixture, "x");
		assert_given(&fixture, i, "x");
		assert_int_equal(strncmp(fixture.wishes[i].staged->path, inside, strlen(inside)), 0);
		assert_null(strstr(fixture.wishes[i].staged->path, "/../"));
		release(&fixture, i);
	}
}

static void at_the_end_nothing_is_left_and_who_waits_is_told(void **state)
{
	(void)state;
	fw_cleanup_fixture struct fixture fixture = {0};
	struct stat stat_;

	fixture_open(&fixture, 100);
	ask(&fixture, 0, "a", 0, -1);
	arrive(&fixture, "x");
	release(&fixture, 0);
	ask(&fixture, 1, "b", 0, -1);
	fw_staging_free(FW_TAKE(fixture.staging));
	assert_int_equal(fixture.wishes[1].rc, FW_E_CANCELLED);
	assert_int_equal(stat(fixture.directory, &stat_), -1);
}

FW_TESTS(who_asks_for_the_same_range_shares_one_fetch, what_nobody_holds_makes_room_the_least_recently_used_first,
         what_could_not_be_fetched_is_tried_again, what_nobody_waits_for_any_more_is_given_up, what_is_on_its_way_counts,
         a_full_disk_is_cleared_of_what_nobody_holds_and_tried_once_more, a_key_never_leads_out_of_the_directory,
         at_the_end_nothing_is_left_and_who_waits_is_told)
