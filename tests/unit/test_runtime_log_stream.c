/* SPDX-License-Identifier: Apache-2.0
 *
 * What a worker prints, on its way from the pipe to the log of an invocation.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "runtime/log.h"
#include "tests/unit/support.h"

static void stop(void *context)
{
	fw_loop_stop(context);
}

/* What the pipe takes, once a turn. */
static size_t flood(struct fw_loop *loop, int fd, int turns)
{
	char bytes[4096];
	size_t taken = 0;
	struct fw_timer *timer = fw_timer_new(loop, stop, loop);

	memset(bytes, 'x', sizeof bytes);
	for (int i = 0; i < turns; i++) {
		for (ssize_t count; (count = write(fd, bytes, sizeof bytes)) > 0;)
			taken += (size_t)count;
		assert_int_equal(errno, EAGAIN);
		fw_timer_set(timer, 0);
		assert_ok(fw_loop_run(loop, NULL), NULL);
	}
	fw_timer_free(timer);
	return taken;
}

static void a_flood_between_invocations_waits_for_the_next_one(void **state)
{
	(void)state;
	fw_cleanup_tree struct tree tree = tree_of("logs/", "", NULL);
	fw_cleanup_free char *directory = fw_printf("%s/logs", tree.path);
	struct fw_log_file *first = fw_log_file_new(directory, "1", 0), *second = fw_log_file_new(directory, "2", 0);
	struct fw_log_stream *stream = NULL;
	struct fw_loop *loop = NULL;
	int fd = -1;

	assert_ok(fw_loop_new(&loop, NULL), NULL);
	assert_ok(fw_log_stream_new(loop, &stream, &fd, NULL), NULL);
	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	assert_true(flood(loop, fd, 40) > 1 << 20); /* while it starts nothing may wait: the worker itself prints */
	fw_log_stream_attach(stream, first);
	fw_log_stream_detach(stream);
	assert_true(flood(loop, fd, 40) < 1 << 20);
	fw_log_stream_attach(stream, second);
	assert_true(flood(loop, fd, 40) > 1 << 20);
	fw_log_stream_detach(stream);
	fw_log_stream_free(stream);
	fw_log_file_free(first);
	fw_log_file_free(second);
	close(fd);
	fw_loop_free(loop);
}

FW_TESTS(a_flood_between_invocations_waits_for_the_next_one)
