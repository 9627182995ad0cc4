/* SPDX-License-Identifier: Apache-2.0
 *
 * Which domains make the machine's total when several sources see the same joules.
 */
#include "base/memory.h"
#include "energy/domain.h"
#include "tests/unit/support.h"

static struct fw_domain domain_of(const char *source, enum fw_domain_kind kind, int package)
{
	return (struct fw_domain){.source = source, .kind = kind, .package = package, .die = -1, .gpu = -1, .is_root = true};
}

static void of_several_sources_of_one_package_one_is_added(void **state)
{
	struct fw_domain domains[] = {
		domain_of("hwmon", FW_DOMAIN_PACKAGE, -1), domain_of("hwmon", FW_DOMAIN_UNCORE, -1),
		domain_of("rapl", FW_DOMAIN_PACKAGE, 0), domain_of("rapl", FW_DOMAIN_DRAM, 0),
		domain_of("rapl", FW_DOMAIN_PACKAGE, 1), domain_of("perf", FW_DOMAIN_PACKAGE, 0),
		domain_of("nvml", FW_DOMAIN_GPU, -1)};
	static const bool added[] = {false, false, false, true, true, true, true};

	(void)state;
	fw_domains_choose_roots(domains, FW_COUNT_OF(domains));
	for (size_t i = 0; i < FW_COUNT_OF(domains); i++)
		assert_int_equal(domains[i].is_root, added[i]);
	/* Alone, a sensor counts. */
	domains[0] = domain_of("hwmon", FW_DOMAIN_PACKAGE, -1);
	domains[1] = domain_of("hwmon", FW_DOMAIN_UNCORE, -1);
	fw_domains_choose_roots(domains, 2);
	assert_true(domains[0].is_root && domains[1].is_root);
}

static void what_the_better_source_does_not_count_stays_with_the_other(void **state)
{
	struct fw_domain domains[] = {domain_of("rapl", FW_DOMAIN_PACKAGE, 0), domain_of("rapl", FW_DOMAIN_DRAM, 0),
	                              domain_of("perf", FW_DOMAIN_PACKAGE, 0), domain_of("perf", FW_DOMAIN_DRAM, 0)};

	(void)state;
	domains[3].is_root = false; /* none that counts */
	fw_domains_choose_roots(domains, FW_COUNT_OF(domains));
	assert_false(domains[0].is_root);
	assert_true(domains[1].is_root && domains[2].is_root);
	domains[3].is_root = true;
	fw_domains_choose_roots(domains, FW_COUNT_OF(domains));
	assert_false(domains[1].is_root);
}

FW_TESTS(of_several_sources_of_one_package_one_is_added, what_the_better_source_does_not_count_stays_with_the_other)
