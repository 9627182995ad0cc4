/* SPDX-License-Identifier: Apache-2.0
 *
 * Where the store lies and what lies beside it.
 */
#include "cli/store_path.h"

#include <string.h>

char *fw_state_directory(const struct fw_store *store)
{
	const char *path = fw_store_path(store);
	const char *slash = strrchr(path, '/');

	if (!slash)
		return fw_strdup(".");
	return slash == path ? fw_strdup("/") : fw_strndup(path, (size_t)(slash - path));
}

char *fw_log_path(const struct fw_store *store, const char *run, const char *stage, int64_t task, int64_t attempt)
{
	fw_cleanup_free char *directory = fw_state_directory(store);

	return fw_printf("%s/logs/%s/%s-%lld.%lld.log", directory, run, stage, (long long)task, (long long)attempt);
}

int fw_open_default_store(bool read_only, struct fw_store **store, struct fw_error **err)
{
	fw_cleanup_free char *path = fw_store_default_path();
	int rc = fw_store_open(path, read_only, store, err);

	if (rc == FW_E_ABSENT && read_only)
		return fw_error_hint(err, rc, "no run has been made yet: flexwatt run WORKFLOW makes the store");
	return rc;
}
