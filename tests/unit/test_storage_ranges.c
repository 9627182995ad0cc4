/* SPDX-License-Identifier: Apache-2.0
 *
 * Plans of ranges: each byte, line and record is in one range and no range is empty, for any number of parts and objects.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "storage/csv_cache.h"
#include "storage/range_plan.h"
#include "tests/unit/csv_world.h"
#include "tests/unit/support.h"

enum { OBJECTS_MAX = 6 };

struct world {
	struct fw_loop *loop;
	struct fw_pool *pool;
	struct memory_storage storage;
	struct fw_buffer texts[OBJECTS_MAX];
	struct fw_str objects[OBJECTS_MAX];
	size_t count;
	const char *cache;
	int rc;
	char *message;
	struct fw_ranges ranges;
	char *versions[OBJECTS_MAX];
};

static void world_init(struct world *world, size_t count)
{
	struct fw_error *err = NULL;

	*world = (struct world){.count = count};
	assert_ok(fw_loop_new(&world->loop, &err), err);
	assert_ok(fw_pool_new(world->loop, 1, &world->pool, &err), err);
	for (size_t i = 0; i < count; i++)
		fw_buffer_init(&world->texts[i], 1 << 26);
	memory_storage_init(&world->storage, world->loop, world->objects, count);
}

static void forget(struct world *world)
{
	for (size_t i = 0; i < world->ranges.list.count; i++)
		free((char *)(uintptr_t)world->ranges.list.items[i].header);
	free(world->ranges.list.items);
	for (size_t i = 0; i < OBJECTS_MAX; i++)
		free(FW_TAKE(world->versions[i]));
	free(world->message);
	world->ranges = (struct fw_ranges){0};
	world->message = NULL;
}

static void world_done(struct world *world)
{
	forget(world);
	for (size_t i = 0; i < world->count; i++)
		fw_buffer_done(&world->texts[i]);
	fw_pool_free(world->pool);
	fw_loop_free(world->loop);
}
#define fw_cleanup_world __attribute__((cleanup(world_done)))

static void planned(void *context, int rc, const struct fw_ranges *ranges, const struct fw_error *err)
{
	struct world *world = context;

	forget(world);
	world->rc = rc;
	world->message = fw_strdup(err ? fw_error_message(err) : NULL);
	for (size_t i = 0; i < ranges->list.count; i++) {
		struct fw_range range = ranges->list.items[i];

		range.header = fw_strdup(range.header);
		FW_PUSH(&world->ranges.list, range);
	}
	for (size_t i = 0; i < ranges->object_count; i++)
		world->versions[i] = fw_strdup(ranges->versions[i]);
	fw_loop_stop(world->loop);
}

static struct fw_range_plan *begin_plan(struct world *world, struct fw_range_format format, uint32_t parts)
{
	struct fw_range_object list[OBJECTS_MAX];
	static const char *const keys[OBJECTS_MAX] = {"0", "1", "2", "3", "4", "5"};

	for (size_t i = 0; i < world->count; i++) {
		world->objects[i] = fw_buffer_str(&world->texts[i]);
		list[i] = (struct fw_range_object){.key = keys[i], .bytes = (int64_t)world->texts[i].length};
	}
	return fw_range_plan(&(struct fw_range_request){.loop = world->loop, .pool = world->pool, .storage = &world->storage.base,
	                                                .place = "memory:", .format = format, .objects = list,
	                                                .object_count = world->count, .parts = parts,
	                                                .cache_directory = world->cache},
	                     planned, world);
}

static void plan(struct world *world, struct fw_range_format format, uint32_t parts)
{
	begin_plan(world, format, parts);
	fw_loop_run(world->loop, NULL);
}

/* ---- what must hold ---- */

/* Where the next record begins. */
static size_t record_end(const struct fw_range_format *format, struct fw_str text, size_t at)
{
	bool closed = true;
	const char *newline = NULL;

	switch (format->kind) {
	case FW_RANGE_LINES:
		newline = memchr(text.text + at, '\n', text.length - at);
		return newline ? (size_t)(newline - text.text) + 1 : text.length;
	case FW_RANGE_CSV:
		return csv_record_end(text.text, text.length, at, format->delimiter, &closed);
	default:
		return at + 1;
	}
}

