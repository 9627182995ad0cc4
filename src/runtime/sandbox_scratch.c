/* SPDX-License-Identifier: Apache-2.0
 *
 * A private /tmp that is truly bounded and on disk: an ext4 file system in a sparse file without a name, on a loop
 * device that clears itself. The function sees ENOSPC at its size, and whatever ends the engine leaves nothing behind,
 * since only descriptors hold the three. Making one takes a millisecond, so that those found empty at the end of a worker
 * go back into a stock; a used one is thrown away without its dirty pages ever reaching the disk. A start never waits for
 * the disk: the format comes from memory and a fresh image is read and written through the page cache. Those made
 * beforehand get direct I/O, so that what functions write is cached once, not twice: the change waits for the disk.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <linux/mount.h>
#include <spawn.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/tree.h"
#include "runtime/sandbox_internal.h"

#define EXT4_SHUTDOWN _IOR('X', 125, uint32_t) /* EXT4_IOC_SHUTDOWN of fs/ext4/ext4.h */
enum {
	SHUTDOWN_DISCARD = 2,      /* EXT4_GOING_FLAGS_NOLOGFLUSH */
	INODES_PER_MB = 32,
	LOOP_ATTEMPTS = 64,        /* others may take the device that was free a moment ago */
	GROWTH_BLOCKS = 2 * 2048,  /* 512-byte blocks by which the image of a still empty file system may have grown */
	STOCK = 64,
};

struct fw_scratch {
	int64_t size_mb;
	char device[32];
	int mount_fd; /* for the next sandbox; -1 while one has it */
	int root_fd;  /* keeps the file system */
	int image_fd;
	int64_t fresh_blocks;
};

/* What the user may fill is size_mb; inodes, bitmaps and ext4's own reserve come on top. */
static int64_t image_mb(int64_t size_mb)
{
	int64_t reserve = size_mb / 50 < 16 ? size_mb / 50 : 16;

	return size_mb + size_mb * INODES_PER_MB * 256 / 1048576 + size_mb / 1024 + reserve + 2;
}

