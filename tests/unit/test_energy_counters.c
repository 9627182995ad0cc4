/* SPDX-License-Identifier: Apache-2.0
 *
 * The manager with a scripted monitor of energy: a package of which every joule is known. What the counter does wrong
 * ends in flags and reasons, never in a zero, a negative or the end of the run.
 */
#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/time.h"
#include "energy/attribution.h"
#include "energy/counters.h"
#include "energy/manager_internal.h"
#include "tests/unit/energy_support.h"

/* 30 W at rest and 20 W more while the script says so. */
static struct script {
	struct fw_domain domain;
	_Atomic double extra_w;
	double joules;
	uint64_t at_ns, skew_ns;
	atomic_uint fail, flags, reads;
	_Atomic enum fw_domain_reason reason; /* why it fails */
	atomic_bool gone;
	atomic_uint burn_us, sleep_us; /* that a reading takes */
	atomic_bool watch_thread;      /* counts allocations of the thread that reads, from its next reading on */
	atomic_llong step_back_ns;
	atomic_size_t allocations; /* within reads and between them, on the thread that reads */
} script;

static bool is_virtual; /* what bench_open() opens */
static enum fw_domain_kind kind = FW_DOMAIN_PACKAGE;
static _Thread_local bool counts_allocations;

/* Of the address sanitizer's runtime; without it the test of allocations is skipped. */
int __sanitizer_install_malloc_and_free_hooks(void (*allocated)(const volatile void *memory, size_t size),
                                              void (*freed)(const volatile void *memory)) __attribute__((weak));

static void on_malloc(const volatile void *memory, size_t size)
{
	(void)memory;
	(void)size;
	if (counts_allocations)
		atomic_fetch_add(&script.allocations, 1);
}

static void on_free(const volatile void *memory)
{
	(void)memory;
}

static bool install_hooks(void)
{
	static bool installed;

	if (!installed && __sanitizer_install_malloc_and_free_hooks)
		installed = __sanitizer_install_malloc_and_free_hooks(on_malloc, on_free) != 0;
	return installed;
}

static int scripted_open(const struct fw_monitor_context *context, struct fw_monitor **monitor, struct fw_error **err)
{
	(void)context;
	(void)err;
	*monitor = (struct fw_monitor *)&script;
	script.at_ns = 0;
	script.joules = 5e5;
	return FW_OK;
}

static char *scripted_describe(struct fw_monitor *monitor)
{
	(void)monitor;
	return fw_strdup("a script");
}

static size_t scripted_domains(struct fw_monitor *monitor, const struct fw_domain **domains)
{
	(void)monitor;
	*domains = &script.domain;
	return 1;
}

static void burn_us(unsigned us)
{
	uint64_t until_ns = fw_thread_cpu_ns() + 1000ULL * us;

	while (us > 0 && fw_thread_cpu_ns() < until_ns)
		;
}

static void scripted_read(struct fw_monitor *monitor, struct fw_domain_reading *reading)
{
	uint64_t now_ns = fw_monotonic_ns() - (uint64_t)script.step_back_ns;

	(void)monitor;
	counts_allocations = script.watch_thread;
	burn_us(script.burn_us);
	if (script.sleep_us > 0)
		usleep(script.sleep_us);
	if (script.at_ns > 0 && now_ns > script.at_ns)
		script.joules += (30 + script.extra_w) * (double)(now_ns - script.at_ns) / 1e9;
	script.at_ns = now_ns;
	script.reads++;
	*reading = (struct fw_domain_reading){.before_ns = now_ns - script.skew_ns, .after_ns = now_ns + script.skew_ns,
	                                      .joules = script.joules, .flags = script.flags};
	if (script.gone || script.fail > 0) {
		script.fail -= script.fail > 0;
		reading->joules = NAN;
		reading->flags |= FW_DOMAIN_GAP;
		reading->reason = script.reason;
	}
}

static void scripted_close(struct fw_monitor *monitor)
{
	(void)monitor;
}

static const struct fw_monitor_ops scripted = {
	.name = "rapl", .method = "script/1", .gives = "energy", .open = scripted_open, .describe = scripted_describe,
	.domains = scripted_domains, .read = scripted_read, .close = scripted_close};

static const struct fw_monitor_ops *const monitors[] = {&fw_monitor_system, &scripted, &fw_monitor_model, NULL};

/* ---- a manager with it ---- */

struct bench {
	struct fixture fixture;
	struct child child;
	struct fw_energy_worker *worker;
};

