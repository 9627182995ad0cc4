/* SPDX-License-Identifier: Apache-2.0
 *
 * What the kernel tells by itself of idle states, frequency and temperature, sampled into a ring that holds the longest
 * invocation (15 minutes at ten samples a second). A frequency holds from its event to the next one of that CPU; a CPU
 * without any is not known.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/time.h"
#include "energy/ebpf_internal.h"

enum { RING = 9216 };

struct sample {
	uint64_t time_ns;
	uint64_t idle_ns; /* of all CPUs, in states deeper than polling */
	float mhz_min, mhz_mean, mhz_max, celsius; /* since the sample before; NAN unknown */
	bool has_lost;    /* events, since then */
};

struct fw_bpf_history {
	struct fw_bpf *bpf;
	bool is_polling[FW_BPF_IDLE_STATES];
	float *mhz;    /* of each CPU, the latest; 0: never told */
	unsigned known, online;
	double sum_mhz;
	struct sample next; /* what events have told since the last sample */
	struct sample *ring;
	uint64_t taken;
	uint64_t lost; /* events, so far */
};

static void clear(struct sample *sample)
{
	sample->mhz_min = sample->mhz_mean = sample->mhz_max = sample->celsius = NAN;
	sample->has_lost = false;
}

static void learn_states(struct fw_bpf_history *history, const struct fw_root *root)
{
	char path[96], name[32];

	for (int state = 0; state < FW_BPF_IDLE_STATES; state++) {
		snprintf(path, sizeof path, "sys/devices/system/cpu/cpu0/cpuidle/state%d/name", state);
		history->is_polling[state] = fw_root_peek(root, path, name, sizeof name) > 0 && strncmp(name, "POLL", 4) == 0;
	}
}

struct fw_bpf_history *fw_bpf_history_new(struct fw_bpf *bpf, const struct fw_root *root)
{
	struct fw_bpf_history *history = fw_alloc(sizeof *history);

	history->bpf = bpf;
	history->mhz = fw_alloc_array(bpf->cpu_count, sizeof *history->mhz);
	history->ring = fw_alloc_array(RING, sizeof *history->ring);
	learn_states(history, root);
	clear(&history->next);
	return history;
}

void fw_bpf_history_free(struct fw_bpf_history *history)
{
	if (!history)
		return;
	free(history->mhz);
	free(history->ring);
	free(history);
}

/* Events of foreign tracepoints: any CPU, any number. */
static void take_event(void *context, const struct fw_bpf_event *event)
{
	struct fw_bpf_history *history = context;
	float value = (float)event->value / 1000;

	if (event->kind == FW_BPF_TEMPERATURE && value > -40 && value < 150)
		history->next.celsius = fmaxf(history->next.celsius, value); /* of NAN and a number: the number */
	if (event->kind != FW_BPF_FREQUENCY || event->where >= history->bpf->cpu_count || event->value <= 0)
		return;
	if (history->mhz[event->where] <= 0)
		history->known++;
	history->sum_mhz += (double)(value - history->mhz[event->where]);
	history->mhz[event->where] = value;
	history->next.mhz_min = fminf(history->next.mhz_min, value);
	history->next.mhz_max = fmaxf(history->next.mhz_max, value);
}

static uint64_t idle_of(const struct fw_bpf_history *history, const struct fw_bpf_idle *cpu, uint64_t now_ns)
{
	uint64_t sum = 0;

	for (size_t state = 0; state < FW_BPF_IDLE_STATES; state++)
		if (!history->is_polling[state])
			sum += cpu->ns[state];
	if (cpu->since_ns > 0 && cpu->since_ns < now_ns && cpu->state < FW_BPF_IDLE_STATES &&
	    !history->is_polling[cpu->state])
		sum += now_ns - cpu->since_ns;
	return sum;
}

static uint64_t idle_now(const struct fw_bpf_history *history, uint64_t before_ns, unsigned *seen)
{
	struct fw_bpf_idle cpu;
	uint64_t sum = 0;

	*seen = 0;
	for (unsigned i = 0; i < history->bpf->cpu_count; i++) {
		if (!fw_bpf_read_idle(&history->bpf->idle[i], &cpu))
			return before_ns;
		*seen += cpu.wakeups > 0 || cpu.since_ns > 0;
		sum += idle_of(history, &cpu, fw_monotonic_ns());
	}
	return sum > before_ns ? sum : before_ns;
}

static const struct sample *latest(const struct fw_bpf_history *history)
{
	return history->taken ? &history->ring[(history->taken - 1) % RING] : NULL;
}