static int run_mkfs(const char *path, int64_t size_mb, struct fw_error **err)
{
	char inodes[32];
	char *argv[] = {(char *)"mkfs.ext4", (char *)"-q", (char *)"-F", (char *)"-b", (char *)"4096", (char *)"-m",
		(char *)"0", (char *)"-N", inodes, (char *)"-O", (char *)"^has_journal,^resize_inode", (char *)path, NULL};
	static const char *const places[] = {"/sbin/mkfs.ext4", "/usr/sbin/mkfs.ext4"};
	posix_spawn_file_actions_t actions;
	pid_t pid = -1;
	int status = 0, rc = ENOENT;

	snprintf(inodes, sizeof inodes, "%lld", (long long)size_mb * INODES_PER_MB + 64);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
	posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
	for (size_t i = 0; i < FW_COUNT_OF(places) && rc != 0; i++)
		rc = posix_spawn(&pid, places[i], &actions, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	if (rc != 0)
		return fw_fail_errno(err, rc, "start mkfs.ext4 (package e2fsprogs)");
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return status == 0 ? FW_OK : fw_fail(err, FW_E_ENVIRONMENT, "mkfs.ext4 ended with status 0x%x", (unsigned)status);
}

static int find_pattern(const struct fw_sandboxes *shared, int64_t size_mb)
{
	for (size_t i = 0; i < shared->patterns.count; i++)
		if (shared->patterns.items[i].size_mb == size_mb)
			return shared->patterns.items[i].fd;
	return -1;
}

/* One formatted image a size, made once and kept in memory: mkfs waits until a disk has it all. Some ten blocks of data. */
static int make_pattern(struct fw_sandboxes *shared, int64_t size_mb, int *fd, struct fw_error **err)
{
	fw_cleanup_fd int made = memfd_create("flexwatt-tmp", MFD_CLOEXEC);
	fw_cleanup_free char *path = fw_printf("/proc/%d/fd/%d", (int)getpid(), made);

	if (made < 0 || ftruncate(made, image_mb(size_mb) * 1048576) != 0)
		return fw_fail_errno(err, errno, "make a pattern of /tmp in memory");
	int rc = run_mkfs(path, size_mb, err);
	if (rc != FW_OK)
		return rc;
	*fd = fw_take_fd(&made);
	FW_PUSH(&shared->patterns, (struct fw_scratch_pattern){.size_mb = size_mb, .fd = *fd});
	return FW_OK;
}

static int open_pattern(struct fw_sandboxes *shared, int64_t size_mb, int *fd, struct fw_error **err)
{
	pthread_mutex_lock(&shared->lock);
	*fd = find_pattern(shared, size_mb);
	int rc = *fd >= 0 ? FW_OK : make_pattern(shared, size_mb, fd, err);
	pthread_mutex_unlock(&shared->lock);
	return rc;
}

static int copy_data(int from, int to)
{
	char block[65536];
	struct stat stat_;

	if (fstat(from, &stat_) != 0 || ftruncate(to, stat_.st_size) != 0)
		return -1;
	for (off_t at = 0; (at = lseek(from, at, SEEK_DATA)) >= 0;) {
		off_t end = lseek(from, at, SEEK_HOLE);

		while (at < end) {
			size_t want = end - at < (off_t)sizeof block ? (size_t)(end - at) : sizeof block;
			ssize_t got = pread(from, block, want, at);

			if (got <= 0 || pwrite(to, block, (size_t)got, at) != got)
				return -1;
			at += got;
		}
	}
	return errno == ENXIO ? 0 : -1; /* no more data */
}

static int attach_loop(struct fw_scratch *scratch, int *loop_fd, struct fw_error **err)
{
	struct loop_config config = {
		.fd = (uint32_t)scratch->image_fd,
		.block_size = 4096,
		.info.lo_flags = LO_FLAGS_AUTOCLEAR,
	};
	fw_cleanup_fd int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);

	if (control < 0)
		return fw_fail_errno(err, errno, "open /dev/loop-control");
	for (int attempt = 0; attempt < LOOP_ATTEMPTS; attempt++) {
		int number = ioctl(control, LOOP_CTL_GET_FREE);

		if (number < 0)
			return fw_fail_errno(err, errno, "find a free loop device");
		snprintf(scratch->device, sizeof scratch->device, "/dev/loop%d", number);
		fw_cleanup_fd int fd = open(scratch->device, O_RDWR | O_CLOEXEC);
		if (fd < 0)
			return fw_fail_errno(err, errno, "open %s", scratch->device);
		if (ioctl(fd, LOOP_CONFIGURE, &config) == 0) {
			*loop_fd = fw_take_fd(&fd);
			return FW_OK;
		}
		if (errno != EBUSY)
			return fw_fail_errno(err, errno, "set up %s", scratch->device);
	}
	return fw_fail(err, FW_E_BUSY, "no loop device could be had in %d attempts", LOOP_ATTEMPTS);
}

