/* SPDX-License-Identifier: Apache-2.0
 *
 * The directory that one attempt of a task works in: one below it for each output of its stage.
 */
#pragma once

#include <sys/types.h>

#include "base/error.h"
#include "workflow/workflow.h"

/* Makes `directory` with those of its outputs, for us alone; nothing where the stage declares no outputs. */
int fw_attempt_make(const struct fw_stage *stage, const char *directory, struct fw_error **err);
/* Makes what stands the worker's own. `directory` may be NULL: nothing was made. */
int fw_attempt_hand_over(const struct fw_stage *stage, const char *directory, uid_t uid, struct fw_error **err);
