/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/energy_support.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/time.h"

struct energy_world world;

int energy_set_up(void **state)
{
	fw_cleanup_free char *directory = fw_printf("%s/data", getenv("FLEXWATT_SOURCE"));
	struct fw_error *err = NULL;

	(void)state;
	assert_ok(fw_root_open("/", &world.root, &err), err);
	assert_ok(fw_machine_read(&world.root, &world.machine, &err), err);
	assert_ok(fw_catalogue_open(directory, &world.catalogue, &err), err);
	return 0;
}

int energy_tear_down(void **state)
{
	(void)state;
	fw_catalogue_close(world.catalogue);
	fw_root_close(&world.root);
	return 0;
}

void burn_30_ms(void)
{
	struct timespec start, now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &start);
	do
		clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	while ((now.tv_sec - start.tv_sec) * 1000000000L + now.tv_nsec - start.tv_nsec < 30000000);
}

static void hold_32_mib(void)
{
	char *memory = mmap(NULL, 32 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory != MAP_FAILED)
		memset(memory, 1, 32 << 20);
}

static _Noreturn void serve(int fd)
{
	char what;

	while (read(fd, &what, 1) == 1) {
		if (what == 'b')
			burn_30_ms();
		if (what == 'm' || what == 'M')
			hold_32_mib();
		if (what == 'M' || what == 'w')
			nanosleep(&(struct timespec){.tv_nsec = 60 * 1000000}, NULL);
		if (write(fd, &what, 1) != 1)
			break;
	}
	_exit(0);
}

struct child child_new(void)
{
	int fds[2];
	struct child child;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	child.pid = fork();
	assert_true(child.pid >= 0);
	if (child.pid == 0) {
		close(fds[0]);
		serve(fds[1]);
	}
	close(fds[1]);
	child.fd = fds[0];
	return child;
}

void child_do(const struct child *child, char what)
{
	assert_int_equal(write(child->fd, &what, 1), 1);
	assert_int_equal(read(child->fd, &what, 1), 1);
}

void child_end(struct child *child)
{
	close(child->fd);
	kill(child->pid, SIGKILL); /* later children hold its socket open too */
	waitpid(child->pid, NULL, 0);
}

void fixture_count(void *context, struct fw_record *record)
{
	struct fixture *fixture = context;

	assert_non_null(record->method_version);
	if (++fixture->done == fixture->wanted)
		fw_loop_stop(fixture->loop);
}

static void too_late(void *context)
{
	(void)context;
	fail_msg("records were not filled within 100 s");
}

void fixture_open(struct fixture *fixture)
{
	fixture_open_at(fixture, FIXTURE_HZ);
}

void fixture_open_at(struct fixture *fixture, double rate_hz)
{
	struct fw_error *err = NULL;

	*fixture = (struct fixture){0};
	assert_ok(fw_loop_new(&fixture->loop, &err), err);
	struct fw_energy_options options = {
		.loop = fixture->loop, .context = {&world.root, &world.machine, world.catalogue}, .rate_hz = rate_hz};
	assert_ok(fw_energy_manager_new(&options, &fixture->manager, &err), err);
}

void fixture_wait(struct fixture *fixture, size_t wanted)
{
	struct fw_timer *timer = fw_timer_new(fixture->loop, too_late, fixture);
	struct fw_error *err = NULL;

	fixture->wanted = wanted;
	fw_timer_set(timer, 100 * FW_NS_PER_S);
	if (fixture->done < wanted)
		assert_ok(fw_loop_run(fixture->loop, &err), err);
	fw_timer_free(timer);
	assert_int_equal(fixture->done, wanted);
}

void fixture_close(struct fixture *fixture)
{
	fw_energy_manager_free(fixture->manager);
	fw_loop_free(fixture->loop);
}

void fixture_invoke(struct fixture *fixture, struct fw_energy_worker *worker, const struct child *child, char what,
                    struct fw_record *record)
{
	uint64_t start;

	fw_record_init(record);
	start = fw_monotonic_ns();
	fw_energy_begin(worker);
	child_do(child, what);
	record->duration_ms = fw_ns_to_ms(fw_monotonic_ns() - start);
	fw_energy_end(worker, true, record, fixture_count, fixture);
}

double uniform(uint64_t *seed)
{
	*seed = *seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (double)(*seed >> 11) / (double)(1ULL << 53);
}