/* What was lost may have been the latest of any CPU: none is known until it is told again. */
static void note_lost(struct fw_bpf_history *history)
{
	uint64_t lost = history->bpf->events_lost ? __atomic_load_n(history->bpf->events_lost, __ATOMIC_RELAXED) : 0;

	if (lost == history->lost)
		return;
	if (history->lost == 0)
		fw_warning("events of frequency and temperature were lost: records of that time do not tell them");
	history->lost = lost;
	history->next.has_lost = true;
	memset(history->mhz, 0, history->bpf->cpu_count * sizeof *history->mhz);
	history->known = 0;
	history->sum_mhz = 0;
}

void fw_bpf_history_sample(struct fw_bpf_history *history)
{
	const struct sample *before = latest(history);
	struct sample *next = &history->next;

	history->bpf->take_events(history->bpf, take_event, history);
	note_lost(history);
	next->idle_ns = idle_now(history, before ? before->idle_ns : 0, &history->online);
	next->time_ns = fw_monotonic_ns();
	if (history->known > 0) {
		next->mhz_mean = (float)(history->sum_mhz / history->known);
		for (unsigned i = 0; i < history->bpf->cpu_count; i++)
			if (history->mhz[i] > 0) {
				next->mhz_min = fminf(next->mhz_min, history->mhz[i]);
				next->mhz_max = fmaxf(next->mhz_max, history->mhz[i]);
			}
	}
	history->ring[history->taken++ % RING] = *next;
	clear(next);
}

/* The last sample at or before a time; NULL when the ring no longer has it. */
static const struct sample *at_or_before(const struct fw_bpf_history *history, uint64_t time_ns)
{
	for (uint64_t i = history->taken; i > 0 && history->taken - i < RING; i--)
		if (history->ring[(i - 1) % RING].time_ns <= time_ns)
			return &history->ring[(i - 1) % RING];
	return NULL;
}

static const struct sample *at_or_after(const struct fw_bpf_history *history, uint64_t time_ns)
{
	const struct sample *found = NULL;

	for (uint64_t i = history->taken; i > 0 && history->taken - i < RING; i--) {
		if (history->ring[(i - 1) % RING].time_ns < time_ns)
			break;
		found = &history->ring[(i - 1) % RING];
	}
	return found;
}

/* Samples around the invocation must belong mostly to it. */
static double idle_percent(const struct fw_bpf_history *history, uint64_t begin_ns, uint64_t end_ns)
{
	const struct sample *first = at_or_before(history, begin_ns), *last = at_or_after(history, end_ns);
	double elapsed_ns;

	if (!first || !last || !history->bpf->has_idle || history->online == 0 || end_ns <= begin_ns)
		return NAN;
	elapsed_ns = (double)(last->time_ns - first->time_ns);
	if (elapsed_ns > 1.25 * (double)(end_ns - begin_ns))
		return NAN;
	return fmin(100, 100 * (double)(last->idle_ns - first->idle_ns) / elapsed_ns / history->online);
}

/* In any of the samples that tell of that time; the first one after it does as well. */
static bool has_lost(const struct fw_bpf_history *history, uint64_t begin_ns, uint64_t end_ns)
{
	bool lost = false;

	for (uint64_t i = history->taken; i > 0 && history->taken - i < RING; i--) {
		const struct sample *sample = &history->ring[(i - 1) % RING];

		if (sample->time_ns < begin_ns)
			break;
		lost = sample->has_lost || (lost && sample->time_ns <= end_ns);
	}
	return lost;
}

void fw_bpf_history_fill(const struct fw_bpf_history *history, uint64_t begin_ns, uint64_t end_ns,
                         struct fw_record *record)
{
	bool wants_frequency = isnan(record->frequency_mhz_mean);
	double sum = 0;
	unsigned count = 0;

	if (isnan(record->cstate_residency_percent))
		record->cstate_residency_percent = idle_percent(history, begin_ns, end_ns);
	if (has_lost(history, begin_ns, end_ns))
		return;
	for (uint64_t i = history->taken; i > 0 && history->taken - i < RING; i--) {
		const struct sample *sample = &history->ring[(i - 1) % RING];

		if (sample->time_ns > end_ns)
			continue;
		if (sample->time_ns < begin_ns)
			break;
		record->temperature_c = fmax(record->temperature_c, (double)sample->celsius);
		if (!wants_frequency || isnan(sample->mhz_mean))
			continue;
		record->frequency_mhz_min = fmin(record->frequency_mhz_min, (double)sample->mhz_min);
		record->frequency_mhz_max = fmax(record->frequency_mhz_max, (double)sample->mhz_max);
		sum += (double)sample->mhz_mean;
		count++;
	}
	if (count > 0)
		record->frequency_mhz_mean = sum / count;
}
