/* SPDX-License-Identifier: Apache-2.0
 *
 * Hundreds of invocations on a played machine, whose counter steps, is late and jitters, whose price of work drifts and on
 * which others work at times: how far off figures are, and whether their intervals are as wide as they say. All is
 * arithmetic: no clock, no load of this machine, the same every time.
 */
#include <math.h>
#include <stdlib.h>

#include "base/memory.h"
#include "base/time.h"
#include "energy/attribution.h"
#include "tests/unit/energy_support.h"

enum { CPUS = 2, INVOCATIONS = 300 };
#define FLOOR_W 10.0
#define CORE_W 20.0
#define QUANTUM_J 61e-6
#define STEP_NS 50000ULL
#define UPDATE_NS (1 * FW_NS_PER_MS)
#define TICK_NS (25 * FW_NS_PER_MS)

struct machine {
	struct fw_attribution *attribution;
	struct fw_holder *worker;
	uint64_t now_ns, seed;
	double joules, shown_j;       /* used, and as the counter has it */
	double machine_ns, worker_ns; /* work */
	double worker_j;
	uint64_t update_at_ns, tick_at_ns, ticked_ns, held_ns, others_until_ns;
	bool others, works, holds;
	uint64_t serial;
	struct fw_edge begin;
};

static void tick(struct machine *machine)
{
	struct fw_work_now all = {.at_ns = machine->now_ns, .ns = {machine->machine_ns}, .total_ns = machine->machine_ns, .bytes = NAN};
	struct fw_work_now own = {.at_ns = machine->now_ns, .ns = {machine->worker_ns}, .total_ns = machine->worker_ns, .bytes = NAN};
	struct fw_domain_reading reading = {.before_ns = machine->now_ns - 5000, .after_ns = machine->now_ns + 5000,
	                                    .joules = machine->shown_j};
	double passed_ns = (double)(machine->now_ns - machine->ticked_ns);

	fw_holder_set(machine->worker, &own, passed_ns > 0 ? fmin((double)machine->held_ns / passed_ns, 1) : 0);
	fw_attribution_tick(machine->attribution, &reading, &all);
	if (machine->holds)
		fw_holder_open(machine->worker, machine->serial, &machine->begin);
	machine->held_ns = 0;
	machine->ticked_ns = machine->now_ns;
	machine->tick_at_ns = machine->now_ns + TICK_NS;
}

/* Others work and rest by turns of up to 200 ms, and for two thirds of the time not at all. */
static void let_others(struct machine *machine)
{
	if (machine->now_ns < machine->others_until_ns)
		return;
	machine->others = uniform(&machine->seed) < 0.33;
	machine->others_until_ns = machine->now_ns + (uint64_t)(200e6 * uniform(&machine->seed));
}

static void step(struct machine *machine)
{
	double seconds = (double)STEP_NS / 1e9, phase = (double)machine->now_ns / 3e9;
	double core_w = CORE_W * (1 + 0.1 * sin(2 * M_PI * phase));
	unsigned busy = (machine->works ? 1U : 0U) + (machine->others ? 1U : 0U);

	let_others(machine);
	machine->joules += (FLOOR_W + core_w * busy) * seconds;
	machine->machine_ns += (double)(busy * STEP_NS);
	if (machine->works) {
		machine->worker_ns += (double)STEP_NS;
		machine->worker_j += core_w * seconds;
	}
	machine->held_ns += machine->holds ? STEP_NS : 0;
	machine->now_ns += STEP_NS;
	if (machine->now_ns >= machine->update_at_ns) {
		machine->shown_j = floor(machine->joules / QUANTUM_J) * QUANTUM_J;
		machine->update_at_ns += UPDATE_NS + (uint64_t)(1e5 * uniform(&machine->seed));
	}
	if (machine->now_ns >= machine->tick_at_ns)
		tick(machine);
}

static void pass(struct machine *machine, double ms, double busy_share)
{
	for (double at_ms = 0; at_ms < ms; at_ms += (double)STEP_NS / 1e6) {
		machine->works = fmod(at_ms, 20) < 20 * busy_share;
		step(machine);
	}
	machine->works = false;
}

/* At an edge the sampler is woken: it reads a moment later. */
static struct fw_edge edge(struct machine *machine)
{
	uint64_t soon_ns = machine->now_ns + (uint64_t)(1.2e6 * uniform(&machine->seed));