static void bench_open(struct bench *bench)
{
	struct fw_error *err = NULL;

	script.extra_w = 0;
	script.fail = script.flags = script.reads = 0;
	script.reason = FW_REASON_UNREADABLE;
	script.skew_ns = 0;
	script.gone = script.watch_thread = false;
	script.burn_us = script.sleep_us = 0;
	script.step_back_ns = 0;
	script.domain = (struct fw_domain){.source = "rapl", .kind = kind, .name = "package-0", .package = 0,
	                                   .gpu = -1, .quantum_j = 6e-5, .update_s = 0.001, .most_w = 100, .is_root = true,
	                                   .is_virtual = is_virtual};
	*bench = (struct bench){.child = child_new()};
	assert_ok(fw_loop_new(&bench->fixture.loop, &err), err);
	struct fw_energy_options options = {.loop = bench->fixture.loop,
	                                    .context = {&world.root, &world.machine, world.catalogue},
	                                    .monitors = monitors};
	assert_ok(fw_energy_manager_new(&options, &bench->fixture.manager, &err), err);
	bench->worker = fw_energy_worker_new(bench->fixture.manager,
	                                     &(struct fw_metered){.pid = bench->child.pid, .vcpus = 1, .memory_mb = 128});
}

static void bench_close(struct bench *bench)
{
	fw_energy_worker_free(bench->worker);
	fixture_close(&bench->fixture);
	child_end(&bench->child);
}

static const struct fw_energy *measured(const struct fw_record *record)
{
	for (size_t i = 0; i < record->energy.count; i++)
		if (strcmp(record->energy.items[i].source, "rapl") == 0)
			return &record->energy.items[i];
	return NULL;
}

static const struct fw_energy *invoke(struct bench *bench, char what, struct fw_record *record)
{
	size_t done = bench->fixture.done;

	fixture_invoke(&bench->fixture, bench->worker, &bench->child, what, record);
	fixture_wait(&bench->fixture, done + 1);
	return measured(record);
}

static void assert_sound(const struct fw_energy *energy)
{
	assert_non_null(energy);
	assert_true(energy->joules > 0 && energy->low >= 0 && energy->low <= energy->joules && energy->joules <= energy->high);
	assert_true(energy->dynamic_j >= 0 && energy->idle_j >= 0);
	assert_near(energy->joules, energy->dynamic_j + energy->idle_j, 1e-9);
}

static void an_invocation_has_measured_joules_and_the_model_stays_beside(void **state)
{
	struct bench bench;
	struct fw_record record;
	bool model = false;

	(void)state;
	bench_open(&bench);
	const struct fw_energy *energy = invoke(&bench, 'w', &record);

	assert_sound(energy);
	assert_string_equal(energy->flags, "measured ok");
	assert_string_equal(energy->domain, "package");
	assert_non_null(strstr(energy->method, "script/1 ledger/"));
	/* 60 ms or more at 30 W, of which one of the CPUs was reserved for it. */
	assert_true(energy->joules < 30 * record.duration_ms / 1000 * 1.1);
	for (size_t i = 0; i < record.energy.count; i++)
		model |= strcmp(record.energy.items[i].source, "model") == 0;
	assert_true(model);
	struct fw_energy_sum best;

	assert_true(fw_energy_best(&record, &best));
	assert_string_equal(best.source, "rapl");
	assert_false(best.modelled);
	fw_record_done(&record);
	bench_close(&bench);
}

/* A worker of no group and no process that could be read. */
static void unknown_work_is_no_dynamic_energy_of_zero(void **state)
{
	struct bench bench;
	struct fw_record record;

	(void)state;
	bench_open(&bench);
	struct fw_energy_worker *unread = fw_energy_worker_new(bench.fixture.manager, &(struct fw_metered){.vcpus = 1});

	fixture_invoke(&bench.fixture, unread, &bench.child, 'w', &record);
	fixture_wait(&bench.fixture, 1);
	assert_null(measured(&record));
	fw_record_done(&record);
	fw_energy_worker_free(unread);
	bench_close(&bench);
}

/* It burned 30 ms of CPU time while the package drew 20 W more: at most that, and not the machine's rest. */
static void work_has_its_price(void **state)
{
	struct bench bench;
	struct fw_record record;

	(void)state;
	bench_open(&bench);
	script.extra_w = 20;
	const struct fw_energy *energy = invoke(&bench, 'b', &record);

	assert_sound(energy);
	assert_true(energy->dynamic_j <= 50 * record.duration_ms / 1000 * 1.2 + 0.01);
	fw_record_done(&record);
	bench_close(&bench);
}

