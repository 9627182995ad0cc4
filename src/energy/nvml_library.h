/* SPDX-License-Identifier: Apache-2.0
 *
 * NVIDIA's management library, as far as it is used: it comes with the driver and is opened at run time, so that flexwatt
 * neither needs it to be built nor to run. Declared after its published interface; an older driver lacks some of it.
 *
 * FLEXWATT_NVML, an absolute path, names another file than libnvidia-ml.so.1: for containers that have it elsewhere, and for
 * tests. A program with file capabilities ignores it, as it ignores LD_LIBRARY_PATH.
 */
#pragma once

#include <stdbool.h>

#include "base/error.h"

enum fw_nvml_code { /* what its functions return */
	FW_NVML_SUCCESS = 0,
	FW_NVML_NOT_SUPPORTED = 3,
	FW_NVML_NO_PERMISSION = 4,
	FW_NVML_NOT_FOUND = 6,
	FW_NVML_INSUFFICIENT_SIZE = 7,
	FW_NVML_DRIVER_NOT_LOADED = 9,
	FW_NVML_GPU_IS_LOST = 15,
	FW_NVML_RESET_REQUIRED = 16,
	FW_NVML_OPERATING_SYSTEM = 17,
	FW_NVML_VERSION_MISMATCH = 18,
};

/* Use of a GPU's multiprocessors by one process over one of the driver's sample periods. */
struct fw_nvml_use {
	unsigned pid;
	unsigned long long time_us;
	unsigned sm_percent, memory_percent, encoder_percent, decoder_percent;
};

struct fw_nvml_process {
	unsigned pid;
	unsigned long long memory_bytes;
	unsigned gpu_instance, compute_instance;
};

enum { FW_NVML_POWER_INSTANT = 186 }; /* field: milliwatts of this moment, not the mean of a second */
enum { FW_NVML_UNSIGNED_INT = 1, FW_NVML_UNSIGNED_LONG = 2, FW_NVML_UNSIGNED_LONG_LONG = 3 };
struct fw_nvml_field {
	unsigned id, scope;
	long long time_us, latency_us;
	int type, code;
	union {
		unsigned int_value;
		unsigned long long long_value;
	} value;
};

struct fw_nvml_attributes { /* of a part of a GPU */
	unsigned multiprocessors, copy, decoders, encoders, jpeg, flow;
	unsigned gpu_slices, compute_slices;
	unsigned long long memory_mb;
};

enum { FW_NVML_NAME_BYTES = 96 };

struct fw_nvml {
	void *library;
	bool is_started;
	/* Every driver of the last ten years has these. */
	int (*init)(void);
	int (*shutdown)(void);
	const char *(*error_string)(int code);
	int (*device_count)(unsigned *count);
	int (*device)(unsigned index, void **device);
	int (*power)(void *device, unsigned *milliwatts);
	/* NULL where the driver is older. */
	int (*name)(void *device, char *name, unsigned size);
	int (*energy)(void *device, unsigned long long *millijoules);
	int (*fields)(void *device, int count, struct fw_nvml_field *fields);
	int (*power_limit)(void *device, unsigned *milliwatts);
	int (*process_use)(void *device, struct fw_nvml_use *uses, unsigned *count, unsigned long long since_us);
	int (*processes)(void *device, unsigned *count, struct fw_nvml_process *processes);
	int (*mig_mode)(void *device, unsigned *current, unsigned *pending);
	int (*mig_count)(void *device, unsigned *count);
	int (*mig_device)(void *device, unsigned index, void **part);
	int (*attributes)(void *device, struct fw_nvml_attributes *attributes);
};

/* Opens and starts it. FW_E_ABSENT or FW_E_PERMISSION with the reason and what would help. */
int fw_nvml_open(struct fw_nvml *nvml, struct fw_error **err);
/* Takes one that is all zero. */
void fw_nvml_close(struct fw_nvml *nvml);
/* The library's own words. */
const char *fw_nvml_text(const struct fw_nvml *nvml, int code);
