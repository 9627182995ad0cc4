/* SPDX-License-Identifier: Apache-2.0
 *
 * What the verbs of S3 share: the bucket, requests with their retries, and tasks (a verb in flight with its requests).
 * A request is in one list of the bucket, `waiting` or `active`, or it pauses before its next attempt. At most `parallel`
 * are active. Nothing is sent from inside a verb: the pump runs in the loop's next turn.
 */
#pragma once

#include "aws/credentials.h"
#include "aws/s3.h"
#include "aws/s3_xml.h"
#include "base/buffer.h"
#include "http/client.h"

enum { FW_S3_MAX_FIELDS = 8, FW_S3_MAX_KEY_BYTES = 1024, FW_S3_MAX_REFUSAL_BYTES = 64 * 1024 };

enum { FW_S3_ENOUGH = 1 }; /* the answer goes on, but no more of it is needed: it counts as whole */

struct fw_s3_request;

struct fw_s3 {
	struct fw_loop *loop;
	struct fw_pool *pool; /* or NULL */
	struct fw_http_client *http;
	struct fw_aws_credentials *credentials;
	struct fw_timer *pump;
	char *bucket, *region;
	char *base;       /* "http://127.0.0.1:9000", without a final slash */
	char *host;       /* as in the Host field */
	char *path;       /* in front of a key: "/bucket" or "" */
	bool sign_payload; /* others could change what is sent */
	bool stopped;     /* closing: nothing may be begun */
	unsigned parallel, attempts, active_count;
	int64_t part_bytes;
	uint64_t idle_ms, control_ms;
	int64_t clock_offset_ms; /* the server's clock less ours, once it has complained */
	struct fw_s3_request *waiting, **waiting_end, *active, *pausing;
	struct fw_s3_task *tasks;
	struct fw_s3_counts counts;
};

/* What is sent as a body. */
struct fw_s3_body {
	int64_t bytes;    /* -1: none */
	const char *data; /* NULL: fd */
	int fd;
	int64_t fd_offset;
};

struct fw_s3_request_ops {
	/* Before each attempt, to set what differs from one to the next. May be NULL. */
	void (*prepare)(struct fw_s3_request *request);
	/* A piece of a body of 2xx: FW_OK, FW_S3_ENOUGH, or why it cannot go on (FW_E_IO is tried again). NULL: the body is
	 * kept in `answer` (bounded). */
	int (*sink)(struct fw_s3_request *request, const char *bytes, size_t length, struct fw_error **err);
	/* After 2xx: FW_OK, or why the answer is not to be trusted (then it is tried again). May be NULL. */
	int (*verify)(struct fw_s3_request *request, struct fw_error **err);
	/* Once. The request is freed afterwards. */
	void (*done)(struct fw_s3_request *request, int rc, const struct fw_error *err);
};

struct fw_s3_field {
	const char *name; /* lower case */
	char *value;
};

struct fw_s3_hashing;

struct fw_s3_request {
	struct fw_s3 *s3;
	struct fw_s3_request *next, **link;
	const struct fw_s3_request_ops *ops;
	void *owner;
	size_t number;       /* the owner's: which part */
	const char *method;
	char *key;           /* NULL: the bucket itself */
	char *query;         /* encoded, or NULL */
	struct fw_s3_field fields[FW_S3_MAX_FIELDS];
	size_t field_count;
	struct fw_s3_body body;
	int64_t expected_bytes; /* of an object, that are to come with the answer; 0 or less: not known, or none */
	bool with_checksum;  /* x-amz-checksum-crc32c of the body */
	bool may_hide_error; /* an answer of 200 may hold an error document */
	bool is_active;
	/* of the attempts */
	unsigned attempt;    /* from 1 */
	bool refreshed, skewed; /* keys, clock: once each */
	bool answer_lost;    /* an earlier attempt may have been carried out */
	unsigned keys;       /* the generation it was signed with */
	bool hashed, source_failed, query_too_long;
	uint64_t crc32c;
	char payload_sha256[65];
	struct fw_s3_hashing *hashing; /* on the pool */
	struct fw_http_call *call;
	int64_t sent;
	struct fw_buffer answer;
	bool answer_too_long; /* to be one of S3: it was not read to its end */
	struct fw_timer *timer;
	int sink_rc;
	struct fw_error *sink_error;
};

/* A request that waits for its turn; `key` NULL is the bucket. The caller completes it before it returns to the loop. */
struct fw_s3_request *fw_s3_request_new(struct fw_s3 *s3, const char *method, const char *key,
                                        const struct fw_s3_request_ops *ops, void *owner);
/* Without `done`. */
void fw_s3_request_cancel(struct fw_s3_request *request);
/* Sets a field, in the place of an earlier one of that name. */
void fw_s3_request_field(struct fw_s3_request *request, const char *name, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* Adds "name=value" to the query, encoded; value NULL: "name=". */
void fw_s3_request_query(struct fw_s3_request *request, const char *name, const char *value);
int fw_s3_request_status(const struct fw_s3_request *request); /* 0: no answer */
/* Of the answer; NULL when absent. */
const char *fw_s3_request_answer_field(const struct fw_s3_request *request, const char *name);
int64_t fw_s3_request_answer_number(const struct fw_s3_request *request, const char *name); /* -1: absent or none */
void fw_s3_pump(struct fw_s3 *s3);

/* What came of an attempt that got an answer other than 2xx, or one that hides an error. */
enum fw_s3_verdict { FW_S3_FAILED, FW_S3_AGAIN, FW_S3_AGAIN_WITH_NEW_KEYS, FW_S3_AGAIN_WITH_CLOCK };
enum fw_s3_verdict fw_s3_judge(struct fw_s3_request *request, int status, struct fw_error **err);

/* Signs and sends it; keys must be there. `answered` has the request as its context. */
int fw_s3_send(struct fw_s3_request *request, fw_http_done_fn *answered, struct fw_error **err);

/* Sums of the body; `then` is called at once (memory, no pool) or when the pool has made them. */
typedef void fw_s3_hashed_fn(struct fw_s3_request *request, int rc, const struct fw_error *err);
void fw_s3_hash_body(struct fw_s3_request *request, fw_s3_hashed_fn *then);
void fw_s3_hash_forget(struct fw_s3_request *request);

/* A verb in flight. First member of each verb's own struct. */
struct fw_s3_task {
	struct fw_s3 *s3;
	struct fw_s3_task *next, **link;
	bool inner; /* it ends with the verb that began it */
	char *what; /* "get s3://bucket/key", in front of errors */
	fw_s3_done_fn *done;
	void *context;
	/* The verb's own: cancels its requests, frees all but the task's common part. */
	void (*release)(struct fw_s3_task *task);
};
void fw_s3_task_begin(struct fw_s3_task *task, struct fw_s3 *s3, const char *verb, const char *key,
                      void (*release)(struct fw_s3_task *task), fw_s3_done_fn *done, void *context);
/* Tells and frees. The error is wrapped with what the verb was about. */
void fw_s3_task_end(struct fw_s3_task *task, int rc, const struct fw_s3_answer *answer, const struct fw_error *err);

/* s3_tidy.c: aborts the uploads under a key but for `ours` (may be NULL). */
struct fw_s3_task *fw_s3_tidy(struct fw_s3 *s3, const char *key, const char *ours, fw_s3_done_fn *done, void *context);
