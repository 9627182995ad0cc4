/* SPDX-License-Identifier: Apache-2.0
 *
 * capset(2) itself: libcap would be a dependency for two calls. What is not permitted cannot be raised, so that nobody needs
 * to ask first.
 */
#include "host/privileges.h"

#include <linux/capability.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define HELD_BACK (1U << CAP_DAC_READ_SEARCH)
_Static_assert(CAP_DAC_READ_SEARCH < 32, "it is in the first word");

static void set_effective(bool raised)
{
	struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {0};

	if (geteuid() == 0 || syscall(SYS_capget, &header, data) != 0 || !(data[0].permitted & HELD_BACK))
		return;
	data[0].effective = raised ? data[0].effective | HELD_BACK : data[0].effective & ~HELD_BACK;
	(void)syscall(SYS_capset, &header, data); /* within what is permitted it cannot fail */
}

void fw_privileges_hold_back(void)
{
	if (geteuid() == 0)
		return;
	set_effective(false);
	/* Whoever has fewer capabilities than we can trace us no more than before. */
	(void)prctl(PR_SET_DUMPABLE, 1);
}

void fw_privileges_raise(void)
{
	set_effective(true);
}

void fw_privileges_lower(void)
{
	set_effective(false);
}
