/* SPDX-License-Identifier: Apache-2.0
 *
 * How many files a run may have open: functions are promised as many as on Lambda, and the engine holds some for every
 * worker. Too few are told before anything starts.
 */
#include "cli/files.h"

#include <errno.h>
#include <sys/resource.h>

#include "runtime/sandbox.h"

enum { FILES_AMPLE = 65536 };

int fw_allow_files(struct fw_error **err)
{
	const rlim_t least = FW_SANDBOX_FILES;
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) < 0)
		return fw_fail_errno(err, errno, "ask how many files may be open");
	struct rlimit wanted = {.rlim_max = files.rlim_max > least ? files.rlim_max : least};

	wanted.rlim_cur = wanted.rlim_max < FILES_AMPLE ? wanted.rlim_max : FILES_AMPLE;
	if (setrlimit(RLIMIT_NOFILE, &wanted) == 0)
		return FW_OK;
	int rc = fw_fail(err, FW_E_ENVIRONMENT, "only %llu files may be open at once here, and a run needs %llu",
	                 (unsigned long long)files.rlim_max, (unsigned long long)least);

	return fw_error_hint(err, rc, "raise the hard limit of open files: `ulimit -Hn` shows it");
}
