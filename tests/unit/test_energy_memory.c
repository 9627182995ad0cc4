/* SPDX-License-Identifier: Apache-2.0
 *
 * What an invocation is told to have held: its memory was sampled at its end, or the figure is null and flagged. Never a
 * figure of some other time, which might be far too low.
 */
#include <math.h>
#include <signal.h>
#include <stdlib.h>

#include "base/memory.h"
#include "tests/unit/energy_support.h"

static struct fw_energy_worker *worker_of(struct fixture *fixture, const struct child *child)
{
	return fw_energy_worker_new(fixture->manager, &(struct fw_metered){.pid = child->pid, .vcpus = 1, .memory_mb = 128});
}

/* A worker whose invocations have used up the budget. Returns how many it took. */
static size_t exhaust(struct fixture *fixture, struct fw_energy_worker *worker, const struct child *child,
                      struct fw_record *records, size_t capacity)
{
	struct fw_energy_cost cost = {0};
	size_t count = 0;

	for (; cost.left_out == 0 && count < capacity; count++) {
		fixture_invoke(fixture, worker, child, 'n', &records[count]);
		fw_energy_cost(fixture->manager, &cost);
	}
	assert_true(cost.left_out > 0);
	return count;
}

struct spent {
	struct fixture fixture;
	struct child child;
	struct fw_energy_worker *worker;
	struct fw_record *records;
	size_t count;
};

static void spent_open(struct spent *spent)
{
	enum { CAPACITY = 20000 };

	*spent = (struct spent){.child = child_new(), .records = fw_alloc_array(CAPACITY, sizeof *spent->records)};
	fixture_open(&spent->fixture);
	spent->worker = worker_of(&spent->fixture, &spent->child);
	spent->count = exhaust(&spent->fixture, spent->worker, &spent->child, spent->records, CAPACITY);
}

static void spent_close(struct spent *spent)
{
	fw_energy_worker_free(spent->worker);
	fixture_close(&spent->fixture);
	child_end(&spent->child);
	for (size_t i = 0; i < spent->count; i++)
		fw_record_done(&spent->records[i]);
	free(spent->records);
}

static void assert_sampled_or_flagged(const struct fw_record *record, double least_mb)
{
	bool flagged = fw_record_has_flag(record->flags, "memory_unsampled");

	assert_int_equal(isnan(record->memory_peak_mb), flagged);
	assert_int_equal(isnan(record->memory_average_mb), flagged);
	if (!flagged)
		assert_true(record->memory_peak_mb >= least_mb);
	/* Its own high-water mark bounds all that it ever did; without a control group that costs a whole reading. */
	assert_false(record->memory_peak_high_mb < least_mb);
}

static void with_the_budget_spent_a_short_one_has_a_true_peak_or_none(void **state)
{
	struct spent spent;
	struct fw_record held;

	(void)state;
	spent_open(&spent);
	fixture_invoke(&spent.fixture, spent.worker, &spent.child, 'm', &held);
	fixture_invoke(&spent.fixture, spent.worker, &spent.child, 'n', &spent.records[spent.count]);
	fixture_wait(&spent.fixture, ++spent.count + 1);
	assert_sampled_or_flagged(&held, 32);
	for (size_t i = 0; i < spent.count; i++)
		assert_sampled_or_flagged(&spent.records[i], i + 1 < spent.count ? 0.001 : 32);
	fw_record_done(&held);
	spent_close(&spent);
}

static void with_the_budget_spent_a_long_one_is_read_all_the_same(void **state)
{
	struct spent spent;
	struct fw_record held, next;

	(void)state;
	spent_open(&spent);
	fixture_invoke(&spent.fixture, spent.worker, &spent.child, 'M', &held);
	fixture_invoke(&spent.fixture, spent.worker, &spent.child, 'w', &next);
	fixture_wait(&spent.fixture, spent.count + 2);
	assert_true(held.memory_peak_mb >= 32 && next.memory_peak_mb >= 32);
	assert_true(held.memory_peak_high_mb >= held.memory_peak_mb); /* read together at the end */
	/* What was read at the end of the one is the begin of the other. */
	assert_true(next.faults_minor != FW_NULL_INT && next.faults_minor < 1000);
	fw_record_done(&held);
	fw_record_done(&next);
	spent_close(&spent);
}

