/* SPDX-License-Identifier: Apache-2.0
 *
 * Names of the energy domains, as records store them, and which of several sources of one part of the machine counts:
 * every joule is in the total once, whoever else has seen it too.
 */
#include "energy/domain.h"

#include <errno.h>
#include <string.h>

#include "base/memory.h"

const char *const fw_domain_kind_names[FW_DOMAIN_KINDS] = {
	[FW_DOMAIN_PACKAGE] = "package", [FW_DOMAIN_CORE] = "core", [FW_DOMAIN_UNCORE] = "uncore",
	[FW_DOMAIN_DRAM] = "dram",       [FW_DOMAIN_PSYS] = "psys", [FW_DOMAIN_GPU] = "gpu",
	[FW_DOMAIN_OTHER] = "other",
};

const char *fw_domain_reason_text(enum fw_domain_reason reason)
{
	static const char *const texts[FW_REASONS] = {
		[FW_REASON_UNREADABLE] = "it could not be read",
		[FW_REASON_MALFORMED] = "what it showed was no number",
		[FW_REASON_IO] = "input/output error",
		[FW_REASON_GONE] = "it was gone",
		[FW_REASON_REFUSED] = "it might not be read any more",
		[FW_REASON_STILL] = "it stood still",
		[FW_REASON_CLOCK] = "the clock went back",
		[FW_REASON_BEGAN_ANEW] = "it began anew",
		[FW_REASON_LONG_UNREAD] = "it was not read for so long that it may have gone round unseen",
		[FW_REASON_TOO_LITTLE] = "it counted less than the packages that it holds",
		[FW_REASON_CPU_GONE] = "a CPU was taken out with its counters",
		[FW_REASON_WORK] = "whose work it was could not be told",
	};

	return reason < FW_REASONS ? texts[reason] : NULL;
}

enum fw_domain_reason fw_domain_reason_of_errno(int errnum)
{
	switch (errnum) {
	case EBADMSG: return FW_REASON_MALFORMED;
	case EIO: return FW_REASON_IO;
	case ENODEV:
	case ENXIO:
	case ENOENT: return FW_REASON_GONE;
	case EACCES:
	case EPERM: return FW_REASON_REFUSED;
	default: return FW_REASON_UNREADABLE;
	}
}

/* The power PMU never goes round and parses no text; sensors of the board come last. */
static const char *const preferred[] = {"perf", "rapl", "hwmon"};

static size_t rank_of(const struct fw_domain *domain)
{
	size_t rank = 0;

	while (rank < FW_COUNT_OF(preferred) && strcmp(domain->source, preferred[rank]) != 0)
		rank++;
	return rank;
}

/* A sensor that does not say of which package it is stands for all of them. */
static bool share_package(const struct fw_domain *a, const struct fw_domain *b)
{
	return a->package == b->package || a->package < 0 || b->package < 0;
}

/* True when a better source counts the same: its memory for memory, its package for all that is inside packages. */
static bool is_counted_by(const struct fw_domain *other, const struct fw_domain *domain)
{
	enum fw_domain_kind holder = domain->kind == FW_DOMAIN_DRAM ? FW_DOMAIN_DRAM : FW_DOMAIN_PACKAGE;

	return other->is_root && other->kind == holder && rank_of(other) < rank_of(domain) && share_package(other, domain);
}

static bool is_of_package(const struct fw_domain *domain)
{
	return domain->kind == FW_DOMAIN_PACKAGE || domain->kind == FW_DOMAIN_CORE || domain->kind == FW_DOMAIN_UNCORE ||
	       domain->kind == FW_DOMAIN_DRAM;
}

static bool is_counted_better(const struct fw_domain *domains, size_t count, const struct fw_domain *domain)
{
	for (size_t i = 0; i < count; i++)
		if (is_counted_by(&domains[i], domain))
			return true;
	return false;
}

void fw_domains_choose_roots(struct fw_domain *domains, size_t count)
{
	for (size_t rank = 1; rank <= FW_COUNT_OF(preferred); rank++) /* the best first: what lost takes nobody's place */
		for (size_t i = 0; i < count; i++)
			if (domains[i].is_root && is_of_package(&domains[i]) && rank_of(&domains[i]) == rank &&
			    is_counted_better(domains, count, &domains[i]))
				domains[i].is_root = false;
}

void fw_domains_describe(const struct fw_domain *domains, size_t count, struct fw_buffer *out)
{
	unsigned counts[FW_DOMAIN_KINDS] = {0}, roots[FW_DOMAIN_KINDS] = {0};

	for (size_t d = 0; d < count; d++) {
		counts[domains[d].kind]++;
		roots[domains[d].kind] += domains[d].is_root;
	}
	for (int kind = 0; kind < FW_DOMAIN_KINDS; kind++)
		if (counts[kind] > 0)
			fw_buffer_printf(out, "%s%u x %s%s", out->length ? ", " : "", counts[kind], fw_domain_kind_names[kind],
			                 roots[kind] ? "" : " (not added)");
}