static size_t data_of(const struct fw_range_format *format, struct fw_str text)
{
	size_t mark = format->kind == FW_RANGE_CSV && fw_str_starts(text, "\xef\xbb\xbf") ? 3 : 0;

	return format->kind == FW_RANGE_CSV && format->header ? record_end(format, text, mark) : mark;
}

/* A single reader goes through the objects; the ranges must follow it, one behind the other. */
static void check_exact(const struct world *world, const struct fw_range_format *format, uint32_t parts)
{
	size_t range = 0;
	uint32_t part = 0;

	assert_int_equal(world->rc, FW_OK);
	for (size_t i = 0; i < world->count; i++) {
		struct fw_str text = world->objects[i];
		size_t at = data_of(format, text);

		while (at < text.length) {
			const struct fw_range *of = &world->ranges.list.items[range];
			size_t end = (size_t)(of->offset + of->length);

			assert_true(range < world->ranges.list.count);
			assert_int_equal(of->object, i);
			assert_int_equal(of->offset, at);
			assert_true(of->length > 0);
			assert_true(range == 0 ? of->part == 0 : of->part == part || of->part == part + 1);
			assert_int_equal(!of->header, !(format->kind == FW_RANGE_CSV && format->header));
			part = of->part;
			while (at < end)
				at = record_end(format, text, at);
			assert_int_equal(at, end); /* no record is cut */
			range++;
		}
	}
	assert_int_equal(range, world->ranges.list.count);
	assert_true(part < parts);
}

static void fill(struct world *world, const struct fw_range_format *format, uint64_t *chance)
{
	for (size_t i = 0; i < world->count; i++) {
		struct csv_shape shape = {.delimiter = format->delimiter, .quotes = below(chance, 4) != 0, .mark = below(chance, 5) == 0,
		                          .header = below(chance, 8) != 0, .records = below(chance, 2) ? below(chance, 60) : below(chance, 3),
		                          .long_cell = below(chance, 10) ? 300 : 100000};

		csv_append(&world->texts[i], &shape, chance);
	}
}

static void every_record_is_in_one_range_for_any_number_of_parts(void **state)
{
	const char *wanted = getenv("FLEXWATT_SEEDS");
	uint64_t seeds = wanted ? strtoull(wanted, NULL, 10) : 150;

	(void)state;
	for (uint64_t seed = 0; seed < seeds; seed++) {
		uint64_t chance = seed;
		fw_cleanup_world struct world world;
		static const uint32_t parts[] = {1, 2, 3, 4, 7, 16, 100, 1000};
		struct fw_range_format format = {FW_RANGE_BYTES + seed % 3, ",;\t"[below(&chance, 3)], below(&chance, 2)};

		world_init(&world, 1 + below(&chance, OBJECTS_MAX));
		world.storage.chance = chance;
		fill(&world, &format, &chance);
		for (size_t i = 0; i < FW_COUNT_OF(parts); i++) {
			plan(&world, format, parts[i]);
			check_exact(&world, &format, parts[i]);
		}
	}
}

static void objects_without_records_have_no_ranges(void **state)
{
	fw_cleanup_world struct world world;
	const struct fw_range_format csv = {FW_RANGE_CSV, ',', true}, lines = {.kind = FW_RANGE_LINES};

	(void)state;
	world_init(&world, 3);
	plan(&world, lines, 4);
	assert_int_equal(world.ranges.list.count, 0);
	fw_buffer_text(&world.texts[1], "a,b\n");
	plan(&world, csv, 4);
	assert_int_equal(world.rc, FW_OK);
	assert_int_equal(world.ranges.list.count, 0);
}

static void one_giant_line_stays_whole(void **state)
{
	fw_cleanup_world struct world world;
	const struct fw_range_format lines = {.kind = FW_RANGE_LINES}, csv = {FW_RANGE_CSV, ',', false};
	static char block[4096];

	(void)state;
	memset(block, 'x', sizeof block);
	world_init(&world, 1);
	for (int i = 0; i < 300; i++)
		fw_buffer_append(&world.texts[0], block, sizeof block);
	fw_buffer_text(&world.texts[0], "\nlast\n");
	for (uint32_t parts = 1; parts < 200; parts = parts * 3 + 1) {
		plan(&world, lines, parts);
		check_exact(&world, &lines, parts);
		assert_int_equal(world.ranges.list.count, parts > 1 ? 2 : 1); /* the giant and what follows it */
		plan(&world, csv, parts);
		check_exact(&world, &csv, parts);
	}
}

