/* SPDX-License-Identifier: Apache-2.0
 *
 * Rounds, writes down, feeds.
 */
#include "energy/feed.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/varint.h"
#include "energy/feed_header.h"
#include "energy/feed_internal.h"

#define NUMBERS(count) ((size_t)(count) * FW_VARINT_MAX)
#define WORK_MOST NUMBERS(FW_ATTRIBUTION_PACKAGES + FW_ATTRIBUTION_GPUS + 5)
#define COUNTER_MOST NUMBERS(7)

struct fw_feed {
	struct fw_attribution *attribution;
	size_t packages, gpus, count;
	bool has_misses;
	unsigned char *page; /* NULL: keeps nothing */
	size_t length;
	uint64_t kept;       /* bytes, with what has been taken */
	bool is_full;
	uint64_t joined;     /* number of the holder that joined last */
	struct fw_work_now machine;
	struct fw_feed_past past;
};

struct fw_fed {
	struct fw_feed *feed;
	struct fw_holder *holder;
	uint64_t number;
	bool by_bpf;
	struct fw_feed_work past;
};

/* ---- the page ---- */

/* True when so many bytes may be written; one more is always left for the mark of the end. */
static bool has_room(struct fw_feed *feed, size_t bytes)
{
	if (!feed->page || feed->is_full)
		return false;
	if (feed->length + bytes < FW_FEED_PAGE_BYTES && feed->kept + feed->length + bytes < FW_FEED_MOST_BYTES)
		return true;
	feed->page[feed->length++] = 'X';
	feed->is_full = true;
	return false;
}

static void put(struct fw_feed *feed, uint64_t value)
{
	feed->length += fw_varint_put(feed->page + feed->length, value);
}

static void put_difference(struct fw_feed *feed, uint64_t value, uint64_t past)
{
	put(feed, fw_zigzag(value - past));
}

static void put_bits(struct fw_feed *feed, double value)
{
	memcpy(feed->page + feed->length, &value, sizeof value);
	feed->length += sizeof value;
}

static void put_text(struct fw_feed *feed, const char *text, size_t length)
{
	put(feed, length);
	memcpy(feed->page + feed->length, text, length);
	feed->length += length;
}

static bool begin_entry(struct fw_feed *feed, char letter, size_t most)
{
	if (!has_room(feed, 1 + most))
		return false;
	feed->page[feed->length++] = (unsigned char)letter;
	return true;
}

static void put_work(struct fw_feed *feed, const struct fw_work_now *now, uint64_t base_ns, struct fw_feed_work *past)
{
	struct fw_feed_work fresh = {.at_ns = now->at_ns, .total_ns = (int64_t)now->total_ns,
	                             .bytes = now->bytes >= 0 ? (int64_t)now->bytes : -1};

	put_difference(feed, fresh.at_ns, base_ns);
	for (size_t i = 0; i < feed->packages; i++) {
		fresh.ns[i] = (int64_t)now->ns[i];
		put_difference(feed, (uint64_t)fresh.ns[i], (uint64_t)past->ns[i]);
	}
	for (size_t i = 0; i < feed->gpus; i++) {
		fresh.gpu_ns[i] = (int64_t)now->gpu_ns[i];
		put_difference(feed, (uint64_t)fresh.gpu_ns[i], (uint64_t)past->gpu_ns[i]);
	}
	put_difference(feed, (uint64_t)fresh.total_ns, (uint64_t)past->total_ns);
	put_difference(feed, (uint64_t)fresh.bytes, (uint64_t)past->bytes);
	fresh.misses = isnan(now->misses) ? 0 : now->misses < 0 ? 1 : 2 + (int64_t)now->misses;
	if (feed->has_misses)
		put_difference(feed, (uint64_t)fresh.misses, (uint64_t)past->misses);
	*past = fresh;
}

static void put_edge(struct fw_fed *fed, const struct fw_edge *edge)
{
	put_difference(fed->feed, edge->at_ns, fed->feed->past.machine.at_ns);
	put_difference(fed->feed, (uint64_t)(int64_t)edge->total_ns, (uint64_t)fed->past.total_ns);
}

/* ---- what the ledger is fed is what the page can say ---- */

