/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/time.h"
#include "tests/unit/sandbox_world.h"

/* "read=" and the like with a path below the test's tree. */
static const char *on(const char *action, const char *name)
{
	static char texts[16][200];
	static unsigned next;
	char *text = texts[next++ % 16];

	snprintf(text, sizeof texts[0], "%s=%s", action, below(name));
	return text;
}

static void runs_a_program_of_the_package(void **state)
{
	(void)state;
	struct running *running = running_new();
	fw_cleanup_free char *said = say(running, "print=hello", "list=/var/task", "exit=7", NULL);

	assert_says(said, "hello\n");
	assert_says(said, "list /var/task: bootstrap\n");
	assert_true(WIFEXITED(running->wait_status));
	assert_int_equal(WEXITSTATUS(running->wait_status), 7);
	running_free(running);
}

static void has_its_own_user_and_no_privileges(void **state)
{
	require_root();
	(void)state;
	struct running *running = running_new();
	fw_cleanup_free char *said = say(running, "ids", NULL);
	char expected[64];

	snprintf(expected, sizeof expected, "ids: uid %u %u gid %u", fw_sandbox_uid(running->sandbox),
	         fw_sandbox_uid(running->sandbox), fw_sandbox_uid(running->sandbox));
	assert_int_not_equal(fw_sandbox_uid(running->sandbox), 0);
	assert_says(said, expected);
	assert_says(said, "Groups:\t \n");
	assert_says(said, "CapPrm:\t0000000000000000");
	assert_says(said, "CapEff:\t0000000000000000");
	assert_says(said, "CapBnd:\t0000000000000000");
	assert_says(said, "CapAmb:\t0000000000000000");
	assert_says(said, "NoNewPrivs:\t1");
	assert_says(said, "Seccomp:\t2");
	running_free(running);
}

static void what_is_not_enforced_is_said(void **state)
{
	(void)state;
	const char *missing = fw_sandboxes_missing(world.sandboxes);

	if (geteuid() == 0) {
		assert_says_not(missing ? missing : "", "workers run as user");
		return;
	}
	assert_non_null(missing);
	fw_cleanup_free char *as = fw_printf("workers run as user %u", geteuid());

	assert_says(missing, as);
	assert_says(missing, "the size of /tmp is not limited");
}

static void no_way_out_is_open(void **state)
{
	(void)state;
	struct running *running = running_new();
	fw_cleanup_free char *said = say(running, "escapes", NULL);

	assert_says(said, "try mount: EPERM");
	assert_says(said, "try init-root: ");
	assert_says_not(said, ": ok");
	running_free(running);
}

static void sees_nothing_of_the_host(void **state)
{
	require_root();
	(void)state;
	struct running *running = running_new();

	tree_write(&world.tree, "secret", "host");
	fw_cleanup_free char *said = say(running, on("read", "secret"), "list=/root", "list=/home", "list=/proc",
	                                 "read=/etc/shadow", "write=/etc/x", "write=/usr/x", "write=/var/task/x", "write=/x",
	                                 "list=/sys", "list=/dev", "read=/dev/kmsg", "read=/proc/1/environ", NULL);

	assert_says(said, "secret: ENOENT");
	assert_says(said, "list /root:\n");
	assert_says(said, "list /home:\n");
	assert_says_not(said, "list /proc: 1 ");
	assert_says(said, "read /etc/shadow: EACCES");
	assert_says(said, "write /etc/x: EROFS");
	assert_says(said, "write /usr/x: EROFS");
	assert_says(said, "write /var/task/x: EROFS");
	assert_says(said, "write /x: EROFS");
	assert_says(said, "list /sys: devices\n");
	assert_says_not(said, "kvm");
	assert_says(said, "read /dev/kmsg: ENOENT");
	assert_says(said, "read /proc/1/environ: ENOENT");
	running_free(running);
}

