/* SPDX-License-Identifier: Apache-2.0
 *
 * What the ledger is fed, written down as it is fed: every tick with what each counter showed and whose work was done,
 * every edge, every worker that came and went. A feed without a page only feeds; replay.h reads pages back and feeds the
 * same calls in the same order. Everything is an integer on the page, and the ledger is fed what that integer says
 * (nanojoules, nanoseconds): a replay by the same ledger gives every figure again to the last bit.
 *
 * A page is a bounded buffer that whoever owns the feed empties about once a second (fw_feed_take); one that is not emptied
 * in time, or a run that has filled FW_FEED_MOST_BYTES, ends with a mark and keeps no more. Nothing allocates but joining.
 */
#pragma once

#include "base/buffer.h"
#include "energy/attribution.h"

enum { FW_FEED_PAGE_BYTES = 1 << 20, FW_FEED_MOST_BYTES = 256 << 20 };
enum { FW_FEED_STAGE_BYTES = 256 };

struct fw_feed;

/* `domains` is copied, its texts are borrowed. work: how it is told apart, "ebpf", "cgroup" or "proc". `keeps`: with a page,
 * whose first entry tells all of this. */
struct fw_feed *fw_feed_new(const struct fw_attribution_machine *machine, const struct fw_domain *domains, size_t count,
                            const char *work, bool keeps);
void fw_feed_free(struct fw_feed *feed);
FW_DEFINE_CLEANUP(struct fw_feed *, fw_feed_free)
struct fw_attribution *fw_feed_attribution(struct fw_feed *feed);

/* As fw_attribution_inherit(). */
void fw_feed_inherit(struct fw_feed *feed, size_t index, double watts, double half_w, double age_s);

/* One of attribution.h's holders with its number on the page. */
struct fw_fed;
struct fw_fed *fw_feed_join(struct fw_feed *feed, double reserved_cpus, double reserved_bytes, bool by_bpf,
                            const struct fw_work_now *now);
void fw_feed_forget(struct fw_fed *fed);
struct fw_holder *fw_fed_holder(struct fw_fed *fed);
bool fw_fed_is_by_bpf(const struct fw_fed *fed);

/* A tick: the machine, then each holder, then the counters. */
void fw_feed_machine(struct fw_feed *feed, const struct fw_work_now *machine);
void fw_feed_set(struct fw_fed *fed, const struct fw_work_now *now, double held);
void fw_feed_tick(struct fw_feed *feed, const struct fw_domain_reading *readings);
/* As fw_attribution_miss(), instead of a tick. */
void fw_feed_miss(struct fw_feed *feed, uint64_t now_ns);
void fw_feed_open(struct fw_fed *fed, uint64_t serial, const struct fw_edge *begin);

struct fw_feed_key {
	const char *stage;
	int64_t task, attempt;
};
/* As fw_holder_cut(). key->stage NULL: of no run, not written down. */
size_t fw_feed_cut(struct fw_fed *fed, const struct fw_feed_key *key, uint64_t serial, const struct fw_edge *begin,
                   const struct fw_edge *end, struct fw_share *shares, size_t capacity);

/* Moves what the page holds to the end of `out`; false when nothing was there. */
bool fw_feed_take(struct fw_feed *feed, struct fw_buffer *out);
