/* SPDX-License-Identifier: Apache-2.0
 *
 * A kernel with a power PMU for tests: events that count by themselves at each read, refuse to open or fail.
 */
#pragma once

#include <errno.h>
#include <string.h>

#include "energy/perf_power_internal.h"
#include "tests/unit/support.h"

enum { FDS = 128, POWER = 15, CORES = 20, CORES_CODE = 1, PKG = 2, RAM = 3, GPU = 4, PSYS = 5 };
#define STEP (1U << 18) /* 2^-14 J */

/* A kernel: descriptors are 100 + index. Counts go on by `speed` at each read. */
static struct {
	struct {
		uint32_t type;
		uint64_t config, count, speed;
		unsigned cpu;
		int read_error;
		bool open;
	} fds[FDS];
	int count, still_open;
	uint64_t speed;         /* of those opened from now on */
	uint64_t missing;       /* an event that it refuses, by its code */
	int open_error;         /* of all */
	unsigned still_cpu;     /* where the package does not count; UINT_MAX: nowhere */
} kernel;

static int play_open(void *context, uint32_t type, uint64_t config, unsigned cpu)
{
	(void)context;
	if (kernel.open_error)
		return -kernel.open_error;
	if (kernel.missing && config == kernel.missing)
		return -EINVAL;
	assert_true(kernel.count < FDS);
	kernel.fds[kernel.count].type = type;
	kernel.fds[kernel.count].config = config;
	kernel.fds[kernel.count].cpu = cpu;
	kernel.fds[kernel.count].open = true;
	kernel.fds[kernel.count].speed = cpu == kernel.still_cpu ? 0 : kernel.speed;
	kernel.still_open++;
	return 100 + kernel.count++;
}

static int play_read(void *context, int fd, uint64_t *count)
{
	(void)context;
	assert_in_range(fd, 100, 100 + kernel.count - 1);
	assert_true(kernel.fds[fd - 100].open);
	if (kernel.fds[fd - 100].read_error)
		return -kernel.fds[fd - 100].read_error;
	*count = kernel.fds[fd - 100].count += kernel.fds[fd - 100].speed;
	return 0;
}

static void play_close(void *context, int fd)
{
	(void)context;
	assert_in_range(fd, 100, 100 + kernel.count - 1);
	assert_true(kernel.fds[fd - 100].open);
	kernel.fds[fd - 100].open = false;
	kernel.still_open--;
}

static const struct fw_power_ops played = {play_open, play_read, play_close, NULL};
