/* SPDX-License-Identifier: Apache-2.0
 *
 * Worker threads in front of a queue. A job goes queue → thread → finished list → loop; an eventfd tells the loop that the
 * list is not empty. Jobs are reported in the order in which they finish. The lock guards both lists and the counters;
 * neither `work` nor `done` runs under it.
 */
#include "base/pool.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>

#include "base/memory.h"

struct job {
	struct job *next;
	fw_job_fn *work;
	fw_job_fn *done;
	void *context;
};

struct queue {
	struct job *first;
	struct job **last;
};

struct fw_pool {
	pthread_mutex_t lock;
	pthread_cond_t submitted;
	pthread_cond_t finished_one;
	struct queue waiting;
	struct queue finished;
	size_t unfinished; /* waiting or running */
	bool ending;
	int wake_fd;
	struct fw_watch *watch;
	pthread_t *threads;
	unsigned thread_count;
};

static void queue_add(struct queue *queue, struct job *job)
{
	job->next = NULL;
	*queue->last = job;
	queue->last = &job->next;
}

static struct job *queue_take_all(struct queue *queue)
{
	struct job *first = queue->first;

	queue->first = NULL;
	queue->last = &queue->first;
	return first;
}

static struct job *queue_take(struct queue *queue)
{
	struct job *job = queue->first;

	queue->first = job->next;
	if (!queue->first)
		queue->last = &queue->first;
	return job;
}

static void wake_loop(const struct fw_pool *pool)
{
	uint64_t one = 1;

	/* Cannot fail but by EINTR: the counter is far from full and the descriptor is ours. */
	while (write(pool->wake_fd, &one, sizeof one) < 0 && errno == EINTR)
		;
}

static void *run_thread(void *context)
{
	struct fw_pool *pool = context;

	pthread_mutex_lock(&pool->lock);
	for (;;) {
		while (!pool->waiting.first && !pool->ending)
			pthread_cond_wait(&pool->submitted, &pool->lock);
		if (!pool->waiting.first)
			break;
		struct job *job = queue_take(&pool->waiting);
		pthread_mutex_unlock(&pool->lock);
		job->work(job->context);
		pthread_mutex_lock(&pool->lock);
		if (!pool->finished.first)
			wake_loop(pool);
		queue_add(&pool->finished, job);
		pool->unfinished--;
		pthread_cond_signal(&pool->finished_one);
	}
	pthread_mutex_unlock(&pool->lock);
	return NULL;
}

static void report_finished(struct fw_pool *pool)
{
	pthread_mutex_lock(&pool->lock);
	struct job *job = queue_take_all(&pool->finished);
	pthread_mutex_unlock(&pool->lock);
	while (job) {
		struct job *next = job->next;

		job->done(job->context);
		free(job);
		job = next;
	}
}

static void on_wake(void *context, int fd)
{
	uint64_t count;

	while (read(fd, &count, sizeof count) < 0 && errno == EINTR)
		;
	report_finished(context);
}

/* Signals are the loop's: the threads are born with all of them blocked. */
static int start_threads(struct fw_pool *pool, unsigned threads, struct fw_error **err)
{
	sigset_t all, before;
	int failure = 0;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	while (failure == 0 && pool->thread_count < threads) {
		failure = pthread_create(&pool->threads[pool->thread_count], NULL, run_thread, pool);
		pool->thread_count += failure == 0;
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return failure == 0 ? FW_OK : fw_fail_errno(err, failure, "start %u threads", threads);
}

int fw_pool_new(struct fw_loop *loop, unsigned threads, struct fw_pool **pool, struct fw_error **err)
{
	int wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	if (wake_fd < 0)
		return fw_fail_errno(err, errno, "make an event descriptor");
	FW_CLEANUP(fw_pool_free) struct fw_pool *made = fw_alloc(sizeof *made);
	pthread_mutex_init(&made->lock, NULL);
	pthread_cond_init(&made->submitted, NULL);
	pthread_cond_init(&made->finished_one, NULL);
	made->waiting.last = &made->waiting.first;
	made->finished.last = &made->finished.first;
	made->wake_fd = wake_fd;
	made->threads = fw_alloc_array(threads, sizeof *made->threads);
	made->watch = fw_watch_new(loop, wake_fd, on_wake, made);
	if (!made->watch)
		return fw_fail(err, FW_E_ENVIRONMENT, "watch an event descriptor: refused by the kernel");

	int rc = start_threads(made, threads, err);
	if (rc == FW_OK)
		*pool = FW_TAKE(made);
	return rc;
}

void fw_pool_submit(struct fw_pool *pool, fw_job_fn *work, fw_job_fn *done, void *context)
{
	struct job *job = fw_alloc(sizeof *job);

	*job = (struct job){.work = work, .done = done, .context = context};
	pthread_mutex_lock(&pool->lock);
	queue_add(&pool->waiting, job);
	pool->unfinished++;
	pthread_cond_signal(&pool->submitted);
	pthread_mutex_unlock(&pool->lock);
}

/* What a `done` submits meanwhile is waited for as well. */
static void finish_jobs(struct fw_pool *pool)
{
	bool idle = false;

	while (!idle) {
		pthread_mutex_lock(&pool->lock);
		while (!pool->finished.first && pool->unfinished > 0)
			pthread_cond_wait(&pool->finished_one, &pool->lock);
		idle = !pool->finished.first;
		pthread_mutex_unlock(&pool->lock);
		report_finished(pool);
	}
}

void fw_pool_free(struct fw_pool *pool)
{
	if (!pool)
		return;
	finish_jobs(pool);
	pthread_mutex_lock(&pool->lock);
	pool->ending = true;
	pthread_cond_broadcast(&pool->submitted);
	pthread_mutex_unlock(&pool->lock);
	for (unsigned i = 0; i < pool->thread_count; i++)
		pthread_join(pool->threads[i], NULL);
	free(pool->threads);
	fw_watch_free(pool->watch);
	close(pool->wake_fd);
	pthread_cond_destroy(&pool->finished_one);
	pthread_cond_destroy(&pool->submitted);
	pthread_mutex_destroy(&pool->lock);
	free(pool);
}
