/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of the bucket storage share. Its keys are those of every storage, below the URI's prefix. Before a local
 * file becomes an object it passes through the outbox: a directory storage of this machine, which checks and freezes what
 * functions leave as it always does.
 */
#pragma once

#include "aws/s3.h"
#include "storage/file_internal.h"
#include "storage/s3_uri.h"
#include "storage/staging.h"

/* What is under way, first member of its struct: its verbs end without a word before it is cancelled. */
struct fw_s3_job {
	struct fw_s3_job *next, **link;
	void (*cancel)(struct fw_s3_job *job); /* tells whom it is for and frees it */
};
struct fw_s3_jobs {
	struct fw_s3_job *first;
};
void fw_s3_job_add(struct fw_s3_jobs *jobs, struct fw_s3_job *job, void (*cancel)(struct fw_s3_job *job));
void fw_s3_job_remove(struct fw_s3_job *job);
int fw_s3_cancelled(struct fw_error **err); /* FW_E_CANCELLED, in the words of all of them */

struct fw_s3_storage {
	struct fw_storage base;
	struct fw_storage_host host;
	char *scratch;       /* of the host, or NULL */
	struct fw_s3_uri uri;
	char *prefix;        /* "" or "some/where/" */
	struct fw_s3 *s3;    /* on the host's loop; NULL without one */
	struct fw_s3_jobs jobs;
	bool cancelled;            /* nothing but what cleans up is begun any more */
	struct fw_timer *settling; /* or NULL */
	void (*settled)(void *context);
	void *settled_context;
	struct fw_s3_place *place; /* from attempts_root() on */
};

/* s3_place.c: what this machine has in hand for one engine, in a directory of its own below `scratch`. */
struct fw_s3_place {
	char *directory;
	char *lock_path;
	int lock_fd;                /* as long as it is locked, the directory is in use */
	struct fw_storage *outbox;
	struct fw_staging *staging;
};
int fw_s3_place_new(struct fw_s3_storage *storage, const char *run, struct fw_s3_place **place, struct fw_error **err);
void fw_s3_place_free(struct fw_s3_place *place); /* removes it all */
/* Removes what engines that are dead have left below the directory. */
void fw_s3_places_clean(const char *scratch);

/* s3_call.c: verbs one after the other, on a loop of their own: for what must be known before anything runs. */
struct fw_s3_wait {
	struct fw_loop *loop;
	struct fw_s3 *s3;
	int rc;
	struct fw_error *error;
	bool found;    /* of pages that look for any object */
	int64_t bytes; /* of pages that add them up */
};
int fw_s3_wait_begin(const struct fw_s3_storage *storage, struct fw_s3_wait *wait, struct fw_error **err);
void fw_s3_wait_end(struct fw_s3_wait *wait);
#define fw_cleanup_s3_wait __attribute__((cleanup(fw_s3_wait_end)))
fw_s3_done_fn fw_s3_wait_done;      /* of a verb; context: the wait */
fw_storage_done_fn fw_s3_wait_ended; /* of a hook; context: the wait */
/* Until one of the two was called; its verdict. */
int fw_s3_wait(struct fw_s3_wait *wait, struct fw_error **err);

/* Newly allocated: the bucket's key of a storage's. */
char *fw_s3_key(const struct fw_s3_storage *storage, const char *key);

/* s3_list.c */
void fw_s3_storage_list(struct fw_storage *base, const char *pattern, fw_storage_list_fn *done, void *context);

/* s3_read.c. A version is an ETag without its quotes; NULL where there is none that can be asked for. Newly allocated. */
char *fw_s3_version(const char *etag);
char *fw_s3_etag(const char *version);
void fw_s3_storage_stat(struct fw_storage *base, const char *key, fw_storage_stat_fn *done, void *context);
void fw_s3_storage_read(struct fw_storage *base, const struct fw_storage_range *range, fw_storage_sink_fn *sink,
                        fw_storage_done_fn *done, void *context);

/* s3_publish.c */
void fw_s3_storage_publish(struct fw_storage *base, const struct fw_publication *publication, fw_storage_publish_fn *done,
                           void *context);

/* s3_remove.c: deletes a run's objects and aborts its uploads, but for attempts that keep() is true for; keep NULL: all. */
struct fw_s3_removal {
	struct fw_s3 *s3;
	struct fw_s3_jobs *jobs;
	const char *prefix, *run; /* copied */
	bool (*keep)(void *context, const struct fw_attempt_key *key);
	fw_storage_done_fn *done;
	void *context;
};
void fw_s3_remove(const struct fw_s3_removal *removal);
