/* SPDX-License-Identifier: Apache-2.0
 *
 * What an object of a bucket is, and its bytes for a sink.
 */
#include <stdlib.h>

#include "storage/s3_internal.h"

struct reading {
	struct fw_s3_job job;
	char *key;
	int64_t length;
	fw_storage_stat_fn *stat; /* one of the two */
	fw_storage_sink_fn *sink;
	fw_storage_done_fn *done;
	void *context;
	int refused; /* by the sink */
};

static void reading_free(struct reading *reading)
{
	fw_s3_job_remove(&reading->job);
	free(reading->key);
	free(reading);
}

static void cancel(struct fw_s3_job *job)
{
	struct reading *reading = (struct reading *)job;
	fw_cleanup_error struct fw_error *error = NULL;
	int rc = fw_fail(&error, FW_E_CANCELLED, "the storage was closed");

	if (reading->stat)
		reading->stat(reading->context, rc, NULL, error);
	else
		reading->done(reading->context, rc, error);
	reading_free(reading);
}

static struct reading *reading_new(struct fw_s3_storage *storage, const char *key)
{
	struct reading *reading = fw_alloc(sizeof *reading);

	reading->key = fw_s3_key(storage, key);
	fw_s3_job_add(&storage->jobs, &reading->job, cancel);
	return reading;
}

static void told(void *context, int rc, const struct fw_s3_answer *answer, const struct fw_error *err)
{
	struct reading *reading = context;

	if (rc == FW_OK) {
		const struct fw_storage_stat stat = {answer->object_bytes, answer->etag ? answer->etag : "", answer->etag != NULL};

		reading->stat(reading->context, rc, &stat, NULL);
	} else {
		reading->stat(reading->context, rc, NULL, err);
	}
	reading_free(reading);
}

void fw_s3_storage_stat(struct fw_storage *base, const char *key, fw_storage_stat_fn *done, void *context)
{
	struct fw_s3_storage *storage = (struct fw_s3_storage *)base;
	struct reading *reading = reading_new(storage, key);

	reading->stat = done;
	reading->context = context;
	fw_s3_head(storage->s3, reading->key, told, reading);
}

static bool take(void *context, const char *bytes, size_t length)
{
	struct reading *reading = context;

	reading->refused = reading->sink(reading->context, bytes, length);
	return reading->refused == FW_OK;
}

static void was_read(void *context, int rc, const struct fw_s3_answer *answer, const struct fw_error *err)
{
	struct reading *reading = context;
	fw_cleanup_error struct fw_error *error = NULL;

	if (reading->refused != FW_OK) {
		reading->done(reading->context, reading->refused, NULL);
	} else if (rc == FW_OK && answer->transferred < reading->length) {
		rc = fw_fail(&error, FW_E_CONFLICT, "object %s has become shorter: %lld bytes", reading->key,
		             (long long)answer->object_bytes);
		reading->done(reading->context, rc, error);
	} else {
		reading->done(reading->context, rc, err);
	}
	reading_free(reading);
}

void fw_s3_storage_read(struct fw_storage *base, const char *key, int64_t offset, int64_t length, fw_storage_sink_fn *sink,
                        fw_storage_done_fn *done, void *context)
{
	struct fw_s3_storage *storage = (struct fw_s3_storage *)base;
	struct reading *reading = reading_new(storage, key);

	reading->length = length;
	reading->sink = sink;
	reading->done = done;
	reading->context = context;
	fw_s3_get(storage->s3, &(struct fw_s3_get){.key = reading->key, .offset = offset, .length = length, .sink = take, .fd = -1},
	          was_read, reading);
}
