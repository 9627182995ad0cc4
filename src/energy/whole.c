/* SPDX-License-Identifier: Apache-2.0
 *
 * The manager's own counters, looked at when the span begins and at each cut; nothing is opened a second time. Each figure is of
 * all the time since the begin, so that the doubt at its two edges is in it once. Domains are added up by source and kind, so
 * that two packages are one figure; a kind that is held in another (core in package) stays a figure of its own, which nobody adds
 * to it. A counter that shows what another counts already is left out, and one of which nothing is known gives no joules.
 */
#include "energy/whole.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/time.h"
#include "energy/attribution.h"
#include "energy/books.h"
#include "host/procfs.h"

#define MIB (1024.0 * 1024.0)

/* Of one counter. */
struct since {
	uint64_t first_ns; /* from when on it is known; 0: not yet */
	double first_j, first_lost_j;
	unsigned flags;
	enum fw_domain_reason reason;
};

/* A figure: all counters of one source and kind. */
struct row {
	const struct fw_domain *domain; /* one of them */
	double joules, low, high;
	double before_j; /* at the cut before this one; NAN: unknown */
	unsigned flags;
	bool is_virtual, is_known, is_open; /* open: one of them tells nothing now */
};

struct fw_whole {
	const struct fw_energy_here *here;
	struct fw_metered metered;
	struct fw_monitor *model; /* NULL: no tables */
	size_t count, row_count;
	struct fw_counter_look looks[FW_ATTRIBUTION_POOLS];
	struct since since[FW_ATTRIBUTION_POOLS];
	struct row rows[FW_ATTRIBUTION_POOLS];
	struct fw_cpu_times times;
	bool has_times;
	uint64_t begin_ns, cut_ns;
	struct fw_span_totals totals;
};

static bool read_times(const struct fw_whole *whole, struct fw_cpu_times *times)
{
	char text[8192];
	ssize_t length = fw_root_peek(&whole->here->root, "proc/stat", text, sizeof text);

	return length > 0 && fw_cpu_times_parse((struct fw_str){text, (size_t)length}, -1, times);
}

static uint64_t middle_ns(const struct fw_domain_reading *reading)
{
	return reading->before_ns + (reading->after_ns - reading->before_ns) / 2;
}

/* Until it is known for the first time, what it counts is another's time. */
static void take_first(const struct fw_counter_look *look, struct since *since)
{
	if (since->first_ns > 0 || look->is_unknown)
		return;
	*since = (struct since){middle_ns(&look->reading), look->reading.joules, look->reading.lost_j, 0, since->reason};
}

static void look(struct fw_whole *whole)
{
	whole->count = fw_energy_manager_look(whole->here->manager, whole->looks, FW_ATTRIBUTION_POOLS);
	for (size_t i = 0; i < whole->count; i++) {
		whole->since[i].flags |= whole->looks[i].flags & ~(unsigned)FW_DOMAIN_STALE;
		if (whole->looks[i].reason != FW_REASON_NONE)
			whole->since[i].reason = whole->looks[i].reason;
	}
}

/* What monitors showed before it is over. */
static bool begin(struct fw_whole *whole)
{
	look(whole);
	for (size_t i = 0; i < whole->count; i++) {
		whole->since[i] = (struct since){0};
		take_first(&whole->looks[i], &whole->since[i]);
	}
	whole->has_times = read_times(whole, &whole->times);
	whole->begin_ns = whole->cut_ns = fw_monotonic_ns();
	return whole->has_times;
}

int fw_whole_begin(const struct fw_energy_here *here, struct fw_whole **whole, struct fw_error **err)
{
	struct fw_monitor_context context = {&here->root, &here->machine, here->catalogue};
	struct fw_whole *fresh = fw_alloc(sizeof *fresh);

	fresh->here = here;
	fw_energy_here_reserve(here, here->machine.threads, &fresh->metered);
	fresh->metered.memory_mb = (int64_t)(here->machine.memory_bytes >> 20);
	fw_record_init(&fresh->totals.record);
	fresh->totals.record.duration_ms = 0;
	fresh->totals.record.vcpus = fresh->metered.vcpus;
	fresh->totals.watts = fresh->totals.peak_w = fresh->totals.peak_over_s = NAN;
	if (fw_monitor_model.open(&context, &fresh->model, NULL) != FW_OK)
		fresh->model = NULL;
	if (!begin(fresh)) {
		fw_whole_free(fresh);
		return fw_fail(err, FW_E_ENVIRONMENT, "the CPU times of the system: /proc/stat cannot be read");
	}
	*whole = fresh;
	return FW_OK;
}

/* ---- counters ---- */

/* Where one of a kind counts in the machine's total, those that do not show the same once more: a mirrored die, a card beside
 * its package. What a name that we do not know counts may be anything. */
