/* SPDX-License-Identifier: Apache-2.0
 *
 * Domains are added up by source and kind, so that two packages are one figure; a kind that is held in another (core in
 * package) stays a figure of its own, which nobody adds to it. A counter that shows what another counts already is left out,
 * and one of which nothing is known gives no joules. Joules come with the step of the counter at both edges, and with what
 * gaps may have hidden, as the upper end.
 */
#include "energy/whole.h"

#include <math.h>
#include <string.h>

#include "base/time.h"
#include "energy/books.h"
#include "host/procfs.h"

#define MIB (1024.0 * 1024.0)

struct source { /* a monitor with counters */
	const struct fw_monitor_ops *ops;
	struct fw_monitor *monitor;
	const struct fw_domain *domains;
	struct fw_domain_reading *last;
	size_t count;
};

struct fw_whole {
	const struct fw_energy_here *here;
	struct fw_metered metered;
	struct fw_monitor *model; /* NULL: no tables */
	FW_VECTOR(struct source) sources;
	struct fw_cpu_times times;
	bool has_times;
	uint64_t since_ns;
	struct fw_span_totals totals;
};

static void add_source(struct fw_whole *whole, const struct fw_monitor_ops *ops)
{
	struct fw_monitor_context context = {fw_energy_here_root(whole->here, ops), &whole->here->machine, whole->here->catalogue};
	struct source source = {.ops = ops};

	if (!ops->domains || fw_energy_open_monitor(ops, &context, &source.monitor, NULL) != FW_OK)
		return;
	source.count = ops->domains(source.monitor, &source.domains);
	source.last = fw_alloc_array(source.count ? source.count : 1, sizeof *source.last);
	FW_PUSH(&whole->sources, source);
}

static bool read_times(const struct fw_whole *whole, struct fw_cpu_times *times)
{
	char text[8192];
	ssize_t length = fw_root_peek(&whole->here->root, "proc/stat", text, sizeof text);

	return length > 0 && fw_cpu_times_parse((struct fw_str){text, (size_t)length}, -1, times);
}

static void open_monitors(struct fw_whole *whole)
{
	const struct fw_energy_here *here = whole->here;
	struct fw_monitor_context context = {&here->root, &here->machine, here->catalogue};
	const struct fw_monitor_report *reports;
	size_t count = fw_energy_manager_monitors(here->manager, &reports);

	if (fw_monitor_model.open(&context, &whole->model, NULL) != FW_OK)
		whole->model = NULL;
	for (size_t i = 0; i < count; i++)
		if (reports[i].works)
			add_source(whole, reports[i].ops);
}

/* All monitors are open: what that took is in no slice. */
static bool read_baselines(struct fw_whole *whole)
{
	for (size_t i = 0; i < whole->sources.count; i++) {
		struct source *source = &whole->sources.items[i];

		if (source->count > 0)
			source->ops->read(source->monitor, source->last);
	}
	whole->has_times = read_times(whole, &whole->times);
	whole->since_ns = fw_monotonic_ns();
	return whole->has_times;
}

int fw_whole_begin(const struct fw_energy_here *here, struct fw_whole **whole, struct fw_error **err)
{
	struct fw_whole *fresh = fw_alloc(sizeof *fresh);

	fresh->here = here;
	fw_energy_here_reserve(here, here->machine.threads, &fresh->metered);
	fresh->metered.memory_mb = (int64_t)(here->machine.memory_bytes >> 20);
	fw_record_init(&fresh->totals.record);
	fresh->totals.record.duration_ms = 0;
	fresh->totals.record.vcpus = fresh->metered.vcpus;
	fresh->totals.watts = fresh->totals.peak_w = fresh->totals.peak_over_s = NAN;
	open_monitors(fresh);
	if (!read_baselines(fresh)) {
		fw_whole_free(fresh);
		return fw_fail(err, FW_E_ENVIRONMENT, "the CPU times of the system: /proc/stat cannot be read");
	}
	*whole = fresh;
	return FW_OK;
}

static struct fw_energy *find_energy(const struct fw_record *record, const struct fw_domain *domain)
{
	const char *kind = fw_domain_kind_names[domain->kind];

	for (size_t i = 0; i < record->energy.count; i++) {
		struct fw_energy *energy = &record->energy.items[i];

		if (strcmp(energy->source, domain->source) == 0 && strcmp(energy->domain, kind) == 0)
			return energy;
	}
	return NULL;
}

