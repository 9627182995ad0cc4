/* SPDX-License-Identifier: Apache-2.0
 *
 * What an object of a bucket is, and its bytes for a sink. What was listed is read under the ETag that it had then: another
 * object that has come in its place meanwhile is never taken for it.
 */
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "storage/s3_internal.h"

struct reading {
	struct fw_s3_job job;
	char *key;
	char *name, *etag; /* what the storage calls it; of what is read, or NULL */
	int64_t length;
	fw_storage_stat_fn *stat; /* one of the two */
	fw_storage_sink_fn *sink;
	fw_storage_done_fn *done;
	void *context;
	int refused; /* by the sink */
};

/* A weak one ("W/...") says that the content is alike, not that it is the same; If-Match never agrees to it. */
char *fw_s3_version(const char *etag)
{
	size_t length = etag ? strlen(etag) : 0;

	if (length == 0 || strncmp(etag, "W/", 2) == 0 || !fw_is_utf8(etag))
		return NULL;
	bool quoted = length > 2 && etag[0] == '"' && etag[length - 1] == '"';

	return fw_strndup(etag + quoted, quoted ? length - 2 : length);
}

char *fw_s3_etag(const char *version)
{
	return version && *version ? fw_printf("\"%s\"", version) : NULL;
}

static void reading_free(struct reading *reading)
{
	fw_s3_job_remove(&reading->job);
	free(reading->key);
	free(reading->name);
	free(reading->etag);
	free(reading);
}

static void cancel(struct fw_s3_job *job)
{
	struct reading *reading = (struct reading *)job;
	fw_cleanup_error struct fw_error *error = NULL;
	int rc = fw_s3_cancelled(&error);

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
		fw_cleanup_free char *version = fw_s3_version(answer->etag);
		const struct fw_storage_stat stat = {answer->object_bytes, version ? version : "", version != NULL};

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
	if (storage->cancelled)
		return cancel(&reading->job);
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
	} else if (rc == FW_E_CONFLICT || (rc == FW_OK && answer->transferred < reading->length)) {
		rc = fw_storage_changed(reading->name, &error);
		reading->done(reading->context, rc, error);
	} else {
		reading->done(reading->context, rc, err);
	}
	reading_free(reading);
}

void fw_s3_storage_read(struct fw_storage *base, const struct fw_storage_range *range, fw_storage_sink_fn *sink,
                        fw_storage_done_fn *done, void *context)
{
	struct fw_s3_storage *storage = (struct fw_s3_storage *)base;
	struct reading *reading = reading_new(storage, range->key);

	reading->name = fw_strdup(range->key);
	reading->etag = fw_s3_etag(range->version);
	reading->length = range->length;
	reading->sink = sink;
	reading->done = done;
	reading->context = context;
	const struct fw_s3_get get = {.key = reading->key, .offset = range->offset, .length = range->length,
	                              .etag = reading->etag, .object_bytes = range->bytes, .sink = take, .fd = -1};

	if (storage->cancelled)
		cancel(&reading->job);
	else
		fw_s3_get(storage->s3, &get, was_read, reading);
}
