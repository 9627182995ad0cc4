/* SPDX-License-Identifier: Apache-2.0
 *
 * The reader of pages. Every number is checked before it is used: numbers of holders, counts, lengths, times.
 */
#include "energy/replay.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/varint.h"
#include "energy/books.h"
#include "energy/feed_header.h"
#include "energy/feed_internal.h"

/* That are alive at once: no machine of today has so many workers, and a damaged page asks for no more memory than they. Of those
 * that have gone nothing is kept. */
enum { MOST_HOLDERS = 1 << 12 };

struct replayed {
	uint64_t number;
	struct fw_fed *fed;
	struct fw_feed_work past;
};

struct fw_replay {
	fw_replay_cut_fn *cut;
	void *context;
	struct fw_feed_header header;
	struct fw_feed *feed; /* NULL before the first page */
	struct fw_feed_past past;
	bool has_machine;     /* since the latest tick */
	FW_VECTOR(struct replayed) holders; /* that are alive, by number: those that join come last */
	uint64_t joined;      /* number of the one that joined last */
	bool is_cut_short;
};

struct cursor {
	const unsigned char *at, *end;
	bool failed;
};

struct fw_replay *fw_replay_new(fw_replay_cut_fn *cut, void *context)
{
	struct fw_replay *replay = fw_alloc(sizeof *replay);

	replay->cut = cut;
	replay->context = context;
	return replay;
}

static void end_ledger(struct fw_replay *replay)
{
	for (size_t i = 0; i < replay->holders.count; i++)
		fw_feed_forget(replay->holders.items[i].fed);
	replay->holders.count = 0;
	replay->joined = 0;
	fw_feed_free(replay->feed);
	replay->feed = NULL;
	fw_feed_header_done(&replay->header);
	replay->past = (struct fw_feed_past){0};
	replay->has_machine = false;
}

void fw_replay_free(struct fw_replay *replay)
{
	if (!replay)
		return;
	end_ledger(replay);
	free(replay->holders.items);
	free(replay);
}

/* ---- what entries are made of ---- */

static uint64_t get(struct cursor *cursor)
{
	uint64_t value = 0;

	cursor->failed |= !fw_varint_take(&cursor->at, cursor->end, &value);
	return cursor->failed ? 0 : value;
}

static uint64_t get_difference(struct cursor *cursor, uint64_t past)
{
	return past + fw_unzigzag(get(cursor));
}

static double get_bits(struct cursor *cursor)
{
	double value = 0;

	if (cursor->failed || (size_t)(cursor->end - cursor->at) < sizeof value) {
		cursor->failed = true;
		return 0;
	}
	memcpy(&value, cursor->at, sizeof value);
	cursor->at += sizeof value;
	cursor->failed |= !(value >= 0 && value < 1e18);
	return cursor->failed ? 0 : value;
}

static const char *get_text(struct cursor *cursor, size_t most, size_t *length)
{
	uint64_t announced = get(cursor);
	const char *text = (const char *)cursor->at;

	if (cursor->failed || announced > most || announced > (uint64_t)(cursor->end - cursor->at)) {
		cursor->failed = true;
		return NULL;
	}
	*length = (size_t)announced;
	cursor->at += announced;
	return text;
}

/* Beyond 2^53 a double does not hold them, and no clock of ours goes that far. */
static int64_t get_amount(struct cursor *cursor, int64_t past)
{
	int64_t value = (int64_t)get_difference(cursor, (uint64_t)past);

	cursor->failed |= value < -1 || value > (INT64_C(1) << 53);
	return value;
}

static void get_work(struct fw_replay *replay, struct cursor *cursor, uint64_t base_ns, struct fw_feed_work *past,
                     struct fw_work_now *now)
{
	*now = (struct fw_work_now){.at_ns = past->at_ns = get_difference(cursor, base_ns)};
	for (size_t i = 0; i < replay->header.machine.packages; i++)
		now->ns[i] = (double)(past->ns[i] = get_amount(cursor, past->ns[i]));
	for (size_t i = 0; i < fw_feed_gpus(replay->header.domains, replay->header.count); i++)
		now->gpu_ns[i] = (double)(past->gpu_ns[i] = get_amount(cursor, past->gpu_ns[i]));
	now->total_ns = (double)(past->total_ns = get_amount(cursor, past->total_ns));
	past->bytes = get_amount(cursor, past->bytes);
	now->bytes = past->bytes >= 0 ? (double)past->bytes : (double)NAN;
	if (replay->header.machine.has_misses) {
		past->misses = get_amount(cursor, past->misses);
		now->misses = past->misses < 1 ? (double)NAN : past->misses < 2 ? -1 : (double)(past->misses - 2);
	}
}

