/* SPDX-License-Identifier: Apache-2.0
 *
 * Where each control file is and its descriptor, opened at the first use and kept: a reading costs one pread. What is
 * not there is remembered as well, so that asking again costs nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "host/cgroup_internal.h"

const struct fw_cgroup_file_place fw_cgroup_files[FW_FILE_COUNT] = {
#define X(name, controller, v1, file) [FW_FILE_##name] = {file, controller, v1},
	FW_CGROUP_FILES(X)
#undef X
};

/* The index of the hierarchy that a file is in, or -1. */
static int hierarchy_of(const struct fw_cgroups *cgroups, enum fw_cgroup_file file)
{
	const struct fw_cgroup_file_place *place = &fw_cgroup_files[file];

	if (place->controller < 0)
		return cgroups->v2;
	for (size_t i = 0; i < cgroups->count; i++)
		if (cgroups->hierarchies[i].v2 == !place->v1 && cgroups->hierarchies[i].controllers & 1u << place->controller)
			return (int)i;
	return -1;
}

bool fw_cgroup_has_file(const struct fw_cgroups *cgroups, enum fw_cgroup_file file)
{
	return hierarchy_of(cgroups, file) >= 0;
}

int fw_cgroup_kept_fd(struct fw_cgroup *group, atomic_int *slot, size_t hierarchy, const char *name, int flags)
{
	int kept = atomic_load_explicit(slot, memory_order_acquire);
	char path[256];

	if (kept != 0)
		return kept - (kept > 0);
	snprintf(path, sizeof path, "%s/%s", group->name, name);
	int fd = openat(group->cgroups->hierarchies[hierarchy].parent_fd, path, flags | O_CLOEXEC);
	int fresh = fd < 0 ? -1 : fd + 1;

	if (fd < 0 && errno == EMFILE)
		return -1; /* may work later */
	if (atomic_compare_exchange_strong(slot, &kept, fresh))
		return fd;
	if (fd >= 0)
		close(fd); /* the other thread was faster */
	return kept - (kept > 0);
}

static int open_flags(enum fw_cgroup_file file)
{
	switch (file) {
	case FW_FILE_KILL:
		return O_WRONLY;
	case FW_FILE_FREEZE:
	case FW_FILE_CPU_MAX:
	case FW_FILE_MEMORY_MAX:
	case FW_FILE_MEMORY_SWAP_MAX:
	case FW_FILE_PIDS_MAX:
	case FW_FILE_V1_CPU_PERIOD:
	case FW_FILE_V1_CPU_QUOTA:
	case FW_FILE_V1_MEMORY_LIMIT:
	case FW_FILE_V1_MEMORY_SWAP:
	case FW_FILE_V1_PIDS_MAX:
	case FW_FILE_V1_FREEZER:
		return O_RDWR;
	default:
		return O_RDONLY;
	}
}

int fw_cgroup_file_fd(struct fw_cgroup *group, enum fw_cgroup_file file)
{
	int kept = atomic_load_explicit(&group->files[file], memory_order_acquire);
	int hierarchy;

	if (kept != 0)
		return kept - (kept > 0);
	hierarchy = hierarchy_of(group->cgroups, file);
	if (hierarchy < 0)
		return -1;
	return fw_cgroup_kept_fd(group, &group->files[file], (size_t)hierarchy, fw_cgroup_files[file].name,
	                         open_flags(file));
}

bool fw_cgroup_file_text(struct fw_cgroup *group, enum fw_cgroup_file file, char *text, size_t size, struct fw_str *read)
{
	int fd = fw_cgroup_file_fd(group, file);
	ssize_t length = fd < 0 ? -1 : fw_pread_text(fd, text, size);

	if (length < 0)
		return false;
	*read = (struct fw_str){text, (size_t)length};
	return true;
}

int64_t fw_cgroup_file_number(struct fw_cgroup *group, enum fw_cgroup_file file)
{
	char text[32];
	struct fw_str read;
	uint64_t number;

	if (!fw_cgroup_file_text(group, file, text, sizeof text, &read) || !fw_str_to_u64(fw_str_trim(read), &number))
		return -1;
	return number > INT64_MAX ? -1 : (int64_t)number;
}

int fw_cgroup_file_write(struct fw_cgroup *group, enum fw_cgroup_file file, const char *text, struct fw_error **err)
{
	int fd = fw_cgroup_file_fd(group, file);
	size_t length = strlen(text);

	if (fd < 0)
		return fw_fail(err, FW_E_ABSENT, "the control group %s has no %s", group->name, fw_cgroup_files[file].name);
	if (pwrite(fd, text, length, 0) != (ssize_t)length)
		return fw_fail_errno(err, errno, "write %s to %s of the control group %s", text, fw_cgroup_files[file].name,
		                     group->name);
	return FW_OK;
}

int fw_cgroup_file_write_number(struct fw_cgroup *group, enum fw_cgroup_file file, int64_t number, struct fw_error **err)
{
	char text[24];

	snprintf(text, sizeof text, "%lld", (long long)number);
	return fw_cgroup_file_write(group, file, text, err);
}
