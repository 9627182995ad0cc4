/* SPDX-License-Identifier: Apache-2.0
 *
 * A storage holds objects under keys. Members: file (a directory), s3 (a bucket). Every hook is called on the loop's thread
 * and answers through its callback, on the same thread, later or at once; blocking work goes to the pool.
 * Keys of outputs: runs/<run>/<stage>/<task>.<attempt>/<output>/<name>. An attempt is written in a working directory of
 * its own and appears by one atomic publication; only the commit event makes it visible to others.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "base/loop.h"
#include "base/memory.h"
#include "base/pool.h"
#include "base/str.h"

struct fw_storage; /* first member of every implementation: const struct fw_storage_ops *ops */

struct fw_storage_object {
	char *key;
	int64_t bytes;
	char *version; /* as of fw_storage_stat; NULL: not known */
};
struct fw_storage_objects {
	FW_VECTOR(struct fw_storage_object) list; /* sorted by key, bytewise */
};
void fw_storage_objects_done(struct fw_storage_objects *objects);
void fw_storage_objects_sort(struct fw_storage_objects *objects, size_t first); /* those from `first` on */

enum {
	FW_STORAGE_MAX_OBJECTS = 1000000,      /* of one listing */
	FW_PUBLISH_MAX_OBJECTS = 100000,       /* of one attempt, directories among them */
};
#define FW_PUBLISH_MAX_BYTES ((int64_t)1 << 40)

struct fw_attempt_key {
	const char *run, *stage;
	uint32_t task, attempt;
};

/* What an attempt declares: names below <directory>/<output>/, in order. */
struct fw_publication_output {
	const char *output;
	const char *const *names; /* declared by the answer; NULL: whatever regular files lie there, sorted */
	size_t count;
};
struct fw_publication {
	struct fw_attempt_key key;
	const char *directory; /* the attempt's working directory, with one directory an output inside */
	struct fw_publication_output *outputs;
	size_t output_count;
	const char *result; /* published beside the outputs as FW_RESULT_NAME, or NULL; then directory may be NULL, too */
	size_t result_length;
};
#define FW_RESULT_NAME "result.json"

/* err is borrowed during the call; objects too (may be moved out). */
typedef void fw_storage_list_fn(void *context, int rc, struct fw_storage_objects *objects, const struct fw_error *err);
/* objects[i] belongs to output output_of[i]. */
typedef void fw_storage_publish_fn(void *context, int rc, struct fw_storage_objects *objects, const uint32_t *output_of,
                                   const struct fw_error *err);
typedef void fw_storage_done_fn(void *context, int rc, const struct fw_error *err);

/* A range of an object as a part of a local file, which stays until it is released. */
struct fw_staged {
	char *path;
	int64_t offset, length;
};
/* staged is NULL on failure: FW_E_ABSENT, FW_E_INVALID (a range that begins behind the object's end), FW_E_CONFLICT, ... */
typedef void fw_storage_stage_fn(void *context, int rc, struct fw_staged *staged, const struct fw_error *err);

/* What a storage works with; copied. Without a loop only claim, remove_run and usage may be called. */
struct fw_storage_host {
	struct fw_loop *loop;
	struct fw_pool *pool;
	const char *scratch; /* directory of this machine for what a storage that is elsewhere has in hand, or NULL */
};

struct fw_storage_stat {
	int64_t bytes;
	const char *version; /* differs when the content may differ: times and inode of a file, the etag on S3 */
	bool settled;        /* a later change cannot have this version again */
};
typedef void fw_storage_stat_fn(void *context, int rc, const struct fw_storage_stat *stat, const struct fw_error *err);
/* What is wanted of an object; borrowed during the call. */
struct fw_storage_range {
	const char *key;
	const char *version; /* that it was listed with; NULL: as it is now */
	int64_t offset, length;
	int64_t bytes; /* of the whole object, as listed; 0: not known */
};
/* The next bytes of what is read, in order, from the loop's thread or a pool thread, never from two at once. FW_OK: go on;
 * else nothing more is read and `done` gets this code, without an error. */
typedef int fw_storage_sink_fn(void *context, const void *bytes, size_t length);

struct fw_storage_ops {
	const char *scheme; /* "file" */

	/* uri: "file:/absolute/directory", "s3://bucket/prefix?endpoint=…". Checks that it can be read and written now (exit
	 * status 3 before any task). May wait for a server. */
	int (*open)(const char *uri, const struct fw_storage_host *host, struct fw_storage **storage, struct fw_error **err);

	/* Objects whose key matches the glob, never those below runs/. Links that leave the storage are refused. */
	void (*list)(struct fw_storage *storage, const char *pattern, fw_storage_list_fn *done, void *context);

	/* What an object is now. */
	void (*stat)(struct fw_storage *storage, const char *key, fw_storage_stat_fn *done, void *context);

