/* SPDX-License-Identifier: Apache-2.0
 *
 * Loads the BPF programs. Those that a kernel has no tracepoint for are left out, except the one at context switches,
 * without which there is nothing. What libbpf says goes into the error, never to the terminal.
 */
#include <errno.h>
#include <linux/perf_event.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include "base/memory.h"
#include "energy/ebpf_internal.h"
#include "energy/ebpf_programs.h"

struct object {
	struct fw_bpf_programs *programs;
	struct ring_buffer *ring;
	fw_bpf_event_fn *take; /* while events are taken */
	void *context;
	int *cycle_fds;
	unsigned cycle_count;
};

static _Thread_local char last_words[256];

static int listen_to(enum libbpf_print_level level, const char *format, va_list arguments)
{
	if (level == LIBBPF_WARN && !last_words[0]) {
		vsnprintf(last_words, sizeof last_words, format, arguments);
		last_words[strcspn(last_words, "\n")] = 0;
	}
	return 0;
}

static bool has_tracepoint(const struct btf *kernel, const char *name)
{
	char type[64];

	snprintf(type, sizeof type, "btf_trace_%s", name);
	return btf__find_by_name_kind(kernel, type, BTF_KIND_TYPEDEF) > 0;
}

static bool choose(const struct btf *kernel, struct bpf_program *program, const char *tracepoint)
{
	bool has = has_tracepoint(kernel, tracepoint);

	bpf_program__set_autoload(program, has);
	return has;
}

static int open_cycles(unsigned cpu)
{
	struct perf_event_attr attributes = {
		.type = PERF_TYPE_HARDWARE, .size = sizeof attributes, .config = PERF_COUNT_HW_CPU_CYCLES};

	return (int)syscall(SYS_perf_event_open, &attributes, -1, (int)cpu, -1, PERF_FLAG_FD_CLOEXEC);
}

/* On every CPU or on none; one that is off line has no event and says so when it is read. */
static bool open_all_cycles(struct fw_bpf *bpf)
{
	struct object *object = bpf->object;

	object->cycle_fds = fw_alloc_array(bpf->cpu_count, sizeof *object->cycle_fds);
	for (; object->cycle_count < bpf->cpu_count; object->cycle_count++) {
		int fd = open_cycles(object->cycle_count);

		if (fd < 0 && errno != ENODEV)
			return false;
		object->cycle_fds[object->cycle_count] = fd;
	}
	return true;
}

static void close_cycles(struct object *object)
{
	for (unsigned i = 0; i < object->cycle_count; i++)
		if (object->cycle_fds[i] >= 0)
			close(object->cycle_fds[i]);
	object->cycle_count = 0;
}

static int prepare(struct fw_bpf *bpf)
{
	struct object *object = bpf->object;
	struct fw_bpf_programs *programs = object->programs;
	struct btf *kernel = btf__load_vmlinux_btf();

	if (!kernel)
		return -errno;
	bpf->has_idle = choose(kernel, programs->progs.on_idle, "cpu_idle");
	bpf->has_frequency = choose(kernel, programs->progs.on_frequency, "cpu_frequency");
	bpf->has_temperature = choose(kernel, programs->progs.on_temperature, "thermal_temperature");
	choose(kernel, programs->progs.on_move, "cgroup_attach_task");
	btf__free(kernel);
	bpf->has_cycles = open_all_cycles(bpf);
	if (!bpf->has_cycles)
		close_cycles(object);
	programs->rodata->count_cycles = bpf->has_cycles;
	programs->rodata->cpu_count = bpf->cpu_count;
	bpf_map__set_max_entries(programs->maps.cpus, bpf->cpu_count);
	bpf_map__set_max_entries(programs->maps.idle, bpf->cpu_count);
	bpf_map__set_max_entries(programs->maps.cycles, bpf->cpu_count);
	bpf_map__set_max_entries(programs->maps.work, bpf->cpu_count * FW_BPF_SLOTS);
	return 0;
}

static size_t bytes_of(const struct bpf_map *map)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t bytes = (size_t)bpf_map__max_entries(map) * bpf_map__value_size(map);

	return (bytes + page - 1) / page * page;
}

static const void *see(const struct bpf_map *map)
{
	void *memory = mmap(NULL, bytes_of(map), PROT_READ, MAP_SHARED, bpf_map__fd(map), 0);

	return memory == MAP_FAILED ? NULL : memory;
}

static void forget(const struct bpf_map *map, const void *memory)
{
	if (memory)
		munmap((void *)(uintptr_t)memory, bytes_of(map));
}

static int take_one(void *context, void *data, size_t size)
{
	struct object *object = context;

	if (size >= sizeof(struct fw_bpf_event) && object->take)
		object->take(object->context, data);
	return 0;
}

static void take_events(struct fw_bpf *bpf, fw_bpf_event_fn *take, void *context)
{
	struct object *object = bpf->object;

	object->take = take;
	object->context = context;
	(void)ring_buffer__consume(object->ring);
	object->take = NULL;
}

