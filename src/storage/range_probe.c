/* SPDX-License-Identifier: Apache-2.0
 *
 * Cuts that are found by looking at them: the next newline, or for CSV the next record from the last place whose state
 * the index knows. Little is read at first, more when records turn out to be long.
 */
#include <stdlib.h>
#include <string.h>

#include "storage/range_plan_internal.h"

enum {
	PROBES_AT_ONCE = 8,
	FIRST_READ = 64 << 10,
	LARGEST_READ = 64 << 20,
};

struct probe {
	struct fw_range_plan *plan;
	size_t cut;
	size_t object;
	struct fw_csv_scan scan; /* of csv */
	int64_t offset;          /* of the next byte */
	int64_t read;            /* at once */
	bool found;
};

static void read_more(struct probe *probe);

/* Deferred: a storage may answer at once, within the loop that starts probes. */
static void probe_ends(void *context)
{
	struct probe *probe = context;
	struct fw_range_plan *plan = probe->plan;

	plan->probes--;
	free(probe);
	fw_plan_probe(plan);
}

static void close_cut(struct fw_range_plan *plan, size_t cut, int64_t offset)
{
	plan->cuts[cut].offset = offset;
	plan->open[cut] = false;
}

static void find_newline(struct probe *probe, const uint8_t *bytes, size_t length)
{
	const uint8_t *newline = memchr(bytes, '\n', length);

	probe->found = newline != NULL;
	probe->offset += newline ? newline - bytes + 1 : (int64_t)length;
}

static void find_record(struct probe *probe, const uint8_t *bytes, size_t length)
{
	fw_csv_scan_feed(&probe->scan, bytes, length, &probe->found);
	probe->offset = probe->scan.offset;
}

static int look(void *context, const void *bytes, size_t length)
{
	struct probe *probe = context;

	if (probe->plan->cancelled)
		return FW_E_CANCELLED;
	if (probe->plan->format.kind == FW_RANGE_CSV)
		find_record(probe, bytes, length);
	else
		find_newline(probe, bytes, length);
	return probe->found || probe->scan.nul >= 0 ? FW_PLAN_ENOUGH : FW_OK;
}

static void looked(void *context, int rc, const struct fw_error *error)
{
	struct probe *probe = context;
	struct fw_range_plan *plan = probe->plan;
	int64_t bytes = plan->objects[probe->object].bytes;

	if (rc != FW_OK && rc != FW_PLAN_ENOUGH)
		fw_plan_fail(plan, rc == FW_E_INVALID ? FW_E_IO : rc, error);
	else if (probe->scan.nul >= 0) /* the pass saw none */
		fw_plan_fail_changed(plan, probe->object);
	else if (probe->found || probe->offset >= bytes)
		close_cut(plan, probe->cut, probe->found ? probe->offset : bytes);
	else if (plan->rc == FW_OK && !plan->cancelled) {
		read_more(probe);
		return;
	}
	fw_loop_defer(plan->loop, probe_ends, probe);
}

static void read_more(struct probe *probe)
{
	struct fw_range_plan *plan = probe->plan;
	int64_t left = plan->objects[probe->object].bytes - probe->offset;
	int64_t length = probe->read < left ? probe->read : left;

	if (probe->read < LARGEST_READ)
		probe->read *= 4;
	plan->storage->ops->read(plan->storage,
	                         &(struct fw_storage_range){plan->keys[probe->object], plan->versions[probe->object],
	                                                    probe->offset, length, plan->objects[probe->object].bytes},
	                         look, looked, probe);
}

static void start(struct fw_range_plan *plan, size_t cut)
{
	struct fw_cut at = plan->cuts[cut];
	struct probe *probe = fw_alloc(sizeof *probe);

	*probe = (struct probe){.plan = plan, .cut = cut, .object = at.object, .offset = at.offset - 1, .read = FIRST_READ};
	probe->scan.nul = -1;
	if (plan->format.kind == FW_RANGE_CSV) {
		fw_csv_index_scan(&plan->indexes[at.object], plan->format.delimiter, at.offset - 1, &probe->scan);
		probe->scan.wanted = at.offset;
		probe->offset = probe->scan.offset;
	}
	plan->probes++;
	read_more(probe);
}

/* Nothing to read: a record begins there, or the cut before has come this far already. */
static bool falls_on_a_record(struct fw_range_plan *plan, size_t cut)
{
	struct fw_cut at = plan->cuts[cut], before = cut > 0 ? plan->cuts[cut - 1] : (struct fw_cut){0};

	if (at.offset <= plan->objects[at.object].data) {
		close_cut(plan, cut, at.offset);
		return true;
	}
	if (cut > 0 && !plan->open[cut - 1] && before.object == at.object && before.offset >= at.offset) {
		close_cut(plan, cut, before.offset);
		return true;
	}
	return false;
}

void fw_plan_probe(struct fw_range_plan *plan)
{
	while (plan->next_cut < plan->cut_count && plan->probes < PROBES_AT_ONCE && plan->rc == FW_OK && !plan->cancelled) {
		size_t cut = plan->next_cut++;

		if (plan->open[cut] && !falls_on_a_record(plan, cut))
			start(plan, cut);
	}
	if (plan->probes == 0)
		fw_plan_look(plan);
}
