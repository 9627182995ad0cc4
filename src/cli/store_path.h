/* SPDX-License-Identifier: Apache-2.0
 *
 * Where the store lies and what lies beside it.
 */
#pragma once

#include "store/store.h"

/* The directory of the store: package cache and logs lie there. Newly allocated. */
char *fw_state_directory(const struct fw_store *store);
/* The log of an attempt: <state>/logs/<run>/<stage>-<task>.<attempt>.log; newly allocated. A success that printed nothing
 * has none. */
char *fw_log_path(const struct fw_store *store, const char *run, const char *stage, int64_t task, int64_t attempt);
/* Opens the default store; absent is FW_E_ABSENT with a hint when read_only. */
int fw_open_default_store(bool read_only, struct fw_store **store, struct fw_error **err);