static void a_worker_that_the_host_kills_was_sampled_before(void **state)
{
	struct child child = child_new();
	struct fixture fixture;
	struct fw_record record;

	(void)state;
	fixture_open(&fixture);
	struct fw_energy_worker *worker = worker_of(&fixture, &child);
	fw_record_init(&record);
	fw_energy_begin(worker);
	child_do(&child, 'm');
	fw_energy_last_sample(worker);
	child_end(&child);
	record.duration_ms = 5;
	fw_energy_end(worker, false, &record, fixture_count, &fixture);
	fixture_wait(&fixture, 1);
	assert_true(record.memory_peak_mb >= 32);
	assert_false(fw_record_has_flag(record.flags, "memory_unsampled"));
	fw_record_done(&record);
	fw_energy_worker_free(worker);
	fixture_close(&fixture);
}

static void a_worker_that_ended_by_itself_has_no_peak(void **state)
{
	struct child child = child_new();
	struct fixture fixture;
	struct fw_record record;

	(void)state;
	fixture_open(&fixture);
	struct fw_energy_worker *worker = worker_of(&fixture, &child);
	fw_record_init(&record);
	fw_energy_begin(worker);
	child_do(&child, 'M'); /* long enough for samples within, which say nothing about its end */
	child_end(&child);
	record.duration_ms = 60;
	fw_energy_end(worker, false, &record, fixture_count, &fixture);
	fixture_wait(&fixture, 1);
	assert_true(isnan(record.memory_peak_mb) && isnan(record.memory_average_mb));
	assert_true(fw_record_has_flag(record.flags, "memory_unsampled"));
	fw_record_done(&record);
	fw_energy_worker_free(worker);
	fixture_close(&fixture);
}

/* The kernel looks at each page: next to nothing for a long invocation of a small worker, much for a short one. */
static void memory_of_its_own_and_its_part_of_what_is_shared_are_read_at_the_end_of_long_ones(void **state)
{
	struct child child = child_new();
	struct fixture fixture;
	struct fw_record brief, lengthy, dead;

	(void)state;
	fixture_open_at(&fixture, 1); /* the budget is for this reading */
	struct fw_energy_worker *worker = worker_of(&fixture, &child);
	fixture_invoke(&fixture, worker, &child, 'm', &brief);
	fixture_wait(&fixture, 1);
	assert_true(isnan(brief.memory_uss_mb) && isnan(brief.memory_pss_mb));
	fw_record_init(&lengthy);
	fw_energy_begin(worker);
	for (unsigned i = 0; i < 50; i++)
		child_do(&child, 'w');
	lengthy.duration_ms = 3000;
	fw_energy_end(worker, true, &lengthy, fixture_count, &fixture);
	fixture_wait(&fixture, 2);
	assert_true(lengthy.memory_uss_mb >= 32 && lengthy.memory_pss_mb >= lengthy.memory_uss_mb);
	assert_true(lengthy.memory_pss_mb < 2 * lengthy.memory_peak_high_mb);
	fw_record_init(&dead);
	fw_energy_begin(worker);
	child_end(&child);
	dead.duration_ms = 3000;
	fw_energy_end(worker, false, &dead, fixture_count, &fixture);
	fixture_wait(&fixture, 3);
	assert_true(isnan(dead.memory_uss_mb));
	fw_record_done(&brief);
	fw_record_done(&lengthy);
	fw_record_done(&dead);
	fw_energy_worker_free(worker);
	fixture_close(&fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FW_TEST_MAP(with_the_budget_spent_a_short_one_has_a_true_peak_or_none,
		            with_the_budget_spent_a_long_one_is_read_all_the_same,
		            a_worker_that_the_host_kills_was_sampled_before, a_worker_that_ended_by_itself_has_no_peak,
		            memory_of_its_own_and_its_part_of_what_is_shared_are_read_at_the_end_of_long_ones)};

	return cmocka_run_group_tests(tests, energy_set_up, energy_tear_down);
}
