/* SPDX-License-Identifier: Apache-2.0
 *
 * From readings to the joules of invocations. Pure: no clock, files or threads, so that a live run and a recomputation
 * from the store are the same code. At every tick it is given what each counter shows and whose work was done; it closes
 * a slice for each counter (a pool) and hands the slice out by ledger.h. Each worker (a holder) has an account in each
 * pool that only rises; an invocation's figure is cut out of it at its edges, by the holder's own work read there.
 *
 * A pool that cannot be read closes no slice: the next one reaches back to where it could be read last, and prices all
 * the work since then. After fw_attribution_new() and _join() nothing allocates.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "energy/domain.h"
#include "energy/floor.h"
#include "energy/ledger.h"

enum { FW_ATTRIBUTION_PACKAGES = 64, FW_ATTRIBUTION_POOLS = 128, FW_ATTRIBUTION_GPUS = 16 };

struct fw_attribution;
struct fw_holder;

/* The machine as far as it is handed out. Work is counted for `packages` packages, or 1 when it is not told apart. */
struct fw_attribution_machine {
	size_t packages;
	int physical[FW_ATTRIBUTION_PACKAGES]; /* number of each; -1 with one for all */
	double cpus[FW_ATTRIBUTION_PACKAGES];  /* of each */
	double memory_bytes;
	double lag_ns; /* how old work can be at a tick: what runs is counted late */
	bool has_misses; /* memory is shared by last-level cache misses; else by bytes held x time */
};

/* Cumulative work at one moment: of the machine, or of one holder. */
struct fw_work_now {
	uint64_t at_ns;  /* when it was read */
	double ns[FW_ATTRIBUTION_PACKAGES];
	double gpu_ns[FW_ATTRIBUTION_GPUS]; /* of each GPU, by its index: time of the whole of it */
	double total_ns; /* holder: what its edges are read in, -1: its work could not be read; machine: unused */
	double bytes;    /* memory held now; NAN unknown */
	double misses;   /* of the last-level cache, where they are counted; NAN: not asked for at this tick, -1: could not be read */
};

/* `domains` is copied. */
struct fw_attribution *fw_attribution_new(const struct fw_attribution_machine *machine, const struct fw_domain *domains,
                                          size_t count);
void fw_attribution_free(struct fw_attribution *attribution);
/* The floor of that domain in an earlier run on this machine (fw_floor_inherit). */
void fw_attribution_inherit(struct fw_attribution *attribution, size_t index, double watts, double half_w, double age_s);
FW_DEFINE_CLEANUP(struct fw_attribution *, fw_attribution_free)

/* A worker that may use the machine from now on, with these parts of its CPUs and its memory reserved while it works. */
struct fw_holder *fw_attribution_join(struct fw_attribution *attribution, double reserved_cpus, double reserved_bytes,
                                      const struct fw_work_now *now);
/* Its work up to now is the last: it stays for what is still to be cut out of its account. */
void fw_holder_free(struct fw_holder *holder);

/* Before each tick, and when it leaves: its work, and in which part of the time since it was read last it had an invocation. */
void fw_holder_set(struct fw_holder *holder, const struct fw_work_now *now, double held);
/* readings[] as the domains; the work was read at about the same time. */
void fw_attribution_tick(struct fw_attribution *attribution, const struct fw_domain_reading *readings,
                         const struct fw_work_now *machine);

/* Instead of a tick: nobody could tell what the CPUs did. Closes no slice; the next one is flagged and its parts are wider. */
void fw_attribution_miss(struct fw_attribution *attribution, uint64_t now_ns);

/* An edge of an invocation: when, and the holder's total_ns then; -1: unknown. */
struct fw_edge {
	uint64_t at_ns;
	double total_ns;
};

/* After a tick: notes where an invocation that still runs began, which is forgotten some slices later. */
void fw_holder_open(struct fw_holder *holder, uint64_t serial, const struct fw_edge *begin);
/* False when that would change nothing. */
bool fw_holder_would_open(const struct fw_holder *holder, uint64_t serial);
/* True when no slice is missing at the end that a tick can still bring: the next one will not make it better. */
bool fw_holder_covers(const struct fw_holder *holder, uint64_t end_ns);

/* What an invocation comes to, of one kind of domains of one source: roots, where the kind has any. */
struct fw_share {
	const char *source, *method; /* of the domain */
	enum fw_domain_kind kind;
	struct fw_figure figure;
	double seconds;
	bool is_root;
	bool is_virtual; /* one of them is: quality one grade lower */
	bool by_misses;  /* memory: by what its part was told */
};
enum { FW_SHARES_MOST = FW_DOMAIN_KINDS * 4 };
/* Returns how many; at most `capacity`. What cannot be told is not among them. Ends fw_holder_open() of that serial. */
size_t fw_holder_cut(struct fw_holder *holder, uint64_t serial, const struct fw_edge *begin, const struct fw_edge *end,
                     struct fw_share *shares, size_t capacity);

/* The same of an invocation that goes on, up to the latest slice; nothing ends by it. */
size_t fw_holder_so_far(const struct fw_holder *holder, uint64_t serial, const struct fw_edge *begin, struct fw_share *shares,
                        size_t capacity);

const struct fw_domain *fw_attribution_domain(const struct fw_attribution *attribution, size_t index);
/* The books of each domain that counts in the machine's total. lost_j holds what a hole that is open may have hidden; NAN: unknown. */
struct fw_pool_books {
	const struct fw_domain *domain;
	struct fw_books books;
	struct fw_floor floor;
	double floor_age_s;
	unsigned flags;          /* of all readings */
	enum fw_domain_reason reason; /* of the latest that was flagged for one */
	unsigned long slices, holes;
};
size_t fw_attribution_books(const struct fw_attribution *attribution, struct fw_pool_books *books, size_t capacity);
/* From when on a tick closes a slice of every domain that counts and can be read; sooner it would say nothing. */
uint64_t fw_attribution_due_ns(const struct fw_attribution *attribution);
/* What the pool of one domain knows about its counter at the latest tick. */
struct fw_pool_look {
	bool is_hole;   /* it cannot be read, or stands still for longer than it may */
	double most_w;  /* that it may have drawn while it could not be read; NAN unknown */
	double least_s; /* of less time than this the counter tells nothing */
	double update_s; /* how old what it shows can be */
};
struct fw_pool_look fw_attribution_look(const struct fw_attribution *attribution, size_t index);
/* measured - (all parts), summed over the domains that count: rounding errors and nothing else. */
double fw_attribution_residual_j(const struct fw_attribution *attribution);