static void shows_read_only_paths_at_the_same_place(void **state)
{
	(void)state;
	const char *const paths[] = {below("inputs"), below("alone.txt"), NULL};
	struct running *running = running_new();

	tree_write(&world.tree, "inputs/a/b.txt", "content");
	tree_write(&world.tree, "alone.txt", "single");
	chmod(below("inputs"), 0777);
	chmod(below("inputs/a/b.txt"), 0666);
	running->spec.read_only = paths;
	fw_cleanup_free char *said = say(running, on("read", "inputs/a/b.txt"), on("read", "alone.txt"),
	                                 on("write", "inputs/new"), on("write", "inputs/a/b.txt"), NULL);

	assert_says(said, "b.txt: 'content'");
	assert_says(said, "alone.txt: 'single'");
	assert_says(said, "inputs/new: EROFS");
	assert_says(said, "inputs/a/b.txt: EROFS");
	running_free(running);
}

static void masks_the_attempts_of_others_and_shows_its_own(void **state)
{
	(void)state;
	const char *const paths[] = {below("storage"), NULL};
	struct running *running = running_new();

	tree_write(&world.tree, "storage/in.txt", "input");
	tree_write(&world.tree, "storage/.attempts/mine/", "");
	chmod(below("storage/.attempts/mine"), 0777);
	tree_write(&world.tree, "storage/.attempts/other/secret", "theirs");
	running->spec.read_only = paths;
	running->spec.hidden = below("storage/.attempts");
	running->spec.attempts = below("storage/.attempts/mine");
	fw_cleanup_free char *said = say(running, on("read", "storage/in.txt"), on("list", "storage/.attempts"),
	                                 on("read", "storage/.attempts/other/secret"), on("write", "storage/.attempts/mine/out"),
	                                 on("write", "storage/.attempts/new"), NULL);
	struct stat stat_;

	assert_says(said, "in.txt: 'input'");
	assert_says(said, ".attempts: mine\n");
	assert_says(said, "other/secret: ENOENT");
	assert_says(said, "mine/out: ok");
	assert_says(said, ".attempts/new: EROFS");
	assert_int_equal(stat(below("storage/.attempts/mine/out"), &stat_), 0);
	assert_int_equal(stat_.st_uid, fw_sandbox_uid(running->sandbox));
	running_free(running);
}

static void a_storage_that_holds_the_state_directory_is_shown_without_it(void **state)
{
	(void)state;
	const char *const paths[] = {world.tree.path, NULL};
	struct running *running = running_new();

	tree_write(&world.tree, "in.txt", "input");
	tree_write(&world.tree, "state/logs/a.log", "of another");
	running->spec.read_only = paths;
	fw_cleanup_free char *said = say(running, on("read", "in.txt"), on("read", "state/logs/a.log"), on("list", "state"),
	                                 on("write", "attempts/beside"), NULL);

	assert_says(said, "in.txt: 'input'");
	assert_says(said, "a.log: ENOENT");
	assert_says(said, "attempts/beside: ok");
	assert_says_not(said, "packages");
	running_free(running);
}

static void attempts_that_nothing_else_shows_are_writable(void **state)
{
	(void)state;
	struct running *running = running_new();
	fw_cleanup_free char *said = say(running, on("write", "attempts/out"), on("list", "."), NULL);

	assert_says(said, "attempts/out: ok");
	assert_int_equal(access(below("attempts/out"), F_OK), 0);
	running_free(running);
}