static bool is_added(const struct fw_whole *whole, const struct fw_domain *domain)
{
	for (size_t i = 0; i < whole->count && !domain->is_root; i++) {
		const struct fw_domain *other = whole->looks[i].domain;

		if (other->is_root && other->kind == domain->kind && strcmp(other->source, domain->source) == 0)
			return false;
	}
	return domain->kind != FW_DOMAIN_OTHER;
}

static struct row *row_of(struct fw_whole *whole, const struct fw_domain *domain)
{
	for (size_t i = 0; i < whole->row_count; i++)
		if (whole->rows[i].domain->kind == domain->kind && strcmp(whole->rows[i].domain->source, domain->source) == 0)
			return &whole->rows[i];
	whole->rows[whole->row_count] = (struct row){.domain = domain, .before_j = NAN};
	return &whole->rows[whole->row_count++];
}

static void miss(double watts, uint64_t from_ns, uint64_t until_ns, struct row *row)
{
	if (until_ns > from_ns)
		row->high += watts * (double)(until_ns - from_ns) / 1e9;
	row->flags |= FW_DOMAIN_GAP;
}

/* Its steps and updates at both edges are in doubt, and what it hid while it could not be read. */
static void add_counter(const struct fw_whole *whole, size_t index, uint64_t now_ns, struct row *row)
{
	const struct fw_counter_look *look = &whole->looks[index];
	const struct since *since = &whole->since[index];
	uint64_t known_ns = look->is_unknown ? look->known_ns : middle_ns(&look->reading);
	double known_j = look->is_unknown ? look->known_j : look->reading.joules;
	double lost_j = (look->is_unknown ? look->known_lost_j : look->reading.lost_j) - since->first_lost_j;

	row->is_open |= look->is_unknown;
	if (since->first_ns == 0 || known_ns <= since->first_ns) {
		miss(look->most_w, whole->begin_ns, now_ns, row);
		return;
	}
	double joules = fmax(known_j - since->first_j, 0), seconds = (double)(known_ns - since->first_ns) / 1e9;
	double skew_s = (double)(look->reading.after_ns - look->reading.before_ns) / 2e9;
	double half_j = look->domain->quantum_j + (look->update_s + skew_s) * joules / seconds;

	row->is_known = true;
	row->is_virtual |= look->domain->is_virtual;
	row->flags |= since->flags;
	row->joules += joules;
	row->low += fmax(0, joules - half_j);
	row->high += joules + half_j + fmax(lost_j, 0);
	if (look->is_unknown)
		miss(look->most_w, known_ns, now_ns, row);
	if (since->first_ns > whole->begin_ns)
		miss(look->most_w, whole->begin_ns, since->first_ns, row);
}

/* So short a time says nothing of this counter. */
static bool is_too_short(const struct fw_whole *whole, size_t index, uint64_t now_ns)
{
	return (double)(now_ns - whole->begin_ns) / 1e9 < whole->looks[index].least_s;
}

static void add_up(struct fw_whole *whole, uint64_t now_ns)
{
	for (size_t i = 0; i < whole->row_count; i++) {
		double before_j = whole->rows[i].is_known && !whole->rows[i].is_open ? whole->rows[i].joules : (double)NAN;

		whole->rows[i] = (struct row){.domain = whole->rows[i].domain, .before_j = before_j};
	}
	for (size_t i = 0; i < whole->count; i++)
		if (is_added(whole, whole->looks[i].domain) && !is_too_short(whole, i, now_ns))
			add_counter(whole, i, now_ns, row_of(whole, whole->looks[i].domain));
}

static void describe(const struct row *row, struct fw_energy *energy)
{
	char *flags = fw_strdup("measured");

	if (row->is_virtual)
		fw_record_flag(&flags, FW_BOOKS_VIRTUAL);
	if (row->flags == 0 && !row->is_virtual)
		fw_record_flag(&flags, "ok");
	fw_books_flag_words(row->flags, &flags);
	fw_record_set_text(&energy->source, row->domain->source);
	fw_record_set_text(&energy->domain, fw_domain_kind_names[row->domain->kind]);
	fw_record_set_text(&energy->method, row->domain->method);
	fw_record_set_text(&energy->flags, flags);
	energy->joules = row->joules;
	energy->low = row->low;
	energy->high = row->high;
	free(flags);
}

/* For the power of the slice: a row of which a part was unknown then or is now has none. */
static void add_to_slice(const struct fw_whole *whole, struct fw_record *slice)
{
	for (size_t i = 0; i < whole->row_count; i++) {
		const struct row *row = &whole->rows[i];
		bool is_first = whole->totals.record.duration_ms <= 0;

		if (!row->is_known || row->is_open || (isnan(row->before_j) && !is_first))
			continue;
		struct fw_energy *energy = fw_record_add_energy(slice);

		describe(row, energy);
		if (!is_first)
			energy->joules = energy->low = energy->high = fmax(row->joules - row->before_j, 0);
	}
}

