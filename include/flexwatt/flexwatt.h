/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file flexwatt.h
 * A meter for other programs: what this process, or another one, took between two points: seconds, CPU time, memory, joules
 * with their source and interval, grams of CO2e. The same monitors and the same attribution as `flexwatt measure`.
 *
 *     struct fw_meter *meter;
 *     struct fw_meter_figures figures = FW_METER_FIGURES;
 *     char why[256];
 *
 *     if (fw_meter_start(NULL, &meter, why, sizeof why) != 0)
 *         fprintf(stderr, "%s\n", why);
 *     work();
 *     if (fw_meter_stop(meter, &figures, why, sizeof why) == 0)
 *         printf("%.3f J (%.3f to %.3f), %s\n", figures.joules, figures.joules_low, figures.joules_high, figures.source);
 *
 * Link with `pkg-config --cflags --libs flexwatt`. A meter has a thread of its own, which takes no signals and at most 0.5 % of a
 * CPU. One thread at a time may use a meter; a program may have several, also for the same process. A meter does not
 * survive fork(): in the child fw_meter_read() fails, fw_meter_energies() has none, and fw_meter_stop() frees it and fails.
 * Capabilities of the process are left as they are: what it may read, the meter reads.
 *
 * Time: fw_meter_start() opens and tries all counters that there are, about 0.1 s, each time: keep a meter and take differences
 * where that is too long. fw_meter_read() and fw_meter_stop() wait until the counters have told of all the time up to the call:
 * milliseconds with RAPL, up to a second with sensors that are updated seldom (hwmon averages, GPUs). That wait is after the end
 * of what is metered, never in it.
 *
 * Read from the environment: FLEXWATT_COUNTERS_ROOT, the directory that stands for / for energy counters (the host's /sys in a
 * container); FLEXWATT_DATA, the directory of the tables of processors, grids and prices; FLEXWATT_NVML, another library for NVIDIA's.
 *
 * What is not known is NAN. Energy is that of the process and all its children: the dynamic part by its share of all work
 * on the machine, and of the idle power the share of the CPUs that are its own (`cpus`).
 */
#ifndef FLEXWATT_FLEXWATT_H
#define FLEXWATT_FLEXWATT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define FW_METER_API __attribute__((visibility("default")))

/** A meter that runs. */
struct fw_meter;

/** What to meter. Initialise with FW_METER_OPTIONS; `size` lets later versions add members. */
struct fw_meter_options {
	size_t size;
	int64_t pid;        /**< first process of the tree; 0: this process */
	double cpus;        /**< CPUs whose idle power is its own; 0: all that it may use. N workers that share a machine: all / N */
	const char *region; /**< whose grid and PUE count; NULL: eu-central-1 */
};
#define FW_METER_OPTIONS {sizeof(struct fw_meter_options), 0, 0, NULL}

/** What a meter found since its start. Initialise with FW_METER_FIGURES. */
struct fw_meter_figures {
	size_t size;
	double seconds;
	double cpu_seconds;       /**< user and system, of the process and its children */
	double memory_peak_mb;    /**< largest sample, MiB */
	double joules;            /**< the best estimate: dynamic + idle share, without PUE */
	double joules_low;        /**< its interval */
	double joules_high;
	double joules_dynamic;    /**< caused by the work */
	double joules_idle;       /**< share of the idle power */
	double watts;             /**< joules / seconds */
	double operational_gco2e; /**< joules x PUE x intensity of the grid */
	double embodied_gco2e;    /**< share of the machine's making: time and CPUs */
	int modelled;             /**< 1: no counter could be read, the joules are a model's; 0: measured */
	char source[32];          /**< of the joules: "ebpf+rapl", "rapl", "perf", "hwmon", "model"; "" when they are not known */
	char methods[256];        /**< versions of the methods behind the figures */
};
#define FW_METER_FIGURES {sizeof(struct fw_meter_figures), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, "", ""}

/** One figure of energy by source and domain. Domains may hold each other (core in package): never add them up. */
struct fw_meter_energy {
	size_t size;
	char source[32]; /**< "rapl", "model", … */
	char domain[16]; /**< package, core, uncore, dram, psys or gpu */
	/** measured or modelled; ok, virtual, wrap, reset, gap, skew, early, contended: separated by spaces */
	char flags[64];
	double joules, low, high, dynamic_j, idle_j;
};
#define FW_METER_ENERGY {sizeof(struct fw_meter_energy), "", "", "", 0, 0, 0, 0, 0}

/**
 * Starts a meter. `options` may be NULL. Returns 0 and the meter, which fw_meter_stop() frees; or -1 and, in error[size], one
 * line on what failed and what would help.
 */
FW_METER_API int fw_meter_start(const struct fw_meter_options *options, struct fw_meter **meter, char *error, size_t size);

/**
 * The figures so far (not NULL); the meter runs on. 0; or -1 with the error, and *figures as it was. Of a process that has ended they
 * are the last, now and at each later call: its CPU time and memory as they were seen last, up to 0.1 s before its end.
 */
FW_METER_API int fw_meter_read(struct fw_meter *meter, struct fw_meter_figures *figures, char *error, size_t size);

/**
 * The figures by source and domain as of the last fw_meter_read(): fills at most `count` and returns how many there are. Each
 * element's `size` must be set.
 */
FW_METER_API size_t fw_meter_energies(const struct fw_meter *meter, struct fw_meter_energy *energies, size_t count);

/**
 * The last figures (NULL: not wanted, then nothing is waited for); frees the meter whatever it returns. On -1 *figures is as it was.
 * NULL is no meter: 0.
 */
FW_METER_API int fw_meter_stop(struct fw_meter *meter, struct fw_meter_figures *figures, char *error, size_t size);

/** "0.1.0" */
FW_METER_API const char *fw_meter_version(void);

#ifdef __cplusplus
}
#endif
#endif
