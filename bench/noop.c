/* SPDX-License-Identifier: Apache-2.0
 *
 * The function that does nothing: what is left is what an invocation costs.
 */
#include <flexwatt/function.h>

static int noop(struct fw_invocation *invocation)
{
	(void)invocation;
	return FW_OK;
}

FW_FUNCTIONS({"noop", noop})
