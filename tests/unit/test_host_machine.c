/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdlib.h>

#include "base/memory.h"
#include "host/machine.h"
#include "tests/unit/support.h"

#define CPU(n, package, core)                                                                                          \
	"sys/devices/system/cpu/cpu" #n "/topology/physical_package_id", #package "\n",                                    \
		"sys/devices/system/cpu/cpu" #n "/topology/die_id", "0\n", "sys/devices/system/cpu/cpu" #n "/topology/core_id", \
		#core "\n"
#define XEON                                                                                                   \
	"processor\t: 0\nvendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: 85\n"                               \
	"model name\t: Intel(R) Xeon(R) Processor @ 2.50GHz\nstepping\t: 7\nflags\t\t: fpu vme hypervisor lahf_lm\n\n" \
	"processor\t: 1\nvendor_id\t: Other\n"

static struct fw_machine *read_ok(const struct tree *tree)
{
	struct fw_root root = {tree->fd};
	struct fw_machine *machine = fw_alloc(sizeof *machine);
	struct fw_error *err = NULL;

	assert_ok(fw_machine_read(&root, machine, &err), err);
	return machine;
}

static void reads_two_sockets_with_threads(void **state)
{
	fw_cleanup_tree struct tree tree =
		tree_of("proc/cpuinfo", XEON, "proc/meminfo", "MemTotal: 1000 kB\n", "proc/self/status",
	            "Cpus_allowed_list:\t0-1,9\n", "proc/sys/kernel/osrelease", "6.1.0-test\n",
	            "sys/devices/system/cpu/online", "0-3,5\n", CPU(0, 0, 0), CPU(1, 0, 0), CPU(2, 1, 0), CPU(3, 1, 1),
	            CPU(5, 1, 1), "sys/class/dmi/id/sys_vendor", "Amazon EC2\n", NULL);
	fw_cleanup_free struct fw_machine *machine = read_ok(&tree);

	(void)state;
	assert_string_equal(machine->cpu_model, "Intel(R) Xeon(R) Processor @ 2.50GHz");
	assert_string_equal(machine->vendor, "GenuineIntel");
	assert_string_equal(machine->architecture, "x86_64");
	assert_string_equal(machine->kernel, "6.1.0-test");
	assert_string_equal(machine->hypervisor, "nitro");
	assert_int_equal(machine->family, 6);
	assert_int_equal(machine->model, 85);
	assert_int_equal(machine->stepping, 7);
	assert_int_equal(machine->packages, 2);
	assert_int_equal(machine->cores, 3);
	assert_int_equal(machine->threads, 5);
	assert_int_equal(machine->cpus_allowed, 2);
	assert_int_equal(machine->cpu_count, 6);
	assert_false(machine->cpus[4].online);
	assert_int_equal(machine->memory_bytes, 1024000);
	assert_near(machine->base_mhz, 2500, 1e-9);
}

static void names_an_arm_core_by_its_part(void **state)
{
	fw_cleanup_tree struct tree tree =
		tree_of("proc/cpuinfo", "processor\t: 0\nBogoMIPS\t: 243.75\nCPU implementer\t: 0x41\nCPU part\t: 0xd0c\n",
	            "proc/meminfo", "MemTotal: 1000 kB\n", "sys/devices/system/cpu/online", "0\n", NULL);
	fw_cleanup_free struct fw_machine *machine = read_ok(&tree);

	(void)state;
	assert_string_equal(machine->cpu_model, "Neoverse-N1");
	assert_string_equal(machine->vendor, "ARM");
	assert_string_equal(machine->architecture, "arm64");
	assert_string_equal(machine->hypervisor, "");
	assert_int_equal(machine->family, -1);
	assert_int_equal(machine->cpus_allowed, 1);
	assert_true(isnan(machine->base_mhz));
}

static void a_container_is_as_large_as_its_limits(void **state)
{
	fw_cleanup_tree struct tree tree =
		tree_of("proc/cpuinfo", XEON, "proc/meminfo", "MemTotal: 8000000 kB\n", "sys/devices/system/cpu/online", "0-7\n",
	            "proc/self/mountinfo", "30 20 0:25 / /sys/fs/cgroup ro - cgroup2 cgroup rw\n", "proc/self/cgroup",
	            "0::/pod/container\n", "sys/fs/cgroup/pod/memory.max", "1000000\n",
	            "sys/fs/cgroup/pod/container/memory.max", "max\n", "sys/fs/cgroup/pod/cpu.max", "max 100000\n",
	            "sys/fs/cgroup/pod/container/cpu.max", "250000 100000\n", NULL);
	fw_cleanup_free struct fw_machine *machine = read_ok(&tree);

	(void)state;
	assert_int_equal(machine->memory_bytes, 1000000);
	assert_int_equal(machine->cpus_allowed, 2);
	assert_int_equal(machine->threads, 8);
}

static void says_what_cannot_be_read(void **state)
{
	fw_cleanup_tree struct tree tree = tree_of("proc/cpuinfo", XEON, "proc/meminfo", "MemTotal: 1 kB\n", NULL);
	struct fw_root root = {tree.fd};
	fw_cleanup_free struct fw_machine *machine = fw_alloc(sizeof *machine);
	struct fw_error *err = NULL;
	int rc = fw_machine_read(&root, machine, &err);

	(void)state;
	assert_error_is(rc, &err, FW_E_ABSENT, "sys/devices/system/cpu/online names no CPU");
}

static void reads_this_machine(void **state)
{
	struct fw_root root;
	fw_cleanup_free struct fw_machine *machine = fw_alloc(sizeof *machine);
	struct fw_error *err = NULL;

	(void)state;
	assert_ok(fw_root_open("/", &root, &err), err);
	assert_ok(fw_machine_read(&root, machine, &err), err);
	fw_root_close(&root);
	assert_true(machine->threads >= machine->cores && machine->cores >= machine->packages && machine->packages > 0);
	assert_true(machine->cpus_allowed > 0 && machine->cpus_allowed <= machine->threads);
	assert_true(machine->memory_bytes > 64 << 20);
	fw_cleanup_json json_t *json = fw_machine_to_json(machine);
	assert_string_equal(json_string_value(json_object_get(json, "cpu_model")), machine->cpu_model);
}

FW_TESTS(reads_two_sockets_with_threads, names_an_arm_core_by_its_part, a_container_is_as_large_as_its_limits,
         says_what_cannot_be_read, reads_this_machine)
