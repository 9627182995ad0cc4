/* SPDX-License-Identifier: Apache-2.0
 *
 * The machine as one flat list of metrics with units: CPU (six decimals), load, memory, this process and all below it,
 * disks, network, pressure, sensors, names. Units are in base form (bytes, percent of one CPU or of all, seconds); what
 * this machine does not tell is null, so that the list is the same everywhere.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/time.h"
#include "energy/sensors.h"
#include "energy/system.h"
#include "host/procfs.h"
#include "host/sysfs.h"

enum { MAX_TREE = 256 };

struct counters { /* at one moment */
	uint64_t time_ns;
	struct fw_cpu_times cpu, cpus[FW_MAX_CPUS];
	struct fw_disk_totals disk;
	struct fw_net_totals net;
	int64_t context_switches, interrupts, forks;
	int64_t tree_cpu_ns;
};

struct fw_system {
	const struct fw_root *root;
	const struct fw_machine *machine;
	struct fw_sensors *sensors;
	struct fw_buffer text;
	struct counters first, before;
};

struct tree {
	size_t processes;
	int64_t threads, cpu_ns, faults_minor, faults_major, switches_voluntary, switches_involuntary;
	int64_t resident, virtual_size, anonymous, shared, swap, uss, pss;
};

static struct fw_str read_text(struct fw_system *system, const char *path)
{
	fw_buffer_clear(&system->text);
	if (fw_root_read(system->root, path, &system->text, NULL) != FW_OK)
		return (struct fw_str){"", 0};
	return fw_buffer_str(&system->text);
}

static int64_t number_in(struct fw_str text, const char *key)
{
	int64_t value = -1;

	fw_key_number(text, key, &value);
	return value;
}

static void add(int64_t *total, int64_t value)
{
	if (*total < 0 || value < 0 || __builtin_add_overflow(*total, value, total))
		*total = -1;
}

static void add_process(struct fw_system *system, pid_t pid, struct tree *tree)
{
	char path[64];
	struct fw_proc_stat stat;
	struct fw_proc_status status;
	struct fw_str text;

	snprintf(path, sizeof path, "proc/%d/stat", pid);
	if (!fw_proc_stat_parse(read_text(system, path), &stat))
		return; /* ended in between */
	tree->processes++;
	add(&tree->threads, stat.threads);
	add(&tree->cpu_ns, stat.user_ns + stat.system_ns + stat.children_user_ns + stat.children_system_ns);
	add(&tree->faults_minor, stat.faults_minor);
	add(&tree->faults_major, stat.faults_major);
	snprintf(path, sizeof path, "proc/%d/status", pid);
	fw_proc_status_parse(read_text(system, path), &status);
	add(&tree->switches_voluntary, status.switches_voluntary);
	add(&tree->switches_involuntary, status.switches_involuntary);
	add(&tree->resident, status.resident);
	add(&tree->virtual_size, status.virtual_size);
	add(&tree->anonymous, status.anonymous);
	add(&tree->shared, status.shared);
	add(&tree->swap, status.swap);
	snprintf(path, sizeof path, "proc/%d/smaps_rollup", pid);
	text = read_text(system, path);
	add(&tree->pss, number_in(text, "Pss"));
	add(&tree->uss, number_in(text, "Private_Clean"));
	add(&tree->uss, number_in(text, "Private_Dirty"));
}

static void read_tree(struct fw_system *system, struct tree *tree)
{
	pid_t pids[MAX_TREE];
	size_t count = fw_process_tree(system->root, getpid(), pids, MAX_TREE);

	*tree = (struct tree){0};
	for (size_t i = 0; i < count; i++)
		add_process(system, pids[i], tree);
	if (tree->processes == 0)
		*tree = (struct tree){0, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1};
}

static bool read_counters(struct fw_system *system, struct counters *now)
{
	struct fw_str text = read_text(system, "proc/stat");

	now->time_ns = fw_monotonic_ns();
	if (!fw_cpu_times_parse(text, -1, &now->cpu))
		return false;
	for (unsigned cpu = 0; cpu < system->machine->cpu_count; cpu++)
		if (!fw_cpu_times_parse(text, (int)cpu, &now->cpus[cpu]))
			now->cpus[cpu] = (struct fw_cpu_times){.user_ns = -1};
	now->context_switches = number_in(text, "ctxt");
	now->interrupts = number_in(text, "intr");
	now->forks = number_in(text, "processes");
	fw_diskstats_parse(read_text(system, "proc/diskstats"), &now->disk);
	fw_net_dev_parse(read_text(system, "proc/net/dev"), &now->net);
	return true;
}

