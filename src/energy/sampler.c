/* SPDX-License-Identifier: Apache-2.0
 *
 * The one thread that reads. It wakes at the ticks of a timer with absolute times while there are workers, and when an
 * invocation has ended. Readings may use 0.5 % of a CPU, no more: an account fills with time and pays for each turn, and
 * while it is empty ends wait for the next tick and share what is known. It allocates nothing.
 */
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "base/time.h"
#include "energy/manager_internal.h"

#define BUDGET 0.005
#define MOST_SAVED_NS (20 * 1000000LL) /* what a quiet time can save for a busy one */
#define MOST_OWED_NS (5 * 1000000LL)
#define FIRST_NS (4 * 1000000LL)   /* for the first ends, before any time has passed */
#define RESERVE_NS (1 * 1000000LL) /* kept for ends: samples in between come second */

static uint64_t thread_cpu_ns(void)
{
	struct timespec time;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
	return (uint64_t)time.tv_sec * FW_NS_PER_S + (uint64_t)time.tv_nsec;
}

static void earn(struct fw_energy_manager *manager)
{
	uint64_t now_ns = fw_monotonic_ns();

	manager->allowance_ns += (int64_t)((double)(now_ns - manager->allowance_at_ns) * BUDGET);
	manager->allowance_at_ns = now_ns;
	if (manager->allowance_ns > MOST_SAVED_NS)
		manager->allowance_ns = MOST_SAVED_NS;
}

static void spend(struct fw_energy_manager *manager, uint64_t used_ns)
{
	manager->reading_ns += used_ns;
	manager->allowance_ns -= (int64_t)used_ns;
	if (manager->allowance_ns < -MOST_OWED_NS)
		manager->allowance_ns = -MOST_OWED_NS;
}

/* Each reading is paid when it is done: the next one asks what is left. */
struct turn {
	uint64_t paid_until_ns; /* thread CPU time */
};
static _Thread_local struct turn turn;

static void pay(struct fw_energy_manager *manager)
{
	uint64_t now_ns = thread_cpu_ns();

	spend(manager, now_ns - turn.paid_until_ns);
	turn.paid_until_ns = now_ns;
}

static bool may_read(struct fw_energy_manager *manager)
{
	pay(manager);
	return manager->allowance_ns > 0;
}

static bool may_sample(struct fw_energy_manager *manager)
{
	pay(manager);
	return manager->allowance_ns > RESERVE_NS;
}

static bool is_active(struct fw_energy_worker *worker)
{
	bool active;

	pthread_mutex_lock(&worker->state);
	active = worker->active;
	pthread_mutex_unlock(&worker->state);
	return active;
}

/* The lock is given up between workers, so that a worker that starts or ends does not wait for all of them. */
static void sample_all(struct fw_energy_manager *manager)
{
	bool more = true;

	for (size_t i = 0; more; i++) {
		pthread_mutex_lock(&manager->pass);
		more = i < manager->workers.count;
		if (i == 0 && more && may_sample(manager))
			for (size_t m = 0; m < FW_MONITOR_COUNT; m++)
				if (manager->monitors[m] && manager->reports[m].ops->sample)
					manager->reports[m].ops->sample(manager->monitors[m]);
		if (more && is_active(manager->workers.items[i])) {
			if (may_sample(manager))
				fw_energy_sample_worker(manager->workers.items[i]);
			else
				manager->left_out++;
		}
		pthread_mutex_unlock(&manager->pass);
	}
}

static void fill_ended(struct fw_energy_manager *manager)
{
	pthread_mutex_lock(&manager->pass);
	struct fw_ended *list = fw_ended_take(&manager->ended);

	if (list) {
		fw_energy_read_ended(manager, list, may_read);
		pay(manager);
		fw_energy_fill_ended(manager, list);
		turn.paid_until_ns = thread_cpu_ns(); /* filling records is not reading */
	}
	pthread_mutex_unlock(&manager->pass);
}

static bool take_ticks(struct fw_energy_manager *manager)
{
	uint64_t expirations;

	if (read(manager->timer_fd, &expirations, sizeof expirations) != sizeof expirations)
		return false;
	manager->missed_ticks += expirations - 1;
	return true;
}