	/* Whether an object that is a local file has that version still. One look, at once: what is elsewhere is never asked for
	 * and said to have it, since stage_in, which must be called with the version, finds out. */
	bool (*is_still)(struct fw_storage *storage, const char *key, const char *version);

	/* Hands `length` bytes from `offset` on to the sink, in pieces of any size and bounded memory; length 0 is allowed. An
	 * object that ends before is FW_E_CONFLICT: it has changed since its size was asked; so is one that has not the
	 * version any more, unless that is NULL. `done` comes after the last piece. */
	void (*read)(struct fw_storage *storage, const struct fw_storage_range *range, fw_storage_sink_fn *sink,
	             fw_storage_done_fn *done, void *context);

	/* Path of an object that is a local file (not copied), else NULL; newly allocated. */
	char *(*local_path)(struct fw_storage *storage, const char *key);

	/* Length -1: to the object's end. A local file is never copied. Tasks that want the same range share it; what nobody
	 * holds any more is removed when others need its space, and with the storage. */
	void (*stage_in)(struct fw_storage *storage, const struct fw_storage_range *range, fw_storage_stage_fn *done,
	                 void *context);
	void (*release)(struct fw_storage *storage, struct fw_staged *staged);
	/* Who asked with this context wants it no more, and is not called. NULL: stage_in() has always answered at once. */
	void (*forget)(struct fw_storage *storage, const void *context);

	/* Makes a new run's place; FW_E_CONFLICT when there is one already: then it is another's, whose outputs must stay. */
	int (*claim)(struct fw_storage *storage, const char *run, struct fw_error **err);

	/* The directory below which workers of a run write, made if absent, and the one that they may read, where local_path()
	 * and stage_in() find what they find. Newly allocated. */
	int (*attempts_root)(struct fw_storage *storage, const char *run, char **directory, struct fw_error **err);
	int (*inputs_root)(struct fw_storage *storage, const char *run, char **directory, struct fw_error **err);

	/* Checks what the function left (regular files inside, bounded, no links or devices), resets modes and owner, and
	 * publishes it in one step. On failure nothing is visible and the working directory is discarded. */
	void (*publish)(struct fw_storage *storage, const struct fw_publication *publication, fw_storage_publish_fn *done,
	                void *context);

	/* Removes an attempt's working directory. */
	void (*discard)(struct fw_storage *storage, const char *directory, fw_storage_done_fn *done, void *context);

	/* Ends what is under way, at once: its callbacks are called with FW_E_CANCELLED, and those of what is asked for later
	 * but for discard and sweep, which still work; a sweep that is under way ends as well. `settled` (or NULL) is called
	 * once, later: nothing that was begun is open elsewhere any more. NULL: this storage has nothing that takes long. */
	void (*cancel)(struct fw_storage *storage, void (*settled)(void *context), void *context);

	/* Deletes a run's working directories and every published attempt for which keep() is false. */
	void (*sweep)(struct fw_storage *storage, const char *run, bool (*keep)(void *context, const struct fw_attempt_key *key),
	              fw_storage_done_fn *done, void *context);

	/* Deletes all of a run; *bytes by done's caller is not given: ask usage before. Blocking variant for `runs rm`. */
	int (*remove_run)(struct fw_storage *storage, const char *run, struct fw_error **err);
	int (*usage)(struct fw_storage *storage, const char *run, int64_t *bytes, struct fw_error **err); /* kept disk */

	void (*close)(struct fw_storage *storage);
};

struct fw_storage {
	const struct fw_storage_ops *ops;
};

extern const struct fw_storage_ops fw_storage_file, fw_storage_s3;

/* By scheme; an unknown one is FW_E_UNAVAILABLE. host NULL: nothing of it. */
int fw_storage_open(const char *uri, const struct fw_storage_host *host, struct fw_storage **storage,
                    struct fw_error **err);
void fw_storage_close(struct fw_storage *storage);
FW_DEFINE_CLEANUP(struct fw_storage *, fw_storage_close)

/* "runs/<run>/<stage>/<task>.<attempt>"; newly allocated. And the reverse of its last part. */
char *fw_attempt_prefix(const struct fw_attempt_key *key);
bool fw_attempt_read(const char *name, uint32_t *task, uint32_t *attempt);

/* FW_E_CONFLICT, in the words of every storage. */
int fw_storage_changed(const char *key, struct fw_error **err);

/* The length of a range of an object of that size, to its end when it was -1; FW_E_INVALID when it does not lie within. */
int fw_staged_length(const char *key, int64_t bytes, int64_t offset, int64_t *length, struct fw_error **err);

/* What a storage's URI has before its options: where a person finds the objects. */
struct fw_str fw_storage_place(const char *uri);
/* URI of an object or a prefix in it: "file:/absolute/directory/key", "s3://bucket/prefix/key". Newly allocated. */
char *fw_storage_object_uri(const char *uri, const char *key);
