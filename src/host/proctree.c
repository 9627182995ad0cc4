/* SPDX-License-Identifier: Apache-2.0
 *
 * The tree of a process in /proc, and the device totals. The tree comes from task/<tid>/children where the kernel lists
 * them; no scan of all processes, so that the cost grows with the tree alone.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "host/procfs.h"

static void add_children(struct fw_str text, pid_t *pids, size_t capacity, size_t *count)
{
	struct fw_str word;
	uint64_t pid;

	text = fw_str_trim(text);
	while (*count < capacity && fw_str_next_word(&text, &word))
		if (fw_str_to_u64(word, &pid) && pid <= INT32_MAX)
			pids[(*count)++] = (pid_t)pid;
}

static void add_children_of_thread(int tasks_fd, const char *thread, pid_t *pids, size_t capacity, size_t *count)
{
	char path[300], text[4096];

	snprintf(path, sizeof path, "%s/children", thread);
	fw_cleanup_fd int fd = openat(tasks_fd, path, O_RDONLY | O_CLOEXEC);
	off_t at = 0;

	/* The kernel gives a page at a time, however large the buffer is. */
	for (ssize_t length; fd >= 0 && *count < capacity && (length = pread(fd, text, sizeof text, at)) > 0;) {
		const char *last = memrchr(text, ' ', (size_t)length);
		size_t whole = last ? (size_t)(last - text) + 1 : (size_t)length;

		add_children((struct fw_str){text, whole}, pids, capacity, count);
		at += (off_t)whole;
	}
}

/* Children belong to the thread that forked them. The raw call, because a directory stream would allocate. */
static void add_children_of(const struct fw_root *root, pid_t pid, pid_t *pids, size_t capacity, size_t *count)
{
	_Alignas(struct dirent64) char entries[4096];
	char path[64];
	ssize_t length;

	snprintf(path, sizeof path, "proc/%d/task", pid);
	fw_cleanup_fd int fd = openat(root->fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	while (fd >= 0 && (length = getdents64(fd, entries, sizeof entries)) > 0)
		for (ssize_t at = 0; at < length;) {
			const struct dirent64 *entry = (const void *)(entries + at);

			if (entry->d_name[0] != '.')
				add_children_of_thread(fd, entry->d_name, pids, capacity, count);
			at += entry->d_reclen;
		}
}

bool fw_process_is_there(pid_t pid)
{
	return kill(pid, 0) == 0 || errno != ESRCH;
}

bool fw_process_runs(pid_t pid)
{
	fw_cleanup_fd int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	struct pollfd ended = {pidfd, POLLIN, 0};

	if (pidfd < 0)
		return errno == ENOSYS && fw_process_is_there(pid);
	return poll(&ended, 1, 0) == 0;
}

size_t fw_process_tree(const struct fw_root *root, pid_t pid, pid_t *pids, size_t capacity)
{
	size_t count = 0;

	if (capacity == 0)
		return 0;
	pids[count++] = pid;
	for (size_t i = 0; i < count; i++)
		add_children_of(root, pids[i], pids, capacity, &count);
	return count;
}

/* sda, vda, nvme0n1, xvda, mmcblk0: whole disks. A partition is its disk's name with a number behind. */
static bool is_whole_disk(struct fw_str name)
{
	static const char *const lettered[] = {"sd", "vd", "hd", "xvd"};

	for (size_t i = 0; i < sizeof lettered / sizeof lettered[0]; i++)
		if (fw_str_starts(name, lettered[i]))
			return name.text[name.length - 1] < '0' || name.text[name.length - 1] > '9';
	if (fw_str_starts(name, "nvme") || fw_str_starts(name, "mmcblk"))
		return !memchr(name.text + 4, 'p', name.length - 4);
	return fw_str_starts(name, "pmem") || fw_str_starts(name, "dasd");
}

/* Foreign numbers: a sum that overflows is unknown, and stays so. */
static void add(int64_t *total, uint64_t value, int64_t factor)
{
	if (*total < 0 || __builtin_mul_overflow(value, factor, &value) || __builtin_add_overflow(*total, value, total))
		*total = -1;
}

static const struct fw_disk_totals no_disks = {-1, -1, -1, -1, -1};

/* False when the line is none of a device. */
static bool add_disk(struct fw_str line, struct fw_disk_totals *totals)
{
	uint64_t columns[14] = {0};
	struct fw_str word, name = {0};

	for (int i = 0; i < 14; i++)
		if (!fw_str_next_word(&line, &word) || (i == 2 ? (name = word).length == 0 : !fw_str_to_u64(word, &columns[i])))
			return false;
	if (!is_whole_disk(name))
		return true;
	add(&totals->reads, columns[3], 1);
	add(&totals->read_bytes, columns[5], 512);
	add(&totals->writes, columns[7], 1);
	add(&totals->written_bytes, columns[9], 512);
	add(&totals->busy_ms, columns[12], 1);
	return true;
}

void fw_diskstats_parse(struct fw_str text, struct fw_disk_totals *totals)
{
	struct fw_str line;

	*totals = text.length > 0 ? (struct fw_disk_totals){0} : no_disks;
	while (fw_str_next_line(&text, &line))
		if (!add_disk(line, totals)) {
			*totals = no_disks;
			return;
		}
}

static const struct fw_net_totals no_interfaces = {-1, -1, -1, -1, -1, -1};

static bool add_interface(struct fw_str name, struct fw_str line, struct fw_net_totals *totals)
{
	uint64_t columns[12] = {0};
	struct fw_str word;

	for (int i = 0; i < 12; i++)
		if (!fw_str_next_word(&line, &word) || !fw_str_to_u64(word, &columns[i]))
			return false;
	if (fw_str_is(fw_str_trim(name), "lo"))
		return true;
	add(&totals->received_bytes, columns[0], 1);
	add(&totals->received_packets, columns[1], 1);
	add(&totals->errors, columns[2], 1);
	add(&totals->errors, columns[10], 1);
	add(&totals->drops, columns[3], 1);
	add(&totals->drops, columns[11], 1);
	add(&totals->sent_bytes, columns[8], 1);
	add(&totals->sent_packets, columns[9], 1);
	return true;
}

/* Two lines of titles (with bars), then a line an interface. */
void fw_net_dev_parse(struct fw_str text, struct fw_net_totals *totals)
{
	struct fw_net_totals read = {0};
	struct fw_str line, name;
	bool any = false;

	*totals = no_interfaces;
	while (fw_str_next_line(&text, &line)) {
		if (memchr(line.text, '|', line.length))
			continue;
		if (!memchr(line.text, ':', line.length) || !fw_str_next_field(&line, ':', &name) ||
		    !add_interface(name, line, &read))
			return;
		any = true;
	}
	if (any)
		*totals = read;
}
