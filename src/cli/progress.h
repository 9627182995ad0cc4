/* SPDX-License-Identifier: Apache-2.0
 *
 * Live progress of a run on standard error: a table that redraws itself on a terminal, one line a second at most elsewhere.
 */
#pragma once

#include "backend/driver.h"

struct fw_progress;

struct fw_progress *fw_progress_new(struct fw_driver *driver, const struct fw_workflow *workflow);
/* Clears what is on the screen. */
void fw_progress_free(struct fw_progress *progress);
/* Takes the table off the screen so that a line may be printed; the next redraw brings it back below. */
void fw_progress_make_way(void);