static struct fw_work_now rounded(const struct fw_feed *feed, const struct fw_work_now *now)
{
	struct fw_work_now round = {.at_ns = now->at_ns, .total_ns = floor(now->total_ns),
	                            .bytes = now->bytes >= 0 ? floor(now->bytes) : NAN,
	                            .misses = floor(now->misses)};

	for (size_t i = 0; i < feed->packages; i++)
		round.ns[i] = floor(now->ns[i]);
	for (size_t i = 0; i < feed->gpus; i++)
		round.gpu_ns[i] = floor(now->gpu_ns[i]);
	return round;
}

static struct fw_edge rounded_edge(const struct fw_edge *edge)
{
	return (struct fw_edge){edge->at_ns, floor(edge->total_ns)};
}

struct fw_feed *fw_feed_new(const struct fw_attribution_machine *machine, const struct fw_domain *domains, size_t count,
                            const char *work, bool keeps)
{
	struct fw_feed *feed = fw_alloc(sizeof *feed);

	feed->attribution = fw_attribution_new(machine, domains, count);
	feed->packages = machine->packages;
	feed->has_misses = machine->has_misses;
	feed->gpus = fw_feed_gpus(domains, count);
	feed->count = count;
	if (!keeps)
		return feed;
	fw_cleanup_json json_t *header = fw_feed_header(machine, domains, count, work);
	fw_cleanup_free char *text = fw_json_dump(header);
	size_t length = strlen(text);

	feed->page = fw_alloc(FW_FEED_PAGE_BYTES);
	if (begin_entry(feed, 'H', FW_VARINT_MAX + length))
		put_text(feed, text, length);
	return feed;
}

void fw_feed_free(struct fw_feed *feed)
{
	if (!feed)
		return;
	fw_attribution_free(feed->attribution);
	free(feed->page);
	free(feed);
}

struct fw_attribution *fw_feed_attribution(struct fw_feed *feed)
{
	return feed->attribution;
}

void fw_feed_inherit(struct fw_feed *feed, size_t index, double watts, double half_w, double age_s)
{
	if (begin_entry(feed, 'I', NUMBERS(1) + 3 * sizeof(double))) {
		put(feed, index);
		put_bits(feed, watts);
		put_bits(feed, half_w);
		put_bits(feed, age_s);
	}
	fw_attribution_inherit(feed->attribution, index, watts, half_w, age_s);
}

struct fw_fed *fw_feed_join(struct fw_feed *feed, double reserved_cpus, double reserved_bytes, bool by_bpf,
                            const struct fw_work_now *now)
{
	struct fw_fed *fed = fw_alloc(sizeof *fed);
	struct fw_work_now round = rounded(feed, now);

	*fed = (struct fw_fed){.feed = feed, .number = ++feed->joined, .by_bpf = by_bpf};
	if (begin_entry(feed, 'J', NUMBERS(2) + 2 * sizeof(double) + WORK_MOST)) {
		put(feed, fed->number);
		put(feed, by_bpf);
		put_bits(feed, reserved_cpus);
		put_bits(feed, reserved_bytes);
		put_work(feed, &round, feed->past.machine.at_ns, &fed->past);
	}
	fed->holder = fw_attribution_join(feed->attribution, reserved_cpus, reserved_bytes, &round);
	return fed;
}

void fw_feed_forget(struct fw_fed *fed)
{
	if (!fed)
		return;
	if (begin_entry(fed->feed, 'F', FW_VARINT_MAX))
		put(fed->feed, fed->number);
	fw_holder_free(fed->holder);
	free(fed);
}

struct fw_holder *fw_fed_holder(struct fw_fed *fed)
{
	return fed->holder;
}

bool fw_fed_is_by_bpf(const struct fw_fed *fed)
{
	return fed->by_bpf;
}

void fw_feed_machine(struct fw_feed *feed, const struct fw_work_now *machine)
{
	feed->machine = rounded(feed, machine);
	if (begin_entry(feed, 'M', WORK_MOST))
		put_work(feed, &feed->machine, feed->past.machine.at_ns, &feed->past.machine);
}

void fw_feed_set(struct fw_fed *fed, const struct fw_work_now *now, double held)
{
	struct fw_feed *feed = fed->feed;
	struct fw_work_now fresh = rounded(feed, now);
	double billionths = round(held * 1e9);

	if (begin_entry(feed, 'S', NUMBERS(2) + WORK_MOST)) {
		put(feed, fed->number);
		put(feed, (uint64_t)billionths);
		put_work(feed, &fresh, feed->past.machine.at_ns, &fed->past);
	}
	fw_holder_set(fed->holder, &fresh, billionths / 1e9);
}

