/* SPDX-License-Identifier: Apache-2.0
 *
 * The verbs of aws/s3.h from a shell, for tests and benchmarks: s3-client [--endpoint URL] [--bucket NAME] ... VERB ARGUMENTS.
 * What came is told as one JSON object on standard output; an error goes to standard error and makes the exit status that
 * of a flexwatt command.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "aws/s3.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/time.h"

struct work {
	struct fw_loop *loop;
	struct fw_s3 *s3;
	struct fw_s3_task *task;
	json_t *result, *items;
	FILE *out;       /* cat */
	int64_t enough;  /* cat: bytes after which no more is wanted; 0: all */
	int64_t written;
	size_t open; /* put-many */
	int rc;
};

static void verb_done(void *context, int rc, const struct fw_s3_answer *answer, const struct fw_error *err)
{
	struct work *work = context;
	struct fw_s3_counts counts = fw_s3_counts(work->s3);

	work->task = NULL;
	work->rc = rc;
	if (answer) {
		json_object_set_new(work->result, "object_bytes", json_integer(answer->object_bytes));
		json_object_set_new(work->result, "transferred", json_integer(answer->transferred));
		if (answer->etag)
			json_object_set_new(work->result, "etag", json_string(answer->etag));
	}
	json_object_set_new(work->result, "code", json_string(rc == FW_OK ? "FW_OK" : fw_code_name(rc)));
	json_object_set_new(work->result, "requests", json_integer((json_int_t)counts.requests));
	json_object_set_new(work->result, "retries", json_integer((json_int_t)counts.retries));
	if (rc != FW_OK) {
		fw_cleanup_free char *text = fw_error_describe(err);

		fprintf(stderr, "error: %s\n", text);
	}
	fw_loop_stop(work->loop);
}

static bool take_bytes(void *context, const char *bytes, size_t length)
{
	struct work *work = context;

	work->written += (int64_t)fwrite(bytes, 1, length, work->out);
	return work->enough == 0 || work->written < work->enough;
}

static bool take_page(void *context, const struct fw_s3_item *items, size_t count)
{
	struct work *work = context;

	for (size_t i = 0; i < count; i++) {
		json_t *item = json_object();

		json_object_set_new(item, "key", json_string(items[i].key));
		json_object_set_new(item, "prefix", json_boolean(items[i].common_prefix));
		json_object_set_new(item, "bytes", json_integer(items[i].bytes));
		if (items[i].upload_id)
			json_object_set_new(item, "upload_id", json_string(items[i].upload_id));
		json_array_append_new(work->items, item);
	}
	return true;
}

static void give_up(void *context)
{
	struct work *work = context;

	fw_s3_cancel(FW_TAKE(work->task));
}

static int64_t number(const char *text, int64_t otherwise)
{
	return text ? strtoll(text, NULL, 10) : otherwise;
}

static void one_done(void *context, int rc, const struct fw_s3_answer *answer, const struct fw_error *err)
{
	struct work *work = context;

	if (--work->open == 0 || rc != FW_OK)
		verb_done(context, rc, answer, err);
}

/* All at once: they wait for their turns inside. */
static void put_many(struct work *work, const char *prefix, size_t count)
{
	work->open = count;
	for (size_t i = 0; i < count; i++) {
		fw_cleanup_free char *key = fw_printf("%s%05zu", prefix, i);

		fw_s3_put(work->s3, &(struct fw_s3_put){.key = key, .data = "many", .length = 4, .fd = -1}, one_done, work);
	}
}

static void get(struct work *work, char **arguments, int count, int fd)
{
	work->task = fw_s3_get(work->s3,
	                       &(struct fw_s3_get){
							   .key = arguments[1],
							   .offset = number(count > 3 ? arguments[3] : NULL, 0),
							   .length = number(count > 4 ? arguments[4] : NULL, -1),
							   .fd = fd,
						   },
	                       verb_done, work);
}

