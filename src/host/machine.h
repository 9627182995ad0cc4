/* SPDX-License-Identifier: Apache-2.0
 *
 * What machine this is: processor, topology, memory, kernel, virtualisation. Read once.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/json.h"
#include "host/root.h"

enum { FW_MAX_CPUS = 1024 };

struct fw_cpu_place {
	int16_t package, die, core; /* -1 unknown */
	bool online;
	bool allowed; /* in our own affinity and cpuset */
};

struct fw_machine {
	char cpu_model[128];    /* "AMD EPYC 7R13 Processor"; from midr on ARM: "Neoverse-N1" */
	char vendor[32];        /* GenuineIntel, AuthenticAMD, ARM */
	char architecture[16];  /* x86_64 or arm64: AWS's names */
	int family, model, stepping; /* -1 unknown */
	unsigned packages, cores, threads; /* online */
	unsigned cpus_allowed;  /* what we may use: the machine of the engine */
	uint64_t memory_bytes;  /* MemTotal, or the limit of our own cgroup when smaller */
	char kernel[64];
	char hypervisor[32];    /* "kvm", "" on bare metal */
	double base_mhz;        /* NAN unknown */
	struct fw_cpu_place cpus[FW_MAX_CPUS];
	unsigned cpu_count;
};

int fw_machine_read(const struct fw_root *root, struct fw_machine *machine, struct fw_error **err);
json_t *fw_machine_to_json(const struct fw_machine *machine); /* for the run's row */