static struct fw_edge get_edge(const struct fw_replay *replay, struct cursor *cursor, const struct replayed *holder)
{
	uint64_t at_ns = get_difference(cursor, replay->past.machine.at_ns);

	return (struct fw_edge){at_ns, (double)get_amount(cursor, holder->past.total_ns)};
}

static int by_number(const void *a, const void *b)
{
	const struct replayed *first = a, *second = b;

	return (first->number > second->number) - (first->number < second->number);
}

static struct replayed *get_holder(struct fw_replay *replay, struct cursor *cursor)
{
	const struct replayed wanted = {.number = get(cursor)};
	struct replayed *found = cursor->failed || replay->holders.count == 0
	                             ? NULL
	                             : bsearch(&wanted, replay->holders.items, replay->holders.count, sizeof wanted, by_number);

	cursor->failed |= !found;
	return found;
}

/* ---- entries ---- */

static int begin_ledger(struct fw_replay *replay, struct cursor *cursor, struct fw_error **err)
{
	size_t length = 0;
	const char *text = get_text(cursor, FW_FEED_PAGE_BYTES, &length);

	end_ledger(replay);
	if (cursor->failed)
		return FW_OK;
	int rc = fw_feed_header_read(text, length, &replay->header, err);

	if (rc == FW_OK)
		replay->feed = fw_feed_new(&replay->header.machine, replay->header.domains, replay->header.count,
		                           replay->header.work, false);
	return rc;
}

static void inherit(struct fw_replay *replay, struct cursor *cursor)
{
	uint64_t index = get(cursor);
	double watts = get_bits(cursor), half_w = get_bits(cursor), age_s = get_bits(cursor);

	cursor->failed |= index >= replay->header.count;
	if (!cursor->failed)
		fw_feed_inherit(replay->feed, (size_t)index, watts, half_w, age_s);
}

static void join(struct fw_replay *replay, struct cursor *cursor)
{
	struct replayed holder = {0};
	struct fw_work_now now;
	uint64_t number = get(cursor), by_bpf = get(cursor);
	double cpus = get_bits(cursor), bytes = get_bits(cursor);

	get_work(replay, cursor, replay->past.machine.at_ns, &holder.past, &now);
	if (cursor->failed || number != replay->joined + 1 || replay->holders.count == MOST_HOLDERS) {
		cursor->failed = true;
		return;
	}
	holder.number = ++replay->joined;
	holder.fed = fw_feed_join(replay->feed, cpus, bytes, by_bpf != 0, &now);
	FW_PUSH(&replay->holders, holder);
}

static void machine(struct fw_replay *replay, struct cursor *cursor)
{
	struct fw_work_now now;

	get_work(replay, cursor, replay->past.machine.at_ns, &replay->past.machine, &now);
	if (!cursor->failed)
		fw_feed_machine(replay->feed, &now);
	replay->has_machine = true;
}

static void set(struct fw_replay *replay, struct cursor *cursor)
{
	struct replayed *holder = get_holder(replay, cursor);
	uint64_t held = get(cursor);
	struct fw_work_now now;

	if (!holder)
		return;
	get_work(replay, cursor, replay->past.machine.at_ns, &holder->past, &now);
	cursor->failed |= held > 1000000000;
	if (!cursor->failed)
		fw_feed_set(holder->fed, &now, (double)held / 1e9);
}

static void get_counter(struct fw_replay *replay, struct cursor *cursor, size_t index, struct fw_domain_reading *reading)
{
	struct fw_feed_counter *past = &replay->past.counters[index];
	uint64_t flags = get(cursor);

	*reading = (struct fw_domain_reading){.flags = (unsigned)(flags & ~(uint64_t)FW_FEED_HOLE), .joules = NAN};
	uint64_t reason = flags ? get(cursor) : FW_REASON_NONE;

	cursor->failed |= reason >= FW_REASONS;
	reading->reason = cursor->failed ? FW_REASON_NONE : (enum fw_domain_reason)reason;
	reading->before_ns = get_difference(cursor, replay->past.machine.at_ns);
	reading->after_ns = get_difference(cursor, reading->before_ns);
	past->lost_nj = (int64_t)get_difference(cursor, (uint64_t)past->lost_nj);
	reading->lost_j = (double)past->lost_nj / 1e9;
	cursor->failed |= flags >= FW_FEED_HOLE + FW_FEED_HOLE || reading->after_ns < reading->before_ns || past->lost_nj < 0;
	if (flags & FW_FEED_HOLE)
		return;
	reading->raw = past->raw = get_difference(cursor, past->raw);
	past->joules_nj = (int64_t)get_difference(cursor, (uint64_t)past->joules_nj);
	reading->joules = (double)past->joules_nj / 1e9;
	cursor->failed |= past->joules_nj < 0;
}

