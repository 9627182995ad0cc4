/* SPDX-License-Identifier: Apache-2.0
 *
 * The bootstrap of parallel video. Cutting and stitching copy packets and do without filters, whose many libraries only
 * process.so brings in.
 */
#include "../../common/module.h"

static int cut(struct fw_invocation *invocation)
{
	return module_call(invocation, "copy.so", "cut");
}

static int process(struct fw_invocation *invocation)
{
	return module_call(invocation, "process.so", "process");
}

static int stitch(struct fw_invocation *invocation)
{
	return module_call(invocation, "copy.so", "stitch");
}

FW_FUNCTIONS({"cut", cut}, {"process", process}, {"stitch", stitch})
