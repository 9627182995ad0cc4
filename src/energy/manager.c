/* SPDX-License-Identifier: Apache-2.0
 *
 * The EnergyManager's life: its monitors, each isolated from the others, its workers, its thread. A monitor that does not
 * open is reported with the reason and what would enable it, and the rest go on.
 */
#include "energy/manager.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/time.h"
#include "energy/counters.h"
#include "energy/manager_internal.h"
#include "energy/system.h"
#include "host/privileges.h"

/* For the last slice of a run. */
#define MOST_WAIT_NS FW_NS_PER_S

static const struct fw_monitor_ops *const all_monitors[FW_MONITOR_COUNT] = {
	&fw_monitor_system,
	&fw_monitor_perf,
	&fw_monitor_rapl,
	&fw_monitor_hwmon,
	&fw_monitor_nvml,
	&fw_monitor_ebpf,
	&fw_monitor_counts,
	&fw_monitor_model,
	&fw_monitor_tdp,
};

int fw_energy_open_monitor(const struct fw_monitor_ops *ops, const struct fw_monitor_context *context, struct fw_monitor **monitor,
                           struct fw_error **err)
{
	bool is_live = fw_root_is_live(context->root);

	if (is_live)
		fw_privileges_raise();
	int rc = ops->open(context, monitor, err);

	if (is_live)
		fw_privileges_lower();
	return rc;
}

/* Energy counters may be mounted elsewhere than the rest of the machine. */
static void open_monitor(struct fw_energy_manager *manager, size_t index, const struct fw_monitor_ops *ops,
                         const struct fw_energy_options *options)
{
	struct fw_monitor_context own = options->context, *context = &own;
	struct fw_monitor_report *report = &manager->reports[index];
	fw_cleanup_error struct fw_error *err = NULL;

	if (ops->domains && options->counters_root)
		own.root = options->counters_root;
	if (ops->domains && manager->counters_machine)
		own.machine = manager->counters_machine;
	report->ops = ops;
	report->rc = fw_energy_open_monitor(ops, context, &manager->monitors[index], &err);
	report->works = report->rc == FW_OK;
	if (report->works) {
		report->detail = ops->describe(manager->monitors[index]);
		return;
	}
	report->detail = fw_strdup(err ? fw_error_message(err) : "does not open");
	report->hint = fw_strdup(err ? fw_error_hint_text(err) : NULL);
}

static char *methods_of(const struct fw_energy_manager *manager)
{
	fw_cleanup_buffer struct fw_buffer text;

	fw_buffer_init(&text, 512);
	for (size_t i = 0; i < FW_MONITOR_COUNT; i++)
		if (manager->monitors[i])
			fw_buffer_printf(&text, "%s%s", text.length ? " " : "", manager->reports[i].ops->method);
	return fw_buffer_take(&text);
}

static void count(void *context, const struct fw_metered *worker, bool edge, struct fw_reading *reading)
{
	struct fw_energy_manager *manager = context;

	for (size_t i = 0; i < FW_MONITOR_COUNT; i++)
		if (worker->states[i] && manager->reports[i].ops->count)
			manager->reports[i].ops->count(manager->monitors[i], worker->states[i], edge, reading);
}

/* In portions, so that a tick's records do not hold up the loop: what is left comes at its next turn. More than have ended
 * since the last portion, so that nothing piles up. */
static void deliver(void *context, int fd)
{
	struct fw_energy_manager *manager = context;
	uint64_t count, one = 1, invocations = manager->invocations;
	size_t fresh = (size_t)(invocations - manager->portion_at);

	manager->portion_at = invocations;
	(void)!read(fd, &count, sizeof count);
	if (!fw_energy_deliver(manager, 32 + 2 * fresh))
		(void)!write(fd, &one, sizeof one);
}

/* What a counter holds is the processor's that it belongs to, which is another than ours in a tree of another machine. */
static struct fw_machine *machine_of(const struct fw_root *counters_root)
{
	struct fw_machine *machine = fw_alloc(sizeof *machine);
	fw_cleanup_error struct fw_error *unread = NULL;