static int mount_image(struct fw_scratch *scratch, struct fw_error **err)
{
	fw_cleanup_fd int context = (int)syscall(SYS_fsopen, "ext4", FSOPEN_CLOEXEC);

	if (context < 0 || syscall(SYS_fsconfig, context, FSCONFIG_SET_STRING, "source", scratch->device, 0) != 0 ||
	    syscall(SYS_fsconfig, context, FSCONFIG_SET_FLAG, "noinit_itable", NULL, 0) != 0 ||
	    syscall(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) != 0)
		return fw_fail_errno(err, errno, "mount an ext4 image for /tmp");
	int fd = (int)syscall(SYS_fsmount, context, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
	if (fd < 0)
		return fw_fail_errno(err, errno, "mount an ext4 image for /tmp");
	scratch->mount_fd = fd;
	return FW_OK;
}

/* State of the image once all that is written lazily has been written. A directory comes and goes, so that the first one
 * that a sandbox needs finds the tables in memory. */
static int settle(struct fw_scratch *scratch, struct fw_error **err)
{
	struct stat stat_;

	scratch->root_fd = openat(scratch->mount_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (scratch->root_fd < 0 || fchmod(scratch->root_fd, 01777) != 0 ||
	    (unlinkat(scratch->root_fd, "lost+found", AT_REMOVEDIR) != 0 && errno != ENOENT) ||
	    mkdirat(scratch->root_fd, "first", 0700) != 0 || unlinkat(scratch->root_fd, "first", AT_REMOVEDIR) != 0 ||
	    fstat(scratch->image_fd, &stat_) != 0)
		return fw_fail_errno(err, errno, "prepare the file system of /tmp");
	scratch->fresh_blocks = stat_.st_blocks;
	return FW_OK;
}

static int make(struct fw_sandboxes *shared, struct fw_scratch *scratch, struct fw_error **err)
{
	fw_cleanup_fd int loop = -1;
	int pattern = -1;
	int rc = open_pattern(shared, scratch->size_mb, &pattern, err);

	if (rc != FW_OK)
		return rc;
	scratch->image_fd = open(shared->state_directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (scratch->image_fd < 0 || copy_data(pattern, scratch->image_fd) != 0)
		return fw_fail_errno(err, errno, "make an image for /tmp in %s", shared->state_directory);
	rc = attach_loop(scratch, &loop, err);
	if (rc == FW_OK)
		rc = mount_image(scratch, err);
	return rc == FW_OK ? settle(scratch, err) : rc;
}

static struct fw_scratch *from_stock(struct fw_sandboxes *shared, int64_t size_mb)
{
	struct fw_scratch *found = NULL;

	pthread_mutex_lock(&shared->lock);
	for (size_t i = shared->scratches.count; i-- > 0 && !found;)
		if (shared->scratches.items[i]->size_mb == size_mb) {
			found = shared->scratches.items[i];
			shared->scratches.items[i] = shared->scratches.items[--shared->scratches.count];
		}
	pthread_mutex_unlock(&shared->lock);
	return found;
}

size_t fw_scratch_count(struct fw_sandboxes *shared, int64_t size_mb)
{
	size_t count = 0;

	pthread_mutex_lock(&shared->lock);
	for (size_t i = 0; i < shared->scratches.count; i++)
		count += shared->scratches.items[i]->size_mb == size_mb;
	pthread_mutex_unlock(&shared->lock);
	return count;
}

int fw_scratch_make(struct fw_sandboxes *shared, int64_t size_mb, struct fw_scratch **out, struct fw_error **err)
{
	struct fw_scratch *scratch = fw_alloc(sizeof *scratch);

	*scratch = (struct fw_scratch){.size_mb = size_mb, .mount_fd = -1, .root_fd = -1, .image_fd = -1};
	int rc = make(shared, scratch, err);
	if (rc != FW_OK) {
		fw_scratch_free(scratch);
		return rc;
	}
	*out = scratch;
	return FW_OK;
}

int fw_scratch_take(struct fw_sandboxes *shared, int64_t size_mb, struct fw_scratch **out, int *mount_fd,
                    struct fw_error **err)
{
	struct fw_scratch *scratch = from_stock(shared, size_mb);
	int rc = scratch ? FW_OK : fw_scratch_make(shared, size_mb, &scratch, err);

	if (rc != FW_OK)
		return rc;
	*mount_fd = fw_take_fd(&scratch->mount_fd); /* root_fd keeps the file system */
	*out = scratch;
	return FW_OK;
}

static bool is_empty(int root_fd)
{
	int fd = openat(root_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *directory = fd >= 0 ? fdopendir(fd) : NULL;
	size_t entries = 0;

	if (!directory) {
		if (fd >= 0)
			close(fd);
		return false;
	}
	while (readdir(directory))
		entries++;
	closedir(directory);
	return entries == 2;
}

/* Removes a mount point and the directories above it, as far as they are empty. */
static void remove_made(int root_fd, const char *path)
{
	char copy[4096];

	snprintf(copy, sizeof copy, "%s", path);
	if (unlinkat(root_fd, copy, AT_REMOVEDIR) != 0)
		unlinkat(root_fd, copy, 0);
	for (char *slash; (slash = strrchr(copy, '/'));) {
		*slash = '\0';
		unlinkat(root_fd, copy, AT_REMOVEDIR);
	}
}

void fw_scratch_make_direct(struct fw_scratch *scratch)
{
	fw_cleanup_fd int loop = open(scratch->device, O_RDWR | O_CLOEXEC);

	if (loop >= 0) /* not to be had on every file system: then pages are cached twice and nothing else differs */
		(void)ioctl(loop, LOOP_SET_DIRECT_IO, 1UL);
}

static bool is_as_new(const struct fw_scratch *scratch)
{
	struct stat stat_;

	return is_empty(scratch->root_fd) && fstat(scratch->image_fd, &stat_) == 0 &&
	       stat_.st_blocks <= scratch->fresh_blocks + GROWTH_BLOCKS;
}

void fw_scratch_give_back(struct fw_sandboxes *shared, struct fw_scratch *scratch, char *const *made, size_t count)
{
	bool kept = false;

	for (size_t i = count; i-- > 0;)
		remove_made(scratch->root_fd, made[i]);
	if (is_as_new(scratch) && (scratch->mount_fd >= 0 || mount_image(scratch, NULL) == FW_OK)) {
		pthread_mutex_lock(&shared->lock);
		if (shared->scratches.count < STOCK) {
			FW_PUSH(&shared->scratches, scratch);
			kept = true;
		}
		pthread_mutex_unlock(&shared->lock);
	}
	if (!kept)
		fw_scratch_free(scratch);
}

void fw_scratch_forget_patterns(struct fw_sandboxes *shared)
{
	for (size_t i = 0; i < shared->patterns.count; i++)
		close(shared->patterns.items[i].fd);
	free(shared->patterns.items);
}

void fw_scratch_free(struct fw_scratch *scratch)
{
	uint32_t discard = SHUTDOWN_DISCARD;

	if (!scratch)
		return;
	if (scratch->root_fd >= 0) {
		ioctl(scratch->root_fd, EXT4_SHUTDOWN, &discard); /* else the end of the mount would write it all out */
		close(scratch->root_fd);
	}
	if (scratch->mount_fd >= 0)
		close(scratch->mount_fd);
	if (scratch->image_fd >= 0)
		close(scratch->image_fd);
	free(scratch);
}

int fw_scratch_directory(struct fw_sandboxes *shared, uid_t uid, char **path, struct fw_error **err)
{
	fw_cleanup_free char *parent = fw_printf("%s/tmp", shared->state_directory);

	pthread_mutex_lock(&shared->lock);
	unsigned number = shared->next_group++;
	pthread_mutex_unlock(&shared->lock);
	fw_cleanup_free char *made = fw_printf("%s/%s-%u", parent, shared->engine, number);
	if ((mkdir(parent, 0711) != 0 && errno != EEXIST) || mkdir(made, 0700) != 0)
		return fw_fail_errno(err, errno, "make %s", made);
	if (shared->own_uid && chown(made, uid, uid) != 0) {
		int rc = fw_fail_errno(err, errno, "give %s to the sandbox", made);

		rmdir(made);
		return rc;
	}
	*path = FW_TAKE(made);
	return FW_OK;
}

void fw_scratch_sweep(const struct fw_sandboxes *shared)
{
	fw_cleanup_free char *parent = fw_printf("%s/tmp", shared->state_directory);

	fw_orphans_sweep_directory(parent, "");
}