/* In the middle of an invocation of 60 ms or more, in a run that goes on: a flag and the reason, and never a zero. */
static void survive(enum fw_domain_reason reason, const char *text)
{
	struct bench bench;
	struct fw_record record;

	bench_open(&bench);
	script.reason = reason;
	fw_record_init(&record);
	record.duration_ms = 60;
	fw_energy_begin(bench.worker);
	for (unsigned reads = script.reads; script.reads == reads;)
		usleep(500);
	script.fail = 2;
	child_do(&bench.child, 'w');
	while (script.fail > 0)
		usleep(500);
	fw_energy_end(bench.worker, true, &record, fixture_count, &bench.fixture);
	fixture_wait(&bench.fixture, 1);
	assert_sound(measured(&record));
	assert_true(fw_record_has_flag(measured(&record)->flags, "gap"));
	assert_false(fw_record_has_flag(measured(&record)->flags, "ok"));
	fw_record_done(&record);
	fw_cleanup_json json_t *books = fw_energy_manager_books(bench.fixture.manager);
	const json_t *domain = fw_json_at(books, "domains.0");

	assert_string_equal(json_string_value(json_object_get(domain, "reason")), text);
	assert_string_equal(json_string_value(json_object_get(domain, "flags")), "gap");
	assert_true(json_integer_value(json_object_get(domain, "holes")) >= 2);
	assert_near(json_number_value(json_object_get(domain, "residual_j")), 0, 1e-9);
	assert_sound(invoke(&bench, 'w', &record));
	fw_record_done(&record);
	bench_close(&bench);
}

static void wait_for_wake_ups(struct fw_energy_manager *manager, unsigned more)
{
	struct fw_energy_cost before, now;
	uint64_t began_ns = fw_monotonic_ns();

	fw_energy_cost(manager, &before);
	do {
		usleep(500);
		fw_energy_cost(manager, &now);
		assert_true(fw_monotonic_ns() - began_ns < 100 * FW_NS_PER_S);
	} while (now.wake_ups < before.wake_ups + more);
}

#define PROCESS(ticks) "4711 (x) S 1 1 1 0 -1 0 0 0 0 0 " ticks " 0 0 0 20 0 1 0 100 0 0 18446744073709551615 1 1 0 0 0 0 0 0 0\n"

/* /proc/stat is no table any more in the middle of an invocation, and later is one again. */
static void a_meter_of_work_that_fails_during_a_run_is_a_gap_with_its_reason(void **state)
{
	struct bench bench;
	struct fw_record record;
	struct fw_error *err = NULL;
	fw_cleanup_tree struct tree tree = tree_of("proc/stat", "cpu  100 0 50 1000 0 0 0 0 0 0\n", "proc/meminfo",
	                                           "MemTotal: 1000 kB\nMemAvailable: 400 kB\n", "proc/4711/stat", PROCESS("10"), NULL);
	struct fw_root root = {.fd = tree.fd};
	struct fw_machine machine = {.cpu_count = 1, .threads = 1, .cpus_allowed = 1};
	struct fw_energy_manager *manager;

	(void)state;
	bench_open(&bench); /* its script, and its loop */
	struct fw_energy_options options = {.loop = bench.fixture.loop, .context = {&root, &machine, world.catalogue},
	                                    .monitors = (const struct fw_monitor_ops *const[]){&scripted, NULL}};

	assert_ok(fw_energy_manager_new(&options, &manager, &err), err);
	struct fw_energy_worker *worker = fw_energy_worker_new(manager, &(struct fw_metered){.pid = 4711, .vcpus = 1});

	fw_record_init(&record);
	record.duration_ms = 60;
	fw_energy_begin(worker);
	wait_for_wake_ups(manager, 4);
	tree_write(&tree, "proc/stat", "nothing\n");
	wait_for_wake_ups(manager, 3);
	tree_write(&tree, "proc/4711/stat", PROCESS("20"));
	tree_write(&tree, "proc/stat", "cpu  110 0 50 1000 0 0 0 0 0 0\n");
	wait_for_wake_ups(manager, 3);
	fw_energy_end(worker, true, &record, NULL, NULL);
	fw_energy_flush(manager);
	assert_sound(measured(&record));
	assert_true(measured(&record)->dynamic_j > 0);
	assert_true(fw_record_has_flag(measured(&record)->flags, "gap"));
	fw_cleanup_json json_t *books = fw_energy_manager_books(manager);

	assert_string_equal(json_string_value(fw_json_at(books, "domains.0.reason")), "whose work it was could not be told");
	fw_record_done(&record);
	fw_energy_worker_free(worker);
	fw_energy_manager_free(manager);
	bench_close(&bench);
}

/* What CPU time was told by says nothing of memory's part. */
static void memorys_joules_name_what_they_are_shared_by(void **state)
{
	struct bench bench;
	struct fw_record record;

	(void)state;
	kind = FW_DOMAIN_DRAM;
	bench_open(&bench);
	kind = FW_DOMAIN_PACKAGE;
	const struct fw_energy *energy = invoke(&bench, 'w', &record);

	assert_sound(energy);
	assert_string_equal(strrchr(energy->method, ' '), " bytes"); /* no monitor here counts misses */
	fw_record_done(&record);
	bench_close(&bench);
}

static void a_malformed_value_during_a_run_is_a_gap_with_its_reason(void **state)
{
	(void)state;
	survive(fw_domain_reason_of_errno(EBADMSG), "what it showed was no number");
}

static void an_input_output_error_during_a_run_is_a_gap_with_its_reason(void **state)
{
	(void)state;
	survive(fw_domain_reason_of_errno(EIO), "input/output error");
}