static struct fw_energy *energy_of(struct fw_record *record, const struct source *source, const struct fw_domain *domain)
{
	struct fw_energy *energy = find_energy(record, domain);

	if (energy)
		return energy;
	energy = fw_record_add_energy(record);
	fw_record_set_text(&energy->source, domain->source);
	fw_record_set_text(&energy->domain, fw_domain_kind_names[domain->kind]);
	fw_record_set_text(&energy->method, source->ops->method);
	fw_record_set_text(&energy->flags, "measured");
	energy->joules = energy->low = energy->high = 0;
	return energy;
}

/* Where one of a kind counts in the machine's total, those that do not show the same once more: a mirrored die, a card beside
 * its package. What a name that we do not know counts may be anything. */
static bool is_added(const struct source *source, const struct fw_domain *domain)
{
	for (size_t i = 0; i < source->count && !domain->is_root; i++)
		if (source->domains[i].kind == domain->kind && source->domains[i].is_root)
			return false;
	return domain->kind != FW_DOMAIN_OTHER;
}

/* NAN: not known now. A counter that stands still although it should move has counted nothing, which is not nothing used. */
static double joules_since(const struct source *source, size_t index, const struct fw_domain_reading *now)
{
	return now->flags & FW_DOMAIN_STALE ? (double)NAN : now->joules - source->last[index].joules;
}

static void add_known(struct source *source, const struct fw_domain_reading *now, struct fw_record *slice)
{
	for (size_t i = 0; i < source->count; i++) {
		const struct fw_domain *domain = &source->domains[i];
		double joules = joules_since(source, i, &now[i]);

		if (!is_added(source, domain) || isnan(joules))
			continue;
		struct fw_energy *energy = energy_of(slice, source, domain);

		fw_books_flag_words(now[i].flags, &energy->flags);
		if (domain->is_virtual)
			fw_record_flag(&energy->flags, FW_BOOKS_VIRTUAL);
		energy->joules += joules;
		energy->low += fmax(0, joules - domain->quantum_j);
		energy->high += joules + domain->quantum_j + (now[i].lost_j - source->last[i].lost_j);
	}
}

/* One of several that is unknown takes the upper end from their sum. Where all are, the slice has no row of this kind. */
static void mark_unknown(const struct source *source, const struct fw_domain_reading *now, struct fw_record *slice)
{
	for (size_t i = 0; i < source->count; i++) {
		struct fw_energy *energy = is_added(source, &source->domains[i]) && isnan(joules_since(source, i, &now[i]))
		                               ? find_energy(slice, &source->domains[i])
		                               : NULL;

		if (!energy)
			continue;
		fw_record_flag(&energy->flags, "gap");
		energy->high = NAN;
	}
}

/* A counter that is unknown now is unknown in this slice; the next one in which it is known covers the hole. */
static void read_source(struct source *source, struct fw_record *slice)
{
	fw_cleanup_free struct fw_domain_reading *now = fw_alloc_array(source->count ? source->count : 1, sizeof *now);

	if (source->count > 0)
		source->ops->read(source->monitor, now);
	add_known(source, now, slice);
	mark_unknown(source, now, slice);
	for (size_t i = 0; i < source->count; i++)
		if (isnan(source->last[i].joules) || !isnan(joules_since(source, i, &now[i])))
			source->last[i] = now[i];
}

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
	uint64_t now_ns = fw_monotonic_ns();

	fw_record_init(&slice);
	slice.duration_ms = fw_ns_to_ms(now_ns - whole->since_ns);
	slice.vcpus = whole->metered.vcpus;
	whole->since_ns = now_ns;
	for (size_t i = 0; i < whole->sources.count; i++)
		read_source(&whole->sources.items[i], &slice);
	read_cpu(whole, &slice);
	read_memory(whole, &slice);
	apply_model(whole, &slice);
	fw_span_total(&whole->totals, &slice);
	fw_record_done(&slice);
	return &whole->totals;
}

const struct fw_span_totals *fw_whole_look(const struct fw_whole *whole)
{
	return &whole->totals;
}

void fw_whole_free(struct fw_whole *whole)
{
	if (!whole)
		return;
	for (size_t i = 0; i < whole->sources.count; i++) {
		whole->sources.items[i].ops->close(whole->sources.items[i].monitor);
		free(whole->sources.items[i].last);
	}
	free(whole->sources.items);
	if (whole->model)
		fw_monitor_model.close(whole->model);
	fw_record_done(&whole->totals.record);
	free(whole);
}