	if (fw_machine_read(counters_root, machine, &unread) == FW_OK)
		return machine;
	free(machine);
	return NULL;
}

static void open_monitors(struct fw_energy_manager *manager, const struct fw_energy_options *options)
{
	const struct fw_monitor_ops *const *monitors = options->monitors ? options->monitors : all_monitors;

	for (size_t i = 0; i < FW_MONITOR_COUNT && monitors[i]; i++)
		open_monitor(manager, i, monitors[i], options);
	manager->methods = methods_of(manager);
}

static int connect_loop(struct fw_energy_manager *manager, struct fw_error **err)
{
	manager->filled_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (manager->filled_fd < 0)
		return fw_fail_errno(err, errno, "make the eventfd of the energy manager");
	manager->filled_watch = fw_watch_new(manager->loop, manager->filled_fd, deliver, manager);
	return FW_OK;
}

int fw_energy_manager_new(const struct fw_energy_options *options, struct fw_energy_manager **manager,
                          struct fw_error **err)
{
	struct fw_energy_manager *fresh = fw_alloc(sizeof *fresh);
	int rc = FW_OK;

	fresh->loop = options->loop;
	fresh->source = (struct fw_reading_source){options->context.root, fw_root_is_live(options->context.root), count, fresh};
	fresh->filled_fd = fresh->stop_fd = fresh->timer_fd = fresh->edge_fd = -1;
	fw_budget_init(&fresh->budget, fw_monotonic_ns());
	pthread_mutex_init(&fresh->pass, NULL);
	fresh->counters_machine = options->counters_root ? machine_of(options->counters_root) : NULL;
	open_monitors(fresh, options);
	fresh->counters = fw_counters_new(fresh, options->context.machine, options);
	if (fresh->loop)
		rc = connect_loop(fresh, err);
	if (rc == FW_OK && !options->no_sampler)
		rc = fw_energy_sampler_start(fresh, options->rate_hz > 0 ? options->rate_hz : 10, err);
	if (rc != FW_OK) {
		fw_energy_manager_free(fresh);
		return fw_error_wrap(err, rc, "start the energy manager");
	}
	*manager = fresh;
	return FW_OK;
}

void fw_energy_manager_free(struct fw_energy_manager *manager)
{
	if (!manager)
		return;
	fw_energy_flush(manager);
	fw_energy_sampler_stop(manager);
	fw_energy_settle(manager, true);
	fw_counters_free(manager->counters);
	for (size_t i = 0; i < FW_MONITOR_COUNT; i++) {
		if (manager->monitors[i])
			manager->reports[i].ops->close(manager->monitors[i]);
		free(manager->reports[i].detail);
		free(manager->reports[i].hint);
	}
	fw_watch_free(manager->filled_watch);
	if (manager->filled_fd >= 0)
		close(manager->filled_fd);
	for (struct fw_ended *ended = manager->spare; ended;) {
		struct fw_ended *next = ended->next;

		free(ended);
		ended = next;
	}
	pthread_mutex_destroy(&manager->pass);
	fw_budget_done(&manager->budget);
	free(manager->workers.items);
	free(manager->leaving.items);
	free(manager->methods);
	free(manager->counters_machine);
	free(manager);
}

size_t fw_energy_manager_monitors(const struct fw_energy_manager *manager, const struct fw_monitor_report **reports)
{
	size_t count = 0;

	while (count < FW_MONITOR_COUNT && manager->reports[count].ops)
		count++;
	*reports = manager->reports;
	return count;
}

const char *fw_energy_manager_methods(const struct fw_energy_manager *manager)
{
	return manager->methods;
}

json_t *fw_energy_manager_metrics(struct fw_energy_manager *manager)
{
	return manager->monitors[0] && manager->reports[0].ops == &fw_monitor_system
	           ? fw_system_metrics(fw_monitor_system_of(manager->monitors[0]))
	           : json_object();
}