/* A place that only root may enter, outside /tmp. */
static void paths_below_a_private_home_work(void **state)
{
	require_root();
	(void)state;
	char home[] = "/root/flexwatt-test-XXXXXX", input[64], out[64], command[2][96];

	assert_non_null(mkdtemp(home));
	snprintf(input, sizeof input, "%s/in", home);
	snprintf(out, sizeof out, "%s/out", home);
	int fd = open(input, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(write(fd, "private", 7), 7);
	close(fd);
	mkdir(out, 0700);
	chmod(out, 0777);
	snprintf(command[0], sizeof command[0], "read=%s", input);
	snprintf(command[1], sizeof command[1], "write=%s/x", out);
	const char *const paths[] = {home, NULL};
	struct running *running = running_new();
	running->spec.read_only = paths;
	running->spec.attempts = out;
	fw_cleanup_free char *said = say(running, command[0], command[1], "list=/root", NULL);

	assert_says(said, "/in: 'private'"); /* an idmapped bind: mode 0600 of root */
	assert_says(said, "out/x: ok");
	assert_says_not(said, ".bash");
	running_free(running);
	unlink(input);
	snprintf(command[0], sizeof command[0], "%s/x", out);
	unlink(command[0]);
	assert_int_equal(rmdir(out), 0);
	assert_int_equal(rmdir(home), 0);
}

static void a_missing_path_is_an_error_that_names_it(void **state)
{
	(void)state;
	const char *const paths[] = {below("nowhere"), NULL};
	struct running *running = running_new();
	struct fw_error *err = NULL;

	running->spec.read_only = paths;
	assert_error_is(running_start(running, &err, "print=x", NULL), &err, FW_E_ABSENT, "nowhere");
	running_free(running);
}

static void a_private_tmp_is_bounded_on_disk(void **state)
{
	require_root();
	(void)state;
	struct running *running = running_new();
	long mb = 0;

	running->spec.tmp_mb = 64;
	fw_cleanup_free char *said = say(running, "list=/tmp", "space=/tmp", "fill=/tmp/big", "write=/tmp/more", NULL);

	assert_says(said, "list /tmp: flexwatt"); /* nothing but the way to its attempts */
	assert_says(said, "then ENOSPC");
	assert_int_equal(sscanf(strstr(said, "fill: "), "fill: %ld", &mb), 1);
	assert_in_range(mb, 63, 68);
	running_free(running);
	assert_int_not_equal(access("/tmp/big", F_OK), 0);
}

static void what_one_worker_left_in_tmp_the_next_does_not_see(void **state)
{
	(void)state;
	struct running *first = running_new(), *second = running_new();

	fw_cleanup_free char *wrote = say(first, "write=/tmp/left", "list=/tmp", NULL);
	running_free(first);
	fw_cleanup_free char *saw = say(second, "list=/tmp", "write=/tmp/x", "list=/var/tmp", NULL);

	assert_says(wrote, "left");
	assert_says_not(saw, "left");
	assert_says(saw, "write /tmp/x: ok");
	running_free(second);
}

static int connect_from_here(struct fw_sandbox_address where)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(where.port)};
	fw_cleanup_fd int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	inet_pton(AF_INET, where.host, &address.sin_addr);
	return connect(fd, (struct sockaddr *)&address, sizeof address);
}

static void each_sandbox_has_its_own_address(void **state)
{
	(void)state;
	struct running *first = running_new(), *second = running_new();
	struct fw_error *err = NULL;
	char action[48];

	assert_ok(fw_sandbox_new(world.sandboxes, FW_NETWORK_HOST, &first->sandbox, &err), err);
	assert_ok(fw_sandbox_new(world.sandboxes, FW_NETWORK_HOST, &second->sandbox, &err), err);
	struct fw_sandbox_address a = fw_sandbox_address(first->sandbox), b = fw_sandbox_address(second->sandbox);
	assert_string_not_equal(a.host, b.host);
	assert_int_equal(strncmp(a.host, "127.", 4), 0);
	fw_cleanup_fd int listener = fw_sandbox_take_listener(first->sandbox);
	snprintf(action, sizeof action, "connect=%s:%u", a.host, a.port);
	fw_cleanup_free char *said = say(first, action, NULL);

	assert_says(said, ": ok");
	fw_cleanup_fd int accepted = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	assert_true(accepted >= 0);
	running_free(first);
	running_free(second);
	assert_int_equal(connect_from_here(b), -1);
}

static void network_none_reaches_only_its_host(void **state)
{
	(void)state;
	struct running *open = running_new(), *closed = running_new();
	struct fw_error *err = NULL;
	char to_open[48], to_host[48];

	assert_ok(fw_sandbox_new(world.sandboxes, FW_NETWORK_HOST, &open->sandbox, &err), err);
	assert_ok(fw_sandbox_new(world.sandboxes, FW_NETWORK_NONE, &closed->sandbox, &err), err);
	closed->network = FW_NETWORK_NONE;
	struct fw_sandbox_address other = fw_sandbox_address(open->sandbox), own = fw_sandbox_address(closed->sandbox);
	fw_cleanup_fd int listener = fw_sandbox_take_listener(closed->sandbox);
	snprintf(to_open, sizeof to_open, "connect=%s:%u", other.host, other.port);
	snprintf(to_host, sizeof to_host, "connect=%s:%u", own.host, own.port);
	fw_cleanup_free char *said = say(closed, to_host, to_open, "connect=192.0.2.1:80", NULL);
	char expected[96];

	snprintf(expected, sizeof expected, "connect %s:%u: ok", own.host, own.port);
	assert_says(said, expected);
	snprintf(expected, sizeof expected, "connect %s:%u: ECONNREFUSED", other.host, other.port);
	assert_says(said, expected);
	assert_says(said, "connect 192.0.2.1:80: ENETUNREACH");
	fw_cleanup_fd int accepted = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	assert_true(accepted >= 0);
	running_free(open);
	running_free(closed);
}

