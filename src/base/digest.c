/* SPDX-License-Identifier: Apache-2.0
 *
 * SHA-256 of bytes and of trees; the only file that knows libcrypto's digests. In a tree every name, type and content is
 * preceded by its length or kind, so that no two different trees spell the same bytes. Times, owners and modes other
 * than whether anybody may execute it are left out: a copied package has the digest of its original.
 */
#include "base/digest.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include "base/memory.h"
#include "base/str.h"

enum { CHUNK_BYTES = 64 * 1024, DEEPEST = 100, LONGEST_TARGET = 4096 };
#define LARGEST_BYTES (10LL << 30) /* of a file: a whole image on Lambda may be as large */

struct fw_digest {
	EVP_MD_CTX *context;
};

struct fw_digest *fw_digest_new(void)
{
	struct fw_digest *digest = fw_alloc(sizeof *digest);

	digest->context = EVP_MD_CTX_new();
	if (!digest->context || EVP_DigestInit_ex(digest->context, EVP_sha256(), NULL) != 1)
		fw_memory_exhausted();
	return digest;
}

void fw_digest_add(struct fw_digest *digest, const void *bytes, size_t length)
{
	if (EVP_DigestUpdate(digest->context, bytes, length) != 1)
		fw_memory_exhausted();
}

void fw_digest_free(struct fw_digest *digest)
{
	if (!digest)
		return;
	EVP_MD_CTX_free(digest->context);
	free(digest);
}

void fw_digest_finish(struct fw_digest *digest, char text[FW_DIGEST_TEXT])
{
	static const char digits[] = "0123456789abcdef";
	unsigned char sum[(FW_DIGEST_TEXT - 1) / 2];

	if (EVP_DigestFinal_ex(digest->context, sum, NULL) != 1)
		fw_memory_exhausted();
	for (size_t i = 0; i < sizeof sum; i++) {
		text[2 * i] = digits[sum[i] >> 4];
		text[2 * i + 1] = digits[sum[i] & 15];
	}
	text[FW_DIGEST_TEXT - 1] = '\0';
	fw_digest_free(digest);
}

void fw_digest_of(const void *bytes, size_t length, char text[FW_DIGEST_TEXT])
{
	struct fw_digest *digest = fw_digest_new();

	fw_digest_add(digest, bytes, length);
	fw_digest_finish(digest, text);
}

/* Little-endian on every machine: digests are compared across architectures. */
static void add_number(struct fw_digest *digest, uint64_t number)
{
	unsigned char bytes[8];

	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (unsigned char)(number >> (8 * i));
	fw_digest_add(digest, bytes, sizeof bytes);
}

static void add_text(struct fw_digest *digest, struct fw_str text)
{
	add_number(digest, text.length);
	fw_digest_add(digest, text.text, text.length);
}

static int add_content(struct fw_digest *digest, int fd, const char *path, uint64_t size, struct fw_error **err)
{
	fw_cleanup_free char *chunk = fw_alloc(CHUNK_BYTES);
	uint64_t left = size;

	if (size > LARGEST_BYTES)
		return fw_fail(err, FW_E_LIMIT, "%s: %.1f GB, and no file of a package may have more than 10 GiB", path,
		               (double)size / 1e9);
	add_number(digest, size);
	for (;;) {
		ssize_t got = read(fd, chunk, CHUNK_BYTES);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return fw_fail_errno(err, errno, "read %s", path);
		if ((uint64_t)got > left || (got == 0 && left > 0))
			return fw_fail(err, FW_E_CONFLICT, "%s changed while it was read", path);
		if (got == 0)
			return FW_OK;
		fw_digest_add(digest, chunk, (size_t)got);
		left -= (uint64_t)got;
	}
}

static int add_open(struct fw_digest *digest, int fd, const char *path, unsigned depth, struct fw_error **err);

static int add_link(struct fw_digest *digest, int dirfd, const char *name, const char *path, struct fw_error **err)
{
	char target[LONGEST_TARGET];
	ssize_t length = readlinkat(dirfd, name, target, sizeof target);

	if (length < 0)
		return fw_fail_errno(err, errno, "read link %s", path);
	if ((size_t)length == sizeof target)
		return fw_fail(err, FW_E_LIMIT, "%s: the link's target is longer than %d bytes", path, LONGEST_TARGET - 1);
	fw_digest_add(digest, "l", 1);
	add_text(digest, (struct fw_str){target, (size_t)length});
	return FW_OK;
}

