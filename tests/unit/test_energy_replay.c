/* SPDX-License-Identifier: Apache-2.0
 *
 * What the ledger was fed is read back from the page and fed again: every figure comes again to the last bit, whatever the
 * counters did; and a page that says what cannot be ends in one error.
 */
#include <math.h>
#include <string.h>

#include "base/json.h"
#include "base/memory.h"
#include "base/time.h"
#include "base/varint.h"
#include "energy/books.h"
#include "energy/replay.h"
#include "support.h"

enum { WORKERS = 3, DOMAINS = 4, CUTS_MAX = 4096, PAGES_MAX = 64 << 20 };

struct kept_cut {
	char stage[16];
	int64_t task;
	size_t count;
	struct fw_share shares[FW_SHARES_MOST];
};

/* A machine whose counters and workers do as a seed says. */
struct life {
	struct fw_feed *feed;
	struct fw_fed *workers[WORKERS];
	struct fw_work_now works[WORKERS], machine;
	struct fw_edge begins[WORKERS];
	struct fw_domain_reading readings[DOMAINS];
	uint64_t now_ns, random, serial;
	FW_VECTOR(struct kept_cut) cuts;
	struct fw_buffer pages;
};

static double uniform(struct life *life)
{
	life->random = life->random * 6364136223846793005ULL + 1442695040888963407ULL;
	return (double)(life->random >> 11) / (double)(1ULL << 53);
}

static void begin(struct life *life, size_t i)
{
	life->begins[i] = (struct fw_edge){life->now_ns, life->works[i].total_ns};
}

static void life_begin(struct life *life, uint64_t seed)
{
	static const struct fw_domain domains[DOMAINS] = {
		{.source = "rapl", .method = "rapl/1", .kind = FW_DOMAIN_PACKAGE, .name = "package-0", .package = 0, .die = -1, .gpu = -1, .is_root = true, .quantum_j = 6.103515625e-5, .update_s = 0.001, .most_w = NAN},
		{.source = "rapl", .method = "rapl/1", .kind = FW_DOMAIN_PACKAGE, .name = "package-1", .package = 1, .die = -1, .gpu = -1, .is_root = true, .quantum_j = 6e-5, .update_s = NAN, .most_w = 300.1},
		{.source = "nvml", .method = "nvml/1", .kind = FW_DOMAIN_GPU, .name = "gpu-1", .package = -1, .die = -1, .gpu = 1, .is_root = true, .quantum_j = 1e-3, .update_s = 0.02, .most_w = 700},
		{.source = "perf", .method = "perf/1", .kind = FW_DOMAIN_DRAM, .name = "dram", .package = -1, .die = -1, .gpu = -1, .is_root = true, .quantum_j = 1e-6, .update_s = 0.001, .most_w = NAN},
	};
	struct fw_attribution_machine machine = {
		.packages = 2, .physical = {0, 1}, .cpus = {2, 2}, .memory_bytes = 8e9, .lag_ns = 4e6, .has_misses = seed % 2 == 0};

	*life = (struct life){.now_ns = 1234567891011ULL, .random = seed, .machine = {.bytes = 3e9}};
	fw_buffer_init(&life->pages, PAGES_MAX);
	life->feed = fw_feed_new(&machine, domains, DOMAINS, "cgroup", true);
	fw_feed_inherit(life->feed, 0, 12.3, 0.4, 5678.9);
	for (size_t i = 0; i < WORKERS; i++) {
		life->works[i] = (struct fw_work_now){.at_ns = life->now_ns, .bytes = 1e8};
		life->workers[i] = fw_feed_join(life->feed, 1769.0 / 1769 * 0.37, 1e9 / 3, i == 1, &life->works[i]);
		begin(life, i);
	}
}

static void life_end(struct life *life)
{
	for (size_t i = 0; i < WORKERS; i++)
		fw_feed_forget(life->workers[i]);
	fw_feed_free(life->feed);
	fw_buffer_done(&life->pages);
	free(life->cuts.items);
}
#define cleanup_life __attribute__((cleanup(life_end)))

