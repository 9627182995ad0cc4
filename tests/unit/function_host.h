/* SPDX-License-Identifier: Apache-2.0
 *
 * A scripted host for tests of the C SDK: the function runs in a child process, the test plays the Runtime API on a
 * loopback socket. Every wait has a deadline.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "flexwatt/function.h"

struct function_host {
	int listener, connection;
	int child, child_stderr;
	char directory[64]; /* for outputs and other files; removed at the end */
	char request[65536]; /* the last one read: head and body */
	size_t length, taken;
	char behind; /* the byte that the end of the body took the place of */
};

#define HANDLERS(...) (const struct fw_handler[]){__VA_ARGS__}, sizeof((struct fw_handler[]){__VA_ARGS__}) / sizeof(struct fw_handler)

/* Starts fw_functions_main() in a child with _HANDLER set to `handler` (NULL: unset). */
void host_start(struct function_host *host, const char *handler, const struct fw_handler *handlers, size_t count);
/* The same for a program. */
void host_start_program(struct function_host *host, const char *handler, const char *const *argv);
/* Reads one request of the kept connection (accepting it first where there is none); it must begin with `start`.
 * Returns its body. */
const char *host_expect(struct function_host *host, const char *start);
/* Sends text as it is. */
void host_send(struct function_host *host, const char *text);
/* 200 with request id "id-1", a deadline in the far future, and the event. */
void host_give(struct function_host *host, const char *event);
/* "HTTP/1.1 <status> …" with a JSON body. */
void host_reply(struct function_host *host, const char *status, const char *body);
/* Closes the socket and waits for the child's end: its exit status. */
int host_end(struct function_host *host);
/* What the function wrote to stderr; after host_end(). */
const char *host_stderr(struct function_host *host);
/* Closes the kept connection only. */
void host_hang_up(struct function_host *host);
/* A file below the directory: content, or NULL when there is none. Static buffer. */
const char *host_file(struct function_host *host, const char *name);
void host_write_file(struct function_host *host, const char *name, const char *content);