	if (soon_ns - machine->ticked_ns >= FW_NS_PER_MS && soon_ns < machine->tick_at_ns)
		machine->tick_at_ns = soon_ns;
	return (struct fw_edge){machine->now_ns, machine->worker_ns};
}

struct judgement {
	double errors[INVOCATIONS], halves[INVOCATIONS], idle[INVOCATIONS];
	size_t held;
};

static void judge(struct machine *machine, struct judgement *judgement, size_t number)
{
	/* One that burns, one that rests half of its time, and one that is throttled and therefore lasts. */
	static const struct {
		double share, least_ms;
	} kinds[] = {{1, 100}, {0.5, 100}, {0.1, 300}};
	double before_j = machine->worker_j;

	machine->serial++;
	machine->begin = edge(machine);
	machine->holds = true;
	pass(machine, kinds[number % 3].least_ms + 500 * uniform(&machine->seed), kinds[number % 3].share);
	struct fw_edge end = edge(machine);

	machine->holds = false;
	double dynamic_j = machine->worker_j - before_j;
	double idle_j = FLOOR_W * (double)(end.at_ns - machine->begin.at_ns) / 1e9 / CPUS;
	struct fw_share share[4];

	while (!fw_holder_covers(machine->worker, end.at_ns))
		step(machine);
	assert_int_equal(fw_holder_cut(machine->worker, machine->serial, &machine->begin, &end, share, 4), 1);
	const struct fw_figure *figure = &share[0].figure;

	judgement->errors[number] = fabs(figure->dynamic_j - dynamic_j) / dynamic_j;
	judgement->idle[number] = fabs(figure->idle_j - idle_j) / idle_j;
	judgement->halves[number] = (figure->high - figure->low) / 2 / figure->joules;
	judgement->held += figure->low <= dynamic_j + idle_j && dynamic_j + idle_j <= figure->high;
	pass(machine, 300 * uniform(&machine->seed), 0);
}

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double at_share(double *values, double share)
{
	qsort(values, INVOCATIONS, sizeof *values, ascending);
	return values[(size_t)(share * (INVOCATIONS - 1))];
}

static void figures_are_as_right_as_their_intervals_say(void **state)
{
	static const struct fw_domain domain = {.source = "rapl", .kind = FW_DOMAIN_PACKAGE, .name = "package-0", .package = 0,
	                                        .is_root = true, .quantum_j = QUANTUM_J, .update_s = 0.001};
	static const struct fw_attribution_machine shape = {.packages = 1, .cpus = {CPUS}, .memory_bytes = 1e9, .lag_ns = 2e4};
	struct fw_work_now nothing = {.bytes = NAN, .at_ns = FW_NS_PER_S};
	struct machine machine = {.now_ns = FW_NS_PER_S, .ticked_ns = FW_NS_PER_S, .seed = 11};
	struct judgement *judgement = fw_alloc(sizeof *judgement);

	(void)state;
	machine.update_at_ns = machine.tick_at_ns = machine.now_ns + UPDATE_NS;
	machine.attribution = fw_attribution_new(&shape, &domain, 1);
	machine.worker = fw_attribution_join(machine.attribution, 1, 1e6, &nothing);
	pass(&machine, 2000, 0);
	for (size_t i = 0; i < INVOCATIONS; i++)
		judge(&machine, judgement, i);
	print_message("dynamic: median %.2f %%, worst %.2f %%; idle: median %.2f %%; half-width: median %.2f %%; held: %.1f %%\n",
	              100 * at_share(judgement->errors, 0.5), 100 * at_share(judgement->errors, 1),
	              100 * at_share(judgement->idle, 0.5), 100 * at_share(judgement->halves, 0.5),
	              100.0 * (double)judgement->held / INVOCATIONS);
	assert_true(at_share(judgement->errors, 0.5) <= 0.02);
	assert_true(at_share(judgement->errors, 1) <= 0.05);
	assert_true(at_share(judgement->idle, 0.5) <= 0.02);
	assert_true(at_share(judgement->halves, 0.5) <= 0.05);
	assert_true(judgement->held >= 0.95 * INVOCATIONS);
	assert_near(fw_attribution_residual_j(machine.attribution), 0, QUANTUM_J);
	free(judgement);
	fw_attribution_free(machine.attribution);
}

FW_TESTS(figures_are_as_right_as_their_intervals_say)