static void work(struct life *life, double seconds)
{
	for (size_t i = 0; i < WORKERS; i++)
		for (size_t p = 0; p < 2; p++) {
			double ns = seconds * 3e8 * uniform(life);

			life->works[i].ns[p] += ns;
			life->works[i].total_ns += ns;
			life->machine.ns[p] += ns * (1 + uniform(life));
		}
	life->works[0].gpu_ns[1] += seconds * 4e8 * uniform(life);
	life->machine.gpu_ns[1] += seconds * 9e8;
	for (size_t d = 0; d < DOMAINS; d++)
		if (isnan(life->readings[d].joules))
			life->readings[d].joules = 1e5 + 60 * (double)(life->now_ns % 1000000000000) / 1e9;
		else
			life->readings[d].joules += 60 * seconds * uniform(life);
}

/* Some figures are not asked for, others fail. */
static double told(struct life *life, double value)
{
	double luck = uniform(life);

	return luck < 0.3 ? (double)NAN : luck < 0.4 ? -1 : value;
}

static void tick(struct life *life)
{
	if (uniform(life) < 0.05) {
		fw_feed_miss(life->feed, life->now_ns);
		return;
	}
	life->machine.at_ns = life->now_ns;
	life->machine.misses = told(life, 1e7 * (double)(life->now_ns % 1000000));
	fw_feed_machine(life->feed, &life->machine);
	for (size_t i = 0; i < WORKERS; i++) {
		life->works[i].at_ns = life->now_ns + 100 * i;
		life->works[i].bytes = uniform(life) < 0.1 ? (double)NAN : 1e8 * uniform(life);
		struct fw_work_now seen = life->works[i];

		if (uniform(life) < 0.05)
			seen.total_ns = -1;
		seen.misses = told(life, 1e6 * (double)(life->now_ns % 1000000) + 0.5);
		fw_feed_set(life->workers[i], &seen, uniform(life));
	}
	for (size_t d = 0; d < DOMAINS; d++) {
		struct fw_domain_reading *reading = &life->readings[d];

		reading->before_ns = life->now_ns + 20000 * d;
		reading->after_ns = reading->before_ns + (uint64_t)(5000 * uniform(life));
		reading->raw = (uint64_t)(reading->joules * 1e6) % 262143328850;
		reading->flags = uniform(life) < 0.05 ? FW_DOMAIN_WRAP : uniform(life) < 0.02 ? FW_DOMAIN_RESET : 0;
		reading->lost_j += reading->flags & FW_DOMAIN_RESET ? 0.5 : 0;
		if (uniform(life) < 0.05) {
			reading->joules = NAN;
			reading->flags |= FW_DOMAIN_GAP;
		}
	}
	fw_feed_tick(life->feed, life->readings);
	for (size_t i = 0; i < WORKERS; i++)
		fw_feed_open(life->workers[i], life->serial + i, &life->begins[i]);
}

static void cut(struct life *life, size_t i)
{
	struct kept_cut kept = {.task = (int64_t)life->cuts.count};
	struct fw_edge end = {life->now_ns, life->works[i].total_ns};

	strcpy(kept.stage, i == 0 ? "first" : "others");
	kept.count = fw_feed_cut(life->workers[i], &(struct fw_feed_key){kept.stage, kept.task, 1}, life->serial + i,
	                         &life->begins[i], &end, kept.shares, FW_SHARES_MOST);
	FW_PUSH(&life->cuts, kept);
	begin(life, i);
}

static void live(struct life *life, unsigned ticks)
{
	for (unsigned i = 0; i < ticks; i++) {
		double seconds = uniform(life) < 0.05 ? -0.3 : 0.001 + 0.05 * uniform(life); /* a clock that goes back */

		life->now_ns += (uint64_t)(int64_t)(seconds * 1e9);
		work(life, fmax(seconds, 0));
		tick(life);
		if (uniform(life) < 0.2)
			for (size_t w = 0; w < WORKERS; w++)
				cut(life, w);
		life->serial += uniform(life) < 0.2 ? WORKERS : 0;
		if (uniform(life) < 0.1)
			fw_feed_take(life->feed, &life->pages);
	}
	fw_feed_take(life->feed, &life->pages);
}

struct comparison {
	const struct life *life;
	size_t seen;
};

static void compare(void *context, const struct fw_replay_cut *cut)
{
	struct comparison *comparison = context;
	const struct kept_cut *kept = &comparison->life->cuts.items[comparison->seen++];

	assert_string_equal(cut->stage, kept->stage);
	assert_int_equal(cut->task, kept->task);
	assert_int_equal(cut->attempt, 1);
	assert_int_equal(cut->count, kept->count);
	for (size_t i = 0; i < cut->count; i++) {
		assert_string_equal(cut->shares[i].source, kept->shares[i].source);
		assert_string_equal(cut->shares[i].method, kept->shares[i].method);
		assert_int_equal(cut->shares[i].kind, kept->shares[i].kind);
		assert_memory_equal(&cut->shares[i].figure.joules, &kept->shares[i].figure.joules,
		                    offsetof(struct fw_figure, flags) - offsetof(struct fw_figure, joules));
		assert_int_equal(cut->shares[i].figure.flags, kept->shares[i].figure.flags);
	}
}

