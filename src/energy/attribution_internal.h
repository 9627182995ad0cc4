/* SPDX-License-Identifier: Apache-2.0
 *
 * Pools, their latest slices, and the accounts of holders in them. Slices of a pool are numbered from 1; slice n is at
 * n % FW_SLICES_KEPT, in the pool and in each stake alike.
 */
#pragma once

#include "base/memory.h"
#include "energy/attribution.h"

/* A slice holds at least so many updates of its counter. */
enum { FW_SLICES_KEPT = 32, FW_SLICE_UPDATES = 2 };

struct fw_pool {
	struct fw_domain domain;
	bool counts;           /* in the machine's total */
	int package;           /* index of its work; -1: all packages */
	double cpus;           /* that it feeds */
	int gpu;               /* index of its work; -1: no GPU, or nobody's */
	bool has_baseline, is_hole;
	uint64_t until_ns;     /* end of the latest slice, or of the baseline */
	double joules, lost_j; /* then */
	double work;           /* of the machine, then */
	double bytes_work;     /* of the machine since the baseline: bytes x seconds; of memory alone */
	double busy_ns;        /* of the CPUs that it feeds, then */
	double watts;          /* of the latest slice */
	unsigned flags;        /* of readings that closed no slice */
	bool is_coarse;        /* at a moment since then nobody could tell whose work it was */
	bool is_blind;         /* of a GPU: the driver did not tell who used it */
	uint64_t number;
	struct {
		uint64_t from_ns;
		struct fw_slice_price price;
		double scale;      /* of reservations: less than 1 where more was promised than there is */
	} slices[FW_SLICES_KEPT];

	struct fw_unevenness unevenness;
	struct fw_floor floor;
	uint64_t window_from_ns;
	double window_j, window_busy_ns;
	bool window_spoilt;    /* by a gap or reset */
	struct fw_books books;
	unsigned all_flags;
	enum fw_domain_reason reason; /* the latest */
	unsigned long holes;
};

/* A holder in one pool. */
struct fw_stake {
	uint64_t until_ns;          /* when its work was read for the pool's latest slice, or when it joined */
	double work, total_ns;      /* then */
	double held_ns;             /* since then: how long it had an invocation */
	double share;               /* of all work in the pool's latest slice */
	bool was_unknown;           /* what it did there: that comes late, with the slice in which it is known again */
	bool is_partial;            /* since then: what it did is known of the end alone */
	struct fw_account account;  /* as if it had had one all the time */
	uint64_t joined;            /* first slice that it can have a part in */
	struct {
		uint64_t from_ns, until_ns;
		double work, total_from_ns, total_until_ns, held_ns;
		unsigned flags;            /* beside the pool's */
		double lost_j;             /* likewise: that may have been its own */
		struct fw_account account; /* at its end */
	} slices[FW_SLICES_KEPT];

	/* The invocation that is open. */
	bool is_open;
	uint64_t open_slice;
	struct fw_account first;    /* in its first slice */
	struct fw_account from;     /* at the end of that slice */
	unsigned open_flags;        /* since */
};

struct fw_holder {
	struct fw_attribution *attribution;
	double reserved_cpus, reserved_bytes;
	struct fw_work_now now;
	bool is_unknown;            /* its work cannot be read now: `now` is what it was before */
	bool lacks_base;            /* it never could */
	bool lacks_misses;          /* they cannot be read now */
	uint64_t known_ns;          /* when it was read last, or when it joined */
	double bytes_work;          /* bytes x seconds since it joined */
	double held_ns;             /* since the latest tick */
	bool gone;
	bool has_open;
	uint64_t open_serial;
	struct fw_stake stakes[];
};

struct fw_attribution {
	struct fw_attribution_machine machine;
	double all_cpus;
	double pace_s; /* no pool closes slices faster: those that are kept must outlive the wait for the slowest that counts */
	FW_VECTOR(struct fw_holder *) holders;
	struct fw_work_now now;
	double fallen_ns[FW_ATTRIBUTION_PACKAGES]; /* that the machine's work has lost when a CPU went */
	uint64_t tick_ns;           /* of the latest tick */
	double bytes_work, misses;
	size_t count;
	struct fw_pool pools[];
};

/* The most that the pool may have drawn while it could not be read. */
double fw_pool_most_watts(const struct fw_pool *pool);
/* A slice of it holds at least so much time. */
double fw_pool_least_s(const struct fw_attribution *attribution, const struct fw_pool *pool);
double fw_pool_update_s(const struct fw_pool *pool);
/* The holder's work in a pool, cumulative. */
double fw_holder_work(const struct fw_holder *holder, const struct fw_pool *pool, const struct fw_work_now *now);
/* The part of the machine that it reserves, in that pool. */
double fw_holder_reserved(const struct fw_holder *holder, const struct fw_pool *pool);
static inline bool fw_pool_is_gpu(const struct fw_pool *pool)
{
	return pool->domain.kind == FW_DOMAIN_GPU;
}
static inline bool fw_pool_is_memory(const struct fw_pool *pool)
{
	return pool->domain.kind == FW_DOMAIN_DRAM;
}
/* Whether it is shared by CPU time. */
static inline bool fw_pool_is_of_cpus(const struct fw_pool *pool)
{
	return !fw_pool_is_gpu(pool) && !fw_pool_is_memory(pool);
}
/* What it did in that pool cannot be told now. */
static inline bool fw_holder_is_unknown(const struct fw_holder *holder, const struct fw_pool *pool)
{
	if (fw_pool_is_memory(pool))
		return holder->attribution->machine.has_misses && holder->lacks_misses;
	return !fw_pool_is_gpu(pool) && holder->is_unknown;
}
