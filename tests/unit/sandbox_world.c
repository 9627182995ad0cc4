/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/sandbox_world.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/buffer.h"
#include "base/time.h"
#include "runtime/sandbox_internal.h"

enum { MAX_ARGUMENTS = 24, DEADLINE_MS = 60000 }; /* an emulated machine on a busy one takes 20 s for what takes 100 ms */

static const char *const environment[] = {"PATH=/usr/bin:/bin", "LAMBDA_TASK_ROOT=/var/task", NULL};

static void copy_payload(const char *target)
{
	const char *source = getenv("SANDBOX_PAYLOAD");
	struct fw_buffer bytes;

	assert_non_null(source);
	fw_buffer_init(&bytes, 16 << 20);
	assert_ok(fw_read_file(AT_FDCWD, source, &bytes, NULL), NULL);
	assert_ok(fw_write_file(AT_FDCWD, target, bytes.data, bytes.length, 0755, NULL), NULL);
	fw_buffer_done(&bytes);
}

bool world_as_asked(void)
{
	const char *as = getenv("SANDBOX_TEST_AS"), *payload = getenv("SANDBOX_PAYLOAD");

	if (!as)
		return true;
	if (geteuid() == 0 && (setgroups(0, NULL) != 0 || setresgid(WORLD_USER, WORLD_USER, WORLD_USER) != 0 ||
	                       setresuid(WORLD_USER, WORLD_USER, WORLD_USER) != 0)) {
		print_message("skipped: cannot become another user\n");
		return false;
	}
	if (access(payload, R_OK) != 0) {
		print_message("skipped: %s is not readable by user %d\n", payload, WORLD_USER);
		return false;
	}
	prctl(PR_SET_DUMPABLE, 1); /* as a process has it that began as this user */
	if (strcmp(as, "plain") == 0 && (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
	                                 prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, fw_filter_program()) != 0)) {
		print_message("skipped: no system call filter to refuse namespaces with\n");
		return false;
	}
	return true;
}

struct world world;

int world_set_up(void **state)
{
	struct fw_error *err = NULL;
	char bootstrap[128];

	(void)state;
	world.tree = tree_of("package/", "", "attempts/", "", "state/", "", NULL);
	chmod(world.tree.path, 0755);
	snprintf(world.package, sizeof world.package, "%s/package", world.tree.path);
	snprintf(world.attempts, sizeof world.attempts, "%s/attempts", world.tree.path);
	chmod(world.attempts, 01777);
	snprintf(world.state, sizeof world.state, "%s/state", world.tree.path);
	snprintf(bootstrap, sizeof bootstrap, "%s/bootstrap", world.package);
	copy_payload(bootstrap);
	assert_ok(fw_root_open("/", &world.root, &err), err);
	assert_ok(fw_machine_read(&world.root, &world.machine, &err), err);
	if (fw_cgroups_open(&world.root, "flexwatt-test", &world.cgroups, &err) != FW_OK) {
		print_message("without control groups: %s\n", fw_error_message(err));
		fw_error_free(err);
		err = NULL;
	}
	struct fw_sandboxes_options options = {.cgroups = world.cgroups, .machine = &world.machine,
		.state_directory = world.state, .run = world.run};
	snprintf(world.run, sizeof world.run, "test%d", (int)getpid());
	assert_ok(fw_sandboxes_new(&options, &world.sandboxes, &err), err);
	return 0;
}

int world_tear_down(void **state)
{
	size_t ended;

	(void)state;
	fw_sandboxes_free(world.sandboxes);
	if (world.cgroups) /* what a test that failed left */
		fw_sandboxes_end_orphans(world.cgroups, world.run, &ended, NULL);
	if (world.cgroups)
		fw_cgroups_close(world.cgroups);
	fw_root_close(&world.root);
	tree_remove_cleanup(&world.tree);
	return 0;
}

const char *below(const char *name)
{
	static char paths[32][160];
	static unsigned next;
	char *path = paths[next++ % 32];

	snprintf(path, sizeof paths[0], "%s/%s", world.tree.path, name);
	return path;
}

struct running *running_new(void)
{
	struct running *running = fw_alloc(sizeof *running);

	running->output_fd = -1;
	running->spec = (struct fw_sandbox_spec){.package = world.package, .attempts = world.attempts,
		.envp = environment, .memory_mb = 512, .tmp_mb = 512, .boost = true};
	return running;
}

