/* SPDX-License-Identifier: Apache-2.0
 *
 * The last lines of a run that failed: which tasks and their own errors, the end of the first one's log, and the commands
 * that go on from there.
 */
#pragma once

#include "backend/driver.h"
#include "report/summary.h"

/* On standard error. `summary` is of the run that the driver has ended. */
void fw_print_failure(const struct fw_driver *driver, const struct fw_workflow *workflow, const struct fw_summary *summary);