static void cat(struct work *work, char **arguments, int count)
{
	work->out = stdout;
	work->task = fw_s3_get(work->s3,
	                       &(struct fw_s3_get){
							   .key = arguments[1],
							   .offset = number(count > 2 ? arguments[2] : NULL, 0),
							   .length = number(count > 3 ? arguments[3] : NULL, -1),
							   .sink = take_bytes,
						   },
	                       verb_done, work);
}

static void put(struct work *work, char **arguments, int count, int fd)
{
	struct stat status;

	if (fstat(fd, &status) != 0)
		exit(2);
	work->task = fw_s3_put(work->s3,
	                       &(struct fw_s3_put){
							   .key = arguments[1],
							   .fd = fd,
							   .length = status.st_size,
							   .if_absent = count > 3 && strcmp(arguments[3], "if-absent") == 0,
						   },
	                       verb_done, work);
}

static int open_file(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC, 0644);

	if (fd < 0) {
		fprintf(stderr, "s3-client: %s: %s\n", path, strerror(errno));
		exit(2);
	}
	return fd;
}

static bool is(char **arguments, int count, const char *verb, int least)
{
	return strcmp(arguments[0], verb) == 0 && count > least;
}

/* True when it is a verb with enough arguments. */
static bool begin(struct work *work, char **arguments, int count, int *fd)
{
	if (is(arguments, count, "head-bucket", 0)) {
		work->task = fw_s3_head_bucket(work->s3, verb_done, work);
	} else if (is(arguments, count, "head", 1)) {
		work->task = fw_s3_head(work->s3, arguments[1], verb_done, work);
	} else if (is(arguments, count, "get", 2)) {
		*fd = open_file(arguments[2], O_RDWR | O_CREAT | O_TRUNC);
		get(work, arguments, count, *fd);
	} else if (is(arguments, count, "cat", 1)) {
		cat(work, arguments, count);
	} else if (is(arguments, count, "put", 2)) {
		*fd = open_file(arguments[2], O_RDONLY);
		put(work, arguments, count, *fd);
	} else if (is(arguments, count, "put-text", 2)) {
		work->task = fw_s3_put(work->s3,
		                       &(struct fw_s3_put){
								   .key = arguments[1], .data = arguments[2], .length = (int64_t)strlen(arguments[2]), .fd = -1},
		                       verb_done, work);
	} else if (is(arguments, count, "put-many", 2)) {
		put_many(work, arguments[1], (size_t)number(arguments[2], 1));
	} else if (is(arguments, count, "delete", 1)) {
		work->task = fw_s3_delete(work->s3, arguments[1], verb_done, work);
	} else if (is(arguments, count, "ls", 0)) {
		struct fw_s3_list list = {
			.prefix = count > 1 ? arguments[1] : NULL, .delimiter = count > 2 ? arguments[2] : NULL, .page = take_page};

		work->task = fw_s3_list(work->s3, &list, verb_done, work);
	} else if (is(arguments, count, "uploads", 0)) {
		work->task = fw_s3_list_uploads(work->s3, count > 1 ? arguments[1] : NULL, take_page, verb_done, work);
	} else if (is(arguments, count, "abort", 2)) {
		work->task = fw_s3_abort_upload(work->s3, arguments[1], arguments[2], verb_done, work);
	} else {
		return false;
	}
	return true;
}

static void stop(void *context)
{
	fw_loop_stop(context);
}

/* Of this program alone: what getrusage() tells begins with what its parent had when it forked. */
static json_int_t peak_kb(void)
{
	fw_cleanup_file FILE *status = fopen("/proc/self/status", "re");
	char line[256];
	long peak = 0;

	while (status && fgets(line, sizeof line, status))
		if (strncmp(line, "VmHWM:", 6) == 0)
			peak = strtol(line + 6, NULL, 10);
	return peak;
}

static void report(struct work *work)
{
	fw_cleanup_free char *text = NULL;

	if (json_array_size(work->items) > 0)
		json_object_set(work->result, "items", work->items);
	json_object_set_new(work->result, "peak_kb", json_integer(peak_kb()));
	text = fw_json_dump(work->result);
	fprintf(work->out ? stderr : stdout, "%s\n", text);
}

