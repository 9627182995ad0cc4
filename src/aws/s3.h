/* SPDX-License-Identifier: Apache-2.0
 *
 * A bucket of an S3 server (AWS, MinIO, versitygw, ...) on the loop. Every verb returns at once and calls `done` exactly
 * once, later, on the loop's thread, never from inside the verb; fw_s3_cancel() ends it without that call.
 *
 * What is done here, so that nobody above has to: signing (SigV4, session tokens), credentials and their refresh, retries
 * with jittered backoff (connections cut or refused, time-outs, 5xx, 429, SlowDown, Retry-After, wrong length, wrong
 * checksum), correction of a skewed clock, answers of 200 whose body is an error, large objects in parts (up: multipart
 * upload with CRC32C; down: ranges under one ETag) side by side. Memory is bounded whatever the size of an object:
 * at most `parallel` requests are in flight, the rest waits in a queue.
 *
 * Codes: FW_E_ABSENT no such key, bucket or upload; FW_E_PERMISSION refused, or no credentials; FW_E_CONFLICT changed in
 * between, or if_absent and it is there; FW_E_TIMEOUT, FW_E_IO the server is not reached or does not answer rightly;
 * FW_E_INVALID wrong endpoint, region or bucket. Messages name verb, bucket and key; hints say what to do.
 *
 * Blocking use: a loop of one's own (fw_loop_new(), fw_s3_open() on it without a pool, a verb, fw_loop_run(), done calls
 * fw_loop_stop()).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/loop.h"
#include "base/pool.h"
#include "base/str.h"

struct fw_s3;      /* one bucket */
struct fw_s3_task; /* one verb in flight; gone when done is called */

/* "host", "host:port", "[::1]:port": false for a port that is none of 1 to 65535. */
bool fw_s3_has_valid_port(struct fw_str authority);

enum fw_s3_style { FW_S3_AUTO, FW_S3_PATH, FW_S3_VIRTUAL }; /* AUTO: path with an endpoint of one's own, else virtual */

struct fw_s3_options { /* all copied; {.bucket = "b"} is enough on AWS */
	const char *bucket;
	const char *endpoint;  /* "http://127.0.0.1:9000"; NULL: AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, else AWS's of the region */
	const char *region;    /* NULL: AWS_REGION, AWS_DEFAULT_REGION, the profile's, else us-east-1 when an endpoint is given */
	const char *profile;   /* NULL: AWS_PROFILE, else "default" */
	enum fw_s3_style style;
	unsigned parallel;     /* requests in flight; 0: FW_S3_PARALLEL */
	unsigned attempts;     /* of one request; 0: FW_S3_ATTEMPTS */
	int64_t part_bytes;    /* 0: FW_S3_PART_BYTES; grows by itself where an object would have more than 10,000 parts */
	uint64_t idle_ms;      /* a request without a byte moving; 0: FW_S3_IDLE_MS */
	/* All of a request that carries no object; 0: FW_S3_CONTROL_MS (completing a large upload takes S3 minutes). One that
	 * does has at most a minute of it, and a second for each FW_S3_LEAST_BYTES_S: who gives or takes less is given up,
	 * though never silent. */
	uint64_t control_ms;
};
enum { FW_S3_PARALLEL = 8, FW_S3_ATTEMPTS = 6, FW_S3_PART_BYTES = 16 << 20, FW_S3_IDLE_MS = 30000 };
enum { FW_S3_CONTROL_MS = 600000, FW_S3_LEAST_BYTES_S = 4096 };

/* Reads configuration, asks nobody: fw_s3_head_bucket() tells whether all is right. The pool (may be NULL) hashes what is
 * sent, beside the loop; it must outlive the bucket. */
int fw_s3_open(struct fw_loop *loop, struct fw_pool *pool, const struct fw_s3_options *options, struct fw_s3 **s3,
               struct fw_error **err);
/* Verbs in flight end without a callback; open multipart uploads stay (fw_s3_list_uploads() finds them). Not from inside
 * a callback. */
void fw_s3_close(struct fw_s3 *s3);
FW_DEFINE_CLEANUP(struct fw_s3 *, fw_s3_close)

/* All verbs in flight, as fw_s3_cancel() does; what has no `done` goes on. */
void fw_s3_cancel_all(struct fw_s3 *s3);
/* Nothing is under way any more: no verb, no upload that is being aborted. */
bool fw_s3_is_idle(const struct fw_s3 *s3);

const char *fw_s3_bucket(const struct fw_s3 *s3);
/* What it took, over all verbs: for reports and tests. */
struct fw_s3_counts {
	uint64_t requests, retries, bytes_up, bytes_down;
};
struct fw_s3_counts fw_s3_counts(const struct fw_s3 *s3);

