/* SPDX-License-Identifier: Apache-2.0
 *
 * The joules of a GPU become those of invocations, by the use that the driver tells of their processes.
 */
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "base/time.h"
#include "energy/attribution.h"
#include "tests/unit/support.h"

enum { SHARED, UNSHARED, DOMAINS };

/* Two GPUs that rest at 40 W; of the second nobody tells who uses it. Two workers. */
struct machine {
	struct fw_attribution *attribution;
	struct fw_holder *holders[2];
	struct fw_work_now works[2], work;
	double held[2];
	struct fw_domain_reading readings[DOMAINS];
	uint64_t now_ns;
};

static void machine_init(struct machine *machine)
{
	static const struct fw_domain domains[DOMAINS] = {
		{.source = "nvml", .kind = FW_DOMAIN_GPU, .name = "gpu-0", .package = -1, .gpu = 3, .is_root = true, .quantum_j = 1e-3, .update_s = 0.25},
		{.source = "hwmon", .kind = FW_DOMAIN_GPU, .name = "amdgpu", .package = -1, .gpu = 0, .is_root = true, .is_unshared = true, .quantum_j = 1e-3, .update_s = 0.25},
	};
	struct fw_attribution_machine shape = {.packages = 1, .physical = {-1}, .cpus = {2}, .memory_bytes = 8e9};

	*machine = (struct machine){.now_ns = 10 * FW_NS_PER_S, .work = {.bytes = NAN}};
	machine->attribution = fw_attribution_new(&shape, domains, DOMAINS);
	for (size_t i = 0; i < 2; i++) {
		machine->works[i].at_ns = machine->now_ns;
		machine->works[i].bytes = NAN;
		machine->holders[i] = fw_attribution_join(machine->attribution, 1, 1e9, &machine->works[i]);
	}
}

static void machine_done(struct machine *machine)
{
	fw_attribution_free(machine->attribution);
}
#define cleanup_machine __attribute__((cleanup(machine_done)))

/* Half a second in which the workers used these parts of the GPU, and each fully used GPU would draw 260 W more. */
static void step(struct machine *machine, double first, double second)
{
	machine->now_ns += FW_NS_PER_S / 2;
	machine->works[0].gpu_ns[3] += first * 0.5e9;
	machine->works[1].gpu_ns[3] += second * 0.5e9;
	machine->work.gpu_ns[3] += (first + second) * 0.5e9;
	machine->readings[SHARED].joules += 20 + (first + second) * 130;
	machine->readings[UNSHARED].joules += 50;
	for (size_t i = 0; i < 2; i++) {
		machine->works[i].at_ns = machine->now_ns;
		fw_holder_set(machine->holders[i], &machine->works[i], machine->held[i]);
	}
	for (size_t i = 0; i < DOMAINS; i++)
		machine->readings[i].before_ns = machine->readings[i].after_ns = machine->now_ns;
	fw_attribution_tick(machine->attribution, machine->readings, &machine->work);
}

static void a_gpu_is_shared_by_the_use_of_its_processes_and_rests_for_nobody(void **state)
{
	cleanup_machine struct machine machine;
	struct fw_share shares[8];

	(void)state;
	machine_init(&machine);
	for (unsigned i = 0; i < 20; i++)
		step(&machine, 0, 0);
	struct fw_edge begin = {machine.now_ns, 0};
	machine.held[0] = machine.held[1] = 1;
	for (unsigned i = 0; i < 10; i++)
		step(&machine, 0.6, 0.2);
	struct fw_edge end = {machine.now_ns, 0};
	assert_int_equal(fw_holder_cut(machine.holders[0], 1, &begin, &end, shares, 8), 1);
	assert_string_equal(shares[0].source, "nvml");
	assert_int_equal(shares[0].kind, FW_DOMAIN_GPU);
	assert_near(shares[0].figure.dynamic_j, 10 * 0.6 * 130, 0.02 * 780);
	assert_near(shares[0].figure.idle_j, 0, 0);
	assert_true(shares[0].figure.low <= 780 && shares[0].figure.high >= 780);
	assert_int_equal(fw_holder_cut(machine.holders[1], 1, &begin, &end, shares, 8), 1);
	assert_near(shares[0].figure.dynamic_j, 10 * 0.2 * 130, 0.02 * 260);
	assert_near(fw_attribution_residual_j(machine.attribution), 0, 1e-6);
}

static void what_a_gpu_did_for_a_worker_belongs_to_the_invocation_that_it_had(void **state)
{
	cleanup_machine struct machine machine;
	struct fw_share shares[8];

	(void)state;
	machine_init(&machine);
	for (unsigned i = 0; i < 20; i++)
		step(&machine, 0, 0);
	/* a tenth of a second inside of half a second, of which nothing else had an invocation */
	struct fw_edge begin = {machine.now_ns + FW_NS_PER_S / 10, 0}, end = {machine.now_ns + FW_NS_PER_S / 5, 0};
	machine.held[0] = 0.2;
	step(&machine, 0.2, 0);
	machine.held[0] = 0;
	step(&machine, 0, 0);
	assert_int_equal(fw_holder_cut(machine.holders[0], 1, &begin, &end, shares, 8), 1);
	assert_near(shares[0].figure.dynamic_j, 0.2 * 130, 0.02 * 26);
}

/* What it drew may have been anybody's: none of it is told as nothing. */
static void joules_of_a_gpu_whose_user_is_unknown_are_in_everybodys_interval(void **state)
{
	cleanup_machine struct machine machine;
	struct fw_share shares[8];

	(void)state;
	machine_init(&machine);
	for (unsigned i = 0; i < 20; i++)
		step(&machine, 0, 0);
	struct fw_edge begin = {machine.now_ns, 0};
	machine.held[0] = machine.held[1] = 1;
	step(&machine, 0.5, 0);
	machine.readings[SHARED].flags = FW_DOMAIN_GAP;
	machine.readings[SHARED].reason = FW_REASON_WORK;
	machine.readings[SHARED].joules += 100; /* of which nobody knows whose they are */
	step(&machine, 0, 0);
	machine.readings[SHARED].flags = 0;
	machine.readings[SHARED].reason = FW_REASON_NONE;
	step(&machine, 0.5, 0);
	struct fw_edge end = {machine.now_ns, 0};

	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(fw_holder_cut(machine.holders[i], 1, &begin, &end, shares, 8), 1);
		assert_near(shares[0].figure.dynamic_j, i == 0 ? 130 : 0, 5);
		assert_true(shares[0].figure.flags & FW_DOMAIN_GAP);
		assert_true(shares[0].figure.high >= shares[0].figure.joules + 99);
	}
	assert_near(fw_attribution_residual_j(machine.attribution), 0, 1e-6);
}

FW_TESTS(a_gpu_is_shared_by_the_use_of_its_processes_and_rests_for_nobody,
         joules_of_a_gpu_whose_user_is_unknown_are_in_everybodys_interval,
         what_a_gpu_did_for_a_worker_belongs_to_the_invocation_that_it_had)
