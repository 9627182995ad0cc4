/* SPDX-License-Identifier: Apache-2.0
 *
 * Functions that do nothing, at once or after a while: what is left is what an invocation costs.
 */
#include <flexwatt/function.h>

#include <errno.h>
#include <time.h>

static int noop(struct fw_invocation *invocation)
{
	(void)invocation;
	return FW_OK;
}

static int pause_ms(struct fw_invocation *invocation)
{
	int64_t ms = fw_param_integer(invocation, "ms", 0);
	struct timespec wait = {ms / 1000, ms % 1000 * 1000000};

	while (nanosleep(&wait, &wait) != 0 && errno == EINTR)
		;
	return FW_OK;
}

FW_FUNCTIONS({"noop", noop}, {"pause", pause_ms})