static void *sampler_main(void *context)
{
	struct fw_energy_manager *manager = context;
	struct pollfd waits[] = {{manager->timer_fd, POLLIN, 0}, {manager->kick_fd, POLLIN, 0}};

	turn.paid_until_ns = thread_cpu_ns();
	while (!atomic_load(&manager->stopping)) {
		uint64_t kicks;

		earn(manager);
		/* Without allowance the next tick is soon enough. */
		atomic_store(&manager->wants_kick, manager->allowance_ns > 0 || !atomic_load(&manager->ticking));
		if (!atomic_load(&manager->ended) || !atomic_load(&manager->wants_kick))
			poll(waits, 2, -1);
		atomic_store(&manager->wants_kick, false);
		(void)!read(manager->kick_fd, &kicks, sizeof kicks);
		earn(manager);
		if (take_ticks(manager))
			sample_all(manager);
		fill_ended(manager);
		pay(manager);
		atomic_store(&manager->thread_ns, thread_cpu_ns());
	}
	return NULL;
}

void fw_energy_sampler_kick(struct fw_energy_manager *manager)
{
	uint64_t one = 1;

	if (atomic_exchange(&manager->wants_kick, false))
		(void)!write(manager->kick_fd, &one, sizeof one);
}

void fw_energy_sampler_tick(struct fw_energy_manager *manager, bool on)
{
	uint64_t first_ns = fw_monotonic_ns() + manager->period_ns;
	struct itimerspec times = {0};

	if (!manager->has_sampler)
		return;
	if (on)
		times = (struct itimerspec){
			.it_value = {(time_t)(first_ns / FW_NS_PER_S), (long)(first_ns % FW_NS_PER_S)},
			.it_interval = {(time_t)(manager->period_ns / FW_NS_PER_S), (long)(manager->period_ns % FW_NS_PER_S)}};
	timerfd_settime(manager->timer_fd, TFD_TIMER_ABSTIME, &times, NULL);
	atomic_store(&manager->ticking, on);
}

/* The last CPU that we may use: the first ones serve interrupts and the loop. */
static void pin(pthread_attr_t *attributes)
{
	cpu_set_t allowed, one;

	if (sched_getaffinity(0, sizeof allowed, &allowed) != 0)
		return;
	for (size_t cpu = CPU_SETSIZE; cpu-- > 0;)
		if (CPU_ISSET(cpu, &allowed)) {
			CPU_ZERO(&one);
			CPU_SET(cpu, &one);
			pthread_attr_setaffinity_np(attributes, sizeof one, &one);
			return;
		}
}

static int start_thread(struct fw_energy_manager *manager)
{
	pthread_attr_t attributes;
	sigset_t all, before;
	int errnum;

	pthread_attr_init(&attributes);
	pin(&attributes);
	sigfillset(&all); /* signals are the loop's */
	pthread_sigmask(SIG_SETMASK, &all, &before);
	errnum = pthread_create(&manager->sampler, &attributes, sampler_main, manager);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attributes);
	if (errnum == 0)
		pthread_setname_np(manager->sampler, "energy");
	return errnum;
}

int fw_energy_sampler_start(struct fw_energy_manager *manager, double rate_hz, struct fw_error **err)
{
	int errnum;

	manager->period_ns = (uint64_t)(1e9 / (rate_hz > 1000 ? 1000 : rate_hz));
	manager->allowance_ns = FIRST_NS;
	manager->allowance_at_ns = fw_monotonic_ns();
	manager->kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	manager->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (manager->kick_fd < 0 || manager->timer_fd < 0)
		return fw_fail_errno(err, errno, "make the timer of the sampler");
	errnum = start_thread(manager);
	if (errnum != 0)
		return fw_fail_errno(err, errnum, "start the sampler thread");
	manager->has_sampler = true;
	return FW_OK;
}

void fw_energy_sampler_stop(struct fw_energy_manager *manager)
{
	uint64_t one = 1;

	if (manager->has_sampler) {
		atomic_store(&manager->stopping, true);
		(void)!write(manager->kick_fd, &one, sizeof one);
		pthread_join(manager->sampler, NULL);
		manager->has_sampler = false;
	}
	if (manager->kick_fd >= 0)
		close(manager->kick_fd);
	if (manager->timer_fd >= 0)
		close(manager->timer_fd);
	manager->kick_fd = manager->timer_fd = -1;
}
