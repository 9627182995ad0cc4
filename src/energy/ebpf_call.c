/* SPDX-License-Identifier: Apache-2.0
 *
 * The few forms of the bpf() system call that a run needs while workers come and go. They are made directly: no library
 * stands between, and each says what went wrong by -errno.
 */
#include <errno.h>
#include <linux/bpf.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "energy/ebpf_internal.h"

static int call(enum bpf_cmd command, union bpf_attr *attributes)
{
	long result = syscall(SYS_bpf, command, attributes, sizeof *attributes);

	return result < 0 ? -errno : (int)result;
}

static uint64_t address_of(const void *pointer)
{
	return (uint64_t)(uintptr_t)pointer;
}

int fw_bpf_map_set(int map_fd, const void *key, const void *value)
{
	union bpf_attr attributes = {.map_fd = (uint32_t)map_fd, .key = address_of(key)};

	attributes.value = address_of(value);
	return call(BPF_MAP_UPDATE_ELEM, &attributes);
}

int fw_bpf_map_delete(int map_fd, const void *key)
{
	union bpf_attr attributes = {.map_fd = (uint32_t)map_fd, .key = address_of(key)};

	return call(BPF_MAP_DELETE_ELEM, &attributes);
}

int fw_bpf_run_on(int program_fd, unsigned cpu)
{
	union bpf_attr attributes;

	memset(&attributes, 0, sizeof attributes);
	attributes.test.prog_fd = (uint32_t)program_fd;
	attributes.test.flags = BPF_F_TEST_RUN_ON_CPU;
	attributes.test.cpu = cpu;
	return call(BPF_PROG_TEST_RUN, &attributes);
}

int fw_bpf_tie(int program_fd, int group_fd, unsigned attach_type)
{
	union bpf_attr attributes;

	memset(&attributes, 0, sizeof attributes);
	attributes.link_create.prog_fd = (uint32_t)program_fd;
	attributes.link_create.target_fd = (uint32_t)group_fd;
	attributes.link_create.attach_type = attach_type;
	return call(BPF_LINK_CREATE, &attributes);
}
