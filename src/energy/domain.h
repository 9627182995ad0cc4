/* SPDX-License-Identifier: Apache-2.0
 *
 * An energy domain: one counter of joules of a part of the machine, as a monitor offers it to the sampler. What the
 * counter is made of (powercap zone, perf event, hwmon channel, GPU) stays inside its monitor; here it only rises.
 *
 * Containment, which forbids plain sums: package holds core and uncore; dram stands beside package; psys, where it can
 * be trusted, holds them all. The machine's total is the sum of the domains with `is_root`, and never of others.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"

enum fw_domain_kind {
	FW_DOMAIN_PACKAGE,
	FW_DOMAIN_CORE,
	FW_DOMAIN_UNCORE,
	FW_DOMAIN_DRAM,
	FW_DOMAIN_PSYS,
	FW_DOMAIN_GPU,
	FW_DOMAIN_OTHER, /* a name that we do not know: kept and shown, never added up */
	FW_DOMAIN_KINDS,
};
extern const char *const fw_domain_kind_names[FW_DOMAIN_KINDS]; /* "package", ..., as records store them */

/* Of one reading, and of every figure made from it. */
enum fw_domain_flag {
	FW_DOMAIN_WRAP = 1 << 0,  /* the counter went round once and was corrected, exactly */
	FW_DOMAIN_RESET = 1 << 1, /* it began anew: what it counted in between is unknown and left out */
	FW_DOMAIN_GAP = 1 << 2,   /* too long unread, unreadable or gone: what was used in between is bounded, not known */
	FW_DOMAIN_SKEW = 1 << 3,  /* the batch took long against the time between two readings */
	FW_DOMAIN_STALE = 1 << 4, /* the counter did not move although it should have */
	FW_DOMAIN_EARLY = 1 << 5, /* asked before the counter's next update: as much as the power now says, until it comes */
};

/* Why a reading has one of these flags; numbers are stored. */
enum fw_domain_reason {
	FW_REASON_NONE,
	FW_REASON_UNREADABLE, /* no more is known */
	FW_REASON_MALFORMED,
	FW_REASON_IO,
	FW_REASON_GONE,
	FW_REASON_REFUSED,
	FW_REASON_STILL,
	FW_REASON_CLOCK,
	FW_REASON_BEGAN_ANEW,
	FW_REASON_LONG_UNREAD,
	FW_REASON_CPU_GONE,
	FW_REASON_WORK, /* the counter was read; whose work it was could not be told */
	FW_REASON_TOO_LITTLE,
	FW_REASONS,
};
/* "its counter is gone"; NULL for none. */
const char *fw_domain_reason_text(enum fw_domain_reason reason);
/* Of a read that failed; EBADMSG: what was read is no value. */
enum fw_domain_reason fw_domain_reason_of_errno(int errnum);

struct fw_domain {
	const char *source; /* rapl, perf, hwmon, nvml: as figures name it */
	const char *method; /* version of the monitor that reads it; the manager's, who has asked it */
	enum fw_domain_kind kind;
	char name[48];        /* as the kernel names it: "package-0-die-1" */
	int package, die;     /* physical; -1: unknown, or the whole machine */
	int gpu;              /* index, or -1 */
	double quantum_j;     /* the step in which the counter counts */
	double update_s;      /* how often the counter is updated, measured or known; NAN unknown */
	double most_w;        /* beyond this it is not plausible; NAN unknown */
	bool is_root;         /* counts in the machine's total */
	bool is_unshared;     /* whose work it does nothing tells: all of it is the system's, and no record has a figure */
	bool is_virtual;      /* the counter is itself an attribution of a hypervisor's, or tells neither name nor range: quality one
	                       * grade lower, flagged virtual in place of ok */
};

/* One reading. `joules` only rises from 0 at the monitor's open and is chained: nothing is lost between two readings.
 * `lost_j` is the most that may have been used and not counted since open (gaps, resets): it only rises as well. */
struct fw_domain_reading {
	uint64_t before_ns, after_ns; /* CLOCK_MONOTONIC around this counter's read */
	double joules;                /* NAN: could not be read now; the next one that can be read covers the hole */
	double lost_j;
	uint64_t raw;                 /* as read, in the counter's own unit, for the store */
	unsigned flags;               /* of the time since the reading before */
	enum fw_domain_reason reason; /* of gap, reset or stale */
};

/* Where several sources count one package (power PMU, powercap, sensors), one of them is the root of each of its kinds:
 * by a fixed order, the power PMU first. The others lose `is_root`: shown, never added. */
void fw_domains_choose_roots(struct fw_domain *domains, size_t count);
/* "2 x package, 1 x psys (not added)", for `flexwatt monitors`. */
void fw_domains_describe(const struct fw_domain *domains, size_t count, struct fw_buffer *out);
