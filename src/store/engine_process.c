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
#include "store/store_internal.h"

enum { FIELDS_BEFORE_START = 19 }; /* in /proc/PID/stat, behind the name: start time is field 22, the state field 3 */

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

/* The name is in parentheses and may contain any character: fields are counted behind the last one. A zombie (state Z)
 * is gone. */
static bool parse_start(struct fw_str stat, int64_t *start)
{
	const char *name_end = memrchr(stat.text, ')', stat.length);
	struct fw_str word = {0};

	if (!name_end)
		return false;
	struct fw_str rest = {name_end + 1, stat.length - (size_t)(name_end + 1 - stat.text)};
	for (int i = 0; i <= FIELDS_BEFORE_START; i++)
		if (!fw_str_next_word(&rest, &word) || (i == 0 && (fw_str_is(word, "Z") || fw_str_is(word, "X"))))
			return false;
	return fw_str_to_i64(word, start);
}

static int read_start(int root_fd, int64_t pid, int64_t *start, struct fw_error **err)
{
	fw_cleanup_free char *path = fw_printf("proc/%lld/stat", (long long)pid);
	fw_cleanup_buffer struct fw_buffer text;

	fw_buffer_init(&text, 4096);
	int rc = fw_read_file(root_fd, path, &text, err);
	if (rc == FW_OK && !parse_start(fw_buffer_str(&text), start))
		return fw_fail(err, FW_E_ABSENT, "%s: tells no start time", path);
	return rc;
}

int fw_run_row_set_engine(struct fw_run_row *row, int root_fd, struct fw_error **err)
{
	fw_cleanup_free char *boot_id = NULL;
	int64_t start;
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
