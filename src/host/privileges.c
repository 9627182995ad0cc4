/* SPDX-License-Identifier: Apache-2.0
 *
 * capset(2) itself: libcap would be a dependency for two calls. What is not permitted cannot be raised, so that nobody needs
 * to ask first. The file has its capabilities as permitted alone: with the effective bit it could not even be executed where
 * a container's bounding set lacks one of them.
 */
#include "host/privileges.h"

#include <linux/capability.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* In which word a capability is, and as which bit. */
#define WORD(capability) ((capability) / 32)
#define BIT(capability) (1U << (capability) % 32)

struct sets {
	struct __user_cap_data_struct words[_LINUX_CAPABILITY_U32S_3];
};

static bool read_own(struct sets *own)
{
	struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};

	return geteuid() != 0 && syscall(SYS_capget, &header, own->words) == 0;
}

/* Within what is permitted it cannot fail. */
static void write_own(struct sets *own)
{
	struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};

	(void)syscall(SYS_capset, &header, own->words);
}

static void set_effective(struct sets *own, unsigned capability, bool effective)
{
	struct __user_cap_data_struct *word = &own->words[WORD(capability)];

	word->effective &= ~BIT(capability);
	if (effective)
		word->effective |= word->permitted & BIT(capability);
}

/* Only what this program held back itself is its to raise and lower: a library finds its host's sets and leaves them so. */
static bool is_held_back;

void fw_privileges_hold_back(void)
{
	struct sets own = {0};

	is_held_back = true;
	if (!read_own(&own))
		return;
	set_effective(&own, CAP_PERFMON, true);
	set_effective(&own, CAP_BPF, true);
	set_effective(&own, CAP_DAC_READ_SEARCH, false);
	write_own(&own);
	/* Whoever has fewer capabilities than we can trace us no more than before. */
	(void)prctl(PR_SET_DUMPABLE, 1);
}

static void let_read(bool all)
{
	struct sets own = {0};

	if (!is_held_back || !read_own(&own) || !(own.words[WORD(CAP_DAC_READ_SEARCH)].permitted & BIT(CAP_DAC_READ_SEARCH)))
		return;
	set_effective(&own, CAP_DAC_READ_SEARCH, all);
	write_own(&own);
}

void fw_privileges_raise(void)
{
	let_read(true);
}

void fw_privileges_lower(void)
{
	let_read(false);
}