static void exec_fails(const char *file, const char *content, mode_t mode, int code, const char *text)
{
	const char *argv[] = {"/var/task/program", NULL};
	struct running *running = running_new();
	struct fw_error *err = NULL;

	running->spec.package = below("broken");
	running->spec.argv = argv;
	unlink(below("broken/program"));
	tree_write(&world.tree, file, content);
	chmod(below(file), mode);
	assert_error_is(running_start(running, &err, "unused", NULL), &err, code, text);
	running_free(running);
}

static void a_program_that_cannot_start_says_why_and_what_to_do(void **state)
{
	(void)state;
	exec_fails("broken/other", "x", 0755, FW_E_ABSENT, "executable file named bootstrap");
	exec_fails("broken/program", "#!/no/such/python\n", 0755, FW_E_ABSENT, "its interpreter /no/such/python is not there");
	exec_fails("broken/program", "#!/bin/sh\r\necho x\r\n", 0755, FW_E_ABSENT, "Windows line ends");
	exec_fails("broken/program", "#!/bin/sh\n", 0644, FW_E_PERMISSION, "chmod a+rx");
	exec_fails("broken/program", "neither\n", 0755, FW_E_INVALID, "neither a program nor a script");
}

static void a_program_for_another_processor_is_named(void **state)
{
	(void)state;
	unsigned char elf[64] = {0x7f, 'E', 'L', 'F', 2, 1, 1};
	fw_cleanup_free char *path = fw_strdup(below("broken/program"));

	elf[16] = 2;
	elf[18] = 0xf3; /* EM_RISCV */
	elf[20] = 1;
	tree_write(&world.tree, "broken/program", "");
	int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
	assert_int_equal(write(fd, elf, sizeof elf), sizeof elf);
	close(fd);
	chmod(path, 0755);
	const char *argv[] = {"/var/task/program", NULL};
	struct running *running = running_new();
	struct fw_error *err = NULL;
	running->spec.package = below("broken");
	running->spec.argv = argv;
	assert_error_is(running_start(running, &err, "unused", NULL), &err, FW_E_INVALID, "a program for RISC-V");
	running_free(running);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(runs_a_program_of_the_package),
		cmocka_unit_test(has_its_own_user_and_no_privileges),
		cmocka_unit_test(what_is_not_enforced_is_said),
		cmocka_unit_test(no_way_out_is_open),
		cmocka_unit_test(sees_nothing_of_the_host),
		cmocka_unit_test(shows_read_only_paths_at_the_same_place),
		cmocka_unit_test(masks_the_attempts_of_others_and_shows_its_own),
		cmocka_unit_test(a_storage_that_holds_the_state_directory_is_shown_without_it),
		cmocka_unit_test(attempts_that_nothing_else_shows_are_writable),
		cmocka_unit_test(paths_below_a_private_home_work),
		cmocka_unit_test(a_missing_path_is_an_error_that_names_it),
		cmocka_unit_test(a_private_tmp_is_bounded_on_disk),
		cmocka_unit_test(what_one_worker_left_in_tmp_the_next_does_not_see),
		cmocka_unit_test(each_sandbox_has_its_own_address),
		cmocka_unit_test(network_none_reaches_only_its_host),
		cmocka_unit_test(a_program_that_cannot_start_says_why_and_what_to_do),
		cmocka_unit_test(a_program_for_another_processor_is_named),
	};

	if (!world_as_asked())
		return WORLD_SKIPPED;
	return cmocka_run_group_tests(tests, world_set_up, world_tear_down);
}
