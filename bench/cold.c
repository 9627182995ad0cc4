/* SPDX-License-Identifier: Apache-2.0
 *
 * The sandbox by itself: from fw_sandbox_new() until the function's first GET next has been read, with nothing prepared and
 * with its groups and /tmp made beforehand, and what its removal takes. Beside it, in turn: posix_spawn + wait of the same
 * binary, which ends at once without a Runtime API, and of the same under bwrap.
 * Usage: cold PACKAGE COUNT BWRAP, PACKAGE holding noop as `bootstrap`. Prints one JSON object of lists, milliseconds.
 */
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "base/time.h"
#include "bench.h"
#include "runtime/sandbox.h"

enum { MEMORY_MB = 1769, TMP_MB = 512, DEADLINE_MS = 10000, SETTLE_MS = 10 };

struct bench {
	struct fw_sandboxes *sandboxes;
	char directory[64], *storage, *hidden, *package, digest[65];
	char *binary, *bwrap;
	int null_fd;
	size_t count;
};

static double ms_since(uint64_t start)
{
	return (double)(fw_monotonic_ns() - start) / 1e6;
}

/* What the kernel puts off when a namespace or a group goes is not the next one's to pay for. */
static void settle(void)
{
	nanosleep(&(struct timespec){0, SETTLE_MS * 1000000}, NULL);
}

static double spawn_ms(const struct bench *bench, char *const *argv)
{
	static char *const no_environment[] = {NULL};
	posix_spawn_file_actions_t actions;
	uint64_t start = fw_monotonic_ns();
	int status = 0;
	pid_t pid;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, bench->null_fd, 2);
	bench_require(posix_spawn(&pid, argv[0], &actions, NULL, argv, no_environment) == 0, argv[0], NULL);
	bench_require(waitpid(pid, &status, 0) == pid && WIFEXITED(status), argv[0], NULL);
	posix_spawn_file_actions_destroy(&actions);
	return ms_since(start);
}

static void await(int fd)
{
	struct pollfd ready = {.fd = fd, .events = POLLIN};

	bench_require(poll(&ready, 1, DEADLINE_MS) == 1, "wait for GET next", NULL);
}

static int read_next(int listener)
{
	char request[4096] = "";
	size_t length = 0;

	await(listener);
	int fd = accept(listener, NULL, NULL);

	while (!strstr(request, "\r\n\r\n")) {
		await(fd);
		ssize_t got = read(fd, request + length, sizeof request - 1 - length);

		bench_require(got > 0, "read GET next", NULL);
		length += (size_t)got;
		request[length] = '\0';
	}
	bench_require(strncmp(request, "GET /2018-06-01/runtime/invocation/next ", 40) == 0, "recognise GET next", NULL);
	return fd;
}

static void start(struct bench *bench, struct fw_sandbox *sandbox, const char *attempts)
{
	struct fw_sandbox_address address = fw_sandbox_address(sandbox);
	char api[64];
	const char *const read_only[] = {bench->storage, NULL}, *const argv[] = {"/var/task/bootstrap", NULL};
	const char *const envp[] = {api, "_HANDLER=noop", "LAMBDA_TASK_ROOT=/var/task", NULL};
	struct fw_error *err = NULL;
	const struct fw_sandbox_spec spec = {
		.package = bench->package, .read_only = read_only, .hidden = bench->hidden, .attempts = attempts, .argv = argv,
		.envp = envp, .memory_mb = MEMORY_MB, .tmp_mb = TMP_MB, .stdout_fd = bench->null_fd, .stderr_fd = bench->null_fd,
		.boost = true,
	};

	snprintf(api, sizeof api, "AWS_LAMBDA_RUNTIME_API=%s:%u", address.host, address.port);
	bench_require(fw_sandbox_start(sandbox, &spec, &err) == FW_OK, "start a sandbox", err);
}

static double cold_ms(struct bench *bench, double *blocked_ms, double *teardown_ms)
{
	static unsigned number;
	fw_cleanup_free char *attempts = fw_printf("%s/w%u", bench->hidden, number++);
	struct fw_error *err = NULL;
	struct fw_sandbox *sandbox = NULL;

	bench_require(mkdir(attempts, 0700) == 0, attempts, NULL);
	uint64_t begin = fw_monotonic_ns();

	bench_require(fw_sandbox_new(bench->sandboxes, FW_NETWORK_HOST, &sandbox, &err) == FW_OK, "make a sandbox", err);
	fw_cleanup_fd int listener = fw_sandbox_take_listener(sandbox);

	start(bench, sandbox, attempts);
	*blocked_ms = ms_since(begin);
	fw_cleanup_fd int connection = read_next(listener);
	double cold = ms_since(begin);

	begin = fw_monotonic_ns();
	fw_sandbox_free(sandbox);
	*teardown_ms = ms_since(begin);
	return cold;
}

