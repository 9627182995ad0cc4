/* SPDX-License-Identifier: Apache-2.0
 *
 * Pages of a feed, read back and fed to the ledger again. What a page says is foreign: whatever it holds, a replay ends
 * with figures or with one error.
 */
#pragma once

#include "base/error.h"
#include "base/json.h"
#include "energy/feed.h"

struct fw_replay;

/* One invocation, as the ledger of today hands it out. */
struct fw_replay_cut {
	const char *stage;
	int64_t task, attempt;
	const char *work; /* how its worker's work was told apart */
	const struct fw_share *shares;
	size_t count;
};
typedef void fw_replay_cut_fn(void *context, const struct fw_replay_cut *cut);

struct fw_replay *fw_replay_new(fw_replay_cut_fn *cut, void *context);
void fw_replay_free(struct fw_replay *replay);
FW_DEFINE_CLEANUP(struct fw_replay *, fw_replay_free)

/* Whole entries, in the order in which they were taken. FW_E_INVALID: damaged; the replay is then at its end. */
int fw_replay_page(struct fw_replay *replay, const void *bytes, size_t length, struct fw_error **err);
/* True when an end was marked: more was read than was kept. */
bool fw_replay_is_cut_short(const struct fw_replay *replay);
/* The books of the latest ledger, as fw_counters_books() tells them; NULL before the first page. New reference. */
json_t *fw_replay_books(const struct fw_replay *replay);