static void put(json_t *json, const char *name, json_t *value, const char *unit)
{
	json_t *metric = json_object();

	json_object_set_new(metric, "value", value);
	json_object_set_new(metric, "unit", json_string(unit));
	json_object_set_new(json, name, metric);
}

static void put_number(json_t *json, const char *name, double value, const char *unit)
{
	put(json, name, fw_json_real(round(value * 1e6) / 1e6), unit);
}

static void put_count(json_t *json, const char *name, int64_t value, const char *unit)
{
	put(json, name, value < 0 ? json_null() : json_integer(value), unit);
}

/* Since a beginning; unknown when one of the two is. */
static void put_growth(json_t *json, const char *name, int64_t now, int64_t before, const char *unit)
{
	put_count(json, name, now < 0 || before < 0 ? -1 : now - before, unit);
}

static void put_text(json_t *json, const char *name, const char *value)
{
	put(json, name, *value ? json_string(value) : json_null(), "name");
}

static double share(int64_t part, int64_t whole)
{
	return whole > 0 && part >= 0 ? 100.0 * (double)part / (double)whole : NAN;
}

static void put_cpu(struct fw_system *system, const struct counters *now, json_t *json)
{
	const struct fw_cpu_times *a = &system->before.cpu, *b = &now->cpu;
	int64_t total = fw_cpu_times_total_ns(b) - fw_cpu_times_total_ns(a);
	const struct {
		const char *name;
		int64_t ns;
	} parts[] = {
		{"cpu_percent", fw_cpu_times_busy_ns(b) - fw_cpu_times_busy_ns(a)},
		{"cpu_user_percent", b->user_ns - a->user_ns}, {"cpu_nice_percent", b->nice_ns - a->nice_ns},
		{"cpu_system_percent", b->system_ns - a->system_ns}, {"cpu_idle_percent", b->idle_ns - a->idle_ns},
		{"cpu_iowait_percent", b->iowait_ns - a->iowait_ns}, {"cpu_irq_percent", b->irq_ns - a->irq_ns},
		{"cpu_softirq_percent", b->softirq_ns - a->softirq_ns}, {"cpu_steal_percent", b->steal_ns - a->steal_ns},
	};

	for (size_t i = 0; i < FW_COUNT_OF(parts); i++)
		put_number(json, parts[i].name, share(parts[i].ns, total), "percent");
	for (unsigned cpu = 0; cpu < system->machine->cpu_count; cpu++) {
		const struct fw_cpu_times *from = &system->before.cpus[cpu], *to = &now->cpus[cpu];
		char name[32];

		if (from->user_ns < 0 || to->user_ns < 0)
			continue; /* offline */
		snprintf(name, sizeof name, "cpu%u_percent", cpu);
		put_number(json, name, share(fw_cpu_times_busy_ns(to) - fw_cpu_times_busy_ns(from),
		                             fw_cpu_times_total_ns(to) - fw_cpu_times_total_ns(from)), "percent");
	}
	put_number(json, "cpu_busy_seconds", (double)fw_cpu_times_busy_ns(b) / 1e9, "s");
	put_growth(json, "context_switches", now->context_switches, system->first.context_switches, "count");
	put_growth(json, "interrupts", now->interrupts, system->first.interrupts, "count");
	put_growth(json, "processes_started", now->forks, system->first.forks, "count");
}

static void put_load(struct fw_system *system, json_t *json)
{
	static const char *const names[] = {"load_1m", "load_5m", "load_15m"};
	struct fw_str text = fw_str_trim(read_text(system, "proc/loadavg")), word, running;
	uint64_t number;
	double value;

	for (size_t i = 0; i < FW_COUNT_OF(names); i++)
		put_number(json, names[i], fw_str_next_word(&text, &word) && fw_str_to_double(word, &value) ? value : NAN,
		           "runnable tasks");
	bool known = fw_str_next_word(&text, &word) && fw_str_next_field(&word, '/', &running);
	put_count(json, "tasks_running", known && fw_str_to_u64(running, &number) ? (int64_t)number : -1, "count");
	put_count(json, "tasks_total", known && fw_str_to_u64(word, &number) ? (int64_t)number : -1, "count");
	text = fw_str_trim(read_text(system, "proc/uptime"));
	put_number(json, "uptime_seconds",
	           fw_str_next_word(&text, &word) && fw_str_to_double(word, &value) ? value : NAN, "s");
}