static void print_list(const char *name, const double *values, size_t count, const char *end)
{
	printf("\"%s\": [", name);
	for (size_t i = 0; i < count; i++)
		printf("%s%.4f", i > 0 ? ", " : "", values[i]);
	printf("]%s", end);
}

static void measure(struct bench *bench)
{
	enum { SPAWN, COLD, BLOCKED, PREPARED, TEARDOWN, BWRAP, LISTS };
	static const char *const names[] = {"spawn", "cold", "blocked", "prepared", "teardown", "bwrap"};
	char *const plain[] = {bench->binary, NULL};
	char *const wrapped[] = {bench->bwrap, (char[]){"--unshare-all"}, (char[]){"--ro-bind"}, (char[]){"/"}, (char[]){"/"},
	                         bench->binary, NULL};
	double *lists[LISTS], unused;
	struct fw_error *err = NULL;

	for (size_t i = 0; i < LISTS; i++)
		lists[i] = fw_alloc_array(bench->count, sizeof **lists);
	cold_ms(bench, &unused, &unused); /* the package's template */
	for (size_t i = 0; i < bench->count; i++) {
		settle();
		lists[SPAWN][i] = spawn_ms(bench, plain);
		settle();
		lists[COLD][i] = cold_ms(bench, &lists[BLOCKED][i], &lists[TEARDOWN][i]);
		bench_require(fw_sandboxes_prepare(bench->sandboxes, MEMORY_MB, TMP_MB, 1, &err) == FW_OK, "prepare", err);
		settle();
		lists[PREPARED][i] = cold_ms(bench, &unused, &unused);
		settle();
		lists[BWRAP][i] = spawn_ms(bench, wrapped);
	}
	printf("{");
	for (size_t i = 0; i < LISTS; i++) {
		print_list(names[i], lists[i], bench->count, i + 1 < LISTS ? ", " : "}\n");
		free(lists[i]);
	}
}

static void make_directories(struct bench *bench, const char *package)
{
	strcpy(bench->directory, "/tmp/flexwatt-bench-XXXXXX");
	bench_require(mkdtemp(bench->directory) && chmod(bench->directory, 0755) == 0, "make a directory", NULL);
	bench->storage = fw_printf("%s/data", bench->directory);
	bench->hidden = fw_printf("%s/.attempts", bench->storage);
	bench->binary = fw_printf("%s/bootstrap", package);
	bench->null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	bench_require(mkdir(bench->storage, 0755) == 0 && mkdir(bench->hidden, 0755) == 0 && bench->null_fd >= 0,
	              "make directories", NULL);
}

int main(int argc, char **argv)
{
	static struct fw_machine machine;
	struct fw_error *err = NULL;
	struct fw_cgroups *cgroups = NULL;
	struct fw_root root;
	struct bench bench = {0};

	bench_require(argc == 4 && atol(argv[2]) > 0, "usage: cold PACKAGE COUNT BWRAP", NULL);
	bench.count = (size_t)atol(argv[2]);
	bench.bwrap = argv[3];
	make_directories(&bench, argv[1]);
	bench_require(fw_root_open("/", &root, &err) == FW_OK && fw_machine_read(&root, &machine, &err) == FW_OK, "machine", err);
	bench_require(fw_cgroups_open(&root, "flexwatt", &cgroups, &err) == FW_OK, "control groups", err);
	const struct fw_sandboxes_options options = {
		.cgroups = cgroups, .machine = &machine, .state_directory = bench.directory, .run = "bench-cold"};

	bench_require(fw_sandboxes_new(&options, &bench.sandboxes, &err) == FW_OK, "sandboxes", err);
	bench_require(fw_package_cache(bench.sandboxes, argv[1], bench.digest, &bench.package, &err) == FW_OK, "package", err);
	measure(&bench);
	fw_sandboxes_free(bench.sandboxes);
	fw_cgroups_close(cgroups);
	fw_root_close(&root);
	fw_cleanup_free char *remove = fw_printf("rm -rf %s", bench.directory);

	free(bench.storage), free(bench.hidden), free(bench.binary), free(bench.package);
	return system(remove) != 0;
}
