/* SPDX-License-Identifier: Apache-2.0
 *
 * Locals that free themselves, and the two ways to hand one over. Destructors take NULL and half-built objects.
 */
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* FW_DEFINE_CLEANUP(struct fw_x *, fw_x_free) makes the attribute word FW_CLEANUP(fw_x_free) usable on a local. */
#define FW_DEFINE_CLEANUP(type, function)                                     \
	static inline __attribute__((unused)) void function##_cleanup(type *value) \
	{                                                                         \
		if (*value)                                                           \
			function(*value);                                                 \
	}
#define FW_CLEANUP(function) __attribute__((cleanup(function##_cleanup)))

static inline void fw_free_cleanup(void *pointer)
{
	free(*(void **)pointer);
}
static inline void fw_close_cleanup(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}
FW_DEFINE_CLEANUP(FILE *, fclose)

#define fw_cleanup_free __attribute__((cleanup(fw_free_cleanup)))
#define fw_cleanup_fd __attribute__((cleanup(fw_close_cleanup)))
#define fw_cleanup_file FW_CLEANUP(fclose)

/* Hands a pointer over: the local is NULL afterwards and frees nothing. */
#define FW_TAKE(pointer)                      \
	__extension__({                           \
		__typeof__(pointer) taken_ = (pointer); \
		(pointer) = NULL;                     \
		taken_;                               \
	})

static inline int fw_take_fd(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}
