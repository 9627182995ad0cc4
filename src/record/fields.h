/* SPDX-License-Identifier: Apache-2.0
 *
 * The record: one row an invocation, one meaning a field, the unit in the name. This table is the only place that lists
 * the fields: the C struct, the SQL, the JSON and docs/record.md come from it. What a backend cannot know is null, never 0.
 */
#pragma once

/* X(kind, name, description): TEXT is char * (NULL = null), NAME a text that repeats from row to row (the store keeps it
 * once a run), INT is int64_t (FW_NULL_INT), REAL is double (NAN). */

#define FW_RECORD_IDENTITY(X)                                                                                           \
	X(TEXT, run, "run id, time-ordered")                                                                                \
	X(NAME, sweep, "sweep that the run belongs to")                                                                     \
	X(INT, repetition, "repetition within the sweep, from 0")                                                           \
	X(NAME, stage, "stage of the workflow")                                                                             \
	X(INT, task, "index of the task in its stage, from 0")                                                              \
	X(INT, attempt, "attempt of the task, from 1")                                                                      \
	X(TEXT, request_id, "AWS request id (UUID) of the invocation")                                                      \
	X(NAME, backend, "local, kubernetes, lambda or sim")                                                                \
	X(NAME, worker, "worker that executed it")                                                                          \
	X(NAME, function, "function name: workflow and stage")                                                              \
	X(NAME, handler, "handler that was asked for")                                                                      \
	X(NAME, package_digest, "SHA-256 of the function's package")                                                        \
	X(NAME, architecture, "x86_64 or arm64")                                                                            \
	X(NAME, cpu_model, "processor as the worker sees it")                                                               \
	X(INT, cpus_visible, "CPUs the worker may run on")                                                                  \
	X(INT, memory_mb, "memory of the configuration, MiB")                                                               \
	X(REAL, vcpus, "CPU quota of the configuration: memory_mb / 1769")                                                  \
	X(INT, workers, "workers of the stage's configuration")                                                             \
	X(NAME, method_version, "methods that made the figures, name/version separated by spaces")

#define FW_RECORD_OUTCOME(X)                                                                                            \
	X(NAME, status, "ok, function_error, timeout, out_of_memory, lost or cancelled")                                    \
	X(NAME, error_type, "type of the error as the function or the host named it")                                       \
	X(TEXT, error_message, "message of the error")                                                                      \
	X(INT, exit, "exit status of the worker when it ended with the invocation; 128 + n for signal n")                   \
	X(NAME, flags, "cpu_capped, contended, cpu_unknown, throttled_unknown, memory_unsampled, limits_not_enforced, "     \
	  "cycles_by_ebpf, counts_scaled, unmetered (the engine was killed before the figures were there): separated by "  \
	  "spaces")

#define FW_RECORD_TIMES(X)                                                                                              \
	X(INT, wall_ms, "wall clock at submission, ms since 1970 UTC: a label")                                             \
	X(REAL, clock_offset_ms, "host clock minus the run's clock")                                                        \
	X(REAL, clock_offset_bound_ms, "bound of clock_offset_ms, plus or minus")                                           \
	X(REAL, submitted_ms, "ready to be dispatched, since the start of the run")                                         \
	X(REAL, started_ms, "event written to the worker, since the start of the run")                                      \
	X(REAL, queue_ms, "from submitted to the dispatch: waiting for room on the machine")                                \
	X(REAL, cold_start_ms, "from dispatch to the worker's first GET next; null when the worker was warm")               \
	X(REAL, init_ms, "from the worker's exec to its first GET next; null when warm")                                    \
	X(REAL, read_ms, "phase read, as the function reports it")                                                          \
	X(REAL, compute_ms, "phase compute, as the function reports it")                                                    \
	X(REAL, write_ms, "phase write, as the function reports it")                                                        \
	X(REAL, response_ms, "event written to answer read")                                                                \
	X(REAL, duration_ms, "event written to the worker's next GET next, as AWS bills")                                   \
	X(INT, billed_ms, "ceil(duration + init), as AWS bills since 2025-08-01; at most the timeout")                                          \
	X(REAL, idle_wait_ms, "time the invocation waited for inputs (futures), inside duration")

