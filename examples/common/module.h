/* SPDX-License-Identifier: Apache-2.0
 *
 * Handlers in a module beside the program, loaded when they are first called: FFmpeg's libraries take 30 ms and 29 MB of
 * every process that links them, and not every stage wants them.
 */
#pragma once

#include "flexwatt/function.h"

/* Calls `handler` of `module` ("av.so"). FW_ERROR: recorded as Video.NoFFmpeg, or what the handler recorded. */
int module_call(struct fw_invocation *invocation, const char *module, const char *handler);
