/* SPDX-License-Identifier: Apache-2.0
 *
 * The limit of open files of this process.
 */
#pragma once

#include "base/error.h"

/* Raises it as far as a run may need; FW_E_ENVIRONMENT with a hint where it is too low for that. */
int fw_allow_files(struct fw_error **err);