#define FW_RECORD_RESOURCES(X)                                                                                          \
	X(REAL, cpu_user_ms, "user CPU time of the worker within duration")                                                 \
	X(REAL, cpu_system_ms, "system CPU time of the worker within duration")                                             \
	X(REAL, cpu_percent, "CPU time / duration x 100; 100 is one CPU")                                                   \
	X(REAL, memory_peak_mb, "largest sample of anonymous + shared + kernel memory, MiB, the last of them at the end; page " \
	  "cache excluded; null and flagged when the end was not sampled: it might be far too low")                           \
	X(REAL, memory_peak_high_mb, "upper bound of the peak, MiB: least of the high-water marks of the worker's life so far; " \
	  "REPORT prints it")                                                                                                 \
	X(REAL, memory_average_mb, "time-weighted mean of the same samples, MiB")                                           \
	X(REAL, memory_uss_mb, "memory of the worker's own at the end (USS), MiB; null where it had ended, or to read it would "    \
	                       "take more than 10 ms or 0.5 % of duration")                                                      \
	X(REAL, memory_pss_mb, "the same with its part of what processes share (PSS)")                                      \
	X(INT, faults_minor, "page faults without I/O")                                                                     \
	X(INT, faults_major, "page faults with I/O")                                                                        \
	X(INT, switches_voluntary, "voluntary context switches; null where a process of the worker has several threads or a "   \
	  "child ended within: the kernel does not tell their counts")                                                      \
	X(INT, switches_involuntary, "involuntary context switches; null as switches_voluntary is")                         \
	X(REAL, pressure_cpu_ms, "time in which some task of the worker waited for CPU (PSI)")                              \
	X(REAL, pressure_memory_ms, "the same for memory (PSI)")                                                            \
	X(REAL, pressure_io_ms, "the same for I/O (PSI)")                                                                   \
	X(INT, disk_read_bytes, "bytes read from block devices")                                                            \
	X(INT, disk_written_bytes, "bytes written to block devices")                                                        \
	X(INT, network_sent_bytes, "bytes sent by the worker (BPF)")                                                        \
	X(INT, network_received_bytes, "bytes received by the worker (BPF)")                                                \
	X(REAL, throttled_ms, "time in which the CPU quota held the worker back")                                           \
	X(REAL, units, "units of work as the function counts them, else output objects")                                    \
	X(INT, objects_in, "objects given to the task")                                                                     \
	X(INT, objects_out, "objects published")                                                                            \
	X(INT, bytes_in, "bytes of the objects given")                                                                      \
	X(INT, bytes_out, "bytes of the objects published")

#define FW_RECORD_COUNTERS(X)                                                                                           \
	X(INT, cycles, "CPU cycles (perf, or by BPF: then flagged cycles_by_ebpf)")                                        \
	X(INT, instructions, "instructions retired (perf)")                                                                 \
	X(INT, cache_misses, "last-level cache misses (perf)")                                                              \
	X(REAL, frequency_mhz_min, "lowest sampled CPU frequency")                                                          \
	X(REAL, frequency_mhz_mean, "mean sampled CPU frequency")                                                           \
	X(REAL, frequency_mhz_max, "highest sampled CPU frequency")                                                         \
	X(REAL, temperature_c, "highest sampled package temperature")                                                       \
	X(REAL, cstate_residency_percent, "share of the interval that CPUs spent in idle states deeper than polling (BPF)")

#define FW_RECORD_MONEY(X)                                                                                              \
	X(NAME, price_basis, "price list: provider, architecture, date; 'as if on Lambda' when local")                      \
	X(NAME, price_region, "region of the price list")                                                                   \
	X(REAL, duration_usd, "billed_ms x memory x price per GB-s")                                                        \
	X(REAL, request_usd, "price of one request")                                                                        \
	X(REAL, storage_usd, "price of ephemeral storage above 512 MB")                                                     \
	X(REAL, total_usd, "sum of the three")

#define FW_RECORD_CARBON(X)                                                                                             \
	X(REAL, operational_gco2e, "energy x PUE x grid intensity, mid estimate")                                           \
	X(REAL, operational_low_gco2e, "the same from the low estimate of energy")                                          \
	X(REAL, operational_high_gco2e, "the same from the high estimate of energy")                                        \
	X(REAL, embodied_gco2e, "share of the machine's making: time and CPUs reserved")                                    \
	X(REAL, grid_gco2e_per_kwh, "grid intensity used")                                                                  \
	X(INT, grid_year, "year of the intensity")                                                                          \
	X(NAME, grid_kind, "average or marginal, location-based")                                                           \
	X(REAL, pue, "power usage effectiveness used")

#define FW_RECORD_FIELDS(X)  \
	FW_RECORD_IDENTITY(X)    \
	FW_RECORD_OUTCOME(X)     \
	FW_RECORD_TIMES(X)       \
	FW_RECORD_RESOURCES(X)   \
	FW_RECORD_COUNTERS(X)    \
	FW_RECORD_MONEY(X)       \
	FW_RECORD_CARBON(X)

/* One energy figure of an invocation; a record has a list of them. */
#define FW_ENERGY_FIELDS(X)                                                                                             \
	X(NAME, source, "perf, rapl, ebpf+rapl, nvml, hwmon, model or tdp")                                                 \
	X(NAME, domain, "package, core, uncore, dram, psys or gpu")                                                         \
	X(REAL, joules, "mid estimate: dynamic + idle share, before PUE")                                                   \
	X(REAL, low, "lower end of the interval, joules")                                                                   \
	X(REAL, high, "upper end of the interval, joules")                                                                  \
	X(REAL, dynamic_j, "part caused by the work")                                                                       \
	X(REAL, idle_j, "share of the idle floor, by reserved CPU")                                                         \
	X(NAME, flags, "measured or modelled; ok, wrap, reset, gap, skew, early, contended, virtual (the counter is a "     \
	  "hypervisor's own estimate, or tells neither name nor range: one grade lower than ok): separated by spaces")    \
	X(NAME, method, "method and version, e.g. model/1")