static void every_figure_comes_again_to_the_last_bit(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 30; seed++) {
		cleanup_life struct life life;
		struct fw_error *err = NULL;

		life_begin(&life, seed);
		live(&life, 300);
		struct comparison comparison = {&life, 0};
		FW_CLEANUP(fw_replay_free) struct fw_replay *replay = fw_replay_new(compare, &comparison);

		assert_ok(fw_replay_page(replay, life.pages.data, life.pages.length, &err), err);
		assert_true(life.cuts.count > 20);
		assert_int_equal(comparison.seen, life.cuts.count);
		assert_false(fw_replay_is_cut_short(replay));
		fw_cleanup_json json_t *books = fw_replay_books(replay);
		fw_cleanup_json json_t *own = fw_books_to_json(fw_feed_attribution(life.feed), "cgroup");

		assert_true(json_equal(books, own));
	}
}

/* A tick of three counters and three workers, 100 times a second, must not fill a disk. */
static void a_tick_takes_few_bytes(void **state)
{
	cleanup_life struct life life;

	(void)state;
	life_begin(&life, 1);
	live(&life, 100);
	size_t before = life.pages.length;

	live(&life, 100);
	if (life.pages.length - before > 100 * 240)
		fail_msg("%zu bytes a tick", (life.pages.length - before) / 100);
}

static void ignore(void *context, const struct fw_replay_cut *cut)
{
	(void)cut;
	++*(size_t *)context;
}

/* Nobody takes it: what fits is kept, and it says that more was read. */
static void a_full_page_ends_with_a_mark_and_the_ledger_goes_on(void **state)
{
	cleanup_life struct life life;
	struct fw_error *err = NULL;
	size_t seen = 0;

	(void)state;
	life_begin(&life, 3);
	for (unsigned i = 0; i < 12000; i++) {
		life.now_ns += 10 * FW_NS_PER_MS;
		work(&life, 0.01);
		tick(&life);
	}
	cut(&life, 0);
	assert_true(fw_feed_take(life.feed, &life.pages));
	assert_true(life.pages.length <= FW_FEED_PAGE_BYTES);
	assert_false(fw_feed_take(life.feed, &life.pages));
	FW_CLEANUP(fw_replay_free) struct fw_replay *replay = fw_replay_new(ignore, &seen);

	assert_ok(fw_replay_page(replay, life.pages.data, life.pages.length, &err), err);
	assert_true(fw_replay_is_cut_short(replay));
	assert_int_equal(seen, 0);
	assert_int_equal(life.cuts.count, 1);
	assert_true(life.cuts.items[0].count > 0);
}

static void a_resumed_run_begins_a_new_ledger(void **state)
{
	cleanup_life struct life first, second;
	struct fw_error *err = NULL;
	size_t seen = 0;

	(void)state;
	life_begin(&first, 5);
	life_begin(&second, 6);
	live(&first, 100);
	live(&second, 100);
	FW_CLEANUP(fw_replay_free) struct fw_replay *replay = fw_replay_new(ignore, &seen);

	assert_ok(fw_replay_page(replay, first.pages.data, first.pages.length, &err), err);
	assert_ok(fw_replay_page(replay, second.pages.data, second.pages.length, &err), err);
	assert_int_equal(seen, first.cuts.count + second.cuts.count);
	fw_cleanup_json json_t *books = fw_replay_books(replay);
	fw_cleanup_json json_t *own = fw_books_to_json(fw_feed_attribution(second.feed), "cgroup");

	assert_true(json_equal(books, own));
}