static void a_device_that_goes_during_a_run_is_a_gap_with_its_reason(void **state)
{
	(void)state;
	survive(fw_domain_reason_of_errno(ENODEV), "it was gone");
}

static void a_counter_that_is_closed_during_a_run_is_a_gap_with_its_reason(void **state)
{
	(void)state;
	survive(fw_domain_reason_of_errno(EACCES), "it might not be read any more");
}

/* What the books of one run tell is what the next one begins with. */
static void the_floor_of_an_earlier_run_is_inherited_with_its_age(void **state)
{
	struct bench bench;
	struct fw_error *err = NULL;
	fw_cleanup_json json_t *books = NULL, *now = NULL;
	static const char text[] = "{\"domains\": [{\"source\": \"perf\", \"name\": \"package-0\", \"floor_basis\": \"quiet\", "
	                           "\"floor_w\": 99, \"floor_half_w\": 1, \"floor_age_s\": 0}, {\"source\": \"rapl\", \"name\": "
	                           "\"package-0\", \"floor_basis\": \"quiet\", \"floor_w\": 29.5, \"floor_half_w\": 0.5, "
	                           "\"floor_age_s\": 600}]}";

	(void)state;
	assert_ok(fw_json_load("test", text, sizeof text - 1, &books, &err), err);
	bench_open(&bench);
	fw_energy_manager_inherit(bench.fixture.manager, books, 1200);
	now = fw_energy_manager_books(bench.fixture.manager);
	const json_t *domain = fw_json_at(now, "domains.0");

	assert_string_equal(json_string_value(json_object_get(domain, "floor_basis")), "inherited");
	assert_near(json_number_value(json_object_get(domain, "floor_w")), 29.5, 1e-9);
	assert_near(json_number_value(json_object_get(domain, "floor_age_s")), 1800, 60);
	assert_true(json_number_value(json_object_get(domain, "floor_half_w")) > 0.5 + 0.4);
	bench_close(&bench);
}

static void mistake_17_failed_reads_during_a_run_are_gaps_and_no_zeros(void **state)
{
	struct bench bench;
	struct fw_record record;

	(void)state;
	bench_open(&bench);
	script.fail = 2; /* EIO, ENODEV or nonsense: the monitor says that it could not be read */
	const struct fw_energy *energy = invoke(&bench, 'w', &record);

	if (energy) { /* else its end lay in the hole, and the model stands in */
		assert_sound(energy);
		assert_true(fw_record_has_flag(energy->flags, "gap"));
	}
	assert_true(record.energy.count > 0);
	fw_record_done(&record);
	energy = invoke(&bench, 'w', &record);
	if (energy)
		assert_sound(energy);
	fw_record_done(&record);
	energy = invoke(&bench, 'w', &record); /* it has recovered by now */
	assert_sound(energy);
	fw_record_done(&record);
	bench_close(&bench);
}

static void a_zone_that_vanishes_leaves_the_model_and_stops_nothing(void **state)
{
	struct bench bench;
	struct fw_record record;

	(void)state;
	bench_open(&bench);
	script.gone = true;
	fixture_invoke(&bench.fixture, bench.worker, &bench.child, 'w', &record);
	fixture_wait(&bench.fixture, 1);
	fw_record_done(&record);
	assert_null(invoke(&bench, 'w', &record));
	assert_true(record.energy.count > 0);
	assert_string_equal(record.energy.items[0].source, "model");
	fw_record_done(&record);
	bench_close(&bench);
}

static void mistake_22_a_clock_that_jumps_back_makes_nothing_negative(void **state)
{
	struct bench bench;
	struct fw_record record;

	(void)state;
	bench_open(&bench);
	const struct fw_energy *energy = invoke(&bench, 'w', &record);

	assert_sound(energy);
	fw_record_done(&record);
	script.step_back_ns = 40 * (long long)FW_NS_PER_MS;
	energy = invoke(&bench, 'w', &record);
	if (energy)
		assert_sound(energy);
	fw_record_done(&record);
	energy = invoke(&bench, 'w', &record);
	assert_sound(energy);
	fw_record_done(&record);
	bench_close(&bench);
}

static void a_clock_that_jumps_back_during_a_run_is_a_gap_with_its_reason(void **state)
{
	struct bench bench;
	uint64_t deadline_ns = fw_monotonic_ns() + 100 * FW_NS_PER_S;
	bool is_told = false;

	(void)state;
	bench_open(&bench);
	unsigned reads = script.reads;

	while (script.reads < reads + 2 && fw_monotonic_ns() < deadline_ns)
		usleep(1000);
	script.step_back_ns = 2 * (long long)FW_NS_PER_S;
	while (!is_told && fw_monotonic_ns() < deadline_ns) {
		fw_cleanup_json json_t *books = fw_energy_manager_books(bench.fixture.manager);
		const json_t *domain = json_array_get(json_object_get(books, "domains"), 0);
		const char *reason = json_string_value(json_object_get(domain, "reason"));

		is_told = reason && strcmp(reason, "the clock went back") == 0 &&
		          strstr(json_string_value(json_object_get(domain, "flags")), "gap");
		assert_true(json_number_value(json_object_get(domain, "measured_j")) >= 0);
		usleep(1000);
	}
	assert_true(is_told);
	bench_close(&bench);
}

