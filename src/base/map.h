/* SPDX-License-Identifier: Apache-2.0
 *
 * Hash map from text to a pointer or number. Keys are copied. Iteration is in the order of insertion.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct fw_map;

struct fw_map *fw_map_new(void);
void fw_map_free(struct fw_map *map); /* not the values */
void fw_map_set(struct fw_map *map, const char *key, void *value); /* replaces */
void *fw_map_get(const struct fw_map *map, const char *key);       /* NULL when absent */
bool fw_map_has(const struct fw_map *map, const char *key);
void *fw_map_remove(struct fw_map *map, const char *key);          /* the value, or NULL */
size_t fw_map_count(const struct fw_map *map);
/* for (size_t i = 0; fw_map_next(map, &i, &key, &value);) */
bool fw_map_next(const struct fw_map *map, size_t *position, const char **key, void **value);
