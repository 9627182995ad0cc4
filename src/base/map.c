/* SPDX-License-Identifier: Apache-2.0
 *
 * Hash map in insertion order: entries lie in an array, an open-addressed table holds their indices. A removed entry
 * leaves a hole (key NULL) until the table is rebuilt, so that removing while iterating is safe. The hash is seeded per
 * process: keys come from files that others wrote.
 */
#include "base/map.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/memory.h"

enum { FIRST_SLOTS = 16 };

struct entry {
	char *key;
	uint64_t hash;
	void *value;
};

struct fw_map {
	struct entry *entries; /* `used` of them, holes included */
	size_t used;
	size_t capacity;
	size_t count;
	uint32_t *slots; /* index of an entry + 1; 0 is free */
	size_t slot_count; /* power of two, more than used */
	uint64_t seed;
};

static uint64_t hash_of(const struct fw_map *map, const char *key)
{
	uint64_t hash = map->seed;

	for (; *key; key++)
		hash = (hash ^ (unsigned char)*key) * 0x100000001b3ULL;
	return hash ^ (hash >> 32);
}

struct fw_map *fw_map_new(void)
{
	struct fw_map *map = fw_alloc(sizeof *map);

	if (getrandom(&map->seed, sizeof map->seed, GRND_NONBLOCK) < 0)
		map->seed = (uintptr_t)map; /* early boot: the address differs from run to run */
	map->slot_count = FIRST_SLOTS;
	map->slots = fw_alloc_array(map->slot_count, sizeof *map->slots);
	return map;
}

void fw_map_free(struct fw_map *map)
{
	if (!map)
		return;
	for (size_t i = 0; i < map->used; i++)
		free(map->entries[i].key);
	free(map->entries);
	free(map->slots);
	free(map);
}

/* The slot that holds the key, or the free one where it belongs. */
static uint32_t *slot_of(const struct fw_map *map, const char *key, uint64_t hash)
{
	for (size_t i = hash & (map->slot_count - 1);; i = (i + 1) & (map->slot_count - 1)) {
		uint32_t *slot = &map->slots[i];

		if (*slot == 0)
			return slot;
		const struct entry *entry = &map->entries[*slot - 1];
		if (entry->key && entry->hash == hash && strcmp(entry->key, key) == 0)
			return slot;
	}
}

static void close_holes(struct fw_map *map)
{
	size_t kept = 0;

	for (size_t i = 0; i < map->used; i++)
		if (map->entries[i].key)
			map->entries[kept++] = map->entries[i];
	map->used = kept;
}

/* Keeps at least half of the slots free. */
static void rebuild(struct fw_map *map)
{
	close_holes(map);
	while (map->slot_count < (map->used + 1) * 2)
		map->slot_count *= 2;
	if (map->slot_count > UINT32_MAX)
		fw_memory_exhausted();
	free(map->slots);
	map->slots = fw_alloc_array(map->slot_count, sizeof *map->slots);
	for (size_t i = 0; i < map->used; i++)
		*slot_of(map, map->entries[i].key, map->entries[i].hash) = (uint32_t)i + 1;
}

void fw_map_set(struct fw_map *map, const char *key, void *value)
{
	uint64_t hash = hash_of(map, key);
	uint32_t *slot = slot_of(map, key, hash);

	if (*slot != 0) {
		map->entries[*slot - 1].value = value;
		return;
	}
	if ((map->used + 1) * 2 > map->slot_count) {
		rebuild(map);
		slot = slot_of(map, key, hash);
	}
	map->entries = fw_grow(map->entries, map->used, &map->capacity, sizeof *map->entries);
	map->entries[map->used++] = (struct entry){fw_strdup(key), hash, value};
	*slot = (uint32_t)map->used;
	map->count++;
}

static struct entry *find(const struct fw_map *map, const char *key)
{
	uint32_t index = *slot_of(map, key, hash_of(map, key));

	return index == 0 ? NULL : &map->entries[index - 1];
}

void *fw_map_get(const struct fw_map *map, const char *key)
{
	const struct entry *entry = find(map, key);

	return entry ? entry->value : NULL;
}

bool fw_map_has(const struct fw_map *map, const char *key)
{
	return find(map, key);
}

void *fw_map_remove(struct fw_map *map, const char *key)
{
	struct entry *entry = find(map, key);

	if (!entry)
		return NULL;
	free(entry->key);
	entry->key = NULL;
	map->count--;
	return entry->value;
}

size_t fw_map_count(const struct fw_map *map)
{
	return map->count;
}

bool fw_map_next(const struct fw_map *map, size_t *position, const char **key, void **value)
{
	while (*position < map->used) {
		const struct entry *entry = &map->entries[(*position)++];

		if (!entry->key)
			continue;
		*key = entry->key;
		if (value)
			*value = entry->value;
		return true;
	}
	return false;
}
