/* SPDX-License-Identifier: Apache-2.0
 *
 * The store is written by one thread while another makes it durable: nothing is lost, nobody waits for the other for long.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "tests/unit/store_support.h"

enum { EVENTS = 2000, EVENTS_A_TURN = 10 };

struct checkpointing {
	const char *path;
	atomic_bool stop;
	int failures;
	int count;
};

static void *checkpoint(void *context)
{
	struct checkpointing *checkpointing = context;

	while (!atomic_load(&checkpointing->stop)) {
		checkpointing->failures += fw_store_checkpoint(checkpointing->path, NULL) != FW_OK;
		checkpointing->count++;
	}
	return NULL;
}

static void checkpoints_run_beside_the_writer(void **state)
{
	fw_cleanup_tree struct tree tree = tree_of("x", "", NULL);
	fw_cleanup_free char *path = store_path(&tree);
	fw_cleanup_store struct fw_store *store = open_store(path);
	fw_cleanup_error struct fw_error *err = NULL;
	struct checkpointing checkpointing = {.path = path};
	pthread_t thread;
	int64_t count = 0;
	(void)state;

	insert_run(store, "r1", 1);
	flush(store);
	assert_int_equal(pthread_create(&thread, NULL, checkpoint, &checkpointing), 0);
	for (int64_t seq = 1; seq <= EVENTS; seq++) {
		append_event(store, "r1", seq);
		if (seq % EVENTS_A_TURN == 0)
			flush(store);
	}
	atomic_store(&checkpointing.stop, true);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_true(checkpointing.count > 0);
	assert_int_equal(checkpointing.failures, 0);
	assert_ok(fw_store_event_each(store, "r1", count_event, &count, &err), err);
	assert_int_equal(count, EVENTS);
}

FW_TESTS(checkpoints_run_beside_the_writer)
