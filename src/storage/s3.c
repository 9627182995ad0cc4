/* SPDX-License-Identifier: Apache-2.0
 *
 * The storage that is a bucket: "s3://bucket/prefix?endpoint=…". It is asked before anything runs whether it is there and
 * may be used; a run's first object is its claim, made so that of two engines with one name a single one succeeds.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/time.h"
#include "storage/s3_internal.h"

#define CLAIM_NAME ".run"

enum { SETTLED_EVERY_MS = 20 };

static struct fw_s3_storage *of(struct fw_storage *storage)
{
	return (struct fw_s3_storage *)storage;
}

static void cancel_jobs(struct fw_s3_storage *storage)
{
	while (storage->jobs.first)
		storage->jobs.first->cancel(storage->jobs.first);
}

static void s3_close(struct fw_storage *base)
{
	struct fw_s3_storage *storage = of(base);

	storage->cancelled = true;
	fw_s3_close(storage->s3);
	cancel_jobs(storage);
	fw_timer_free(storage->settling);
	fw_s3_place_free(storage->place);
	if (storage->scratch) /* what workers of a killed engine held at the start, they hold no more */
		fw_s3_places_clean(storage->scratch);
	fw_s3_uri_done(&storage->uri);
	free(storage->scratch);
	free(storage->prefix);
	free(storage);
}

/* ---- open ---- */

/* Whether there is an object below a prefix. */
static bool any_object(void *context, const struct fw_s3_item *items, size_t count)
{
	struct fw_s3_wait *wait = context;

	(void)items;
	wait->found = wait->found || count > 0;
	return count == 0;
}

static int look_below(struct fw_s3_wait *wait, const char *prefix, struct fw_error **err)
{
	fw_cleanup_error struct fw_error *error = NULL;

	fw_s3_list(wait->s3, &(struct fw_s3_list){.prefix = prefix, .page = any_object}, fw_s3_wait_done, wait);
	int rc = fw_s3_wait(wait, &error);

	if (wait->found || rc == FW_OK)
		return FW_OK;
	if (err)
		*err = FW_TAKE(error);
	return rc;
}

/* By a listing: unlike HEAD it tells what is wrong. */
static int check_bucket(const struct fw_s3_storage *storage, struct fw_error **err)
{
	fw_cleanup_s3_wait struct fw_s3_wait wait = {0};
	int rc = fw_s3_wait_begin(storage, &wait, err);

	if (rc == FW_OK)
		rc = look_below(&wait, storage->prefix, err);
	if (rc == FW_E_ABSENT)
		fw_error_hint(err, rc, "make the bucket, or name another: --set storage.bucket=NAME");
	return rc;
}

static int open_bucket(struct fw_s3_storage *storage, struct fw_error **err)
{
	const struct fw_s3_options options = fw_s3_uri_options(&storage->uri);

	return fw_s3_open(storage->host.loop, storage->host.pool, &options, &storage->s3, err);
}

/* What is wrong with the bucket is the environment's, whatever the server calls it. */
static int as_environment(int rc)
{
	return fw_code_exit_status(rc) == 3 ? rc : FW_E_ENVIRONMENT;
}

static int s3_open(const char *uri, const struct fw_storage_host *host, struct fw_storage **storage, struct fw_error **err)
{
	struct fw_s3_storage *made = fw_alloc(sizeof *made);
	size_t offset = 0;

	made->base.ops = &fw_storage_s3;
	made->host = *host;
	made->scratch = fw_strdup(host->scratch);
	int rc = fw_s3_uri_parse(uri, strlen(uri), &made->uri, &offset, err);

	if (rc == FW_OK) {
		const char *prefix = made->uri.part[FW_S3_URI_PREFIX];

		made->prefix = prefix ? fw_printf("%s/", prefix) : fw_strdup("");
		rc = check_bucket(made, err);
		if (rc == FW_OK && host->loop)
			rc = open_bucket(made, err);
	}
	if (rc != FW_OK) {
		s3_close(&made->base);
		return fw_error_wrap(err, as_environment(rc), "open storage %s", uri);
	}
	if (made->scratch)
		fw_s3_places_clean(made->scratch);
	*storage = &made->base;
	return FW_OK;
}