static int read_options(int argc, char **argv, struct fw_s3_options *options, struct work *work, int64_t *cancel_ms)
{
	static const struct option known[] = {
		{"endpoint", 1, NULL, 'e'}, {"bucket", 1, NULL, 'b'},   {"region", 1, NULL, 'r'}, {"profile", 1, NULL, 'p'},
		{"style", 1, NULL, 's'},    {"parallel", 1, NULL, 'n'}, {"part", 1, NULL, 'c'},   {"attempts", 1, NULL, 'a'},
		{"idle", 1, NULL, 'i'},     {"cancel", 1, NULL, 'k'},   {"enough", 1, NULL, 'f'}, {"control", 1, NULL, 't'},
		{NULL, 0, NULL, 0},
	};
	int option;

	while ((option = getopt_long(argc, argv, "+", known, NULL)) != -1) {
		switch (option) {
		case 'e': options->endpoint = optarg; break;
		case 'b': options->bucket = optarg; break;
		case 'r': options->region = optarg; break;
		case 'p': options->profile = optarg; break;
		case 's': options->style = strcmp(optarg, "virtual") == 0 ? FW_S3_VIRTUAL : FW_S3_PATH; break;
		case 'n': options->parallel = (unsigned)number(optarg, 0); break;
		case 'c': options->part_bytes = number(optarg, 0); break;
		case 'a': options->attempts = (unsigned)number(optarg, 0); break;
		case 'i': options->idle_ms = (uint64_t)number(optarg, 0); break;
		case 't': options->control_ms = (uint64_t)number(optarg, 0); break;
		case 'k': *cancel_ms = number(optarg, 0); break;
		case 'f': work->enough = number(optarg, 0); break;
		default: return 2;
		}
	}
	return optind < argc ? 0 : 2;
}

static int run(struct work *work, char **arguments, int count, int64_t cancel_ms)
{
	fw_cleanup_error struct fw_error *error = NULL;
	fw_cleanup_fd int fd = -1;
	struct fw_timer *cancel = fw_timer_new(work->loop, give_up, work), *end = fw_timer_new(work->loop, stop, work->loop);

	if (!begin(work, arguments, count, &fd)) {
		fprintf(stderr, "s3-client: '%s': unknown, or too few arguments\n", arguments[0]);
		work->rc = FW_E_USAGE;
	} else {
		if (cancel_ms >= 0) {
			/* What is cancelled may have something to undo on the server. */
			fw_timer_set(cancel, (uint64_t)cancel_ms * FW_NS_PER_MS);
			fw_timer_set(end, (uint64_t)(cancel_ms + 3000) * FW_NS_PER_MS);
		}
		if (fw_loop_run(work->loop, &error) != FW_OK)
			fprintf(stderr, "s3-client: %s\n", fw_error_message(error));
		report(work);
	}
	fw_timer_free(cancel);
	fw_timer_free(end);
	return fw_code_exit_status(work->rc);
}

int main(int argc, char **argv)
{
	fw_cleanup_error struct fw_error *error = NULL;
	struct fw_s3_options options = {.bucket = "test"};
	struct work work = {.result = json_object(), .items = json_array()};
	struct fw_pool *pool = NULL;
	int64_t cancel_ms = -1;
	int status = read_options(argc, argv, &options, &work, &cancel_ms);

	if (status != 0) {
		fputs("usage: s3-client [--endpoint URL] [--bucket NAME] [...] VERB [ARGUMENT...]\n", stderr);
	} else if (fw_loop_new(&work.loop, &error) != FW_OK || fw_pool_new(work.loop, 2, &pool, &error) != FW_OK ||
	           fw_s3_open(work.loop, pool, &options, &work.s3, &error) != FW_OK) {
		fw_cleanup_free char *text = fw_error_describe(error);

		fprintf(stderr, "error: %s\n", text);
		status = fw_code_exit_status(fw_error_code(error));
	} else {
		status = run(&work, argv + optind, argc - optind, cancel_ms);
	}
	fw_s3_close(work.s3);
	if (pool)
		fw_pool_free(pool);
	fw_loop_free(work.loop);
	json_decref(work.result);
	json_decref(work.items);
	return status;
}
