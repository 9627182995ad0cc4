/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file function.h
 * The SDK for functions in C: a static library (libflexwatt-function.a) that needs only libc. A function built with it is
 * an AWS Lambda bootstrap: it speaks the Runtime API and runs unchanged under flexwatt on this machine, on Kubernetes and
 * on AWS Lambda.
 *
 * Phases are timed by themselves: inside fw_next_input() is read, between fw_write_begin() and fw_write_end() (or inside
 * the file helpers) is write, the rest is compute. One invocation runs at a time; nothing here is thread-safe except
 * fw_progress() and fw_log().
 */
#ifndef FLEXWATT_FUNCTION_H
#define FLEXWATT_FUNCTION_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { FW_OK = 0, FW_END = 1, FW_ERROR = -1 };

/** One invocation; valid during the handler's call. */
struct fw_invocation;

/** An input object, or a range of one. Texts live until the handler returns. */
struct fw_object {
	const char *uri;
	const char *path;  /**< a local file to read; never write to it */
	int64_t bytes;     /**< size of the object, -1 unknown */
	int64_t offset;    /**< first byte of the range in the file; 0 for a whole object */
	int64_t length;    /**< bytes of the range, -1: to the end */
	int64_t index;     /**< position in the input's list, from 0 */
	const char *header;  /**< of a range of csv with a header: the first record of the object, without its newline; else NULL */
	char delimiter;      /**< between the cells of a range of csv; 0 for what is no csv */
	int64_t part, parts; /**< `range: seconds`: do this part, from 0, of so many; parts is 0 for all of the object */
	int64_t start;       /**< where the range begins in the object itself, for messages: `path` may hold the range alone */
};

/**
 * Handlers return FW_OK, or fail with fw_fail_invocation() and return its value. A recorded failure fails the invocation
 * whatever the handler returns; the first one is reported.
 */
typedef int fw_handler_fn(struct fw_invocation *invocation);

struct fw_handler {
	const char *name; /**< NULL: any name; put it last */
	fw_handler_fn *call;
};

/** The next object of an input: FW_OK, FW_END after the last, FW_ERROR (already recorded: return it). */
int fw_next_input(struct fw_invocation *invocation, const char *input, struct fw_object *object);
/** How many objects the input has; a producer that has not finished counts as one until its objects are known. */
int64_t fw_input_count(struct fw_invocation *invocation, const char *input);

/**
 * Reads an object, or the range of one that the task was given, piece by piece: memory stays small whatever its size.
 * Reading is timed as read. A reader is closed by itself when the handler returns.
 */
struct fw_reader;
/** NULL: the object cannot be opened (recorded). */
struct fw_reader *fw_read_open(struct fw_invocation *invocation, const struct fw_object *object);
void fw_read_close(struct fw_reader *reader);

/** The next line without its end ("\n" or "\r\n"), NUL-terminated, until the next call. FW_OK, FW_END, FW_ERROR (recorded). */
int fw_next_line(struct fw_reader *reader, const char **line, size_t *length);

/** A record of CSV: its cells without their quotes, NUL-terminated, until the next call. */
struct fw_record {
	const char *const *cells;
	size_t count;
	int64_t offset; /**< of its first byte in the object */
};
/**
 * The next record, cells separated by the object's delimiter (',' when it has none). Blank lines are passed over. A whole
 * object (no range) begins with its header, if it has one; a range has it in `object->header`.
 */
int fw_next_record(struct fw_reader *reader, struct fw_record *record);
/** Which cell the column of that name is, by `object->header`; FW_ERROR (recorded, naming the columns) when there is none. */
int fw_column(struct fw_reader *reader, const char *name);
/** A cell as a number; NAN for an empty one. What is no number is recorded with object, byte and column: FW_ERROR. */
int fw_cell_number(struct fw_reader *reader, const struct fw_record *record, int column, double *number);

/** A fresh path in the output's directory: "<task>-<ordinal><suffix>"; declared as an output object. NULL on error. */
const char *fw_output_path(struct fw_invocation *invocation, const char *output, const char *suffix);
/** The same with a name of your own (no '/'). */
const char *fw_output_named(struct fw_invocation *invocation, const char *output, const char *name);
/** Takes back a path that fw_output_path() gave, and removes the file if there is one. */
void fw_output_drop(struct fw_invocation *invocation, const char *path);
/** The output's directory, for programs that choose names themselves: declare each with fw_output_named(). */
const char *fw_output_directory(struct fw_invocation *invocation, const char *output);

void fw_write_begin(struct fw_invocation *invocation);
void fw_write_end(struct fw_invocation *invocation);
/** Writes a whole output file, timed as write. */
int fw_write_output(struct fw_invocation *invocation, const char *path, const void *bytes, size_t length);

/** Parameters of the stage. The fallback is returned when absent; a value of another type is an error at the end. */
const char *fw_param_text(struct fw_invocation *invocation, const char *name, const char *fallback);
double fw_param_number(struct fw_invocation *invocation, const char *name, double fallback);
int64_t fw_param_integer(struct fw_invocation *invocation, const char *name, int64_t fallback);
int fw_param_bool(struct fw_invocation *invocation, const char *name, int fallback);
/** A parameter of any type as JSON text, or NULL. */
const char *fw_param_json(struct fw_invocation *invocation, const char *name);

/** The event as it came: JSON text, NUL-terminated. All that a plain Lambda event (payload: stages) has. */
const char *fw_event_text(const struct fw_invocation *invocation, size_t *length);

int64_t fw_task(const struct fw_invocation *invocation);    /**< index of this task, from 0 */
int64_t fw_workers(const struct fw_invocation *invocation); /**< tasks of the stage */
int64_t fw_attempt(const struct fw_invocation *invocation); /**< from 1 */
const char *fw_request_id(const struct fw_invocation *invocation);
int64_t fw_remaining_ms(const struct fw_invocation *invocation); /**< until the deadline */

/** Shown live; total 0 when unknown. Cheap to call often: at most ten a second are sent, and the last step (done = total). */
void fw_progress(struct fw_invocation *invocation, double done, double total, const char *note);
/** Adds to what the function counts as its work: frames, rows, points. */
void fw_units(struct fw_invocation *invocation, double units);
/** A quality or other figure that goes into the record. */
void fw_metric(struct fw_invocation *invocation, const char *name, double value);
/** The invocation's result: JSON text, checked. The whole answer when the event is a plain one. */
int fw_result(struct fw_invocation *invocation, const char *json);
/** A line in the invocation's log. */
void fw_log(struct fw_invocation *invocation, const char *format, ...) __attribute__((format(printf, 2, 3)));
/** Fails the invocation: type (e.g. "Video.Corrupt") and message. Returns FW_ERROR. */
int fw_fail_invocation(struct fw_invocation *invocation, const char *type, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/** The Runtime API loop; returns the exit status of the process. Use FW_FUNCTIONS. */
int fw_functions_main(const struct fw_handler *handlers, size_t count);

/** Defines main(): FW_FUNCTIONS({"sharpen", sharpen}, {"classify", classify}). The event's `handler` chooses, else _HANDLER. */
#define FW_FUNCTIONS(...)                                                                          \
	int main(void)                                                                                 \
	{                                                                                              \
		static const struct fw_handler fw_handlers_[] = {__VA_ARGS__};                             \
		return fw_functions_main(fw_handlers_, sizeof fw_handlers_ / sizeof fw_handlers_[0]);      \
	}

#ifdef __cplusplus
}
#endif
#endif