/* ---- claim, usage, removal: who calls waits ---- */

/* What nobody else writes: when the answer to a claim is lost, it tells whose it is. */
static const char *sign_claim(char text[static 33])
{
	uint64_t random[2] = {0};

	while (getrandom(random, sizeof random, 0) < 0 && errno == EINTR)
		continue;
	snprintf(text, 33, "%016llx%016llx", (unsigned long long)random[0], (unsigned long long)random[1]);
	return text;
}

/* A server that does not know If-None-Match says so; then what was listed before must do. Any other failure leaves open
 * whether another has the name. */
static int put_claim(const struct fw_s3_storage *storage, struct fw_s3_wait *wait, const char *run, struct fw_error **err)
{
	fw_cleanup_free char *key = fw_printf("%sruns/%s/" CLAIM_NAME, storage->prefix, run);
	fw_cleanup_error struct fw_error *refusal = NULL;
	char ours[33];
	struct fw_s3_put put = {.key = key, .data = ours, .length = (int64_t)strlen(sign_claim(ours)), .if_absent = true};

	fw_s3_put(wait->s3, &put, fw_s3_wait_done, wait);
	int rc = fw_s3_wait(wait, &refusal);

	if (rc == FW_OK)
		return FW_OK;
	if (rc == FW_E_CONFLICT)
		return fw_fail(err, rc, "%s is there already: another run has this name", key);
	if (rc != FW_E_UNAVAILABLE) {
		*err = FW_TAKE(refusal);
		return rc;
	}
	put.if_absent = false;
	fw_s3_put(wait->s3, &put, fw_s3_wait_done, wait);
	return fw_s3_wait(wait, err);
}

static int claim(const struct fw_s3_storage *storage, const char *run, struct fw_error **err)
{
	fw_cleanup_s3_wait struct fw_s3_wait wait = {0};
	fw_cleanup_free char *prefix = fw_printf("%sruns/%s/", storage->prefix, run);
	int rc = fw_s3_wait_begin(storage, &wait, err);

	if (rc == FW_OK)
		rc = look_below(&wait, prefix, err);
	if (rc == FW_OK && wait.found)
		rc = fw_fail(err, FW_E_CONFLICT, "%s is there already: another run has this name", prefix);
	return rc == FW_OK ? put_claim(storage, &wait, run, err) : rc;
}

static int s3_claim(struct fw_storage *base, const char *run, struct fw_error **err)
{
	int rc = claim(of(base), run, err);

	return rc == FW_OK ? rc : fw_error_wrap(err, rc == FW_E_CONFLICT ? rc : as_environment(rc), "prepare the bucket");
}

static int s3_remove_run(struct fw_storage *base, const char *run, struct fw_error **err)
{
	fw_cleanup_s3_wait struct fw_s3_wait wait = {0};
	int rc = fw_s3_wait_begin(of(base), &wait, err);

	if (rc != FW_OK)
		return rc;
	fw_s3_remove(&(struct fw_s3_removal){.s3 = wait.s3, .prefix = of(base)->prefix, .run = run, .done = fw_s3_wait_ended,
	                                     .context = &wait});
	return fw_s3_wait(&wait, err);
}

static bool add_bytes(void *context, const struct fw_s3_item *items, size_t count)
{
	struct fw_s3_wait *wait = context;

	for (size_t i = 0; i < count; i++)
		wait->bytes += items[i].bytes;
	return true;
}

static int s3_usage(struct fw_storage *base, const char *run, int64_t *bytes, struct fw_error **err)
{
	fw_cleanup_s3_wait struct fw_s3_wait wait = {0};
	fw_cleanup_free char *prefix = fw_printf("%sruns/%s/", of(base)->prefix, run);
	int rc = fw_s3_wait_begin(of(base), &wait, err);

	if (rc != FW_OK)
		return rc;
	fw_s3_list(wait.s3, &(struct fw_s3_list){.prefix = prefix, .page = add_bytes}, fw_s3_wait_done, &wait);
	rc = fw_s3_wait(&wait, err);
	if (rc == FW_OK)
		*bytes = wait.bytes;
	return rc;
}