static void parts_differ_by_little_where_records_are_short(void **state)
{
	fw_cleanup_world struct world world;
	const struct fw_range_format csv = {FW_RANGE_CSV, ',', true};

	(void)state;
	world_init(&world, 2);
	for (size_t i = 0; i < 2; i++)
		for (int k = 0; k < 10000; k++)
			fw_buffer_text(&world.texts[i], "12,\"a, b\",34\n");
	plan(&world, csv, 8);
	check_exact(&world, &csv, 8);
	int64_t sizes[8] = {0};

	for (size_t i = 0; i < world.ranges.list.count; i++)
		sizes[world.ranges.list.items[i].part] += world.ranges.list.items[i].length;
	for (size_t i = 0; i < 8; i++)
		assert_true(llabs(sizes[i] - 2 * 10000 * 13 / 8) <= 26);
}

static void lines_are_found_by_reading_little(void **state)
{
	fw_cleanup_world struct world world;
	const struct fw_range_format lines = {.kind = FW_RANGE_LINES};

	(void)state;
	world_init(&world, 1);
	for (int i = 0; i < 1000000; i++)
		fw_buffer_text(&world.texts[0], "a line of text\n");
	plan(&world, lines, 4);
	check_exact(&world, &lines, 4);
	assert_int_equal(world.storage.reads, 3);
	assert_int_equal(world.storage.bytes_read, 3 * (64 << 10));
}

/* ---- the cache ---- */

static void a_second_plan_of_the_same_object_reads_little(void **state)
{
	fw_cleanup_tree struct tree tree = tree_of("cache/", NULL);
	fw_cleanup_free char *cache = fw_printf("%s/cache/ranges", tree.path);
	fw_cleanup_world struct world world;
	const struct fw_range_format csv = {FW_RANGE_CSV, ',', true}, other = {FW_RANGE_CSV, ';', true};
	uint64_t chance = 3;

	(void)state;
	world_init(&world, 1);
	world.cache = cache;
	csv_append(&world.texts[0], &(struct csv_shape){',', true, true, true, 200000, 5000}, &chance);
	assert_true(world.texts[0].length > 5 << 20);
	plan(&world, csv, 5);
	check_exact(&world, &csv, 5);
	assert_int_equal(world.storage.bytes_read, world.texts[0].length);
	for (uint32_t parts = 1; parts < 20; parts += 3) {
		world.storage.bytes_read = 0;
		plan(&world, csv, parts);
		check_exact(&world, &csv, parts);
		assert_true(world.storage.bytes_read <= (parts - 1) * (FW_CSV_STEP * 2));
	}
	world.storage.bytes_read = 0;
	plan(&world, other, 2); /* what was found for commas says nothing of semicolons */
	assert_true(world.storage.bytes_read >= (int64_t)world.texts[0].length);
}

static void an_index_that_is_damaged_is_made_again(void **state)
{
	fw_cleanup_tree struct tree tree = tree_of("cache/", NULL);
	fw_cleanup_free char *cache = fw_printf("%s/cache", tree.path);
	fw_cleanup_world struct world world;
	const struct fw_range_format csv = {FW_RANGE_CSV, ',', true};
	fw_cleanup_free char *name = fw_csv_cache_name("memory:", "0", "7", &csv);
	fw_cleanup_free char *path = fw_printf("cache/%s", name);
	uint64_t chance = 3;

	(void)state;
	world_init(&world, 1);
	world.cache = cache;
	csv_append(&world.texts[0], &(struct csv_shape){',', true, false, true, 200000, 5000}, &chance);
	tree_write(&tree, path, "{\"version\":1");
	for (int turn = 0; turn < 2; turn++) {
		world.storage.bytes_read = 0;
		plan(&world, csv, 3);
		check_exact(&world, &csv, 3);
		assert_int_equal(turn == 0, world.storage.bytes_read == (int64_t)world.texts[0].length);
	}
}

/* ---- failures ---- */

