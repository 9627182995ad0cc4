/* SPDX-License-Identifier: Apache-2.0
 *
 * The event loop of one thread: timers, descriptors, signals, deferred calls. libevent underneath.
 * Every callback runs on the loop's thread. Handles are freed by their owner before the loop; freeing one inside its own
 * callback is allowed.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

struct fw_loop;
struct fw_timer;
struct fw_watch;
struct event_base;

typedef void fw_loop_fn(void *context);
typedef void fw_watch_fn(void *context, int fd);
typedef void fw_signal_fn(void *context, int signal_number);

int fw_loop_new(struct fw_loop **loop, struct fw_error **err);
void fw_loop_free(struct fw_loop *loop);
FW_DEFINE_CLEANUP(struct fw_loop *, fw_loop_free)

int fw_loop_run(struct fw_loop *loop, struct fw_error **err); /* until fw_loop_stop(), whose turn ends as every other */
void fw_loop_stop(struct fw_loop *loop);
uint64_t fw_loop_now_ns(struct fw_loop *loop); /* CLOCK_MONOTONIC, read now */

/* Runs once after the current callbacks of this turn, with what it defers itself; `flush` hooks run at the end of each
 * turn that wants a flush, after all deferred calls (the store commits there). */
void fw_loop_defer(struct fw_loop *loop, fw_loop_fn *callback, void *context);
/* Runs now what is deferred, without a turn: for who ends what a loop no longer runs for. Not from inside a callback. */
void fw_loop_run_deferred(struct fw_loop *loop);
void fw_loop_on_flush(struct fw_loop *loop, fw_loop_fn *callback, void *context);
/* Asks for a flush at the end of this turn. Cheap, may be called many times a turn. */
void fw_loop_want_flush(struct fw_loop *loop);

/* One-shot; may be set again. */
struct fw_timer *fw_timer_new(struct fw_loop *loop, fw_loop_fn *callback, void *context);
void fw_timer_set(struct fw_timer *timer, uint64_t delay_ns);
void fw_timer_clear(struct fw_timer *timer);
void fw_timer_free(struct fw_timer *timer);

/* Level-triggered readability (a pidfd is readable when its process has ended). Does not own the descriptor.
 * NULL when the kernel refuses it (a plain file, say). */
struct fw_watch *fw_watch_new(struct fw_loop *loop, int fd, fw_watch_fn *callback, void *context);
void fw_watch_free(struct fw_watch *watch);

struct fw_watch *fw_signal_new(struct fw_loop *loop, int signal_number, fw_signal_fn *callback, void *context);

struct event_base *fw_loop_base(struct fw_loop *loop); /* for http/ alone */