static void tick(struct fw_replay *replay, struct cursor *cursor)
{
	struct fw_domain_reading readings[FW_ATTRIBUTION_POOLS];

	for (size_t i = 0; i < replay->header.count; i++)
		get_counter(replay, cursor, i, &readings[i]);
	cursor->failed |= !replay->has_machine;
	if (!cursor->failed)
		fw_feed_tick(replay->feed, readings);
	replay->has_machine = false;
}

static void miss(struct fw_replay *replay, struct cursor *cursor)
{
	uint64_t at_ns = get_difference(cursor, replay->past.machine.at_ns);

	if (!cursor->failed)
		fw_feed_miss(replay->feed, at_ns);
}

static void open_one(struct fw_replay *replay, struct cursor *cursor)
{
	struct replayed *holder = get_holder(replay, cursor);
	uint64_t serial = get(cursor);
	struct fw_edge begin;

	if (!holder)
		return;
	begin = get_edge(replay, cursor, holder);
	if (!cursor->failed)
		fw_feed_open(holder->fed, serial, &begin);
}

static void cut(struct fw_replay *replay, struct cursor *cursor)
{
	struct replayed *holder = get_holder(replay, cursor);
	uint64_t serial = get(cursor);
	struct fw_share shares[FW_SHARES_MOST];
	struct fw_edge begin, end;
	size_t length = 0;

	if (!holder)
		return;
	begin = get_edge(replay, cursor, holder);
	end = get_edge(replay, cursor, holder);
	int64_t task = (int64_t)fw_unzigzag(get(cursor)), attempt = (int64_t)fw_unzigzag(get(cursor));
	const char *text = get_text(cursor, FW_FEED_STAGE_BYTES, &length);

	if (cursor->failed)
		return;
	fw_cleanup_free char *stage = fw_strndup(text, length);
	size_t count = fw_feed_cut(holder->fed, &(struct fw_feed_key){stage, task, attempt}, serial, &begin, &end, shares,
	                           FW_COUNT_OF(shares));

	replay->cut(replay->context,
	            &(struct fw_replay_cut){
		                                    stage, task, attempt,
		                                    fw_books_work_of(replay->header.work, fw_fed_is_by_bpf(holder->fed)), shares, count});
}

static void forget(struct fw_replay *replay, struct cursor *cursor)
{
	struct replayed *holder = get_holder(replay, cursor);

	if (!holder)
		return;
	fw_feed_forget(holder->fed);
	size_t after = (size_t)(&replay->holders.items[replay->holders.count] - (holder + 1));

	memmove(holder, holder + 1, after * sizeof *holder);
	replay->holders.count--;
}

static int entry(struct fw_replay *replay, struct cursor *cursor, struct fw_error **err)
{
	char letter = (char)*cursor->at++;

	if (letter == 'H')
		return begin_ledger(replay, cursor, err);
	if (!replay->feed) {
		cursor->failed = true;
		return FW_OK;
	}
	switch (letter) {
	case 'I': inherit(replay, cursor); break;
	case 'J': join(replay, cursor); break;
	case 'M': machine(replay, cursor); break;
	case 'S': set(replay, cursor); break;
	case 'T': tick(replay, cursor); break;
	case 'W': miss(replay, cursor); break;
	case 'O': open_one(replay, cursor); break;
	case 'C': cut(replay, cursor); break;
	case 'F': forget(replay, cursor); break;
	case 'X': replay->is_cut_short = true; break;
	default: cursor->failed = true; break;
	}
	return FW_OK;
}

int fw_replay_page(struct fw_replay *replay, const void *bytes, size_t length, struct fw_error **err)
{
	int rc = FW_OK;

	if (!bytes)
		return FW_OK; /* a portion without any */
	struct cursor cursor = {bytes, (const unsigned char *)bytes + length, false};

	while (rc == FW_OK && cursor.at < cursor.end && !cursor.failed)
		rc = entry(replay, &cursor, err);
	if (rc == FW_OK && cursor.failed)
		rc = fw_fail(err, FW_E_INVALID, "the stored readings are damaged at byte %zu of a portion",
		             (size_t)(cursor.at - (const unsigned char *)bytes));
	return rc;
}

bool fw_replay_is_cut_short(const struct fw_replay *replay)
{
	return replay->is_cut_short;
}

json_t *fw_replay_books(const struct fw_replay *replay)
{
	return replay->feed ? fw_books_to_json(fw_feed_attribution(replay->feed), replay->header.work) : NULL;
}