static void put_counter(struct fw_feed *feed, size_t index, const struct fw_domain_reading *reading, int64_t joules_nj,
                        int64_t lost_nj)
{
	struct fw_feed_counter *past = &feed->past.counters[index];
	bool is_hole = isnan(reading->joules);

	put(feed, reading->flags | (is_hole ? FW_FEED_HOLE : 0));
	if (reading->flags || is_hole)
		put(feed, reading->reason);
	put_difference(feed, reading->before_ns, feed->past.machine.at_ns);
	put_difference(feed, reading->after_ns, reading->before_ns);
	put_difference(feed, (uint64_t)lost_nj, (uint64_t)past->lost_nj);
	past->lost_nj = lost_nj;
	if (is_hole)
		return;
	put_difference(feed, reading->raw, past->raw);
	put_difference(feed, (uint64_t)joules_nj, (uint64_t)past->joules_nj);
	past->raw = reading->raw;
	past->joules_nj = joules_nj;
}

void fw_feed_tick(struct fw_feed *feed, const struct fw_domain_reading *readings)
{
	struct fw_domain_reading round[FW_ATTRIBUTION_POOLS];
	bool keeps = begin_entry(feed, 'T', feed->count * COUNTER_MOST);

	for (size_t i = 0; i < feed->count; i++) {
		bool is_hole = isnan(readings[i].joules);
		int64_t joules_nj = is_hole ? 0 : llround(readings[i].joules * 1e9), lost_nj = llround(readings[i].lost_j * 1e9);

		round[i] = readings[i];
		round[i].joules = is_hole ? (double)NAN : (double)joules_nj / 1e9;
		round[i].lost_j = (double)lost_nj / 1e9;
		if (keeps)
			put_counter(feed, i, &readings[i], joules_nj, lost_nj);
	}
	fw_attribution_tick(feed->attribution, round, &feed->machine);
}

void fw_feed_miss(struct fw_feed *feed, uint64_t now_ns)
{
	if (begin_entry(feed, 'W', NUMBERS(1)))
		put_difference(feed, now_ns, feed->past.machine.at_ns);
	fw_attribution_miss(feed->attribution, now_ns);
}

void fw_feed_open(struct fw_fed *fed, uint64_t serial, const struct fw_edge *begin)
{
	struct fw_edge round = rounded_edge(begin);

	if (fw_holder_would_open(fed->holder, serial) && begin_entry(fed->feed, 'O', NUMBERS(4))) {
		put(fed->feed, fed->number);
		put(fed->feed, serial);
		put_edge(fed, &round);
	}
	fw_holder_open(fed->holder, serial, &round);
}

static void keep_cut(struct fw_fed *fed, const struct fw_feed_key *key, uint64_t serial, const struct fw_edge *begin,
                     const struct fw_edge *end)
{
	size_t length = strnlen(key->stage, FW_FEED_STAGE_BYTES);

	if (!begin_entry(fed->feed, 'C', NUMBERS(9) + length))
		return;
	put(fed->feed, fed->number);
	put(fed->feed, serial);
	put_edge(fed, begin);
	put_edge(fed, end);
	put(fed->feed, fw_zigzag((uint64_t)key->task));
	put(fed->feed, fw_zigzag((uint64_t)key->attempt));
	put_text(fed->feed, key->stage, length);
}

size_t fw_feed_cut(struct fw_fed *fed, const struct fw_feed_key *key, uint64_t serial, const struct fw_edge *begin,
                   const struct fw_edge *end, struct fw_share *shares, size_t capacity)
{
	struct fw_edge from = rounded_edge(begin), until = rounded_edge(end);

	if (key->stage)
		keep_cut(fed, key, serial, &from, &until);
	return fw_holder_cut(fed->holder, serial, &from, &until, shares, capacity);
}

bool fw_feed_take(struct fw_feed *feed, struct fw_buffer *out)
{
	if (!feed->page || feed->length == 0)
		return false;
	fw_buffer_append(out, feed->page, feed->length);
	feed->kept += feed->length;
	feed->length = 0;
	return true;
}
