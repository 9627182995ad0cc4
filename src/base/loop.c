/* SPDX-License-Identifier: Apache-2.0
 *
 * The event loop on libevent, one turn at a time: wait, callbacks, deferred calls until none is left, flush. The turn is
 * ours so that this order is exact. libevent's own locks are not switched on: other threads wake the loop through a
 * descriptor (pool.c).
 */
#include "base/loop.h"

#include <event2/event.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/time.h"

struct call {
	fw_loop_fn *callback;
	void *context;
};

struct fw_loop {
	struct event_base *base;
	bool stopping;
	bool flush_wanted;
	FW_VECTOR(struct call) deferred;
	FW_VECTOR(struct call) flush;
};

struct fw_timer {
	struct event *event;
	struct call call;
};

struct fw_watch {
	struct event *event;
	fw_watch_fn *on_fd;
	fw_signal_fn *on_signal;
	void *context;
};

/* libevent would print to standard error. */
static void log_libevent(int severity, const char *message)
{
	(void)severity;
	fw_debug("libevent: %s", message);
}

static struct event_base *make_base(void)
{
	struct event_config *config = event_config_new();
	struct event_base *base = NULL;

	/* Uncached time: a timer set late in a long callback still waits its whole delay. */
	if (config && event_config_set_flag(config, EVENT_BASE_FLAG_PRECISE_TIMER) == 0 &&
	    event_config_set_flag(config, EVENT_BASE_FLAG_NO_CACHE_TIME) == 0)
		base = event_base_new_with_config(config);
	if (config)
		event_config_free(config);
	return base;
}

int fw_loop_new(struct fw_loop **loop, struct fw_error **err)
{
	event_set_log_callback(log_libevent);
	struct event_base *base = make_base();

	if (!base)
		return fw_fail(err, FW_E_ENVIRONMENT, "start the event loop: no epoll, or too many open files");
	*loop = fw_alloc(sizeof **loop);
	(*loop)->base = base;
	return FW_OK;
}

void fw_loop_free(struct fw_loop *loop)
{
	if (!loop)
		return;
	event_base_free(loop->base);
	free(loop->deferred.items);
	free(loop->flush.items);
	free(loop);
}

/* A deferred call may defer more: they run too, in order, before the flush. */
void fw_loop_run_deferred(struct fw_loop *loop)
{
	for (size_t i = 0; i < loop->deferred.count; i++) {
		struct call call = loop->deferred.items[i]; /* the array may move */

		call.callback(call.context);
	}
	loop->deferred.count = 0;
}

/* What a hook defers or wants flushed belongs to the next turn, which then does not wait. */
static void end_turn(struct fw_loop *loop)
{
	fw_loop_run_deferred(loop);
	if (!loop->flush_wanted)
		return;
	loop->flush_wanted = false;
	for (size_t i = 0; i < loop->flush.count; i++)
		loop->flush.items[i].callback(loop->flush.items[i].context);
}

static bool has_work(const struct fw_loop *loop)
{
	return loop->deferred.count > 0 || loop->flush_wanted;
}

int fw_loop_run(struct fw_loop *loop, struct fw_error **err)
{
	int rc = FW_OK;

	while (!loop->stopping && rc == FW_OK) {
		bool hasty = has_work(loop);
		int outcome = event_base_loop(loop->base, EVLOOP_ONCE | (hasty ? EVLOOP_NONBLOCK : 0));

		if (outcome < 0)
			rc = fw_fail(err, FW_E_INTERNAL, "run the event loop: waiting for events failed");
		else if (outcome > 0 && !hasty && !has_work(loop))
			rc = fw_fail(err, FW_E_INTERNAL, "run the event loop: nothing is left that could stop it");
		end_turn(loop);
	}
	loop->stopping = false;
	return rc;
}

void fw_loop_stop(struct fw_loop *loop)
{
	loop->stopping = true;
}

uint64_t fw_loop_now_ns(struct fw_loop *loop)
{
	(void)loop;
	return fw_monotonic_ns();
}

void fw_loop_defer(struct fw_loop *loop, fw_loop_fn *callback, void *context)
{
	FW_PUSH(&loop->deferred, (struct call){callback, context});
}

void fw_loop_on_flush(struct fw_loop *loop, fw_loop_fn *callback, void *context)
{
	FW_PUSH(&loop->flush, (struct call){callback, context});
}

void fw_loop_want_flush(struct fw_loop *loop)
{
	loop->flush_wanted = true;
}

struct event_base *fw_loop_base(struct fw_loop *loop)
{
	return loop->base;
}

static struct event *make_event(struct fw_loop *loop, int fd, short what, event_callback_fn callback, void *context)
{
	struct event *event = event_new(loop->base, fd, what, callback, context);

	if (!event)
		fw_memory_exhausted();
	return event;
}

static void timer_fired(evutil_socket_t fd, short what, void *context)
{
	struct call call = ((struct fw_timer *)context)->call;

	(void)fd;
	(void)what;
	call.callback(call.context);
}

struct fw_timer *fw_timer_new(struct fw_loop *loop, fw_loop_fn *callback, void *context)
{
	struct fw_timer *timer = fw_alloc(sizeof *timer);

	timer->event = make_event(loop, -1, 0, timer_fired, timer);
	timer->call = (struct call){callback, context};
	return timer;
}

/* Rounded up to libevent's microseconds: a timer never fires early. */
void fw_timer_set(struct fw_timer *timer, uint64_t delay_ns)
{
	static const uint64_t longest_s = 100ULL * 366 * 24 * 3600;
	uint64_t delay_us = delay_ns / 1000 + (delay_ns % 1000 != 0);
	struct timeval delay = {(time_t)(delay_us / 1000000), (suseconds_t)(delay_us % 1000000)};

	if (delay_us / 1000000 > longest_s)
		delay = (struct timeval){(time_t)longest_s, 0};
	if (event_add(timer->event, &delay) != 0)
		fw_memory_exhausted();
}

void fw_timer_clear(struct fw_timer *timer)
{
	event_del(timer->event);
}

void fw_timer_free(struct fw_timer *timer)
{
	if (!timer)
		return;
	event_free(timer->event);
	free(timer);
}

static void watch_fired(evutil_socket_t fd, short what, void *context)
{
	const struct fw_watch *watch = context;

	(void)what;
	if (watch->on_fd)
		watch->on_fd(watch->context, fd);
	else
		watch->on_signal(watch->context, fd);
}

static struct fw_watch *make_watch(struct fw_loop *loop, int fd, short what, struct fw_watch made)
{
	struct fw_watch *watch = fw_alloc(sizeof *watch);

	*watch = made;
	watch->event = make_event(loop, fd, (short)(what | EV_PERSIST), watch_fired, watch);
	if (event_add(watch->event, NULL) == 0)
		return watch;
	fw_watch_free(watch);
	return NULL;
}

struct fw_watch *fw_watch_new(struct fw_loop *loop, int fd, fw_watch_fn *callback, void *context)
{
	return make_watch(loop, fd, EV_READ, (struct fw_watch){.on_fd = callback, .context = context});
}

struct fw_watch *fw_signal_new(struct fw_loop *loop, int signal_number, fw_signal_fn *callback, void *context)
{
	return make_watch(loop, signal_number, EV_SIGNAL, (struct fw_watch){.on_signal = callback, .context = context});
}

void fw_watch_free(struct fw_watch *watch)
{
	if (!watch)
		return;
	event_free(watch->event);
	free(watch);
}
