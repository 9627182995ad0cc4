/* SPDX-License-Identifier: Apache-2.0
 *
 * The books of a run as its row keeps them: for each counter that counts in the machine's total what was measured, what
 * workers and what the system got, what is uncertain, and the residual, which is rounding and nothing else.
 */
#include <math.h>
#include <stdlib.h>

#include "base/json.h"
#include "energy/counters.h"

static json_t *pool_to_json(const struct fw_pool_books *pool)
{
	const struct fw_books *books = &pool->books;
	char *flags = NULL;

	fw_counters_flag_words(pool->flags, &flags);
	json_t *json = json_pack("{s:s, s:s, s:s, s:s?, s:I, s:I, s:b}", "source", pool->domain->source, "domain",
	                         fw_domain_kind_names[pool->domain->kind], "name", pool->domain->name, "flags", flags,
	                         "slices", (json_int_t)pool->slices, "holes", (json_int_t)pool->holes, "floor_known",
	                         pool->floor.is_known);
	const struct {
		const char *name;
		double value;
	} figures[] = {
		{"seconds", books->seconds},
		{"measured_j", books->measured_j},
		{"workers_dynamic_j", books->workers_dynamic_j},
		{"workers_idle_j", books->workers_idle_j},
		{"system_dynamic_j", books->system_dynamic_j},
		{"system_idle_j", books->system_idle_j},
		{"lost_j", books->lost_j},
		{"residual_j", fw_books_residual(books)},
		{"floor_w", isnan(pool->floor.least_w) ? (double)NAN : pool->floor.floor_w},
		{"floor_half_w", isnan(pool->floor.least_w) ? (double)NAN : pool->floor.half_w},
	};

	free(flags);
	for (size_t i = 0; i < FW_COUNT_OF(figures); i++)
		json_object_set_new(json, figures[i].name, fw_json_real(figures[i].value));
	return json;
}

json_t *fw_counters_books(const struct fw_energy_counters *counters)
{
	struct fw_pool_books *books = fw_alloc_array(FW_ATTRIBUTION_POOLS, sizeof *books);
	size_t count = fw_attribution_books(fw_counters_attribution(counters), books, FW_ATTRIBUTION_POOLS);
	json_t *domains = json_array();

	for (size_t i = 0; i < count; i++)
		json_array_append_new(domains, pool_to_json(&books[i]));
	free(books);
	return json_pack("{s:s, s:o, s:o}", "work", fw_counters_work_name(counters), "residual_j",
	                 fw_json_real(fw_attribution_residual_j(fw_counters_attribution(counters))), "domains", domains);
}
