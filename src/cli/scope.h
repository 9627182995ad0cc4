/* SPDX-License-Identifier: Apache-2.0
 *
 * A control group of its own for the engine of a normal user.
 */
#pragma once

/* Where this user's manager (systemd) can give one, and the present group enforces nothing: moves this process into a
 * scope of its own with delegation. Where that fails, everything stays as it is, and what is not enforced is said by those
 * who enforce. Blocks, some seconds at most; before threads and children are started. */
void fw_scope_enter(void);
