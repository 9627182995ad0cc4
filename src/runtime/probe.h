/* SPDX-License-Identifier: Apache-2.0
 *
 * Runs a short program of the user's machine and reads what it prints: which interpreter has what.
 */
#pragma once

#include "base/buffer.h"

/* argv[0] is absolute; stdin and stderr are /dev/null. At most ten seconds. A program that fails, hangs or prints past the
 * buffer's maximum is an error that names it. */
int fw_probe_run(const char *const *argv, const char *const *envp, struct fw_buffer *output, struct fw_error **err);