static void put_memory(struct fw_system *system, json_t *json)
{
	static const struct {
		const char *name, *key;
	} known[] = {
		{"memory_total_bytes", "MemTotal"}, {"memory_free_bytes", "MemFree"}, {"memory_available_bytes", "MemAvailable"},
		{"memory_buffers_bytes", "Buffers"}, {"memory_cached_bytes", "Cached"}, {"memory_active_bytes", "Active"},
		{"memory_inactive_bytes", "Inactive"}, {"memory_dirty_bytes", "Dirty"}, {"memory_anonymous_bytes", "AnonPages"},
		{"memory_shared_bytes", "Shmem"}, {"memory_slab_bytes", "Slab"}, {"memory_page_tables_bytes", "PageTables"},
		{"memory_virtual_committed_bytes", "Committed_AS"}, {"swap_total_bytes", "SwapTotal"},
		{"swap_free_bytes", "SwapFree"},
	};
	struct fw_str text = read_text(system, "proc/meminfo");
	int64_t total = number_in(text, "MemTotal"), available = number_in(text, "MemAvailable");

	for (size_t i = 0; i < FW_COUNT_OF(known); i++)
		put_count(json, known[i].name, number_in(text, known[i].key), "bytes");
	put_number(json, "memory_used_percent", available < 0 ? NAN : share(total - available, total), "percent");
	put_growth(json, "swap_used_bytes", number_in(text, "SwapTotal"), number_in(text, "SwapFree"), "bytes");
	text = read_text(system, "proc/vmstat");
	put_count(json, "page_faults", number_in(text, "pgfault"), "count");
	put_count(json, "page_faults_major", number_in(text, "pgmajfault"), "count");
	put_count(json, "swapped_in_pages", number_in(text, "pswpin"), "pages");
	put_count(json, "swapped_out_pages", number_in(text, "pswpout"), "pages");
	put_count(json, "out_of_memory_kills", number_in(text, "oom_kill"), "count");
}

static void put_tree(struct fw_system *system, const struct tree *tree, uint64_t elapsed_ns, json_t *json)
{
	put_count(json, "tree_processes", (int64_t)tree->processes, "count");
	put_count(json, "tree_threads", tree->threads, "count");
	bool known = tree->cpu_ns >= 0 && system->before.tree_cpu_ns >= 0;
	put_number(json, "tree_cpu_percent",
	           known ? share(tree->cpu_ns - system->before.tree_cpu_ns, (int64_t)elapsed_ns) : NAN, "percent of one CPU");
	put_number(json, "tree_cpu_seconds", tree->cpu_ns < 0 ? NAN : (double)tree->cpu_ns / 1e9, "s");
	put_count(json, "tree_memory_physical_bytes", tree->resident, "bytes");
	put_count(json, "tree_memory_virtual_bytes", tree->virtual_size, "bytes");
	put_count(json, "tree_memory_uss_bytes", tree->uss, "bytes");
	put_count(json, "tree_memory_pss_bytes", tree->pss, "bytes");
	put_count(json, "tree_memory_swap_bytes", tree->swap, "bytes");
	put_count(json, "tree_memory_anonymous_bytes", tree->anonymous, "bytes");
	put_count(json, "tree_memory_shared_bytes", tree->shared, "bytes");
	put_count(json, "tree_page_faults", tree->faults_minor, "count");
	put_count(json, "tree_page_faults_major", tree->faults_major, "count");
	put_count(json, "tree_switches_voluntary", tree->switches_voluntary, "count");
	put_count(json, "tree_switches_involuntary", tree->switches_involuntary, "count");
}

static void put_devices(struct fw_system *system, const struct counters *now, json_t *json)
{
	const struct fw_disk_totals *disk = &now->disk, *disk0 = &system->first.disk;
	const struct fw_net_totals *net = &now->net, *net0 = &system->first.net;

	put_growth(json, "disk_read_bytes", disk->read_bytes, disk0->read_bytes, "bytes");
	put_growth(json, "disk_written_bytes", disk->written_bytes, disk0->written_bytes, "bytes");
	put_growth(json, "disk_reads", disk->reads, disk0->reads, "count");
	put_growth(json, "disk_writes", disk->writes, disk0->writes, "count");
	put_growth(json, "disk_busy_ms", disk->busy_ms, disk0->busy_ms, "ms");
	put_growth(json, "network_received_bytes", net->received_bytes, net0->received_bytes, "bytes");
	put_growth(json, "network_sent_bytes", net->sent_bytes, net0->sent_bytes, "bytes");
	put_growth(json, "network_received_packets", net->received_packets, net0->received_packets, "count");
	put_growth(json, "network_sent_packets", net->sent_packets, net0->sent_packets, "count");
	put_growth(json, "network_errors", net->errors, net0->errors, "count");
	put_growth(json, "network_drops", net->drops, net0->drops, "count");
}

