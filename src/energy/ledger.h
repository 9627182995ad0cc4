/* SPDX-License-Identifier: Apache-2.0
 *
 * Who used the joules: pure arithmetic over slices of time, without a clock, files or threads, so that a live run, a
 * recomputation from the store and a property test are the same code.
 *
 * A pool is one counter that counts in the machine's total (a package, its memory, a GPU). A slice is the time between
 * two readings of it. In each slice
 *
 *     measured = idle + dynamic,   idle = min(measured, floor x seconds),   dynamic = measured - idle
 *     a worker's dynamic = dynamic x its work / all work of the machine on that pool
 *     a worker's idle    = idle x the part of the machine that it has reserved
 *
 * and what is nobody's is the system's: the five parts add up to what was measured, always. Work is on-CPU nanoseconds
 * for a package, cache misses or bytes x time for memory, busy time for a GPU; only its ratios matter.
 *
 * An invocation that begins or ends inside a slice gets the slice's price for the work that it did there, which is read
 * at its edge, so that a busy and a quiet half of a slice are told apart. Its interval comes from: the counter's step and
 * lateness at the two ends, the unevenness of price inside the slices that it shares at its edges, which is what prices
 * differ by from slice to slice, the lateness of the work's own meter, and the floor's uncertainty, which moves joules
 * between idle and dynamic. In a slice that stands for several moments all work is as uneven in price as at an edge.
 */
#pragma once

#include <stdbool.h>

/* What was measured of one pool in one slice. */
struct fw_slice {
	double seconds;
	double joules;       /* NAN: a hole; its energy comes with the next slice that has one */
	double counter_half_j; /* how far off the counter can be at either end: step + lateness x power */
	double lost_j;       /* may have been used besides: gap or reset */
	double work;         /* of all the machine */
	double floor_w, floor_half_w;
	double unevenness;   /* by how much of itself the price of work may differ within the slice */
	bool is_coarse;      /* several moments in one, as nobody could tell whose work it was in between */
	unsigned flags;      /* enum fw_domain_flag */
};

/* The slice, priced: `idle_j` + `dynamic_j` = its joules. */
struct fw_slice_price {
	double seconds;
	double idle_j, dynamic_j;
	double per_work_j;   /* dynamic joules for one unit of work; 0 when nobody worked */
	double work;         /* of all, at least the sum of the workers' */
	double counter_half_j, lost_j, floor_half_w, unevenness;
	bool is_coarse;
	unsigned flags;
};

/* known_work: the sum over the workers, which the machine's own figure may fall short of because it was read earlier. */
struct fw_slice_price fw_price_of(const struct fw_slice *slice, double known_work);

/* The part of a slice that belongs to one invocation, or to one worker. */
struct fw_part {
	double seconds;      /* of the slice inside the invocation */
	double work;         /* done inside it */
	double work_half;    /* how far off that can be */
	double reserved;     /* its part of the machine, 0 to 1 */
	bool at_edge;        /* it begins or ends inside: the slice is shared with what came before or after */
	bool at_begin, at_end; /* the slice in which the counter's error at that end counts */
	double share_change;   /* against the slice before: a late counter books joules into the wrong one of the two */
};

/* How uneven the price of work is, learnt from slice to slice; until then half of itself. All zero is nothing learnt. */
struct fw_unevenness {
	double per_work_j;   /* of the latest slice that told something */
	double square;       /* mean of the squared relative differences */
	double slices;
};
/* busy: the share of the CPUs that worked; too little work tells nothing. */
void fw_unevenness_add(struct fw_unevenness *unevenness, const struct fw_slice_price *price, double busy);
/* In a slice of that length: the longer, the less short ones before it have told. */
double fw_unevenness_now(const struct fw_unevenness *unevenness, double seconds);

/* What has been gathered. All zero is empty. */
struct fw_account {
	double seconds, work;
	double dynamic_j, idle_j, lost_j;
	double floor_idle_j, floor_dynamic_j; /* what one half-width of the floor moves in either; dynamic falls as idle rises */
	double variance_j2;                   /* of what is independent from slice to slice */
	unsigned flags;
};

void fw_account_add(struct fw_account *account, const struct fw_slice_price *price, const struct fw_part *part);
/* sum + sign x account; flags are not summed. */
void fw_account_sum(struct fw_account *sum, const struct fw_account *account, double sign);

/* joules = dynamic + idle; low and high enclose the truth in 95 of 100 cases. */
struct fw_figure {
	double joules, low, high;
	double dynamic_j, dynamic_low, dynamic_high, idle_j;
	unsigned flags;
};
struct fw_figure fw_account_figure(const struct fw_account *account);

/* The books of a pool over a run: conservation, kept and checked. */
struct fw_books {
	double measured_j;
	double workers_dynamic_j, workers_idle_j;
	double system_dynamic_j, system_idle_j;
	double lost_j;
	double seconds;
};
/* Once for each slice, with what its workers got in all. Debug builds assert that nothing is handed out twice. */
void fw_books_add(struct fw_books *books, const struct fw_slice_price *price, double workers_dynamic_j, double workers_idle_j);
/* measured - (all parts): rounding errors and nothing else. */
double fw_books_residual(const struct fw_books *books);
