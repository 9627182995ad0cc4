/* SPDX-License-Identifier: Apache-2.0
 *
 * Indexes of CSV objects that were passed over before, one small file each, named by the digest of what the index
 * depends on: the storage, the key, the object's version, the format. A run with other workers, or a later one, reads the
 * object no second time. Blocking; pool thread.
 */
#pragma once

#include "storage/csv_index.h"

enum { FW_CSV_CACHE_FILES = 1000 }; /* the oldest are removed when there are more */

/* Newly allocated. `place` is the storage's URI. */
char *fw_csv_cache_name(const char *place, const char *key, const char *version, const struct fw_range_format *format);
/* False: there is none, or it is damaged. */
bool fw_csv_cache_load(const char *directory, const char *name, int64_t bytes, struct fw_csv_index *index);
int fw_csv_cache_store(const char *directory, const char *name, const struct fw_csv_index *index, struct fw_error **err);
