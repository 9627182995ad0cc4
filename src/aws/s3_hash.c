/* SPDX-License-Identifier: Apache-2.0
 *
 * Sums of a body before it is sent, because both stand in the signed head: CRC-32C for the server to check what arrived,
 * SHA-256 where others could change it on its way. On the pool, from a descriptor of its own: the request, and the caller's
 * descriptor, may be gone before the pool comes to it.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "aws/crc.h"
#include "aws/s3_internal.h"
#include "aws/signature.h"
#include "base/digest.h"
#include "base/memory.h"

enum { CHUNK_BYTES = 128 * 1024 };

struct fw_s3_hashing {
	struct fw_s3_request *request; /* NULL: nobody waits any more */
	fw_s3_hashed_fn *then;
	struct fw_s3_body body;
	int fd; /* ours */
	bool with_sha256;
	uint64_t crc32c;
	char sha256[FW_DIGEST_TEXT];
	struct fw_error *error;
};

static int add_file(struct fw_s3_hashing *hashing, struct fw_digest *digest)
{
	fw_cleanup_free char *chunk = fw_alloc(CHUNK_BYTES);
	int64_t done = 0;

	while (done < hashing->body.bytes) {
		int64_t left = hashing->body.bytes - done;
		ssize_t got = pread(hashing->fd, chunk, left < CHUNK_BYTES ? (size_t)left : CHUNK_BYTES,
		                    hashing->body.fd_offset + done);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return fw_fail_errno(&hashing->error, errno, "read what is to be sent");
		if (got == 0)
			return fw_fail(&hashing->error, FW_E_CONFLICT, "the file became shorter while it was being sent");
		hashing->crc32c = fw_crc_add(FW_CRC32C, hashing->crc32c, chunk, (size_t)got);
		if (digest)
			fw_digest_add(digest, chunk, (size_t)got);
		done += got;
	}
	return FW_OK;
}

/* On a pool thread. */
static void hash(void *context)
{
	struct fw_s3_hashing *hashing = context;
	struct fw_digest *digest = hashing->with_sha256 ? fw_digest_new() : NULL;

	if (hashing->body.data) {
		hashing->crc32c = fw_crc_add(FW_CRC32C, 0, hashing->body.data, (size_t)hashing->body.bytes);
		if (digest)
			fw_digest_add(digest, hashing->body.data, (size_t)hashing->body.bytes);
	} else {
		add_file(hashing, digest);
	}
	if (digest)
		fw_digest_finish(digest, hashing->sha256);
}

static void deliver(void *context)
{
	struct fw_s3_hashing *hashing = context;
	struct fw_s3_request *request = hashing->request;

	if (request) {
		request->hashing = NULL;
		request->crc32c = hashing->crc32c;
		snprintf(request->payload_sha256, sizeof request->payload_sha256, "%s",
		         hashing->with_sha256 ? hashing->sha256 : FW_AWS_UNSIGNED_PAYLOAD);
		hashing->then(request, fw_error_code(hashing->error), hashing->error);
	}
	if (hashing->fd >= 0)
		close(hashing->fd);
	fw_error_free(hashing->error);
	free(hashing);
}

void fw_s3_hash_body(struct fw_s3_request *request, fw_s3_hashed_fn *then)
{
	struct fw_s3_hashing *hashing;

	if (request->body.bytes <= 0) {
		fw_digest_of("", 0, request->payload_sha256);
		request->crc32c = 0;
		then(request, FW_OK, NULL);
		return;
	}
	hashing = fw_alloc(sizeof *hashing);
	*hashing = (struct fw_s3_hashing){
		.request = request,
		.then = then,
		.body = request->body,
		.fd = -1,
		.with_sha256 = request->s3->sign_payload,
	};
	request->hashing = hashing;
	if (!request->body.data) {
		hashing->fd = fcntl(request->body.fd, F_DUPFD_CLOEXEC, 0);
		if (hashing->fd < 0)
			fw_fail_errno(&hashing->error, errno, "keep the file open that is to be sent");
	}
	/* Memory is the caller's and small: hashed at once. */
	if (request->s3->pool && !request->body.data && !hashing->error) {
		fw_pool_submit(request->s3->pool, hash, deliver, hashing);
		return;
	}
	if (!hashing->error)
		hash(hashing);
	deliver(hashing);
}

void fw_s3_hash_forget(struct fw_s3_request *request)
{
	if (request->hashing)
		request->hashing->request = NULL;
	request->hashing = NULL;
}