static struct fw_energy *energy_of(struct fw_record *record, const struct fw_domain *domain)
{
	for (size_t i = 0; i < record->energy.count; i++) {
		struct fw_energy *energy = &record->energy.items[i];

		if (strcmp(energy->source, domain->source) == 0 && strcmp(energy->domain, fw_domain_kind_names[domain->kind]) == 0)
			return energy;
	}
	return fw_record_add_energy(record);
}

static void write_rows(struct fw_whole *whole)
{
	for (size_t i = 0; i < whole->row_count; i++)
		if (whole->rows[i].is_known)
			describe(&whole->rows[i], energy_of(&whole->totals.record, whole->rows[i].domain));
}

/* ---- the rest ---- */

static void read_cpu(struct fw_whole *whole, struct fw_record *slice)
{
	struct fw_cpu_times now;
	bool read = read_times(whole, &now);

	if (read && whole->has_times && now.user_ns >= 0 && now.system_ns >= 0) {
		double busy_ms = (double)(fw_cpu_times_busy_ns(&now) - fw_cpu_times_busy_ns(&whole->times)) / 1e6;

		slice->cpu_user_ms = (double)(now.user_ns + now.nice_ns - whole->times.user_ns - whole->times.nice_ns) / 1e6;
		slice->cpu_system_ms = busy_ms - slice->cpu_user_ms;
		slice->cpu_percent = slice->duration_ms > 0 ? busy_ms / slice->duration_ms * 100 : NAN;
	}
	if (read)
		whole->times = now;
	whole->has_times = read;
}

static void read_memory(const struct fw_whole *whole, struct fw_record *slice)
{
	char text[8192];
	int64_t total = -1, available = -1;
	ssize_t length = fw_root_peek(&whole->here->root, "proc/meminfo", text, sizeof text);
	struct fw_str meminfo = {text, length > 0 ? (size_t)length : 0};

	if (fw_key_number(meminfo, "MemTotal", &total) && fw_key_number(meminfo, "MemAvailable", &available) && total >= available)
		slice->memory_peak_mb = slice->memory_average_mb = (double)(total - available) / MIB;
}

static void apply_model(struct fw_whole *whole, struct fw_record *slice)
{
	struct fw_interval interval = {.worker = &whole->metered, .duration_s = slice->duration_ms / 1000};

	interval.cpu_s = (slice->cpu_user_ms + slice->cpu_system_ms) / 1000;
	interval.memory_peak_mb = interval.memory_average_mb = slice->memory_average_mb;
	if (whole->model)
		fw_monitor_model.attribute(whole->model, &interval, slice);
}

const struct fw_span_totals *fw_whole_cut(struct fw_whole *whole)
{
	struct fw_record slice;

	look(whole);
	uint64_t now_ns = fw_monotonic_ns();

	fw_record_init(&slice);
	slice.duration_ms = fw_ns_to_ms(now_ns - whole->cut_ns);
	slice.vcpus = whole->metered.vcpus;
	fw_record_set_text(&slice.method_version, fw_energy_manager_methods(whole->here->manager));
	whole->cut_ns = now_ns;
	for (size_t i = 0; i < whole->count; i++)
		take_first(&whole->looks[i], &whole->since[i]);
	add_up(whole, now_ns);
	add_to_slice(whole, &slice);
	read_cpu(whole, &slice);
	read_memory(whole, &slice);
	apply_model(whole, &slice);
	fw_span_total(&whole->totals, &slice);
	write_rows(whole);
	fw_record_done(&slice);
	return &whole->totals;
}

const struct fw_span_totals *fw_whole_look(const struct fw_whole *whole)
{
	return &whole->totals;
}

static char *trouble_of(const struct fw_whole *whole, size_t index)
{
	const struct fw_counter_look *look = &whole->looks[index];
	const struct since *since = &whole->since[index];
	const char *reason = fw_domain_reason_text(since->reason);

	if (!look->domain->is_root)
		return NULL;
	if (is_too_short(whole, index, whole->cut_ns))
		return fw_printf("%s (%s) is not among the joules: it tells nothing of less than %.3g s", look->domain->name, look->domain->source,
		                 look->least_s);
	if (look->is_unknown || since->first_ns == 0 || since->first_ns > whole->begin_ns ||
	    since->flags & (FW_DOMAIN_GAP | FW_DOMAIN_RESET))
		return fw_printf("%s (%s) was not read whole: %s", look->domain->name, look->domain->source, reason ? reason : "it was unknown for a while");
	return NULL;
}

size_t fw_whole_troubles(const struct fw_whole *whole, char **notes, size_t capacity)
{
	size_t count = 0;

	for (size_t i = 0; i < whole->count && count < capacity; i++) {
		char *note = trouble_of(whole, i);

		if (note)
			notes[count++] = note;
	}
	return count;
}

void fw_whole_free(struct fw_whole *whole)
{
	if (!whole)
		return;
	if (whole->model)
		fw_monitor_model.close(whole->model);
	fw_record_done(&whole->totals.record);
	free(whole);
}