/* ---- of a run ---- */

static int take_place(struct fw_s3_storage *storage, const char *run, struct fw_error **err)
{
	return storage->place ? FW_OK : fw_s3_place_new(storage, run, &storage->place, err);
}

static int s3_attempts_root(struct fw_storage *base, const char *run, char **directory, struct fw_error **err)
{
	int rc = take_place(of(base), run, err);

	if (rc != FW_OK)
		return rc;
	struct fw_storage *outbox = of(base)->place->outbox;

	return outbox->ops->attempts_root(outbox, run, directory, err);
}

static int s3_inputs_root(struct fw_storage *base, const char *run, char **directory, struct fw_error **err)
{
	int rc = take_place(of(base), run, err);

	if (rc == FW_OK)
		*directory = fw_strdup(fw_staging_directory(of(base)->place->staging));
	return rc;
}

static char *s3_local_path(struct fw_storage *base, const char *key)
{
	(void)base;
	(void)key;
	return NULL;
}

static bool s3_is_still(struct fw_storage *base, const char *key, const char *version)
{
	(void)base;
	(void)key;
	(void)version;
	return true;
}

static void s3_stage_in(struct fw_storage *base, const struct fw_storage_range *range, fw_storage_stage_fn *done,
                        void *context)
{
	fw_cleanup_error struct fw_error *error = NULL;

	if (of(base)->cancelled)
		done(context, fw_s3_cancelled(&error), NULL, error);
	else
		fw_staging_ask(of(base)->place->staging, range, done, context);
}

static void s3_forget(struct fw_storage *base, const void *context)
{
	fw_staging_forget(of(base)->place->staging, context);
}

static void s3_release(struct fw_storage *base, struct fw_staged *staged)
{
	(void)base;
	fw_staging_release(staged);
}

static void s3_discard(struct fw_storage *base, const char *directory, fw_storage_done_fn *done, void *context)
{
	struct fw_storage *outbox = of(base)->place->outbox;

	outbox->ops->discard(outbox, directory, done, context);
}

static void s3_sweep(struct fw_storage *base, const char *run,
                     bool (*keep)(void *context, const struct fw_attempt_key *key), fw_storage_done_fn *done, void *context)
{
	struct fw_s3_storage *storage = of(base);

	fw_s3_remove(&(struct fw_s3_removal){storage->s3, &storage->jobs, storage->prefix, run, keep, done, context});
}

/* Aborts of uploads that were open are on their way. */
static void look_whether_settled(void *context)
{
	struct fw_s3_storage *storage = context;

	if (!fw_s3_is_idle(storage->s3)) {
		fw_timer_set(storage->settling, SETTLED_EVERY_MS * FW_NS_PER_MS);
		return;
	}
	storage->settled(storage->settled_context);
}

static void s3_cancel(struct fw_storage *base, void (*settled)(void *context), void *context)
{
	struct fw_s3_storage *storage = of(base);

	storage->cancelled = true;
	fw_s3_cancel_all(storage->s3);
	cancel_jobs(storage);
	if (!settled)
		return;
	storage->settled = settled;
	storage->settled_context = context;
	if (!storage->settling)
		storage->settling = fw_timer_new(storage->host.loop, look_whether_settled, storage);
	fw_timer_set(storage->settling, 0);
}

const struct fw_storage_ops fw_storage_s3 = {
	.scheme = "s3",
	.open = s3_open,
	.list = fw_s3_storage_list,
	.stat = fw_s3_storage_stat,
	.is_still = s3_is_still,
	.read = fw_s3_storage_read,
	.local_path = s3_local_path,
	.stage_in = s3_stage_in,
	.release = s3_release,
	.forget = s3_forget,
	.claim = s3_claim,
	.attempts_root = s3_attempts_root,
	.inputs_root = s3_inputs_root,
	.publish = fw_s3_storage_publish,
	.discard = s3_discard,
	.cancel = s3_cancel,
	.sweep = s3_sweep,
	.remove_run = s3_remove_run,
	.usage = s3_usage,
	.close = s3_close,
};