static void flags_of_readings_reach_the_records(void **state)
{
	static const struct {
		unsigned flag;
		const char *word;
	} cases[] = {{FW_DOMAIN_WRAP, "wrap"}, {FW_DOMAIN_RESET, "reset"}, {FW_DOMAIN_GAP, "gap"}, {FW_DOMAIN_STALE, "gap"}};

	(void)state;
	for (size_t i = 0; i < FW_COUNT_OF(cases); i++) {
		struct bench bench;
		struct fw_record record;

		bench_open(&bench);
		script.flags = cases[i].flag;
		const struct fw_energy *energy = invoke(&bench, 'w', &record);

		assert_sound(energy);
		assert_true(fw_record_has_flag(energy->flags, cases[i].word));
		assert_false(fw_record_has_flag(energy->flags, "ok"));
		fw_record_done(&record);
		bench_close(&bench);
	}
}

/* A guest with the host's counters passed through reads what its hypervisor thinks it used. */
static void joules_of_a_virtual_counter_are_never_ok(void **state)
{
	struct bench bench;
	struct fw_record record;

	(void)state;
	is_virtual = true;
	bench_open(&bench);
	is_virtual = false;
	const struct fw_energy *energy = invoke(&bench, 'w', &record);

	assert_sound(energy);
	assert_string_equal(energy->flags, "measured virtual");
	fw_record_done(&record);
	bench_close(&bench);
}

static void figures_of_a_machine_that_is_promised_twice_are_contended(void **state)
{
	struct bench bench;
	struct fw_record record;

	(void)state;
	bench_open(&bench);
	fw_record_init(&record);
	fw_record_flag(&record.flags, "contended");
	record.duration_ms = 60;
	fw_energy_begin(bench.worker);
	child_do(&bench.child, 'w');
	fw_energy_end(bench.worker, true, &record, fixture_count, &bench.fixture);
	fixture_wait(&bench.fixture, 1);
	assert_string_equal(measured(&record)->flags, "measured contended");
	fw_record_done(&record);
	bench_close(&bench);
}

/* The worker goes the moment its invocation ends: its record is filled with the next reading all the same. */
static void mistake_31_the_last_interval_of_a_worker_that_goes_is_handed_out(void **state)
{
	struct bench bench;
	struct fw_record record;

	(void)state;
	bench_open(&bench);
	fixture_invoke(&bench.fixture, bench.worker, &bench.child, 'b', &record);
	fw_energy_worker_free(bench.worker);
	bench.worker = NULL;
	fixture_wait(&bench.fixture, 1);
	assert_sound(measured(&record));
	assert_true(measured(&record)->dynamic_j > 0);
	fw_record_done(&record);
	bench_close(&bench);
}

static void counters_are_read_without_workers_too(void **state)
{
	struct bench bench;
	uint64_t deadline_ns = fw_monotonic_ns() + 100 * FW_NS_PER_S;

	(void)state;
	bench_open(&bench);
	fw_energy_worker_free(bench.worker);
	bench.worker = NULL;
	unsigned reads = script.reads;

	while (script.reads < reads + 2 && fw_monotonic_ns() < deadline_ns)
		usleep(20000);
	assert_true(script.reads >= reads + 2);
	bench_close(&bench);
}

/* Short invocations in a row are read up to 100 times a second, as far as the budget goes; a quiet worker is not. */
static void the_rate_follows_what_runs(void **state)
{
	struct bench bench;
	struct fw_energy_cost before, after;
	static struct fw_record records[40];

	(void)state;
	bench_open(&bench);
	fw_energy_cost(bench.fixture.manager, &before);
	uint64_t start_ns = fw_monotonic_ns();

	for (size_t i = 0; i < 10; i++)
		fixture_invoke(&bench.fixture, bench.worker, &bench.child, 'w', &records[i]);
	fw_energy_cost(bench.fixture.manager, &after);
	double seconds = (double)(fw_monotonic_ns() - start_ns) / 1e9;
	double rate_hz = (double)(after.ticks - before.ticks) / seconds;

	fixture_wait(&bench.fixture, 10);
	if (rate_hz > 160) /* 100 and one for each edge */
		fail_msg("%g readings a second", rate_hz);
	assert_true(after.ticks > before.ticks + 2);
	assert_true((double)after.metering_ns < 0.005 * seconds * 1e9 + 12e6 + (double)(after.ticks + after.readings) * 5e5);
	for (size_t i = 0; i < 10; i++)
		fw_record_done(&records[i]);
	bench_close(&bench);
}

