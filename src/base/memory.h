/* SPDX-License-Identifier: Apache-2.0
 *
 * Allocation. Small allocations that fail end the process with one line (as crun does): there is nothing better to do,
 * and every buffer that grows with foreign data has a maximum (buffer.h), so that none of them can cause it.
 */
#pragma once

#include <stdarg.h>
#include <stddef.h>

/* Ends the process with one line; for libraries that report exhaustion themselves. */
void fw_memory_exhausted(void) __attribute__((noreturn));

__attribute__((returns_nonnull)) void *fw_alloc(size_t size); /* zeroed, never NULL */
__attribute__((returns_nonnull)) void *fw_alloc_array(size_t count, size_t size); /* zeroed, checks the product */
__attribute__((returns_nonnull)) void *fw_realloc_array(void *memory, size_t count, size_t size);
char *fw_strdup(const char *text);                  /* NULL stays NULL */
char *fw_strndup(const char *text, size_t length);
char *fw_printf(const char *format, ...) __attribute__((format(printf, 1, 2))); /* newly allocated */
char *fw_vprintf(const char *format, va_list arguments) __attribute__((format(printf, 1, 0)));

/* Room for one more item in {items, count, capacity}; doubles. Use FW_PUSH. */
__attribute__((returns_nonnull)) void *fw_grow(void *items, size_t count, size_t *capacity, size_t item_size);

#define FW_COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* FW_VECTOR(struct fw_x) as a member type; FW_PUSH(&vector, value); for (i < vector.count) vector.items[i]. */
#define FW_VECTOR(type)  \
	struct {             \
		type *items;     \
		size_t count;    \
		size_t capacity; \
	}
/* NOLINTBEGIN(bugprone-sizeof-expression): an item may well be a pointer */
#define FW_PUSH(vector, ...)                                                                                          \
	do {                                                                                                              \
		(vector)->items = fw_grow((vector)->items, (vector)->count, &(vector)->capacity, sizeof *(vector)->items);    \
		(vector)->items[(vector)->count++] = (__VA_ARGS__);                                                           \
	} while (0)
/* NOLINTEND(bugprone-sizeof-expression) */
