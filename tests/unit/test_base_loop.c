/* SPDX-License-Identifier: Apache-2.0 */
#include "base/loop.h"

#include <signal.h>
#include <string.h>

#include "base/time.h"
#include "tests/unit/support.h"

/* What happened, one letter each; every test ends its loop by itself or by the guard after five seconds. */
struct fixture {
	struct fw_loop *loop;
	struct fw_timer *guard;
	struct fw_timer *timer;
	struct fw_watch *watch;
	char trace[32];
	int pipe[2];
};

static void note(struct fixture *fixture, char letter)
{
	fixture->trace[strlen(fixture->trace)] = letter;
}

static void guard_fired(void *context)
{
	struct fixture *fixture = context;

	note(fixture, '!');
	fw_loop_stop(fixture->loop);
}

static void begin(struct fixture *fixture)
{
	struct fw_error *err = NULL;

	memset(fixture, 0, sizeof *fixture);
	assert_ok(fw_loop_new(&fixture->loop, &err), err);
	fixture->guard = fw_timer_new(fixture->loop, guard_fired, fixture);
	fw_timer_set(fixture->guard, 100 * FW_NS_PER_S);
	assert_int_equal(pipe(fixture->pipe), 0);
}

static void finish(struct fixture *fixture, const char *expected)
{
	struct fw_error *err = NULL;

	assert_ok(fw_loop_run(fixture->loop, &err), err);
	assert_string_equal(fixture->trace, expected);
	fw_timer_free(fixture->guard);
	fw_timer_free(fixture->timer);
	fw_watch_free(fixture->watch);
	fw_loop_free(fixture->loop);
	close(fixture->pipe[0]);
	close(fixture->pipe[1]);
}

static void note_a(void *context)
{
	note(context, 'a');
}

static void note_b_and_stop(void *context)
{
	struct fixture *fixture = context;

	note(fixture, 'b');
	fw_loop_stop(fixture->loop);
}

static void note_f(void *context)
{
	note(context, 'f');
}

static void defer_both(void *context)
{
	struct fixture *fixture = context;

	note(fixture, 't');
	fw_loop_want_flush(fixture->loop);
	fw_loop_want_flush(fixture->loop);
	fw_loop_defer(fixture->loop, note_a, fixture);
	fw_loop_defer(fixture->loop, note_b_and_stop, fixture);
}

static void a_turn_is_callbacks_then_deferred_calls_then_one_flush(void **state)
{
	struct fixture fixture;

	(void)state;
	begin(&fixture);
	fw_loop_on_flush(fixture.loop, note_f, &fixture);
	fixture.timer = fw_timer_new(fixture.loop, defer_both, &fixture);
	fw_timer_set(fixture.timer, 0);
	finish(&fixture, "tabf");
}

static void defer_more(void *context)
{
	struct fixture *fixture = context;

	note(fixture, 'd');
	fw_loop_want_flush(fixture->loop);
	fw_loop_defer(fixture->loop, note_b_and_stop, fixture);
}

static void what_a_deferred_call_defers_comes_before_the_flush(void **state)
{
	struct fixture fixture;

	(void)state;
	begin(&fixture);
	fw_loop_on_flush(fixture.loop, note_f, &fixture);
	fw_loop_defer(fixture.loop, defer_more, &fixture);
	finish(&fixture, "dbf");
}

static void defer_from_flush(void *context)
{
	struct fixture *fixture = context;

	note(fixture, 'f');
	fw_loop_defer(fixture->loop, note_b_and_stop, fixture);
}

static void what_a_flush_hook_defers_runs_in_the_next_turn_at_once(void **state)
{
	struct fixture fixture;

	(void)state;
	begin(&fixture);
	fw_loop_on_flush(fixture.loop, defer_from_flush, &fixture);
	fw_loop_want_flush(fixture.loop);
	finish(&fixture, "fb");
}

static void no_flush_happens_unless_wanted(void **state)
{
	struct fixture fixture;

	(void)state;
	begin(&fixture);
	fw_loop_on_flush(fixture.loop, note_f, &fixture);
	fw_loop_defer(fixture.loop, note_b_and_stop, &fixture);
	finish(&fixture, "b");
}

static void a_timer_never_fires_early(void **state)
{
	struct fixture fixture;
	uint64_t delay_ns = 3 * FW_NS_PER_MS + 1;

	(void)state;
	begin(&fixture);
	fixture.timer = fw_timer_new(fixture.loop, note_b_and_stop, &fixture);
	uint64_t start_ns = fw_loop_now_ns(fixture.loop);
	fw_timer_set(fixture.timer, delay_ns);
	struct fw_loop *loop = fixture.loop;
	assert_ok(fw_loop_run(loop, NULL), NULL);
	assert_true(fw_loop_now_ns(loop) - start_ns >= delay_ns);
	fw_loop_stop(loop);
	finish(&fixture, "b");
}