struct final {
	struct fixture *fixture;
	unsigned reads;
};

static void note_final(void *context, struct fw_record *record)
{
	struct final *final = context;

	final->reads = script.reads;
	fixture_count(final->fixture, record);
}

/* Scheduling never waits for it, and neither does it wait for more than the next reading: one may be under way at the end,
 * and one that follows at once closes no slice. */
static void a_record_is_final_one_sample_after_its_end(void **state)
{
	struct bench bench;

	(void)state;
	bench_open(&bench);
	for (size_t i = 0; i < 5; i++) {
		struct final final = {&bench.fixture, 0};
		struct fw_record record;

		fw_record_init(&record);
		record.duration_ms = 60;
		fw_energy_begin(bench.worker);
		child_do(&bench.child, 'w');
		unsigned reads = script.reads;

		fw_energy_end(bench.worker, true, &record, note_final, &final);
		assert_int_equal(final.reads, 0); /* not within the call */
		fixture_wait(&bench.fixture, i + 1);
		assert_sound(measured(&record));
		assert_in_range(final.reads, reads + 1, reads + 3);
		fw_record_done(&record);
	}
	bench_close(&bench);
}

static struct fw_energy_cost cost_of(struct bench *bench)
{
	struct fw_energy_cost cost;

	fw_energy_cost(bench->fixture.manager, &cost);
	return cost;
}

/* A reading of 4 ms may be taken 1.25 times a second, not a hundred times. */
static void a_slow_counter_lowers_the_rate_and_the_budget_wins(void **state)
{
	struct bench bench;
	struct fw_record record;
	uint64_t start_ns = fw_monotonic_ns();

	(void)state;
	bench_open(&bench);
	struct fw_energy_cost before = cost_of(&bench);

	script.burn_us = 4000;
	fixture_invoke(&bench.fixture, bench.worker, &bench.child, 'w', &record);
	while (fw_monotonic_ns() - start_ns < 4 * FW_NS_PER_S)
		usleep(20000);
	struct fw_energy_cost after = cost_of(&bench);
	double allowed_ns = 0.005 * (double)(fw_monotonic_ns() - start_ns) + 10e6;

	/* Beyond what was allowed only the one reading that overdrew it, and those of a worker that must be. */
	if ((double)(after.metering_ns - before.metering_ns) > allowed_ns + 12e6)
		fail_msg("%g ms of %g", (double)(after.metering_ns - before.metering_ns) / 1e6, allowed_ns / 1e6);
	assert_in_range(after.ticks - before.ticks, 2, 9);
	fixture_wait(&bench.fixture, 1);
	fw_record_done(&record);
	bench_close(&bench);
}

/* What is read on the loop's thread costs as much as on the sampler's. */
static void the_reading_of_a_flush_is_paid(void **state)
{
	struct bench bench;
	struct fw_record record;

	(void)state;
	bench_open(&bench);
	fw_energy_sampler_stop(bench.fixture.manager); /* nobody else reads */
	fw_record_init(&record);
	record.duration_ms = 1;
	fw_energy_begin(bench.worker);
	child_do(&bench.child, 'n');
	struct fw_energy_cost before = cost_of(&bench);

	script.burn_us = 5000;
	fw_energy_end(bench.worker, true, &record, fixture_count, &bench.fixture);
	fw_energy_flush(bench.fixture.manager);
	struct fw_energy_cost after = cost_of(&bench);

	script.burn_us = 0;
	assert_int_equal(after.ticks - before.ticks, 1);
	assert_true(after.metering_ns - before.metering_ns >= 5 * FW_NS_PER_MS);
	fw_record_done(&record);
	bench_close(&bench);
}

/* It is the end of one of them: what others have ended is the sampler's to read, within its budget. */
static void a_worker_that_goes_makes_nobody_read_the_others(void **state)
{
	struct bench bench;
	struct fw_record records[2];
	struct child child = child_new();

	(void)state;
	bench_open(&bench);
	fw_energy_sampler_stop(bench.fixture.manager);
	bench.fixture.manager->has_sampler = true; /* whose turn never comes */
	struct fw_energy_worker *other = fw_energy_worker_new(
		bench.fixture.manager, &(struct fw_metered){.pid = child.pid, .vcpus = 1, .memory_mb = 128});
	struct fw_energy_worker *workers[2] = {bench.worker, other};

	for (size_t i = 0; i < 2; i++) {
		fw_record_init(&records[i]);
		records[i].duration_ms = 1;
		fw_energy_begin(workers[i]);
	}
	fw_budget_spend(&bench.fixture.manager->budget, FW_NS_PER_S); /* deep in debt: no end is read by itself */
	for (size_t i = 0; i < 2; i++)
		fw_energy_end(workers[i], true, &records[i], fixture_count, &bench.fixture);
	struct fw_energy_cost before = cost_of(&bench);

	fw_energy_worker_free(other);
	assert_int_equal(cost_of(&bench).readings - before.readings, 1);
	bench.fixture.manager->has_sampler = false;
	fw_energy_flush(bench.fixture.manager);
	assert_int_equal(bench.fixture.done, 2);
	for (size_t i = 0; i < 2; i++)
		fw_record_done(&records[i]);
	bench_close(&bench);
	child_end(&child);
}