static void put_pressure(struct fw_system *system, json_t *json)
{
	static const char *const resources[] = {"cpu", "memory", "io"}, *const kinds[] = {"some", "full"};

	for (size_t r = 0; r < FW_COUNT_OF(resources); r++)
		for (size_t k = 0; k < FW_COUNT_OF(kinds); k++) {
			char path[64], name[64];
			int64_t total_us = -1;

			snprintf(path, sizeof path, "proc/pressure/%s", resources[r]);
			snprintf(name, sizeof name, "pressure_%s_%s_us", resources[r], kinds[k]);
			fw_pressure_total(read_text(system, path), kinds[k], &total_us);
			put_count(json, name, total_us, "us");
		}
}

static void put_sensors(struct fw_system *system, json_t *json)
{
	double low = NAN, high = NAN, sum = 0;
	unsigned count = 0, sensors;

	for (unsigned cpu = 0; cpu < system->machine->cpu_count; cpu++) {
		double mhz = fw_sysfs_cpu_mhz(system->root, cpu);

		if (isnan(mhz))
			continue;
		low = fmin(low, mhz);
		high = fmax(high, mhz);
		sum += mhz;
		count++;
	}
	put_number(json, "frequency_mhz_min", low, "MHz");
	put_number(json, "frequency_mhz_mean", count ? sum / count : NAN, "MHz");
	put_number(json, "frequency_mhz_max", high, "MHz");
	put_number(json, "frequency_mhz_base", system->machine->base_mhz, "MHz");
	put_number(json, "temperature_c_max", fw_sysfs_temperature_c(system->root, &sensors), "°C");
	put_count(json, "temperature_sensors", sensors, "count");
}

static void put_machine(const struct fw_machine *machine, json_t *json)
{
	put_text(json, "cpu_brand", machine->cpu_model);
	put_text(json, "cpu_vendor", machine->vendor);
	put_text(json, "architecture", machine->architecture);
	put_text(json, "kernel", machine->kernel);
	put_text(json, "hypervisor", machine->hypervisor);
	put_count(json, "cpu_packages", machine->packages, "count");
	put_count(json, "cpu_cores_physical", machine->cores, "count");
	put_count(json, "cpu_cores_logical", machine->threads, "count");
	put_count(json, "cpus_allowed", machine->cpus_allowed, "count");
}

json_t *fw_system_metrics(struct fw_system *system)
{
	fw_cleanup_free struct counters *now = fw_alloc(sizeof *now);
	json_t *json = json_object();
	struct tree tree;

	if (!read_counters(system, now)) { /* no time has passed, and no total is known */
		*now = system->before;
		now->context_switches = now->interrupts = now->forks = -1;
		memset(&now->disk, -1, sizeof now->disk);
		memset(&now->net, -1, sizeof now->net);
	}
	read_tree(system, &tree);
	put_cpu(system, now, json);
	put_load(system, json);
	put_memory(system, json);
	put_tree(system, &tree, now->time_ns - system->before.time_ns, json);
	put_devices(system, now, json);
	put_pressure(system, json);
	put_sensors(system, json);
	put_machine(system->machine, json);
	system->before = *now;
	system->before.tree_cpu_ns = tree.cpu_ns;
	return json;
}

int fw_system_new(const struct fw_root *root, const struct fw_machine *machine, struct fw_system **system,
                  struct fw_error **err)
{
	struct fw_system *fresh = fw_alloc(sizeof *fresh);
	struct tree tree;

	fresh->root = root;
	fresh->machine = machine;
	fw_buffer_init(&fresh->text, 8 << 20);
	if (!read_counters(fresh, &fresh->first)) {
		fw_system_free(fresh);
		return fw_fail(err, FW_E_ABSENT, "proc/stat tells no CPU time");
	}
	read_tree(fresh, &tree);
	fresh->first.tree_cpu_ns = tree.cpu_ns;
	fresh->before = fresh->first;
	fresh->sensors = fw_sensors_new(root, machine);
	*system = fresh;
	return FW_OK;
}

void fw_system_free(struct fw_system *system)
{
	if (!system)
		return;
	fw_sensors_free(system->sensors);
	fw_buffer_done(&system->text);
	free(system);
}

char *fw_system_describe(const struct fw_system *system)
{
	return fw_printf("%u CPUs, %.1f GiB; %u frequency and %u temperature sensors", system->machine->threads,
	                 (double)system->machine->memory_bytes / 0x1p30, fw_sensors_frequencies(system->sensors),
	                 fw_sensors_temperatures(system->sensors));
}

void fw_system_sample_sensors(struct fw_system *system)
{
	fw_sensors_sample(system->sensors);
}

void fw_system_fill_sensors(const struct fw_system *system, uint64_t begin_ns, uint64_t end_ns,
                            struct fw_record *record)
{
	fw_sensors_fill(system->sensors, begin_ns, end_ns, record);
}