static void set_again_once(void *context)
{
	struct fixture *fixture = context;

	note(fixture, 's');
	if (strlen(fixture->trace) < 2)
		fw_timer_set(fixture->timer, 0);
	else
		fw_loop_stop(fixture->loop);
}

static void a_timer_fires_once_a_setting(void **state)
{
	struct fixture fixture;

	(void)state;
	begin(&fixture);
	fixture.timer = fw_timer_new(fixture.loop, set_again_once, &fixture);
	fw_timer_set(fixture.timer, 0);
	finish(&fixture, "ss");
}

static void free_own_timer(void *context)
{
	struct fixture *fixture = context;

	fw_timer_free(FW_TAKE(fixture->timer));
	note_b_and_stop(fixture);
}

static void a_timer_may_be_freed_in_its_own_callback(void **state)
{
	struct fixture fixture;

	(void)state;
	begin(&fixture);
	fixture.timer = fw_timer_new(fixture.loop, free_own_timer, &fixture);
	fw_timer_set(fixture.timer, 0);
	finish(&fixture, "b");
}

static void a_cleared_timer_does_not_fire(void **state)
{
	struct fixture fixture;

	(void)state;
	begin(&fixture);
	fixture.timer = fw_timer_new(fixture.loop, note_a, &fixture);
	fw_timer_set(fixture.timer, 0);
	fw_timer_clear(fixture.timer);
	fw_loop_defer(fixture.loop, note_b_and_stop, &fixture);
	finish(&fixture, "b");
}

static void a_delay_of_centuries_does_not_fire_now(void **state)
{
	struct fixture fixture;

	(void)state;
	begin(&fixture);
	fixture.timer = fw_timer_new(fixture.loop, note_a, &fixture);
	fw_timer_set(fixture.timer, UINT64_MAX);
	fw_loop_defer(fixture.loop, note_b_and_stop, &fixture);
	finish(&fixture, "b");
}

static void read_one(void *context, int fd)
{
	struct fixture *fixture = context;
	char letter;

	assert_int_equal(read(fd, &letter, 1), 1);
	note(fixture, letter);
	if (letter == 'z')
		fw_watch_free(FW_TAKE(fixture->watch));
	if (letter == 'z')
		fw_loop_stop(fixture->loop);
}

static void a_watch_is_called_until_all_is_read_and_may_free_itself(void **state)
{
	struct fixture fixture;

	(void)state;
	begin(&fixture);
	fixture.watch = fw_watch_new(fixture.loop, fixture.pipe[0], read_one, &fixture);
	assert_int_equal(write(fixture.pipe[1], "xyz", 3), 3);
	finish(&fixture, "xyz");
}

static void on_signal(void *context, int signal_number)
{
	struct fixture *fixture = context;

	assert_int_equal(signal_number, SIGUSR1);
	note_b_and_stop(fixture);
}

static void a_signal_arrives_on_the_loop(void **state)
{
	struct fixture fixture;

	(void)state;
	begin(&fixture);
	fixture.watch = fw_signal_new(fixture.loop, SIGUSR1, on_signal, &fixture);
	raise(SIGUSR1);
	finish(&fixture, "b");
}

static void a_loop_that_nothing_can_stop_is_an_error_not_a_hang(void **state)
{
	fw_cleanup_error struct fw_error *err = NULL;
	FW_CLEANUP(fw_loop_free) struct fw_loop *loop = NULL;

	(void)state;
	assert_ok(fw_loop_new(&loop, &err), err);
	assert_error_is(fw_loop_run(loop, &err), &err, FW_E_INTERNAL, "nothing is left that could stop it");
}

FW_TESTS(a_turn_is_callbacks_then_deferred_calls_then_one_flush, what_a_deferred_call_defers_comes_before_the_flush,
         what_a_flush_hook_defers_runs_in_the_next_turn_at_once, no_flush_happens_unless_wanted, a_timer_never_fires_early,
         a_timer_fires_once_a_setting, a_timer_may_be_freed_in_its_own_callback, a_cleared_timer_does_not_fire,
         a_delay_of_centuries_does_not_fire_now, a_watch_is_called_until_all_is_read_and_may_free_itself,
         a_signal_arrives_on_the_loop, a_loop_that_nothing_can_stop_is_an_error_not_a_hang)