static double idle_j(const struct bench *bench, double *all_j)
{
	fw_cleanup_json json_t *books = fw_energy_manager_books(bench->fixture.manager);
	const json_t *domain = json_array_get(json_object_get(books, "domains"), 0);
	double workers_j = json_number_value(json_object_get(domain, "workers_idle_j"));

	*all_j = workers_j + json_number_value(json_object_get(domain, "system_idle_j"));
	return workers_j;
}

/* Its part of the floor is of the time in which it had an invocation, wherever the next tick lies. */
static void a_worker_that_goes_between_two_ticks_reserved_until_then(void **state)
{
	struct bench bench;
	struct fw_record record;
	double all_before_j, all_after_j;

	(void)state;
	bench_open(&bench);
	struct fw_energy_manager *manager = bench.fixture.manager;

	fw_energy_sampler_stop(manager);
	manager->has_sampler = true; /* whose turn never comes */
	fw_record_init(&record);
	record.duration_ms = 1;
	fw_counters_tick(manager->counters);
	uint64_t tick_ns = fw_monotonic_ns();
	double before_j = idle_j(&bench, &all_before_j);

	fw_energy_begin(bench.worker);
	fw_sleep_until(fw_monotonic_ns() + 60 * FW_NS_PER_MS);
	fw_energy_end(bench.worker, true, &record, fixture_count, &bench.fixture);
	fw_energy_worker_free(bench.worker);
	bench.worker = NULL;
	uint64_t gone_ns = fw_monotonic_ns();

	fw_sleep_until(tick_ns + 4 * (gone_ns - tick_ns));
	fw_counters_tick(manager->counters);
	double part = (idle_j(&bench, &all_after_j) - before_j) / (all_after_j - all_before_j);
	double held = (double)(gone_ns - tick_ns) / (double)(fw_monotonic_ns() - tick_ns);

	manager->has_sampler = false;
	unsigned cpus = 0;

	for (unsigned i = 0; i < world.machine.cpu_count; i++)
		cpus += world.machine.cpus[i].online;
	assert_true(part > 0);
	assert_true(part <= 1.1 * held / cpus); /* one of them was its own */
	fw_energy_flush(manager);
	fw_record_done(&record);
	bench_close(&bench);
}

/* The first readings of many workers that start at once must be, and leave a debt of seconds: joules are told apart from the
 * first moment on all the same. */
static void ticks_go_on_while_the_first_readings_of_many_workers_are_paid_back(void **state)
{
	struct bench bench;
	struct fw_record record;

	(void)state;
	bench_open(&bench);
	fw_record_init(&record);
	record.duration_ms = 1;
	fw_budget_spend(&bench.fixture.manager->budget, 58 * FW_NS_PER_MS); /* 50 ms of debt: 10 s of the whole budget */
	struct fw_energy_cost before = cost_of(&bench);
	uint64_t begin_ns = fw_monotonic_ns();

	fw_energy_begin(bench.worker);
	while (cost_of(&bench).ticks < before.ticks + 8 && fw_monotonic_ns() - begin_ns < 20 * FW_NS_PER_S)
		usleep(1000);
	assert_in_range(fw_monotonic_ns() - begin_ns, 0, 6 * FW_NS_PER_S);
	fw_energy_end(bench.worker, true, &record, fixture_count, &bench.fixture);
	fixture_wait(&bench.fixture, 1);
	fw_record_done(&record);
	bench_close(&bench);
}

static void expirations_that_come_too_late_are_counted(void **state)
{
	struct bench bench;
	uint64_t deadline_ns = fw_monotonic_ns() + 100 * FW_NS_PER_S;

	(void)state;
	bench_open(&bench);
	script.sleep_us = 250000; /* the timer goes on at 10 or 100 Hz */
	while (cost_of(&bench).missed_ticks == 0 && fw_monotonic_ns() < deadline_ns) {
		struct fw_record record;

		(void)invoke(&bench, 'w', &record);
		fw_record_done(&record);
	}
	assert_true(cost_of(&bench).missed_ticks > 0);
	script.sleep_us = 0;
	fw_cleanup_json json_t *books = fw_energy_manager_books(bench.fixture.manager);

	assert_true(json_integer_value(json_object_get(books, "missed_ticks")) > 0);
	bench_close(&bench);
}

