/* SPDX-License-Identifier: Apache-2.0
 *
 * Which worker may serve an invocation. A warm worker is reused when nothing that it was started with would differ: package,
 * memory, environment, /tmp, network, views, and the handler where it is bound at start: a plain function knows it from its
 * environment alone. The name of the function is not among them: each event's ARN tells it, and the environment names the
 * stage that started the worker.
 */
#include "base/buffer.h"
#include "base/memory.h"
#include "runtime/runtime_internal.h"

#include <string.h>

enum { IDLE_GRACE_MS = 100, KEY_BYTES = 1 << 20 };

static void add(struct fw_buffer *key, const char *text)
{
	fw_buffer_printf(key, "%s\n", text ? text : "");
}

char *fw_pool_key(const struct fw_launch *launch, const struct fw_invoke *invoke)
{
	struct fw_buffer key;

	fw_buffer_init(&key, KEY_BYTES);
	fw_buffer_printf(&key, "%d %lld %lld %d\n", (int)invoke->function->kind, (long long)invoke->memory_mb,
	                 (long long)invoke->tmp_mb, (int)invoke->network);
	add(&key, launch->digest);
	for (size_t i = 0; i < launch->argv.count; i++)
		add(&key, launch->argv.items[i]);
	add(&key, launch->command);
	add(&key, invoke->attempts_root);
	add(&key, invoke->hidden);
	if (launch->handler_is_argument || !invoke->stage_aware)
		add(&key, invoke->handler);
	if (invoke->function->environment)
		(void)fw_json_append(invoke->function->environment, &key);
	for (size_t i = 0; invoke->read_only && invoke->read_only[i]; i++)
		add(&key, invoke->read_only[i]);
	return fw_buffer_take(&key);
}

struct fw_worker *fw_pool_take(struct fw_runtime *runtime, const char *key)
{
	for (struct fw_worker *worker = runtime->workers; worker; worker = worker->next)
		if (worker->state == FW_WORKER_IDLE && fw_api_is_waiting(worker->api) && strcmp(worker->key, key) == 0)
			return worker;
	return NULL;
}

/* Workers that are ending were told to; their memory is on its way back. */
static int64_t memory_held_mb(const struct fw_runtime *runtime, struct fw_worker **oldest_idle)
{
	int64_t sum = 0;

	*oldest_idle = NULL;
	for (struct fw_worker *worker = runtime->workers; worker; worker = worker->next) {
		if (worker->state == FW_WORKER_ENDING)
			continue;
		sum += worker->memory_mb;
		if (worker->state == FW_WORKER_IDLE)
			*oldest_idle = worker;
	}
	return sum;
}

void fw_pool_make_room(struct fw_runtime *runtime, int64_t memory_mb)
{
	struct fw_worker *oldest;

	if (runtime->options.memory_mb <= 0)
		return;
	while (memory_held_mb(runtime, &oldest) + memory_mb > runtime->options.memory_mb && oldest)
		fw_worker_stop(oldest, IDLE_GRACE_MS * FW_NS_PER_MS);
}