/* What is kept of workers is of those that are alive at once, however many there were. */
static void a_run_of_very_many_workers_can_be_replayed(void **state)
{
	cleanup_life struct life life;
	struct fw_error *err = NULL;
	size_t seen = 0, cuts = 0;

	(void)state;
	life_begin(&life, 11);
	FW_CLEANUP(fw_replay_free) struct fw_replay *replay = fw_replay_new(ignore, &seen);

	for (unsigned i = 0; i < 70000; i++) {
		struct fw_work_now now = {.at_ns = life.now_ns};

		life.now_ns += FW_NS_PER_MS;
		fw_feed_forget(life.workers[i % WORKERS]);
		life.works[i % WORKERS] = now;
		life.workers[i % WORKERS] = fw_feed_join(life.feed, 0.3, 1e8, false, &now);
		begin(&life, i % WORKERS);
		if (i % 1000 == 0) {
			work(&life, 0.1);
			tick(&life);
			cut(&life, i % WORKERS);
			cuts++;
			fw_buffer_clear(&life.pages);
			assert_true(fw_feed_take(life.feed, &life.pages));
			assert_ok(fw_replay_page(replay, life.pages.data, life.pages.length, &err), err);
		}
	}
	assert_int_equal(seen, cuts);
	assert_false(fw_replay_is_cut_short(replay));
}

static void refuse(const char *bytes, size_t length, const char *text)
{
	fw_cleanup_error struct fw_error *err = NULL;
	size_t seen = 0;
	FW_CLEANUP(fw_replay_free) struct fw_replay *replay = fw_replay_new(ignore, &seen);

	assert_error_is(fw_replay_page(replay, bytes, length, &err), &err, FW_E_INVALID, text);
}

/* A machine as no kernel tells it would give figures without end, or none that is a number. */
static void a_head_whose_figures_cannot_be_is_refused(void **state)
{
	static const struct {
		const char *memory, *lag, *cpus, *quantum, *update, *refused;
	} heads[] = {
		{"-1", "0", "2", "6e-5", "0.001", "-1 bytes of memory"}, {"8e9", "1e300", "2", "6e-5", "0.001", "1e+300 ns late"},
		{"8e9", "0", "-2", "6e-5", "0.001", "-2 CPUs"},          {"8e9", "0", "2", "1e200", "0.001", "'package-0' is none"},
		{"8e9", "0", "2", "6e-5", "-1", "'package-0' is none"},
	};

	(void)state;
	for (size_t i = 0; i < FW_COUNT_OF(heads); i++) {
		fw_cleanup_free char *head = fw_printf(
			"{\"version\": 2, \"work\": \"ebpf\", \"memory_bytes\": %s, \"lag_ns\": %s,"
			"\"packages\": [{\"number\": 0, \"cpus\": %s}],"
			"\"domains\": [{\"source\": \"rapl\", \"method\": \"rapl/1\", \"domain\": \"package\", \"name\": \"package-0\","
			"\"package\": 0, \"die\": -1, \"gpu\": -1, \"root\": true, \"virtual\": false, \"unshared\": false,"
			"\"quantum_j\": %s, \"update_s\": %s}]}",
			heads[i].memory, heads[i].lag, heads[i].cpus, heads[i].quantum, heads[i].update);
		unsigned char page[1024] = "H";
		size_t length = 1 + fw_varint_put(page + 1, strlen(head));

		memcpy(page + length, head, strlen(head));
		refuse((const char *)page, length + strlen(head), heads[i].refused);
	}
}

static void what_is_no_page_is_refused(void **state)
{
	(void)state;
	refuse("T", 1, "damaged");                     /* no head */
	refuse("H\x02{}", 4, "version");               /* a head without anything */
	refuse("H\xff\xff\xff\x7f", 5, "damaged");     /* longer than it is */
	refuse("?", 1, "damaged");
	/* Every byte of a true page turned over: an error or other figures, nothing else. */
	cleanup_life struct life life;

	life_begin(&life, 9);
	live(&life, 20);
	for (size_t i = 0; i < life.pages.length; i++) {
		fw_cleanup_error struct fw_error *err = NULL;
		size_t seen = 0;
		FW_CLEANUP(fw_replay_free) struct fw_replay *replay = fw_replay_new(ignore, &seen);

		life.pages.data[i] = (char)~life.pages.data[i];
		(void)fw_replay_page(replay, life.pages.data, life.pages.length, &err);
		life.pages.data[i] = (char)~life.pages.data[i];
	}
}

FW_TESTS(every_figure_comes_again_to_the_last_bit, a_tick_takes_few_bytes,
         a_full_page_ends_with_a_mark_and_the_ledger_goes_on, a_resumed_run_begins_a_new_ledger, a_run_of_very_many_workers_can_be_replayed,
         a_head_whose_figures_cannot_be_is_refused, what_is_no_page_is_refused)