static void an_object_that_changes_meanwhile_fails_the_plan(void **state)
{
	(void)state;
	for (enum fw_range_kind kind = FW_RANGE_BYTES; kind <= FW_RANGE_CSV; kind++) {
		for (unsigned from = 1; from <= (kind == FW_RANGE_CSV ? 3 : 2); from++) {
			fw_cleanup_world struct world world;

			world_init(&world, 1);
			fw_buffer_text(&world.texts[0], "a\n1\n2\n");
			world.storage.changes_from = from;
			plan(&world, (struct fw_range_format){kind, ',', true}, 2);
			assert_int_equal(world.rc, FW_E_CONFLICT);
			assert_string_equal(world.message, "object 0 changed while the run read it");
		}
	}
}

static void an_object_that_changes_behind_a_kept_index_fails_the_plan(void **state)
{
	fw_cleanup_tree struct tree tree = tree_of("cache/", NULL);
	fw_cleanup_free char *cache = fw_printf("%s/cache", tree.path);
	fw_cleanup_world struct world world;
	const struct fw_range_format csv = {FW_RANGE_CSV, ',', true};
	uint64_t chance = 3;

	(void)state;
	world_init(&world, 1);
	world.cache = cache;
	csv_append(&world.texts[0], &(struct csv_shape){',', true, false, true, 200000, 5000}, &chance);
	plan(&world, csv, 3);
	assert_int_equal(world.rc, FW_OK);
	world.storage.changes_from = world.storage.stats + 2; /* the first look finds what the index is of */
	world.storage.bytes_read = 0;
	plan(&world, csv, 3);
	assert_true(world.storage.bytes_read < (int64_t)world.texts[0].length);
	assert_int_equal(world.rc, FW_E_CONFLICT);
}

static void what_was_cut_is_told_by_its_version(void **state)
{
	(void)state;
	for (enum fw_range_kind kind = FW_RANGE_BYTES; kind <= FW_RANGE_CSV; kind++) {
		fw_cleanup_world struct world world;

		world_init(&world, 2);
		fw_buffer_text(&world.texts[0], "a\n1\n2\n");
		plan(&world, (struct fw_range_format){kind, ',', true}, 2);
		assert_int_equal(world.rc, FW_OK);
		assert_string_equal(world.versions[0], "7");
		assert_string_equal(world.versions[1], "7");
	}
}

static void a_storage_that_fails_is_told_from_bytes_that_are_wrong(void **state)
{
	fw_cleanup_world struct world world;
	const struct fw_range_format csv = {FW_RANGE_CSV, ',', true};

	(void)state;
	world_init(&world, 2);
	fw_buffer_text(&world.texts[0], "a\n1\n");
	fw_buffer_text(&world.texts[1], "a\n\"1\n");
	plan(&world, csv, 2);
	assert_int_equal(world.rc, FW_E_INVALID);
	assert_string_equal(world.message, "object 1: the quote at byte 2 is not closed before the end");
	world.storage.fails = FW_E_INVALID;
	plan(&world, csv, 2);
	assert_int_equal(world.rc, FW_E_IO);
	assert_string_equal(world.message, "object 0: gone");
}

static void a_cancelled_plan_ends_at_once(void **state)
{
	fw_cleanup_world struct world world;

	(void)state;
	world_init(&world, 1);
	fw_buffer_text(&world.texts[0], "a\n1\n2\n");
	fw_range_plan_cancel(begin_plan(&world, (struct fw_range_format){FW_RANGE_CSV, ',', true}, 2));
	fw_loop_run(world.loop, NULL);
	assert_int_equal(world.rc, FW_E_CANCELLED);
	assert_int_equal(world.storage.reads, 0);
}

FW_TESTS(every_record_is_in_one_range_for_any_number_of_parts, objects_without_records_have_no_ranges,
         one_giant_line_stays_whole, parts_differ_by_little_where_records_are_short, lines_are_found_by_reading_little,
         a_second_plan_of_the_same_object_reads_little, an_index_that_is_damaged_is_made_again,
         an_object_that_changes_meanwhile_fails_the_plan, an_object_that_changes_behind_a_kept_index_fails_the_plan,
         what_was_cut_is_told_by_its_version, a_storage_that_fails_is_told_from_bytes_that_are_wrong,
         a_cancelled_plan_ends_at_once)