/* The thread that reads, with everything that it does while an invocation runs: counters, work, memory. */
static void the_sampler_allocates_nothing_while_an_invocation_runs(void **state)
{
	struct bench bench;
	struct fw_record record;
	uint64_t deadline_ns = fw_monotonic_ns() + 100 * FW_NS_PER_S;

	(void)state;
	if (!install_hooks()) {
		print_message("skipped: built without the address sanitizer, whose hooks count allocations\n");
		skip();
	}
	bench_open(&bench);
	fw_record_init(&record);
	record.duration_ms = 1;
	fw_energy_begin(bench.worker);
	script.watch_thread = true;
	unsigned reads = script.reads;
	struct fw_energy_cost before = cost_of(&bench);

	while (script.reads < reads + 2 && fw_monotonic_ns() < deadline_ns)
		usleep(1000);
	script.allocations = 0;
	while ((script.reads < reads + 8 || cost_of(&bench).samples < before.samples + 3) && fw_monotonic_ns() < deadline_ns)
		usleep(1000);
	size_t allocations = script.allocations;

	script.watch_thread = false;
	assert_true(fw_monotonic_ns() < deadline_ns);
	fw_energy_end(bench.worker, true, &record, fixture_count, &bench.fixture);
	fixture_wait(&bench.fixture, 1);
	fw_record_done(&record);
	bench_close(&bench);
	assert_int_equal(allocations, 0);
}

static void a_reading_of_all_counters_allocates_nothing(void **state)
{
	static const struct fw_domain domain = {.source = "rapl", .kind = FW_DOMAIN_PACKAGE, .is_root = true, .update_s = 0.001};
	struct fw_attribution_machine shape = {.packages = 1, .physical = {0}, .cpus = {2}, .memory_bytes = 1e9};
	struct fw_attribution *attribution = fw_attribution_new(&shape, &domain, 1);
	struct fw_work_now now = {.bytes = 1e8};
	struct fw_holder *holder = fw_attribution_join(attribution, 1, 1e8, &now);
	struct fw_domain_reading reading = {.joules = 0};

	(void)state;
	if (!install_hooks()) {
		fw_attribution_free(attribution);
		print_message("skipped: built without the address sanitizer, whose hooks count allocations\n");
		skip();
	}
	size_t before = script.allocations;

	counts_allocations = true;
	free(fw_strdup("one"));
	size_t once = script.allocations - before;

	for (unsigned i = 0; i < 7000; i++) { /* the longer part at rest: all that the floor keeps of that is full */
		reading.before_ns = reading.after_ns = now.at_ns = (i + 1) * 10 * FW_NS_PER_MS;
		reading.joules += 0.3;
		now.ns[0] = now.total_ns += i < 6000 ? 0 : 5e6;
		fw_holder_set(holder, &now, 1);
		fw_attribution_tick(attribution, &reading, &now);
		fw_holder_open(holder, 1, &(struct fw_edge){FW_NS_PER_MS, 0});
	}
	counts_allocations = false;
	assert_int_equal(once, 1); /* the hook works */
	assert_int_equal(script.allocations - before, once);
	fw_attribution_free(attribution);
}

int main(void)
{
	const struct CMUnitTest tests[] = {FW_TEST_MAP(memorys_joules_name_what_they_are_shared_by, a_meter_of_work_that_fails_during_a_run_is_a_gap_with_its_reason, an_invocation_has_measured_joules_and_the_model_stays_beside,
		unknown_work_is_no_dynamic_energy_of_zero, work_has_its_price, the_floor_of_an_earlier_run_is_inherited_with_its_age, a_malformed_value_during_a_run_is_a_gap_with_its_reason,
		an_input_output_error_during_a_run_is_a_gap_with_its_reason,
		a_device_that_goes_during_a_run_is_a_gap_with_its_reason,
		a_counter_that_is_closed_during_a_run_is_a_gap_with_its_reason, mistake_17_failed_reads_during_a_run_are_gaps_and_no_zeros,
		a_zone_that_vanishes_leaves_the_model_and_stops_nothing,
		mistake_22_a_clock_that_jumps_back_makes_nothing_negative, a_clock_that_jumps_back_during_a_run_is_a_gap_with_its_reason, flags_of_readings_reach_the_records,
		joules_of_a_virtual_counter_are_never_ok,
		figures_of_a_machine_that_is_promised_twice_are_contended,
		mistake_31_the_last_interval_of_a_worker_that_goes_is_handed_out, counters_are_read_without_workers_too,
		the_rate_follows_what_runs, a_reading_of_all_counters_allocates_nothing,
		a_record_is_final_one_sample_after_its_end, a_slow_counter_lowers_the_rate_and_the_budget_wins,
		a_worker_that_goes_between_two_ticks_reserved_until_then, the_reading_of_a_flush_is_paid, a_worker_that_goes_makes_nobody_read_the_others,
		ticks_go_on_while_the_first_readings_of_many_workers_are_paid_back, expirations_that_come_too_late_are_counted, the_sampler_allocates_nothing_while_an_invocation_runs)};

	return cmocka_run_group_tests(tests, energy_set_up, energy_tear_down);
}
