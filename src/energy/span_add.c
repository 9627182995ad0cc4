/* SPDX-License-Identifier: Apache-2.0
 *
 * Adding up the records of slices that follow each other. One table says how each field adds up; what is not in it (identity,
 * times, money, carbon) is the business of whoever made the sum.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "energy/span.h"

enum how { SUM, LARGEST, SMALLEST, MEAN };

static const struct {
	const char *field;
	enum how how;
} fields[] = {
	{"cpu_user_ms", SUM},         {"cpu_system_ms", SUM},      {"cpu_percent", MEAN},
	{"memory_peak_mb", LARGEST},  {"memory_peak_high_mb", LARGEST}, {"memory_average_mb", MEAN},
	{"memory_uss_mb", LARGEST},   {"memory_pss_mb", LARGEST},
	{"faults_minor", SUM},        {"faults_major", SUM},       {"switches_voluntary", SUM},
	{"switches_involuntary", SUM}, {"pressure_cpu_ms", SUM},   {"pressure_memory_ms", SUM},
	{"pressure_io_ms", SUM},      {"disk_read_bytes", SUM},    {"disk_written_bytes", SUM},
	{"network_sent_bytes", SUM},  {"network_received_bytes", SUM}, {"throttled_ms", SUM},
	{"cycles", SUM},              {"instructions", SUM},       {"cache_misses", SUM},
	{"frequency_mhz_min", SMALLEST}, {"frequency_mhz_mean", MEAN}, {"frequency_mhz_max", LARGEST},
	{"temperature_c", LARGEST},   {"cstate_residency_percent", MEAN},
};

static double add_reals(enum how how, double sum, double slice, double share)
{
	switch (how) {
	case SUM:
		return sum + slice; /* NAN stays NAN */
	case LARGEST:
		return fmax(sum, slice);
	case SMALLEST:
		return fmin(sum, slice);
	default:
		return sum + (slice - sum) * share;
	}
}

static void add_field(const struct fw_field *field, enum how how, double share, bool first, struct fw_record *sum,
                      const struct fw_record *slice)
{
	void *target = (char *)sum + field->offset;
	const void *source = (const char *)slice + field->offset;

	if (field->kind == FW_FIELD_INT) {
		int64_t *mine = target, its = *(const int64_t *)source;

		if (first)
			*mine = its;
		else
			*mine = *mine == FW_NULL_INT || its == FW_NULL_INT ? FW_NULL_INT : *mine + its; /* all of them are sums */
	} else {
		double *mine = target, its = *(const double *)source;

		*mine = first ? its : add_reals(how, *mine, its, share);
	}
}

/* "ok": nothing else is to be said. A second part may say something. */
static void settle(char **flags)
{
	struct fw_str rest = fw_str_of(*flags), word;
	char *without = NULL;
	bool says_more = false;

	while (fw_str_next_word(&rest, &word)) {
		fw_cleanup_free char *text = fw_strndup(word.text, word.length);

		if (fw_str_is(word, "ok"))
			continue;
		fw_record_flag(&without, text);
		says_more = says_more || !(fw_str_is(word, "measured") || fw_str_is(word, "modelled"));
	}
	if (says_more) {
		free(*flags);
		*flags = FW_TAKE(without);
	}
	free(without);
}

static void add_flags(char **flags, const char *more)
{
	struct fw_str rest = fw_str_of(more), word;

	while (fw_str_next_word(&rest, &word)) {
		fw_cleanup_free char *text = fw_strndup(word.text, word.length);

		fw_record_flag(flags, text);
	}
	settle(flags);
}

static bool is_of(const struct fw_energy *a, const struct fw_energy *b)
{
	return a->source && b->source && a->domain && b->domain && strcmp(a->source, b->source) == 0 &&
	       strcmp(a->domain, b->domain) == 0;
}

static struct fw_energy *find(const struct fw_record *record, const struct fw_energy *like)
{
	for (size_t i = 0; i < record->energy.count; i++)
		if (is_of(&record->energy.items[i], like))
			return &record->energy.items[i];
	return NULL;
}

static void miss(struct fw_energy *energy)
{
	energy->high = NAN;
	fw_record_flag(&energy->flags, "gap");
	settle(&energy->flags);
}

static void add_energy(struct fw_record *sum, const struct fw_energy *slice, bool first)
{
	struct fw_energy *mine = find(sum, slice);

	if (!mine) {
		mine = fw_record_add_energy(sum);
		fw_record_set_text(&mine->source, slice->source);
		fw_record_set_text(&mine->domain, slice->domain);
		fw_record_set_text(&mine->method, slice->method);
		mine->joules = mine->low = mine->high = mine->dynamic_j = mine->idle_j = 0;
		if (!first)
			miss(mine);
	}
	mine->joules += slice->joules;
	mine->low += slice->low;
	mine->high += slice->high;
	mine->dynamic_j += slice->dynamic_j;
	mine->idle_j += slice->idle_j;
	add_flags(&mine->flags, slice->flags);
}

void fw_span_add(struct fw_record *sum, const struct fw_record *slice)
{
	bool first = !(sum->duration_ms > 0);
	double whole_ms = sum->duration_ms + slice->duration_ms;
	double share = whole_ms > 0 ? slice->duration_ms / whole_ms : 0;

	for (size_t i = 0; i < FW_COUNT_OF(fields); i++)
		add_field(fw_record_field(fields[i].field), fields[i].how, share, first, sum, slice);
	for (size_t i = 0; i < sum->energy.count; i++)
		if (!find(slice, &sum->energy.items[i]))
			miss(&sum->energy.items[i]);
	for (size_t i = 0; i < slice->energy.count; i++)
		add_energy(sum, &slice->energy.items[i], first);
	add_flags(&sum->flags, slice->flags);
	fw_record_set_text(&sum->method_version, slice->method_version);
	sum->duration_ms = whole_ms;
}
