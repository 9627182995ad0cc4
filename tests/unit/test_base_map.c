/* SPDX-License-Identifier: Apache-2.0 */
#include "base/map.h"

#include <stdio.h>
#include <string.h>

#include "tests/unit/support.h"

static void a_value_is_found_by_its_key(void **state)
{
	struct fw_map *map = fw_map_new();
	int one = 1, two = 2;

	(void)state;
	fw_map_set(map, "a", &one);
	fw_map_set(map, "a", &two);
	fw_map_set(map, "null", NULL);
	assert_ptr_equal(fw_map_get(map, "a"), &two);
	assert_null(fw_map_get(map, "b"));
	assert_false(fw_map_has(map, "b"));
	assert_true(fw_map_has(map, "null"));
	assert_int_equal(fw_map_count(map), 2);
	fw_map_free(map);
}

static void keys_are_copied(void **state)
{
	struct fw_map *map = fw_map_new();
	char key[] = "a";

	(void)state;
	fw_map_set(map, key, key);
	key[0] = 'b';
	assert_true(fw_map_has(map, "a"));
	fw_map_free(map);
}

static void iteration_follows_insertion_through_growth_and_removal(void **state)
{
	struct fw_map *map = fw_map_new();
	char name[16];
	const char *key;
	void *value;
	size_t next = 0;

	(void)state;
	for (size_t i = 0; i < 1000; i++) {
		snprintf(name, sizeof name, "k%zu", i);
		fw_map_set(map, name, (void *)(i + 1));
	}
	for (size_t i = 0; i < 1000; i += 2) {
		snprintf(name, sizeof name, "k%zu", i);
		assert_ptr_equal(fw_map_remove(map, name), (void *)(i + 1));
	}
	assert_null(fw_map_remove(map, "k0"));
	assert_int_equal(fw_map_count(map), 500);
	for (size_t i = 0; fw_map_next(map, &i, &key, &value); next++)
		assert_ptr_equal(value, (void *)(2 * next + 2));
	assert_int_equal(next, 500);
	fw_map_free(map);
}

static void a_key_that_comes_and_goes_needs_no_room(void **state)
{
	struct fw_map *map = fw_map_new();
	char name[16];

	(void)state;
	for (int i = 0; i < 100000; i++) {
		snprintf(name, sizeof name, "k%d", i);
		fw_map_set(map, name, map);
		fw_map_remove(map, name);
	}
	fw_map_set(map, "last", map);
	assert_int_equal(fw_map_count(map), 1);
	assert_true(fw_map_has(map, "last"));
	fw_map_free(map);
}

static void removing_while_iterating_misses_nothing(void **state)
{
	struct fw_map *map = fw_map_new();
	const char *key;
	size_t seen = 0;

	(void)state;
	fw_map_set(map, "a", NULL);
	fw_map_set(map, "b", NULL);
	fw_map_set(map, "c", NULL);
	for (size_t i = 0; fw_map_next(map, &i, &key, NULL); seen++)
		fw_map_remove(map, key);
	assert_int_equal(seen, 3);
	assert_int_equal(fw_map_count(map), 0);
	fw_map_free(map);
	fw_map_free(NULL);
}

FW_TESTS(a_value_is_found_by_its_key, keys_are_copied, iteration_follows_insertion_through_growth_and_removal,
         a_key_that_comes_and_goes_needs_no_room, removing_while_iterating_misses_nothing)
