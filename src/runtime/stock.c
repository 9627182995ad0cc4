/* SPDX-License-Identifier: Apache-2.0
 *
 * Which sizes of workers a run will still start, so that the pool makes a few control groups and images of /tmp before they
 * are asked for. Invariant: never more than STOCK groups, none of a size whose workers have all been started, and one job
 * of the pool at a time, since an image waits for the disk.
 */
#include "base/memory.h"
#include "runtime/runtime_internal.h"

enum { STOCK = 8, STOCK_PER_SIZE = 2 };

/* The lock is held. */
static struct fw_size *find(struct fw_runtime *runtime, int64_t memory_mb, int64_t tmp_mb)
{
	for (size_t i = 0; i < runtime->sizes.count; i++)
		if (runtime->sizes.items[i].memory_mb == memory_mb && runtime->sizes.items[i].tmp_mb == tmp_mb)
			return &runtime->sizes.items[i];
	return NULL;
}

/* The next size whose stock is not what it should be, in the order of the stages; false when there is none. */
static bool next_task(struct fw_runtime *runtime, struct fw_size *task, size_t *count)
{
	size_t room = STOCK;
	bool found = false;

	pthread_mutex_lock(&runtime->lock);
	for (size_t i = 0; i < runtime->sizes.count && !found && !runtime->closing; i++) {
		struct fw_size *size = &runtime->sizes.items[i];

		*count = size->expected < STOCK_PER_SIZE ? size->expected : STOCK_PER_SIZE;
		*count = *count < room ? *count : room;
		room -= *count;
		found = size->changed || *count != size->stocked;
		size->changed = false;
		size->stocked = *count;
		*task = *size;
	}
	runtime->stocking = found;
	pthread_mutex_unlock(&runtime->lock);
	return found;
}

/* What cannot be made beforehand is made, or said to be impossible, at the start that needs it. */
static void fill(void *context)
{
	struct fw_runtime *runtime = context;
	struct fw_size task;
	size_t count;

	while (next_task(runtime, &task, &count))
		(void)fw_sandboxes_prepare(runtime->sandboxes, task.memory_mb, task.tmp_mb, count, NULL);
	fw_runtime_job_ended(runtime);
}

static void filled(void *context)
{
	(void)context; /* the runtime may be gone */
}

static void begin_filling(struct fw_runtime *runtime)
{
	pthread_mutex_lock(&runtime->lock);
	bool running = runtime->stocking;
	runtime->stocking = true;
	pthread_mutex_unlock(&runtime->lock);
	if (running)
		return;
	fw_runtime_job_begins(runtime);
	fw_pool_submit(runtime->options.pool, fill, filled, runtime);
}

void fw_runtime_expect(struct fw_runtime *runtime, int64_t memory_mb, int64_t tmp_mb, size_t workers)
{
	pthread_mutex_lock(&runtime->lock);
	struct fw_size *size = find(runtime, memory_mb, tmp_mb);
	if (size)
		size->expected += workers;
	else
		FW_PUSH(&runtime->sizes, (struct fw_size){.memory_mb = memory_mb, .tmp_mb = tmp_mb, .expected = workers});
	pthread_mutex_unlock(&runtime->lock);
	begin_filling(runtime);
}

void fw_stock_used(struct fw_runtime *runtime, int64_t memory_mb, int64_t tmp_mb)
{
	bool changed = false;

	pthread_mutex_lock(&runtime->lock);
	struct fw_size *size = find(runtime, memory_mb, tmp_mb);
	if (size && size->expected > 0) {
		size->expected--;
		size->changed = changed = true;
	}
	pthread_mutex_unlock(&runtime->lock);
	if (changed)
		begin_filling(runtime);
}