json_t *fw_energy_manager_books(struct fw_energy_manager *manager)
{
	json_t *books = NULL;

	pthread_mutex_lock(&manager->pass);
	if (manager->counters)
		books = fw_counters_books(manager->counters);
	pthread_mutex_unlock(&manager->pass);
	if (books)
		json_object_update_new(books, json_pack("{s:I, s:I, s:I, s:f}", "readings", (json_int_t)manager->ticks,
		                                        "left_out", (json_int_t)manager->left_out, "missed_ticks",
		                                        (json_int_t)manager->missed_ticks, "metering_ms",
		                                        (double)fw_budget_spent_ns(&manager->budget) / 1e6));
	return books;
}

size_t fw_energy_manager_look(struct fw_energy_manager *manager, struct fw_counter_look *looks, size_t capacity)
{
	size_t count = 0;

	pthread_mutex_lock(&manager->pass);
	if (manager->counters) {
		fw_counters_tick(manager->counters);
		count = fw_counters_look(manager->counters, looks, capacity);
	}
	pthread_mutex_unlock(&manager->pass);
	return count;
}

void fw_energy_manager_inherit(struct fw_energy_manager *manager, const json_t *books, double age_s)
{
	pthread_mutex_lock(&manager->pass);
	if (manager->counters)
		fw_counters_inherit(manager->counters, books, age_s);
	pthread_mutex_unlock(&manager->pass);
}

bool fw_energy_manager_readings(struct fw_energy_manager *manager, struct fw_buffer *out)
{
	bool any = false;

	pthread_mutex_lock(&manager->pass);
	if (manager->counters)
		any = fw_counters_take(manager->counters, out);
	pthread_mutex_unlock(&manager->pass);
	return any;
}

struct fw_energy_worker *fw_energy_worker_new(struct fw_energy_manager *manager, const struct fw_metered *worker)
{
	struct fw_energy_worker *fresh = fw_alloc(sizeof *fresh);

	fresh->manager = manager;
	fresh->metered = *worker;
	fresh->metered.states = fresh->states;
	fresh->base_off_ns = UINT64_MAX;
	fresh->parked_serial = UINT64_MAX;
	fresh->held_bytes = -1;
	pthread_mutex_init(&fresh->state, NULL);
	pthread_mutex_lock(&manager->pass);
	for (size_t i = 0; i < FW_MONITOR_COUNT; i++)
		if (manager->monitors[i] && manager->reports[i].ops->meter)
			fresh->states[i] = manager->reports[i].ops->meter(manager->monitors[i], worker);
	uint64_t paid_ns = fw_thread_cpu_ns();

	if (manager->counters)
		fw_counters_join(manager->counters, fresh);
	fw_energy_pay(manager, paid_ns);
	FW_PUSH(&manager->workers, fresh);
	if (manager->workers.count == 1)
		fw_energy_sampler_tick(manager, true);
	pthread_mutex_unlock(&manager->pass);
	return fresh;
}

/* With `pass` held: everything that has ended, now and whatever it costs, but for the energy of the open slice. */
static uint64_t finish_all(struct fw_energy_manager *manager, bool last_chance, uint64_t paid_ns)
{
	return fw_energy_finish(manager, fw_ended_take(&manager->ended), true, last_chance, paid_ns);
}

/* With `pass` held: what this worker has ended; the others' waits for the sampler and its budget. */
static uint64_t finish_worker(struct fw_energy_manager *manager, const struct fw_energy_worker *worker, uint64_t paid_ns)
{
	struct fw_ended *list = fw_ended_take(&manager->ended), *own = NULL, **end = &own;

	while (list) {
		struct fw_ended *ended = list;

		list = ended->next;
		if (ended->worker != worker) {
			fw_ended_push(&manager->ended, ended);
			continue;
		}
		ended->next = NULL;
		*end = ended;
		end = &ended->next;
	}
	return fw_energy_finish(manager, own, true, false, paid_ns);
}

static void free_worker(struct fw_energy_worker *worker)
{
	fw_counters_forget(worker);
	pthread_mutex_destroy(&worker->state);
	free(worker);
}

