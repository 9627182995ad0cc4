/* SPDX-License-Identifier: Apache-2.0
 *
 * The one thread that wakes by itself: at the ticks of a timer with absolute times while there are workers, never for a
 * single invocation. At each tick it samples what runs and fills the records of all that has ended since the last one.
 * It allocates nothing for readings, and the budget decides which of them are taken.
 */
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/time.h"
#include "energy/counters.h"
#include "energy/manager_internal.h"

static const uint64_t FAST_NS = FW_NS_PER_S / 100;
#define IDLE_NS FW_NS_PER_S
#define SHORT_NS FW_NS_PER_S
#define COALESCE_NS FW_NS_PER_MS
#define MOST_PERIOD_NS (10 * FW_NS_PER_S) /* no counter goes round in it */

/* An invocation that has no reading near its begin gets one now: it is near enough when the invocation is long. True when
 * anything was read. */
static bool sample_active(struct fw_energy_worker *worker)
{
	bool active, lacks_base;

	pthread_mutex_lock(&worker->state);
	active = worker->active;
	lacks_base = worker->base_off_ns == UINT64_MAX;
	pthread_mutex_unlock(&worker->state);
	if (!active)
		return false;
	if (!fw_energy_may(worker->manager, FW_KEEP_FOR_ENDS)) {
		worker->manager->left_out++;
		return false;
	}
	if (lacks_base)
		fw_energy_read_worker(worker);
	else
		fw_energy_sample_worker(worker);
	return true;
}

/* The lock is given up between workers, so that a worker that starts or ends does not wait for all of them. */
static uint64_t sample_all(struct fw_energy_manager *manager, uint64_t paid_ns)
{
	bool more = true, read;

	for (size_t i = 0; more; i++) {
		pthread_mutex_lock(&manager->pass);
		more = i < manager->workers.count;
		if (i == 0 && more && fw_energy_may(manager, FW_KEEP_FOR_ENDS))
			for (size_t m = 0; m < FW_MONITOR_COUNT; m++)
				if (manager->monitors[m] && manager->reports[m].ops->sample)
					manager->reports[m].ops->sample(manager->monitors[m]);
		read = more && sample_active(manager->workers.items[i]);
		pthread_mutex_unlock(&manager->pass);
		if (read) /* to look at the clock of this thread costs as much as to find nothing to read */
			paid_ns = fw_energy_pay(manager, paid_ns);
	}
	return fw_energy_pay(manager, paid_ns);
}

/* Filling records is no reading: counted apart, and not paid from the budget. */
static uint64_t fill_ended(struct fw_energy_manager *manager, uint64_t paid_ns)
{
	pthread_mutex_lock(&manager->pass);
	struct fw_ended *list = fw_ended_take(&manager->ended);

	if (list || manager->waiting) {
		paid_ns = fw_energy_finish(manager, list, false, false, paid_ns);
	}
	fw_energy_settle(manager, false);
	pthread_mutex_unlock(&manager->pass);
	return paid_ns;
}

static bool take_ticks(struct fw_energy_manager *manager)
{
	uint64_t expirations;

	if (read(manager->timer_fd, &expirations, sizeof expirations) != sizeof expirations)
		return false;
	manager->missed_ticks += expirations - 1;
	return true;
}

static bool take_edges(struct fw_energy_manager *manager)
{
	uint64_t edges;

	return read(manager->edge_fd, &edges, sizeof edges) == sizeof edges;
}

static void set_timer(struct fw_energy_manager *manager, uint64_t period_ns)
{
	uint64_t first_ns = fw_monotonic_ns() + period_ns;
	struct itimerspec times = {0};

	if (atomic_exchange(&manager->ticking_ns, period_ns) == period_ns)
		return;
	if (period_ns > 0)
		times = (struct itimerspec){.it_value = {(time_t)(first_ns / FW_NS_PER_S), (long)(first_ns % FW_NS_PER_S)},
		                            .it_interval = {(time_t)(period_ns / FW_NS_PER_S), (long)(period_ns % FW_NS_PER_S)}};
	timerfd_settime(manager->timer_fd, TFD_TIMER_ABSTIME, &times, NULL);
}

/* ---- counters of energy ---- */

/* Without work, so that no counter goes round unseen; with long work as memory is sampled; with short work fast. And never
 * faster than the budget has allowed of late. */
static uint64_t wanted_period_ns(struct fw_energy_manager *manager)
{
	uint64_t now_ns = fw_monotonic_ns(), youngest_ns, short_ns = manager->short_ns;
	size_t active = fw_counters_active(manager->counters, &youngest_ns);
	bool brief = youngest_ns < SHORT_NS || (short_ns > 0 && fw_ns_between(short_ns, now_ns) < SHORT_NS);

	uint64_t wanted_ns = brief ? FAST_NS : active > 0 || manager->waiting ? manager->period_ns : IDLE_NS;

	return wanted_ns > manager->least_ns ? wanted_ns : manager->least_ns;
}

/* What the purse can pay for alone is never too fast, however deep others have put the account into debt. */
static void adapt(struct fw_energy_manager *manager)
{
	bool may = fw_budget_allows_faster(&manager->budget, fw_monotonic_ns());
	uint64_t least_ns = may ? manager->least_ns / 20 * 19 : manager->least_ns / 2 * 3;
	uint64_t purse_ns = fw_budget_purse_period_ns(manager->tick_cost_ns);

	if (least_ns > purse_ns)
		least_ns = purse_ns;
	manager->least_ns = least_ns < FAST_NS ? FAST_NS : least_ns > MOST_PERIOD_NS ? MOST_PERIOD_NS : least_ns;
	set_timer(manager, wanted_period_ns(manager));
}

