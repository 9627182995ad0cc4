/* SPDX-License-Identifier: Apache-2.0
 *
 * A sandbox that isolates nothing: plain processes with the contract of runtime/sandbox.h, so that the runtime's own
 * behaviour is tested without privileges. A worker that makes a file `oom` in its attempts directory counts as one whose
 * process the kernel killed for memory.
 */
#pragma once

#include <stddef.h>

/* How many sandboxes were settled so far. That all are freed is checked by fw_sandboxes_free(). */
extern size_t fake_sandboxes_settled;
