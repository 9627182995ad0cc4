/* SPDX-License-Identifier: Apache-2.0
 *
 * A storage for tests, with the loop that its callbacks come on: a directory or, where FLEXWATT_TEST_STORAGE names one
 * ("s3://bucket?endpoint=…"), a bucket. What the tests of the contract do is the same on both.
 */
#pragma once

#include "base/buffer.h"
#include "storage/storage.h"
#include "tests/unit/support.h"

struct storage_world {
	struct tree tree; /* the storage itself, or what was put into the bucket; "work" is an attempt's directory in both */
	char *uri;
	struct fw_loop *loop;
	struct fw_pool *pool;
	struct fw_storage *storage;
	/* of the last call */
	int rc;
	char *message;
	struct fw_storage_objects objects;
	uint32_t outputs[16];
	struct fw_staged *staged;
};

/* Takes the tree over. */
struct storage_world world_open(struct tree tree);
void world_done(struct storage_world *world);
#define fw_cleanup_world __attribute__((cleanup(world_done)))
bool world_is_bucket(void);
/* Leaves the test when the storage is a bucket. */
void only_on_a_directory(void);
void only_in_a_bucket(void);

/* Each waits for its end. */
void world_list(struct storage_world *world, const char *pattern);
void world_stage_in(struct storage_world *world, const char *key, int64_t offset, int64_t length);
void world_stage_in_version(struct storage_world *world, const char *key, const char *version, int64_t length);
void world_read_version(struct storage_world *world, const char *key, const char *version, int64_t length);
char *world_version(struct storage_world *world, const char *key); /* newly allocated */
/* Another object under the key. */
void world_replace(struct storage_world *world, const char *key, const char *text);
/* Publishes "work" as split/3.1 of run r1 with outputs "chunks" (names, or all of it) and "reports". */
void world_publish(struct storage_world *world, const char *const *names, size_t count);
void world_wait(struct storage_world *world);
void world_ended(void *context, int rc, const struct fw_error *error); /* fw_storage_done_fn */

bool world_has(struct storage_world *world, const char *key);      /* an object, or anything below it */
bool world_has_here(const struct storage_world *world, const char *path);
char *world_text(struct storage_world *world, const char *key);    /* newly allocated */

void assert_staged(const struct storage_world *world, const char *text);
void assert_nothing_visible(struct storage_world *world, int rc, const char *text);
