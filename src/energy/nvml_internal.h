/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of the nvml monitor share: the GPUs that answered when it was opened, and whose work they do.
 */
#pragma once

#include <sys/types.h>

#include "energy/attribution.h"
#include "energy/bridge.h"
#include "energy/counter.h"
#include "energy/monitor.h"
#include "energy/nvml_library.h"
#include "energy/units.h"

enum {
	FW_NVML_GPUS = FW_ATTRIBUTION_GPUS,
	FW_NVML_USES = 1024, /* of processes in one look */
	FW_NVML_USERS = 256, /* processes of one GPU */
	FW_NVML_PARTS = 16,  /* of one GPU that is divided */
};

/* How the work of its processes is told apart. */
enum fw_nvml_sharing {
	FW_NVML_UNSHARED, /* not at all: the driver does not tell */
	FW_NVML_BY_USE,   /* by the use of its multiprocessors */
	FW_NVML_BY_PARTS, /* divided (MIG): by the parts that processes hold, whose use the driver does not tell */
};

/* A source of figures that costs something: asked for a hundredth of the time at most. */
struct fw_nvml_pace {
	uint64_t least_ns, asked_ns;
};

struct fw_nvml_gpu {
	void *device;
	char name[FW_NVML_NAME_BYTES];
	bool has_energy, has_instant;
	enum fw_nvml_sharing sharing;

	struct fw_counter counter;
	struct fw_bridge bridge;
	struct fw_power_sum sum; /* where there is no counter */
	struct fw_nvml_pace energy_pace, power_pace;
	double watts;            /* latest; NAN unknown */
	struct fw_domain_reading latest; /* of the counter alone */
	uint64_t retry_ns;       /* it does not answer: when to ask again */

	/* Who used it since the look before, as parts of the whole GPU. */
	unsigned long long since_us;
	size_t user_count;
	struct {
		pid_t pid;
		double share;
	} users[FW_NVML_USERS];
	double busy_ns;          /* cumulative, of all processes */
	bool is_blind;           /* the driver did not tell all of it at the latest look: whose work it did is unknown */
};

struct fw_monitor {
	struct fw_nvml nvml;
	size_t count;
	struct fw_nvml_gpu gpus[FW_NVML_GPUS];
	struct fw_domain domains[FW_NVML_GPUS];
	unsigned without;        /* GPUs that are left out */
	char why[128];           /* of the first of them */

	uint64_t looked_ns, look_least_ns;
	double look_span_ns;     /* that the latest look stands for */
	uint64_t looks;
	struct fw_nvml_use uses[FW_NVML_USES];
};

/* nvml_find.c: all GPUs that answer. FW_E_ABSENT when none does. */
int fw_nvml_find(struct fw_monitor *monitor, struct fw_error **err);
/* Power of this moment where the driver has it, else the mean of a second; false where it does not answer. */
bool fw_nvml_power(const struct fw_nvml *nvml, const struct fw_nvml_gpu *gpu, struct fw_milliwatts *power);

/* nvml_work.c */
enum fw_nvml_sharing fw_nvml_sharing_of(const struct fw_nvml *nvml, void *device);
void *fw_nvml_meter(struct fw_monitor *monitor, const struct fw_metered *worker);
void fw_nvml_unmeter(struct fw_monitor *monitor, void *state);
