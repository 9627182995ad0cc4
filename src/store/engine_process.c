/* SPDX-License-Identifier: Apache-2.0
 *
 * Is the engine of a run that says "running" still there? A pid alone does not tell: pids are given again. With the boot
 * and the start time of the process it does.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/str.h"
#include "host/procfs.h"
#include "store/store_internal.h"

static int read_boot_id(int root_fd, char **boot_id, struct fw_error **err)
{
	fw_cleanup_buffer struct fw_buffer text;

	fw_buffer_init(&text, 256);
	int rc = fw_read_file(root_fd, "proc/sys/kernel/random/boot_id", &text, err);
	if (rc != FW_OK)
		return rc;
	struct fw_str id = fw_str_trim(fw_buffer_str(&text));
	*boot_id = fw_strndup(id.text, id.length);
	return FW_OK;
}

/* A zombie is gone. */
static int read_start(int root_fd, int64_t pid, int64_t *start, struct fw_error **err)
{
	fw_cleanup_free char *path = fw_printf("proc/%lld/stat", (long long)pid);
	fw_cleanup_buffer struct fw_buffer text;
	struct fw_proc_stat stat;

	fw_buffer_init(&text, 4096);
	int rc = fw_read_file(root_fd, path, &text, err);
	if (rc != FW_OK)
		return rc;
	if (!fw_proc_stat_parse(fw_buffer_str(&text), &stat) || stat.state == 'Z' || stat.state == 'X')
		return fw_fail(err, FW_E_ABSENT, "%s: tells no start time", path);
	*start = (int64_t)stat.start_ticks;
	return FW_OK;
}

int fw_run_row_set_engine(struct fw_run_row *row, int root_fd, struct fw_error **err)
{
	fw_cleanup_free char *boot_id = NULL;
	int64_t start = 0;
	int rc = read_boot_id(root_fd, &boot_id, err);

	if (rc == FW_OK)
		rc = read_start(root_fd, getpid(), &start, err);
	if (rc != FW_OK)
		return rc;
	free(row->boot_id);
	row->boot_id = FW_TAKE(boot_id);
	row->pid = getpid();
	row->pid_start = start;
	return FW_OK;
}

bool fw_store_run_is_alive(const struct fw_run_row *row, int root_fd)
{
	fw_cleanup_free char *boot_id = NULL;
	int64_t start = 0;

	if (!row->boot_id || row->pid == FW_NULL_INT || row->pid <= 0)
		return false;
	return read_boot_id(root_fd, &boot_id, NULL) == FW_OK && strcmp(boot_id, row->boot_id) == 0 &&
	       read_start(root_fd, row->pid, &start, NULL) == FW_OK && start == row->pid_start;
}
