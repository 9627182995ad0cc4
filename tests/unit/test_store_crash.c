/* SPDX-License-Identifier: Apache-2.0 */
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/store_support.h"

/* Writes turns of one event and one record, and tells each flushed number through the pipe, until it is killed. */
static void write_until_killed(const char *path, int pipe_fd)
{
	struct fw_store *store = NULL;
	int64_t seq = 0;

	if (fw_store_open(path, false, &store, NULL) != FW_OK)
		_exit(1);
	fw_store_event_each(store, "r1", count_event, &seq, NULL);
	for (;;) {
		struct fw_record record = record_of("r1", "split", ++seq);
		bool written = fw_store_event_append(store, "r1", seq, "{}", 2, NULL) == FW_OK &&
		               fw_store_record_put(store, &record, NULL) == FW_OK && fw_store_flush(store, NULL) == FW_OK &&
		               write(pipe_fd, &seq, sizeof seq) == sizeof seq;

		fw_record_done(&record);
		if (!written)
			_exit(1);
	}
}

/* Reads numbers until one is at least `enough` and kills the writer there; gives the last number it told. */
static int64_t kill_after(pid_t pid, int pipe_fd, int64_t enough)
{
	int64_t seq = 0, last = 0;
	int status = 0;

	while (last < enough && read(pipe_fd, &seq, sizeof seq) == sizeof seq)
		last = seq;
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	while (read(pipe_fd, &seq, sizeof seq) == sizeof seq)
		last = seq;
	return last;
}

static void killed_writers_lose_nothing_that_was_flushed(void **state)
{
	fw_cleanup_tree struct tree tree = tree_of("x", "", NULL);
	fw_cleanup_free char *path = store_path(&tree);
	fw_cleanup_error struct fw_error *err = NULL;
	int64_t told = 0;
	unsigned random = 7;
	(void)state;

	alarm(60); /* the deadline of every read below */
	fw_cleanup_store struct fw_store *store = open_store(path);
	insert_run(store, "r1", 1);
	fw_store_close(FW_TAKE(store));
	for (int round = 0; round < 12; round++) {
		int ends[2];

		assert_int_equal(pipe(ends), 0);
		pid_t pid = fork();
		assert_true(pid >= 0);
		if (pid == 0) {
			close(ends[0]);
			write_until_killed(path, ends[1]);
		}
		close(ends[1]);
		random = random * 1103515245u + 12345u;
		told = kill_after(pid, ends[0], told + 1 + random % 90);
		close(ends[0]);

		store = open_store(path);
		int64_t events = events_of(store, "r1");
		fw_cleanup_seen struct seen seen = records_of(store, "r1", NULL, -1);
		assert_in_range(events, told, told + 1); /* one turn may have been committed and not told */
		assert_int_equal(seen.count, events);    /* an event and its record are there together or not at all */
		assert_int_equal(json_array_size(json_object_get(seen.last, "energy")), 1);
		told = events;
		fw_store_close(FW_TAKE(store));
	}
	assert_ok(fw_store_checkpoint(path, &err), err);
	alarm(0);
}

FW_TESTS(killed_writers_lose_nothing_that_was_flushed)