static bool is_waited_for(const struct fw_energy_manager *manager, const struct fw_energy_worker *worker)
{
	for (const struct fw_ended *ended = manager->waiting; ended; ended = ended->next)
		if (ended->worker == worker)
			return true;
	return false;
}

void fw_energy_settle(struct fw_energy_manager *manager, bool last_chance)
{
	size_t kept = 0;

	for (size_t i = 0; i < manager->leaving.count; i++) {
		struct fw_energy_worker *worker = manager->leaving.items[i];

		if (!is_waited_for(manager, worker) && (last_chance || fw_counters_is_settled(worker)))
			free_worker(worker);
		else
			manager->leaving.items[kept++] = worker;
	}
	manager->leaving.count = kept;
}

void fw_energy_worker_free(struct fw_energy_worker *worker)
{
	if (!worker)
		return;
	struct fw_energy_manager *manager = worker->manager;
	uint64_t paid_ns = fw_thread_cpu_ns();

	pthread_mutex_lock(&manager->pass);
	paid_ns = finish_worker(manager, worker, paid_ns);
	if (manager->counters)
		fw_counters_leave(manager->counters, worker);
	fw_energy_pay(manager, paid_ns);
	for (size_t i = 0; i < manager->workers.count; i++)
		if (manager->workers.items[i] == worker) {
			manager->workers.items[i] = manager->workers.items[--manager->workers.count];
			break;
		}
	for (size_t i = 0; i < FW_MONITOR_COUNT; i++)
		if (worker->states[i])
			manager->reports[i].ops->unmeter(manager->monitors[i], worker->states[i]);
	if (manager->workers.count == 0)
		fw_energy_sampler_tick(manager, false);
	if (manager->counters)
		FW_PUSH(&manager->leaving, worker);
	else
		free_worker(worker);
	pthread_mutex_unlock(&manager->pass);
}

/* A slice that is too short says nothing: waits until the counters have moved on. */
static void wait_for_counters(struct fw_energy_manager *manager)
{
	uint64_t now_ns = fw_monotonic_ns(), due_ns;

	pthread_mutex_lock(&manager->pass);
	due_ns = fw_counters_due_ns(manager->counters);
	pthread_mutex_unlock(&manager->pass);
	if (due_ns > now_ns + MOST_WAIT_NS)
		due_ns = now_ns + MOST_WAIT_NS;
	if (due_ns > now_ns)
		fw_sleep_until(due_ns);
}

void fw_energy_flush(struct fw_energy_manager *manager)
{
	uint64_t paid_ns = fw_thread_cpu_ns();
	bool waits;

	pthread_mutex_lock(&manager->pass);
	finish_all(manager, !manager->counters, paid_ns);
	waits = manager->waiting != NULL;
	pthread_mutex_unlock(&manager->pass);
	if (waits) {
		wait_for_counters(manager);
		pthread_mutex_lock(&manager->pass);
		paid_ns = fw_thread_cpu_ns();
		fw_counters_tick_all(manager->counters);
		finish_all(manager, true, paid_ns);
		fw_energy_settle(manager, false);
		pthread_mutex_unlock(&manager->pass);
	}
	fw_energy_deliver(manager, SIZE_MAX);
}

void fw_energy_collect(struct fw_energy_manager *manager)
{
	fw_energy_deliver(manager, SIZE_MAX);
}

uint64_t fw_energy_unseen_ns(const struct fw_energy_worker *worker)
{
	return worker->unseen_ns;
}

void fw_energy_cost(struct fw_energy_manager *manager, struct fw_energy_cost *cost)
{
	*cost = (struct fw_energy_cost){
		.thread_ns = manager->thread_ns, .filling_ns = manager->filling_ns,
		.metering_ns = fw_budget_spent_ns(&manager->budget), .wake_ups = manager->wake_ups,
		.readings = manager->readings, .samples = manager->samples, .left_out = manager->left_out, .missed_ticks = manager->missed_ticks,
		.invocations = manager->invocations, .ticks = manager->ticks};
}