/* Looks before it opens: opening a FIFO would wait, opening a device may act. */
static int add_entry(struct fw_digest *digest, int dirfd, const char *name, const char *parent, unsigned depth,
                     struct fw_error **err)
{
	fw_cleanup_free char *path = fw_printf("%s/%s", parent, name);
	struct stat status;

	if (fstatat(dirfd, name, &status, AT_SYMLINK_NOFOLLOW) != 0)
		return fw_fail_errno(err, errno, "look at %s", path);
	add_text(digest, fw_str_of(name));
	if (S_ISLNK(status.st_mode))
		return add_link(digest, dirfd, name, path, err);
	if (!S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode))
		return fw_fail(err, FW_E_INVALID, "%s is neither a file, a directory nor a link", path);

	fw_cleanup_fd int fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return fw_fail_errno(err, errno, "open %s", path);
	return add_open(digest, fd, path, depth, err);
}

struct names {
	FW_VECTOR(char *) list;
};

static void names_done(struct names *names)
{
	for (size_t i = 0; i < names->list.count; i++)
		free(names->list.items[i]);
	free(names->list.items);
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void close_directory(DIR *directory)
{
	closedir(directory);
}
FW_DEFINE_CLEANUP(DIR *, close_directory)

static int list_names(int fd, const char *path, struct names *names, struct fw_error **err)
{
	int own = fcntl(fd, F_DUPFD_CLOEXEC, 0); /* closedir() closes it */
	FW_CLEANUP(close_directory) DIR *directory = own < 0 ? NULL : fdopendir(own);

	if (!directory) {
		int failure = errno;

		if (own >= 0)
			close(own);
		return fw_fail_errno(err, failure, "list %s", path);
	}
	errno = 0;
	for (struct dirent *entry; (entry = readdir(directory)); errno = 0)
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			FW_PUSH(&names->list, fw_strdup(entry->d_name));
	if (errno != 0)
		return fw_fail_errno(err, errno, "list %s", path);
	if (names->list.count > 0)
		qsort(names->list.items, names->list.count, sizeof *names->list.items, compare_names);
	return FW_OK;
}

static int add_directory(struct fw_digest *digest, int fd, const char *path, unsigned depth, struct fw_error **err)
{
	__attribute__((cleanup(names_done))) struct names names = {0};
	int rc = list_names(fd, path, &names, err);

	if (rc == FW_OK && depth == DEEPEST)
		rc = fw_fail(err, FW_E_LIMIT, "%s: directories are nested deeper than %d", path, DEEPEST);
	fw_digest_add(digest, "d", 1);
	add_number(digest, names.list.count);
	for (size_t i = 0; rc == FW_OK && i < names.list.count; i++)
		rc = add_entry(digest, fd, names.list.items[i], path, depth + 1, err);
	return rc;
}

static int add_open(struct fw_digest *digest, int fd, const char *path, unsigned depth, struct fw_error **err)
{
	struct stat status;

	if (fstat(fd, &status) != 0)
		return fw_fail_errno(err, errno, "look at %s", path);
	if (S_ISDIR(status.st_mode))
		return add_directory(digest, fd, path, depth, err);
	if (!S_ISREG(status.st_mode))
		return fw_fail(err, FW_E_INVALID, "%s is neither a file nor a directory", path);
	fw_digest_add(digest, status.st_mode & 0111 ? "x" : "f", 1);
	return add_content(digest, fd, path, (uint64_t)status.st_size, err);
}

int fw_digest_tree(int dirfd, const char *path, char text[FW_DIGEST_TEXT], struct fw_error **err)
{
	fw_cleanup_fd int fd = openat(dirfd, path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return fw_fail_errno(err, errno, "open %s", path);
	struct fw_digest *digest = fw_digest_new();
	int rc = add_open(digest, fd, path, 0, err);
	if (rc == FW_OK)
		fw_digest_finish(digest, text);
	else
		fw_digest_free(digest);
	return rc;
}
