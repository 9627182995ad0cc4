/* SPDX-License-Identifier: Apache-2.0
 *
 * A few threads for what would block the loop: fsync, hashing, copying, walking trees.
 */
#pragma once

#include "base/loop.h"

struct fw_pool;

/* `work` runs on a pool thread, then `done` on the loop's thread. The context belongs to the job in between.
 * Jobs are taken in the order of submission and reported in the order in which they finish. `done` may submit, not free. */
typedef void fw_job_fn(void *context);

int fw_pool_new(struct fw_loop *loop, unsigned threads, struct fw_pool **pool, struct fw_error **err);
void fw_pool_submit(struct fw_pool *pool, fw_job_fn *work, fw_job_fn *done, void *context);
/* Waits for running and queued jobs, calls their `done`, ends the threads. */
void fw_pool_free(struct fw_pool *pool);
FW_DEFINE_CLEANUP(struct fw_pool *, fw_pool_free)