/* What a verb brought. Texts are valid during the call. */
struct fw_s3_answer {
	int64_t object_bytes; /* of the whole object: get, head, put; else -1 */
	const char *etag;     /* with its quotes, or NULL */
	int64_t transferred;  /* get: bytes given to the sink or fd */
};
/* answer is NULL on failure; err is borrowed. */
typedef void fw_s3_done_fn(void *context, int rc, const struct fw_s3_answer *answer, const struct fw_error *err);

/* FW_OK when it is there and these credentials may see it. */
struct fw_s3_task *fw_s3_head_bucket(struct fw_s3 *s3, fw_s3_done_fn *done, void *context);
struct fw_s3_task *fw_s3_head(struct fw_s3 *s3, const char *key, fw_s3_done_fn *done, void *context);

/* Bytes in order, each once, also when a connection was cut and taken up again; false ends the verb (FW_E_CANCELLED). */
typedef bool fw_s3_sink_fn(void *context, const char *bytes, size_t length);

struct fw_s3_get {
	const char *key;
	int64_t offset;       /* ≥ 0 */
	int64_t length;       /* -1: to the end. Past the end: what there is; an offset at or past the end gives 0 bytes */
	const char *etag;     /* NULL, or the object must still be this one (FW_E_CONFLICT) */
	int64_t object_bytes; /* 0, or how large it is known to be: an answer that says otherwise is wrong (FW_E_IO) */
	fw_s3_sink_fn *sink;  /* either a sink (one connection) ... */
	int fd;               /* ... or, with a NULL sink, a file, written at fd_offset by parts side by side. Stays the caller's */
	int64_t fd_offset;
};
/* What came is not to be used unless done says FW_OK: a checksum may be the last to tell. */
struct fw_s3_task *fw_s3_get(struct fw_s3 *s3, const struct fw_s3_get *get, fw_s3_done_fn *done, void *context);

struct fw_s3_put {
	const char *key;
	const char *data;     /* memory, borrowed until done; or NULL: */
	int fd;               /* a regular file from fd_offset on, `length` bytes. Stays the caller's, must not change meanwhile */
	int64_t fd_offset;
	int64_t length;
	/* FW_E_CONFLICT when there is an object under the key (If-None-Match: *). Where the answer to an attempt was lost and the
	 * next one hears that there is an object, it counts as ours when it has our size (not 0) and checksum: who claims a
	 * name writes something that nobody else would. */
	bool if_absent;
};
/* Above part_bytes in parts; an upload that fails or is cancelled is aborted on the server. The object appears whole or
 * not at all. */
struct fw_s3_task *fw_s3_put(struct fw_s3 *s3, const struct fw_s3_put *put, fw_s3_done_fn *done, void *context);

/* FW_OK also when there was none. */
struct fw_s3_task *fw_s3_delete(struct fw_s3 *s3, const char *key, fw_s3_done_fn *done, void *context);

struct fw_s3_item {
	const char *key;       /* or, with common_prefix, a prefix that ends with the delimiter */
	bool common_prefix;
	int64_t bytes;         /* 0 for uploads and prefixes */
	const char *etag;      /* objects, or NULL */
	const char *upload_id; /* uploads, else NULL */
};
/* One page (at most 1000), sorted as the server sorts (bytewise by UTF-8). Texts are valid during the call. False ends
 * the verb (FW_E_CANCELLED). */
typedef bool fw_s3_page_fn(void *context, const struct fw_s3_item *items, size_t count);

struct fw_s3_list {
	const char *prefix;    /* NULL: all */
	const char *delimiter; /* NULL: none; "/" folds what is deeper into common prefixes */
	fw_s3_page_fn *page;
};
/* Pages are asked for one after the other until the last. */
struct fw_s3_task *fw_s3_list(struct fw_s3 *s3, const struct fw_s3_list *list, fw_s3_done_fn *done, void *context);
/* Multipart uploads that are open below a prefix (no delimiter). */
struct fw_s3_task *fw_s3_list_uploads(struct fw_s3 *s3, const char *prefix, fw_s3_page_fn *page, fw_s3_done_fn *done,
                                      void *context);
/* FW_OK also when there was none. */
struct fw_s3_task *fw_s3_abort_upload(struct fw_s3 *s3, const char *key, const char *upload_id, fw_s3_done_fn *done,
                                      void *context);

/* No callback any more. Not from inside a sink or page of its own (they return false). A put that is under way in parts
 * is aborted on the server as long as the bucket stays open. */
void fw_s3_cancel(struct fw_s3_task *task);
