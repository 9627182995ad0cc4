/* SPDX-License-Identifier: Apache-2.0
 *
 * Directories of attempts are made by the engine, filled while they are its own, and then handed to the worker's user: from
 * there on no name in them is looked up by us.
 */
#include "backend/attempt.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"

static int make_directory(const char *path, struct fw_error **err)
{
	return mkdir(path, 0700) < 0 ? fw_fail_errno(err, errno, "make %s", path) : FW_OK;
}

static int give(const char *path, uid_t uid, struct fw_error **err)
{
	return uid != geteuid() && lchown(path, uid, uid) < 0 ? fw_fail_errno(err, errno, "give %s to the worker", path) : FW_OK;
}

int fw_attempt_make(const struct fw_stage *stage, const char *directory, struct fw_error **err)
{
	int rc = stage->outputs.count > 0 ? make_directory(directory, err) : FW_OK;

	for (size_t i = 0; rc == FW_OK && i < stage->outputs.count; i++) {
		fw_cleanup_free char *output = fw_printf("%s/%s", directory, stage->outputs.items[i].name);

		rc = make_directory(output, err);
	}
	return rc;
}

/* The parent last, when nothing in it is looked up by us any more: a process that an earlier invocation left in the worker
 * could put a link in the place of a name. */
int fw_attempt_hand_over(const struct fw_stage *stage, const char *directory, uid_t uid, struct fw_error **err)
{
	int rc = FW_OK;

	for (size_t i = 0; rc == FW_OK && i < stage->outputs.count; i++) {
		fw_cleanup_free char *output = fw_printf("%s/%s", directory, stage->outputs.items[i].name);

		rc = give(output, uid, err);
	}
	return rc == FW_OK && directory ? give(directory, uid, err) : rc;
}
