/* SPDX-License-Identifier: Apache-2.0
 *
 * Watts, frequency steps and the counter that goes round: model.h.
 */
#include "model.h"

double sim_factor(const struct sim_model *model, uint64_t at_ns)
{
	double factor = 1;

	for (unsigned i = 0; i < model->step_count && model->steps[i].at_ns <= at_ns; i++)
		factor = model->steps[i].factor;
	return factor;
}

uint64_t sim_next_step(const struct sim_model *model, uint64_t at_ns)
{
	for (unsigned i = 0; i < model->step_count; i++)
		if (model->steps[i].at_ns > at_ns)
			return model->steps[i].at_ns;
	return UINT64_MAX;
}

double sim_weighted_s(const struct sim_model *model, uint64_t from_ns, uint64_t to_ns)
{
	double weighted = 0;

	while (from_ns < to_ns) {
		uint64_t next = sim_next_step(model, from_ns);
		uint64_t end = next < to_ns ? next : to_ns;

		weighted += sim_factor(model, from_ns) * (double)(end - from_ns) / 1e9;
		from_ns = end;
	}
	return weighted;
}

/* As the kernel does: the raw counter times a whole number of nanojoules, cut to microjoules. */
static uint64_t in_microjoules(const struct sim_counter *counter, uint64_t units)
{
	return (uint64_t)((unsigned __int128)units * counter->unit_nj / 1000);
}

static uint64_t highest_unit(const struct sim_counter *counter)
{
	return counter->bits >= 64 ? UINT64_MAX : ((uint64_t)1 << counter->bits) - 1;
}

uint64_t sim_counter_shows_uj(const struct sim_counter *counter, double joules)
{
	uint64_t first = (uint64_t)((unsigned __int128)counter->start_uj * 1000 / counter->unit_nj);

	return in_microjoules(counter, (first + (uint64_t)(joules * 1e9 / (double)counter->unit_nj)) & highest_unit(counter));
}

uint64_t sim_counter_range_uj(const struct sim_counter *counter)
{
	return in_microjoules(counter, highest_unit(counter));
}
