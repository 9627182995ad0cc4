/* SPDX-License-Identifier: Apache-2.0
 *
 * Identity of tasks. Where a stage's width is known before it starts, a task's number is its place. A task that appears
 * when its object is committed is (producer task, ordinal), and that pair is folded into one number without knowing
 * how many objects the other producers will have: the k-th object of lane l among L lanes is k L + l; further down a
 * chain k is itself a folded pair. So the number is the same in every run, whatever arrives first; numbers of such a
 * stage may have gaps. Lists and results follow (producer task, ordinal), not the number.
 */
#include "engine/engine_internal.h"

#include <stdlib.h>

/* ---- number to slot ---- */

static size_t hash_of(uint32_t number, size_t capacity)
{
	return (size_t)((number * 0x9E3779B97F4A7C15u) >> 32) & (capacity - 1);
}

static void odd_insert(struct stage *stage, uint32_t slot)
{
	size_t at = hash_of(stage->tasks.items[slot].number, stage->odd_capacity);

	while (stage->odd_numbers[at])
		at = (at + 1) & (stage->odd_capacity - 1);
	stage->odd_numbers[at] = slot + 1;
}

static void odd_grow(struct stage *stage)
{
	uint32_t *old = stage->odd_numbers;
	size_t capacity = stage->odd_capacity;

	stage->odd_capacity = capacity ? capacity * 2 : 64;
	stage->odd_numbers = fw_alloc_array(stage->odd_capacity, sizeof *stage->odd_numbers);
	for (size_t i = 0; i < capacity; i++)
		if (old[i])
			odd_insert(stage, old[i] - 1);
	free(old);
}

void fw_stage_number_keep(struct stage *stage, uint32_t slot)
{
	if (stage->tasks.items[slot].number == slot)
		return;
	if (stage->odd_count * 4 >= stage->odd_capacity * 3)
		odd_grow(stage);
	odd_insert(stage, slot);
	stage->odd_count++;
}

bool fw_stage_find(const struct stage *stage, uint32_t number, uint32_t *slot)
{
	if (number < stage->tasks.count && stage->tasks.items[number].number == number) {
		*slot = number;
		return true;
	}
	if (!stage->odd_capacity)
		return false;
	for (size_t at = hash_of(number, stage->odd_capacity); stage->odd_numbers[at];
	     at = (at + 1) & (stage->odd_capacity - 1)) {
		if (stage->tasks.items[stage->odd_numbers[at] - 1].number == number) {
			*slot = stage->odd_numbers[at] - 1;
			return true;
		}
	}
	return false;
}

/* ---- pair to number ---- */

/* Two counts into one; (n, 0), the chain in which every task gives one object, stays small. False past 32 bits. */
static bool fold(uint64_t a, uint64_t b, uint64_t *folded)
{
	if (b == 0) {
		*folded = 2 * a;
		return true;
	}
	uint64_t diagonal = a + b - 1;

	if (diagonal > UINT16_MAX)
		return false;
	*folded = diagonal * (diagonal + 1) + 2 * (b - 1) + 1;
	return true;
}

bool fw_stage_number(const struct fw_engine *engine, const struct stage *stage, uint32_t source, uint32_t ordinal,
                     uint32_t *number)
{
	const struct stage *producer = &engine->stages[stage->from];
	uint64_t from = producer->tasks.items[source].number, lanes = stage->lanes, folded = ordinal;

	if (producer->shape == SHAPE_FLOW && !fold(from / lanes, ordinal, &folded))
		return false;
	if (folded > UINT32_MAX)
		return false;
	uint64_t wide = folded * lanes + from % lanes;

	if (wide >= UINT32_MAX)
		return false;
	*number = (uint32_t)wide;
	return true;
}

/* ---- order ---- */

/* Tasks of one producer task stand side by side, in the order of ordinals: they were made when it was committed. So the
 * order of producers, block by block, is the order of this stage. */
void fw_stage_order(const struct fw_engine *engine, struct stage *stage)
{
	const struct stage *producer = &engine->stages[stage->from];
	uint32_t count = (uint32_t)stage->tasks.count, filled = 0;
	bool as_they_stand = true;

	free(FW_TAKE(stage->order));
	if (stage->shape != SHAPE_FLOW || !count)
		return;
	fw_cleanup_free uint32_t *first = fw_alloc_array(producer->tasks.count, sizeof *first);

	for (uint32_t slot = count; slot-- > 0;)
		first[stage->tasks.items[slot].source] = slot + 1;
	stage->order = fw_alloc_array(count, sizeof *stage->order);
	for (uint32_t i = 0; i < producer->tasks.count; i++) {
		uint32_t source = fw_stage_at(producer, i), slot = first[source];

		for (; slot && slot <= count && stage->tasks.items[slot - 1].source == source; slot++) {
			as_they_stand = as_they_stand && filled == slot - 1;
			stage->order[filled++] = slot - 1;
		}
	}
	if (as_they_stand)
		free(FW_TAKE(stage->order));
}
