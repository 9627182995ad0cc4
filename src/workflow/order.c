/* SPDX-License-Identifier: Apache-2.0
 *
 * Producers of every stage, and the order in which stages can run: among those that are ready the one that stands first in
 * the file. What cannot be ordered is a cycle, printed along the flow of data.
 */
#include <stdlib.h>

#include "workflow/workflow_internal.h"

enum { CYCLE_SHOWN = 20 };

static void add_producer(struct fw_stage *stage, size_t producer)
{
	size_t at = stage->producers.count;

	for (size_t i = 0; i < stage->producers.count; i++)
		if (stage->producers.items[i] == producer)
			return;
	FW_PUSH(&stage->producers, producer);
	for (; at > 0 && stage->producers.items[at - 1] > producer; at--)
		stage->producers.items[at] = stage->producers.items[at - 1];
	stage->producers.items[at] = producer;
}

static bool is_ready(const struct fw_stage *stage, const bool *done)
{
	for (size_t i = 0; i < stage->producers.count; i++)
		if (!done[stage->producers.items[i]])
			return false;
	return true;
}

static const struct fw_setting *where_of(const struct fw_reader *reader, size_t producer, size_t consumer)
{
	for (size_t i = 0; i < reader->links.count; i++)
		if (reader->links.items[i].producer == producer && reader->links.items[i].consumer == consumer)
			return reader->links.items[i].where;
	return NULL;
}

static size_t first_waiting(const struct fw_stage *stage, const bool *done)
{
	for (size_t i = 0; i < stage->producers.count; i++)
		if (!done[stage->producers.items[i]])
			return stage->producers.items[i];
	return SIZE_MAX;
}

struct cycle {
	FW_VECTOR(size_t) stages; /* along the flow of data, the first of the file first */
};

/* Walks from consumer to producer among the stages that wait until one comes up again. */
static void find_cycle(const struct fw_workflow *workflow, const bool *done, struct cycle *cycle)
{
	size_t *seen = fw_alloc_array(workflow->stages.count, sizeof *seen);
	size_t steps = 0, at = 0, first = 0;
	FW_VECTOR(size_t) walk = {0};

	while (done[at])
		at++;
	do {
		seen[at] = ++steps;
		FW_PUSH(&walk, at);
		at = first_waiting(&workflow->stages.items[at], done);
	} while (seen[at] == 0);
	size_t start = seen[at] - 1, count = walk.count - start;
	for (size_t i = 0; i < count; i++)
		if (walk.items[start + i] < walk.items[start + first])
			first = i;
	for (size_t i = 0; i < count; i++) /* backwards: the walk went against the data */
		FW_PUSH(&cycle->stages, walk.items[start + (first + count - i) % count]);
	free(walk.items);
	free(seen);
}

static int fail_cycle(const struct fw_reader *reader, const bool *done, struct fw_error **err)
{
	const struct fw_workflow *workflow = reader->workflow;
	struct cycle cycle = {0};
	fw_cleanup_buffer struct fw_buffer text = {0};

	find_cycle(workflow, done, &cycle);
	if (cycle.stages.count == 0)
		return fw_fail(err, FW_E_INTERNAL, "the stages have no order and yet no cycle");
	fw_buffer_init(&text, 4096);
	for (size_t i = 0; i < cycle.stages.count && i < CYCLE_SHOWN; i++)
		fw_buffer_printf(&text, "%s → ", workflow->stages.items[cycle.stages.items[i]].name);
	if (cycle.stages.count > CYCLE_SHOWN)
		fw_buffer_text(&text, "… → ");
	size_t first = cycle.stages.items[0], last = cycle.stages.items[cycle.stages.count - 1];
	free(cycle.stages.items);
	int rc = fw_setting_fail(err, where_of(reader, last, first), FW_E_INVALID, "the stages wait for each other: %s%s",
	                         text.data, workflow->stages.items[first].name);
	if (first == last)
		return fw_error_hint(err, rc, "a stage cannot use what it makes itself");
	return fw_error_hint(err, rc, "'%s' needs '%s' here; one of these edges must go",
	                     workflow->stages.items[first].name, workflow->stages.items[last].name);
}

int fw_order_stages(struct fw_reader *reader, struct fw_error **err)
{
	struct fw_workflow *workflow = reader->workflow;
	size_t count = workflow->stages.count;
	bool *done = fw_alloc_array(count, sizeof *done);
	int rc = FW_OK;

	for (size_t i = 0; i < reader->links.count; i++)
		add_producer(&workflow->stages.items[reader->links.items[i].consumer], reader->links.items[i].producer);
	while (rc == FW_OK && workflow->order.count < count) {
		size_t next = 0;

		while (next < count && (done[next] || !is_ready(&workflow->stages.items[next], done)))
			next++;
		if (next == count) {
			rc = fail_cycle(reader, done, err);
		} else {
			done[next] = true;
			FW_PUSH(&workflow->order, next);
		}
	}
	free(done);
	return rc;
}