static uint64_t pay_tick(struct fw_energy_manager *manager, uint64_t paid_ns)
{
	uint64_t now_ns = fw_thread_cpu_ns(), cost_ns = now_ns - paid_ns, before_ns = manager->tick_cost_ns;

	manager->tick_cost_ns = before_ns ? (7 * before_ns + cost_ns) / 8 : cost_ns;
	fw_budget_spend_tick(&manager->budget, cost_ns);
	return now_ns;
}

static bool is_slow(struct fw_energy_manager *manager)
{
	return atomic_load(&manager->ticking_ns) >= IDLE_NS;
}

/* A tick is read when anything is left in the account or its purse, and so is the edge that ends a rest; any other edge when
 * there is more in the account. But a counter must not go round unseen, whatever it costs. */
static bool may_tick(struct fw_energy_manager *manager, uint64_t now_ns, bool ticked)
{
	if (ticked || is_slow(manager))
		return fw_budget_allows_tick(&manager->budget, now_ns);
	return fw_budget_allows(&manager->budget, now_ns, FW_KEEP_FOR_ENDS);
}

/* Not when the last reading is of the same moment; another thread's may even be later than now. */
static uint64_t read_counters(struct fw_energy_manager *manager, bool ticked, uint64_t paid_ns)
{
	uint64_t now_ns = fw_monotonic_ns(), since_ns = fw_ns_between(fw_counters_tick_ns(manager->counters), now_ns);
	bool may = may_tick(manager, now_ns, ticked) || since_ns >= MOST_PERIOD_NS;

	if (since_ns < COALESCE_NS)
		return paid_ns;
	pthread_mutex_lock(&manager->pass);
	if (may)
		fw_counters_tick(manager->counters);
	else
		manager->left_out++;
	if (may || ticked)
		adapt(manager);
	pthread_mutex_unlock(&manager->pass);
	return may ? pay_tick(manager, paid_ns) : fw_energy_pay(manager, paid_ns);
}

/* To wake the thread costs a good part of a reading: never for one that it may not take. */
void fw_energy_sampler_edge(struct fw_energy_manager *manager, uint64_t now_ns, bool wanted)
{
	uint64_t one = 1;

	if (!manager->has_sampler || !(wanted || is_slow(manager)))
		return;
	if (fw_ns_between(fw_counters_tick_ns(manager->counters), now_ns) >= COALESCE_NS && may_tick(manager, now_ns, false))
		(void)!write(manager->edge_fd, &one, sizeof one);
}

/* Memory is sampled at its own rate, however often the counters are read. */
static bool samples_are_due(struct fw_energy_manager *manager)
{
	uint64_t now_ns = fw_monotonic_ns();

	if (manager->counters && now_ns - manager->sampled_ns < manager->period_ns - manager->period_ns / 8)
		return false;
	manager->sampled_ns = now_ns;
	return true;
}

static void *sampler_main(void *context)
{
	struct fw_energy_manager *manager = context;
	struct pollfd waits[] = {
		{manager->timer_fd, POLLIN, 0}, {manager->stop_fd, POLLIN, 0}, {manager->edge_fd, POLLIN, 0}};
	uint64_t paid_ns = fw_thread_cpu_ns();

	while (!atomic_load(&manager->stopping)) {
		poll(waits, FW_COUNT_OF(waits), -1);
		bool edge = take_edges(manager), ticked = take_ticks(manager);

		if (!edge && !ticked)
			continue;
		manager->wake_ups++;
		if (manager->counters)
			paid_ns = read_counters(manager, ticked, paid_ns);
		if (ticked && samples_are_due(manager))
			paid_ns = sample_all(manager, paid_ns);
		paid_ns = fill_ended(manager, paid_ns);
		paid_ns = fw_energy_pay(manager, paid_ns);
		atomic_store(&manager->thread_ns, paid_ns);
	}
	return NULL;
}

/* Counters are read without workers as well, if seldom: none may go round unseen. */
void fw_energy_sampler_tick(struct fw_energy_manager *manager, bool on)
{
	if (!manager->has_sampler)
		return;
	if (manager->counters)
		set_timer(manager, on ? manager->period_ns : IDLE_NS);
	else
		set_timer(manager, on ? manager->period_ns : 0);
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

	manager->least_ns = FAST_NS;
	manager->period_ns = (uint64_t)(1e9 / (rate_hz > 1000 ? 1000 : rate_hz));
	manager->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	manager->edge_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	manager->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (manager->stop_fd < 0 || manager->timer_fd < 0 || manager->edge_fd < 0)
		return fw_fail_errno(err, errno, "make the timer of the sampler");
	errnum = start_thread(manager);
	if (errnum != 0)
		return fw_fail_errno(err, errnum, "start the sampler thread");
	manager->has_sampler = true;
	if (manager->counters)
		fw_energy_sampler_tick(manager, false);
	return FW_OK;
}

void fw_energy_sampler_stop(struct fw_energy_manager *manager)
{
	uint64_t one = 1;

	if (manager->has_sampler) {
		atomic_store(&manager->stopping, true);
		(void)!write(manager->stop_fd, &one, sizeof one);
		pthread_join(manager->sampler, NULL);
		manager->has_sampler = false;
	}
	if (manager->stop_fd >= 0)
		close(manager->stop_fd);
	if (manager->timer_fd >= 0)
		close(manager->timer_fd);
	if (manager->edge_fd >= 0)
		close(manager->edge_fd);
	manager->stop_fd = manager->timer_fd = manager->edge_fd = -1;
}
