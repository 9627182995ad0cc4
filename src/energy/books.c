/* SPDX-License-Identifier: Apache-2.0
 *
 * The books of a run as its row keeps them: for each counter that counts in the machine's total what was measured, what
 * workers and what the system got, what is uncertain, and the residual, which is rounding and nothing else.
 */
#include "energy/books.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void fw_books_flag_words(unsigned flags, char **text)
{
	static const struct {
		unsigned bits;
		const char *word;
	} words[] = {
		{FW_DOMAIN_WRAP, "wrap"},
		{FW_DOMAIN_RESET, "reset"},
		{FW_DOMAIN_GAP | FW_DOMAIN_STALE, "gap"},
		{FW_DOMAIN_SKEW, "skew"},
		{FW_DOMAIN_EARLY, "early"},
	};

	for (size_t i = 0; i < FW_COUNT_OF(words); i++)
		if (flags & words[i].bits)
			fw_record_flag(text, words[i].word);
}

static char *flags_of(const struct fw_record *record, unsigned flags, bool is_virtual)
{
	char *text = fw_strdup("measured");
	bool contended = fw_record_has_flag(record->flags, "contended");

	if (flags == 0 && !contended && !is_virtual)
		fw_record_flag(&text, "ok");
	if (is_virtual)
		fw_record_flag(&text, FW_BOOKS_VIRTUAL);
	fw_books_flag_words(flags, &text);
	if (contended)
		fw_record_flag(&text, "contended");
	return text;
}

const char *fw_books_work_of(const char *work, bool by_bpf)
{
	bool machine_by_bpf = strncmp(work, "ebpf", 4) == 0;

	return by_bpf ? machine_by_bpf ? work : "ebpf" : work;
}

/* CPU time tells nothing of memory's part. */
static const char *by_what(const struct fw_share *share, const char *work)
{
	return share->kind == FW_DOMAIN_DRAM ? share->by_misses ? "misses" : "bytes" : work;
}

void fw_books_add_row(const struct fw_share *share, const char *work, struct fw_record *record)
{
	const struct fw_figure *figure = &share->figure;
	struct fw_energy *energy = fw_record_add_energy(record);
	bool bpf_rapl = strncmp(work, "ebpf", 4) == 0 && strcmp(share->source, "rapl") == 0;

	energy->source = fw_strdup(bpf_rapl ? "ebpf+rapl" : share->source);
	energy->domain = fw_strdup(fw_domain_kind_names[share->kind]);
	energy->method = fw_printf("%s %s %s", share->method, FW_LEDGER_METHOD, by_what(share, work));
	energy->flags = flags_of(record, figure->flags, share->is_virtual);
	energy->joules = figure->joules;
	energy->low = figure->low;
	energy->high = figure->high;
	energy->dynamic_j = figure->dynamic_j;
	energy->idle_j = figure->idle_j;
}

bool fw_books_made(const struct fw_energy *energy)
{
	return energy->method && strstr(energy->method, " ledger/");
}

static json_t *pool_to_json(const struct fw_pool_books *pool)
{
	const struct fw_books *books = &pool->books;
	bool has_floor = pool->floor.is_known || !isnan(pool->floor.least_w);
	char *flags = NULL;

	fw_books_flag_words(pool->flags, &flags);
	json_t *json = json_pack("{s:s, s:s, s:s, s:s?, s:I, s:I, s:s}", "source", pool->domain->source, "domain",
	                         fw_domain_kind_names[pool->domain->kind], "name", pool->domain->name, "flags", flags,
	                         "slices", (json_int_t)pool->slices, "holes", (json_int_t)pool->holes, "floor_basis",
	                         fw_floor_basis_names[pool->floor.basis]);
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
		{"floor_w", has_floor ? pool->floor.floor_w : (double)NAN},
		{"floor_half_w", has_floor ? pool->floor.half_w : (double)NAN},
		{"floor_age_s", pool->floor_age_s},
	};

	free(flags);
	if (pool->flags & (FW_DOMAIN_GAP | FW_DOMAIN_RESET | FW_DOMAIN_STALE) && fw_domain_reason_text(pool->reason))
		json_object_set_new(json, "reason", json_string(fw_domain_reason_text(pool->reason)));
	for (size_t i = 0; i < FW_COUNT_OF(figures); i++)
		json_object_set_new(json, figures[i].name, fw_json_real(figures[i].value));
	return json;
}

json_t *fw_books_to_json(const struct fw_attribution *attribution, const char *work)
{
	struct fw_pool_books *books = fw_alloc_array(FW_ATTRIBUTION_POOLS, sizeof *books);
	size_t count = fw_attribution_books(attribution, books, FW_ATTRIBUTION_POOLS);
	json_t *domains = json_array();

	for (size_t i = 0; i < count; i++)
		json_array_append_new(domains, pool_to_json(&books[i]));
	free(books);
	return json_pack("{s:s, s:o, s:o}", "work", work, "residual_j", fw_json_real(fw_attribution_residual_j(attribution)),
	                 "domains", domains);
}
