/* SPDX-License-Identifier: Apache-2.0 */
#include "base/pool.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>

#include "base/memory.h"
#include "base/time.h"
#include "tests/unit/support.h"

/* Every test's loop ends with its last job; the guard makes a lost job a failure instead of a hang. */
struct fixture {
	struct fw_loop *loop;
	struct fw_pool *pool;
	struct fw_timer *guard;
	pthread_t loop_thread;
	pthread_mutex_t gate;
	unsigned done;
	unsigned expected;
	bool guarded;
	char order[8];
};

struct job {
	struct fixture *fixture;
	unsigned input;
	unsigned output;
	char name;
};

static void guard_fired(void *context)
{
	struct fixture *fixture = context;

	fixture->guarded = true;
	fw_loop_stop(fixture->loop);
}

static void begin(struct fixture *fixture, unsigned threads, unsigned expected)
{
	fw_cleanup_error struct fw_error *err = NULL;

	*fixture = (struct fixture){.expected = expected, .loop_thread = pthread_self()};
	pthread_mutex_init(&fixture->gate, NULL);
	assert_ok(fw_loop_new(&fixture->loop, &err), err);
	assert_ok(fw_pool_new(fixture->loop, threads, &fixture->pool, &err), err);
	fixture->guard = fw_timer_new(fixture->loop, guard_fired, fixture);
	fw_timer_set(fixture->guard, 100 * FW_NS_PER_S);
}

static void finish(struct fixture *fixture)
{
	fw_pool_free(fixture->pool);
	fw_timer_free(fixture->guard);
	fw_loop_free(fixture->loop);
	pthread_mutex_destroy(&fixture->gate);
	assert_false(fixture->guarded);
	assert_int_equal(fixture->done, fixture->expected);
}

static void square(void *context)
{
	struct job *job = context;

	assert_false(pthread_equal(pthread_self(), job->fixture->loop_thread));
	job->output = job->input * job->input;
}

static void count_done(void *context)
{
	struct job *job = context;
	struct fixture *fixture = job->fixture;

	assert_true(pthread_equal(pthread_self(), fixture->loop_thread));
	assert_int_equal(job->output, job->input * job->input);
	if (++fixture->done == fixture->expected)
		fw_loop_stop(fixture->loop);
}

static void work_runs_on_threads_and_done_on_the_loop(void **state)
{
	enum { JOBS = 2000 };
	static struct job jobs[JOBS];
	struct fixture fixture;
	fw_cleanup_error struct fw_error *err = NULL;

	(void)state;
	begin(&fixture, 4, JOBS);
	for (unsigned i = 0; i < JOBS; i++) {
		jobs[i] = (struct job){.fixture = &fixture, .input = i};
		fw_pool_submit(fixture.pool, square, count_done, &jobs[i]);
	}
	assert_ok(fw_loop_run(fixture.loop, &err), err);
	finish(&fixture);
}

static void pass_gate(void *context)
{
	struct job *job = context;

	pthread_mutex_lock(&job->fixture->gate);
	pthread_mutex_unlock(&job->fixture->gate);
}

static void note_order(void *context)
{
	struct job *job = context;
	struct fixture *fixture = job->fixture;

	fixture->order[fixture->done++] = job->name;
	if (job->name == 'b')
		pthread_mutex_unlock(&fixture->gate);
	if (fixture->done == fixture->expected)
		fw_loop_stop(fixture->loop);
}

static void do_nothing(void *context)
{
	(void)context;
}

static void jobs_are_reported_as_they_finish_not_as_they_were_submitted(void **state)
{
	struct fixture fixture;
	fw_cleanup_error struct fw_error *err = NULL;

	(void)state;
	begin(&fixture, 2, 2);
	struct job slow = {.fixture = &fixture, .name = 'a'}, quick = {.fixture = &fixture, .name = 'b'};
	pthread_mutex_lock(&fixture.gate);
	fw_pool_submit(fixture.pool, pass_gate, note_order, &slow);
	fw_pool_submit(fixture.pool, do_nothing, note_order, &quick);
	assert_ok(fw_loop_run(fixture.loop, &err), err);
	assert_string_equal(fixture.order, "ba");
	finish(&fixture);
}

static void count_only(void *context)
{
	struct job *job = context;

	job->fixture->done++;
}

static void freeing_waits_for_every_job_and_reports_it(void **state)
{
	struct fixture fixture;

	(void)state;
	begin(&fixture, 2, 100);
	struct job job = {.fixture = &fixture};
	for (int i = 0; i < 100; i++)
		fw_pool_submit(fixture.pool, do_nothing, count_only, &job);
	finish(&fixture);
}

static void submit_three(void *context)
{
	struct job *job = context;

	if (++job->fixture->done < 3)
		fw_pool_submit(job->fixture->pool, do_nothing, submit_three, job);
}

static void what_a_done_submits_is_waited_for_too(void **state)
{
	struct fixture fixture;

	(void)state;
	begin(&fixture, 1, 3);
	struct job job = {.fixture = &fixture};
	fw_pool_submit(fixture.pool, do_nothing, submit_three, &job);
	finish(&fixture);
}

static void check_signals(void *context)
{
	struct job *job = context;
	sigset_t blocked;

	pthread_sigmask(SIG_SETMASK, NULL, &blocked);
	job->output = sigismember(&blocked, SIGTERM) == 1 && sigismember(&blocked, SIGINT) == 1;
}

static void signals_are_left_to_the_loop(void **state)
{
	struct fixture fixture;
	sigset_t blocked;

	(void)state;
	begin(&fixture, 1, 1);
	struct job job = {.fixture = &fixture};
	fw_pool_submit(fixture.pool, check_signals, count_only, &job);
	finish(&fixture);
	assert_int_equal(job.output, 1);
	pthread_sigmask(SIG_SETMASK, NULL, &blocked);
	assert_int_equal(sigismember(&blocked, SIGTERM), 0);
}

FW_TESTS(work_runs_on_threads_and_done_on_the_loop, jobs_are_reported_as_they_finish_not_as_they_were_submitted,
         freeing_waits_for_every_job_and_reports_it, what_a_done_submits_is_waited_for_too, signals_are_left_to_the_loop)