static void unload(struct fw_bpf *bpf)
{
	struct object *object = bpf->object;

	if (!object)
		return;
	if (object->programs) {
		forget(object->programs->maps.cpus, bpf->cpus);
		forget(object->programs->maps.work, bpf->work);
		forget(object->programs->maps.idle, bpf->idle);
		forget(object->programs->maps.traffic, bpf->traffic);
	}
	ring_buffer__free(object->ring);
	fw_bpf_programs__destroy(object->programs);
	close_cycles(object);
	free(object->cycle_fds);
	free(object);
	bpf->object = NULL;
}

static int map_all(struct fw_bpf *bpf)
{
	struct object *object = bpf->object;
	struct fw_bpf_programs *programs = object->programs;

	bpf->cpus = see(programs->maps.cpus);
	bpf->work = see(programs->maps.work);
	bpf->idle = see(programs->maps.idle);
	bpf->traffic = see(programs->maps.traffic);
	bpf->epoch = &programs->bss->epoch;
	bpf->events_lost = &programs->bss->events_lost;
	bpf->slots_fd = bpf_map__fd(programs->maps.slots);
	bpf->owners_fd = bpf_map__fd(programs->maps.owners);
	bpf->look_fd = bpf_program__fd(programs->progs.look);
	bpf->sent_fd = bpf_program__fd(programs->progs.on_sent);
	bpf->received_fd = bpf_program__fd(programs->progs.on_received);
	object->ring = ring_buffer__new(bpf_map__fd(programs->maps.events), take_one, object, NULL);
	return bpf->cpus && bpf->work && bpf->idle && bpf->traffic && object->ring ? 0 : -errno;
}

static int give_cycles(struct fw_bpf *bpf)
{
	struct object *object = bpf->object;
	int map_fd = bpf_map__fd(object->programs->maps.cycles);

	for (unsigned cpu = 0; cpu < object->cycle_count; cpu++)
		if (object->cycle_fds[cpu] >= 0) {
			int rc = fw_bpf_map_set(map_fd, &cpu, &object->cycle_fds[cpu]);

			if (rc < 0)
				return rc;
		}
	return 0;
}

/* The switches come last: when they begin to count, everything else is there. */
static int attach(struct fw_bpf *bpf)
{
	struct fw_bpf_programs *programs = ((struct object *)bpf->object)->programs;
	struct {
		struct bpf_program *program;
		struct bpf_link **link;
	} all[] = {
		{programs->progs.on_idle, &programs->links.on_idle},
		{programs->progs.on_frequency, &programs->links.on_frequency},
		{programs->progs.on_temperature, &programs->links.on_temperature},
		{programs->progs.on_move, &programs->links.on_move},
		{programs->progs.on_switch, &programs->links.on_switch},
	};

	for (size_t i = 0; i < FW_COUNT_OF(all); i++) {
		if (!bpf_program__autoload(all[i].program))
			continue;
		*all[i].link = bpf_program__attach(all[i].program);
		if (!*all[i].link)
			return -errno;
	}
	return 0;
}

static int load(struct fw_bpf *bpf)
{
	struct object *object = fw_alloc(sizeof *object);
	int rc;

	bpf->object = object;
	bpf->cpu_count = (unsigned)libbpf_num_possible_cpus();
	if (bpf->cpu_count > FW_MAX_CPUS)
		bpf->cpu_count = FW_MAX_CPUS;
	object->programs = fw_bpf_programs__open();
	if (!object->programs)
		return -errno;
	rc = prepare(bpf);
	if (rc == 0)
		rc = fw_bpf_programs__load(object->programs);
	if (rc == 0)
		rc = map_all(bpf);
	if (rc == 0)
		rc = give_cycles(bpf);
	return rc == 0 ? attach(bpf) : rc;
}

/* Kernels before 5.11 charge maps to locked memory; newer ones need none of it. Workers are not to inherit that. */
static int load_unlimited(struct fw_bpf *bpf)
{
	struct rlimit unlimited = {RLIM_INFINITY, RLIM_INFINITY}, before;
	bool raised = getrlimit(RLIMIT_MEMLOCK, &before) == 0 && setrlimit(RLIMIT_MEMLOCK, &unlimited) == 0;
	int rc = load(bpf);

	if (raised)
		(void)setrlimit(RLIMIT_MEMLOCK, &before);
	return rc;
}

int fw_bpf_load(const struct fw_root *root, struct fw_bpf *bpf, struct fw_error **err)
{
	libbpf_print_fn_t print;
	int rc = fw_bpf_check(root, err);

	if (rc != FW_OK)
		return rc;
	*bpf = (struct fw_bpf){.take_events = take_events, .unload = unload};
	last_words[0] = 0;
	print = libbpf_set_print(listen_to);
	rc = load_unlimited(bpf);
	libbpf_set_print(print);
	if (rc == 0)
		return FW_OK;
	unload(bpf);
	int code = fw_fail_errno(err, -rc, "load the BPF programs%s%s", last_words[0] ? ": " : "", last_words);

	if (rc == -ENOSYS)
		return fw_error_hint(err, code, "this kernel was built without CONFIG_BPF_SYSCALL");
	if (rc == -EPERM || rc == -EACCES)
		return fw_error_hint(err, code, "run as root, or with CAP_BPF and CAP_PERFMON, outside containers");
	return code;
}
