/* SPDX-License-Identifier: Apache-2.0
 *
 * The page, as writer and reader share it. An entry is a letter and varints; what only grows is told as the difference to
 * the same figure of the entry before. Times of holders and counters are differences to the machine's of the same tick.
 *
 *   H length JSON                            a new ledger: version, machine, domains, methods
 *   I index watts half_watts age            the floor of an earlier run; bits of doubles
 *   J number by_bpf cpus bytes WORK          a holder joins; both reservations as the bits of doubles
 *   M WORK                                   a tick begins: the machine
 *   S number held WORK                       what a holder did, and the 1e-9ths of the time that it had an invocation
 *   T (flags reason before after lost raw nj)...   what each counter showed; reason only where flags has any; flags has
 *                                            FW_FEED_HOLE, and no raw and nj follow, when it could not be read
 *   W at                                     instead of a tick: whose work was done could not be told (since version 2)
 *   O number serial EDGE                     an invocation is open
 *   C number serial EDGE EDGE task attempt length stage    its figure is cut out
 *   F number                                 a holder goes
 *   X                                        no more was kept
 *
 *   WORK = at ns... gpu_ns... total bytes [misses], EDGE = at total; -1: unknown. Misses only where the head says so: 0 not asked
 *   for, 1 unknown, else two more than they are
 */
#pragma once

#include "base/memory.h"
#include "energy/feed.h"

#define FW_FEED_VERSION 2 /* 1 can be read as well */
#define FW_FEED_HOLE 0x80u

struct fw_feed_work {
	uint64_t at_ns;
	int64_t ns[FW_ATTRIBUTION_PACKAGES], gpu_ns[FW_ATTRIBUTION_GPUS], total_ns, bytes, misses;
};

struct fw_feed_counter {
	uint64_t before_ns, raw;
	int64_t joules_nj, lost_nj;
};

/* What entries are differences to. */
struct fw_feed_past {
	struct fw_feed_work machine;
	struct fw_feed_counter counters[FW_ATTRIBUTION_POOLS];
};