static int start(struct running *running, const char *action, va_list more, struct fw_error **err)
{
	const char *argv[MAX_ARGUMENTS] = {"/var/task/bootstrap"};
	size_t count = 1;
	int pipe_fds[2];

	for (; action && count < MAX_ARGUMENTS - 1; action = va_arg(more, const char *))
		argv[count++] = action;
	if (!running->spec.argv)
		running->spec.argv = argv;
	assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
	running->output_fd = pipe_fds[0];
	running->spec.stdout_fd = running->spec.stderr_fd = pipe_fds[1];
	int rc = running->sandbox ? FW_OK :
	         fw_sandbox_new(world.sandboxes, running->network, &running->sandbox, err);
	if (rc == FW_OK)
		rc = fw_sandbox_start(running->sandbox, &running->spec, err);
	running->spec.argv = NULL;
	close(pipe_fds[1]);
	return rc;
}

int running_start(struct running *running, struct fw_error **err, const char *action, ...)
{
	va_list more;

	va_start(more, action);
	int rc = start(running, action, more, err);
	va_end(more);
	return rc;
}

/* False at the end of its output. */
static bool read_more(struct running *running, uint64_t deadline_ns)
{
	struct pollfd readable = {.fd = running->output_fd, .events = POLLIN};
	uint64_t now_ns = fw_monotonic_ns();

	if (now_ns >= deadline_ns || poll(&readable, 1, (int)((deadline_ns - now_ns) / FW_NS_PER_MS) + 1) <= 0)
		fail_msg("the payload said no more than: %s", running->output);
	ssize_t got = read(running->output_fd, running->output + running->length,
	                   sizeof running->output - 1 - running->length);
	if (got <= 0)
		return false;
	running->length += (size_t)got;
	return true;
}

void running_wait_for(struct running *running, const char *text)
{
	uint64_t deadline_ns = fw_monotonic_ns() + DEADLINE_MS * FW_NS_PER_MS;

	while (!strstr(running->output, text))
		if (!read_more(running, deadline_ns))
			fail_msg("the payload ended before '%s': %s", text, running->output);
}

void running_wait_until_ended(struct running *running)
{
	struct pollfd ended = {.fd = fw_sandbox_pidfd(running->sandbox), .events = POLLIN};
	struct fw_error *err = NULL;

	assert_int_equal(poll(&ended, 1, DEADLINE_MS), 1);
	assert_ok(fw_sandbox_reap(running->sandbox, &running->wait_status, &err), err);
}

/* Every process of a sandbox has its output open: the end of it is the end of them all. */
void assert_all_writers_have_ended(int output_fd)
{
	uint64_t deadline_ns = fw_monotonic_ns() + 100 * FW_NS_PER_S;
	struct pollfd readable = {.fd = output_fd, .events = POLLIN};
	char dropped[4096];

	do {
		uint64_t now_ns = fw_monotonic_ns();

		if (now_ns >= deadline_ns || poll(&readable, 1, (int)((deadline_ns - now_ns) / FW_NS_PER_MS) + 1) <= 0)
			fail_msg("a process of the sandbox lives on");
	} while (read(output_fd, dropped, sizeof dropped) > 0);
}

void running_free(struct running *running)
{
	bool started = running->sandbox && fw_sandbox_pidfd(running->sandbox) >= 0;

	fw_sandbox_free(running->sandbox);
	if (started)
		assert_all_writers_have_ended(running->output_fd);
	if (running->output_fd >= 0)
		close(running->output_fd);
	free(running);
}

char *say(struct running *running, const char *action, ...)
{
	struct fw_error *err = NULL;
	va_list more;

	va_start(more, action);
	assert_ok(start(running, action, more, &err), err);
	va_end(more);
	running_wait_until_ended(running);
	uint64_t deadline_ns = fw_monotonic_ns() + DEADLINE_MS * FW_NS_PER_MS;
	while (read_more(running, deadline_ns))
		;
	return fw_strdup(running->output);
}

void assert_says(const char *output, const char *text)
{
	if (!strstr(output, text))
		fail_msg("expected '%s' in:\n%s", text, output);
}

void assert_says_not(const char *output, const char *text)
{
	if (strstr(output, text))
		fail_msg("'%s' is in:\n%s", text, output);
}

void require_root(void)
{
	if (geteuid() != 0) {
		print_message("skipped: needs root\n");
		skip();
	}
}

size_t count_entries(const char *path)
{
	DIR *directory = opendir(path);
	size_t count = 0;

	assert_non_null(directory);
	while (readdir(directory))
		count++;
	closedir(directory);
	return count;
}

size_t count_lines(const char *path)
{
	struct fw_buffer text;
	size_t count = 0;

	fw_buffer_init(&text, 16 << 20);
	assert_ok(fw_read_file(AT_FDCWD, path, &text, NULL), NULL);
	for (size_t i = 0; i < text.length; i++)
		count += text.data[i] == '\n';
	fw_buffer_done(&text);
	return count;
}
