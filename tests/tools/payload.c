/* SPDX-License-Identifier: Apache-2.0
 *
 * A program that does what a test tells it: each argument is one action, run in order; what it finds goes to standard
 * output, one line an action. It stands for a function, a hostile one too. Static, so that it runs anywhere.
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/keyctl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const char *error_name(int error_number)
{
	return error_number ? strerrorname_np(error_number) : "ok";
}

static void say(const char *action, const char *argument, int rc)
{
	printf("%s %s: %s\n", action, argument, rc < 0 ? error_name(errno) : "ok");
}

static double cpu_seconds(void)
{
	struct timespec used;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
	return (double)used.tv_sec + (double)used.tv_nsec / 1e9;
}

static double wall_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void burn(const char *wall_ms)
{
	double start = wall_seconds(), used = cpu_seconds();

	while (wall_seconds() - start < atof(wall_ms) / 1000)
		;
	printf("burn: %.0f ms of CPU\n", (cpu_seconds() - used) * 1000);
}

static void allocate(const char *mb)
{
	size_t bytes = (size_t)atol(mb) << 20;
	char *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED) {
		say("allocate", mb, -1);
		return;
	}
	memset(memory, 1, bytes);
	say("allocate", mb, 0);
	munmap(memory, bytes);
}

static void in_child(void (*action)(const char *), const char *argument)
{
	pid_t pid = fork();
	int status = 0;

	if (pid == 0) {
		action(argument);
		fflush(stdout);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	printf("child: %s %d\n", WIFSIGNALED(status) ? "signal" : "exit", WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
}

static void fork_bomb(const char *attempts)
{
	int made = 0;

	for (int i = atoi(attempts); i > 0; i--) {
		pid_t pid = fork();

		if (pid == 0)
			for (;;)
				pause();
		if (pid < 0)
			break;
		made++;
	}
	printf("fork: %d made, then %s\n", made, error_name(errno));
}

static void fill(const char *path)
{
	static char block[1 << 20];
	long bytes = 0;
	ssize_t written;
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	memset(block, 'x', sizeof block);
	while ((written = write(fd, block, sizeof block)) > 0) /* the last one before the end is a short one */
		bytes += written;
	printf("fill: %ld MB, then %s\n", bytes >> 20, error_name(errno));
	close(fd);
}

static void read_path(const char *path)
{
	char text[4096];
	int fd = open(path, O_RDONLY);
	ssize_t got = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;

	if (got < 0) {
		say("read", path, -1);
		return;
	}
	text[got] = '\0';
	text[strcspn(text, "\n")] = '\0';
	printf("read %s: '%s'\n", path, text);
}

static void write_path(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT, 0644);

	say("write", path, fd < 0 || write(fd, "x", 1) != 1 ? -1 : 0);
	close(fd);
}

static void list(const char *path)
{
	DIR *directory = opendir(path);

	if (!directory) {
		say("list", path, -1);
		return;
	}
	printf("list %s:", path);
	for (struct dirent *entry; (entry = readdir(directory));)
		if (entry->d_name[0] != '.')
			printf(" %s", entry->d_name);
	printf("\n");
	closedir(directory);
}

static void ids(const char *unused)
{
	FILE *status = fopen("/proc/self/status", "r");
	char line[256];

	(void)unused;
	printf("ids: uid %u %u gid %u pid %d sid %d\n", getuid(), geteuid(), getgid(), getpid(), getsid(0));
	while (status && fgets(line, sizeof line, status))
		if (strncmp(line, "Cap", 3) == 0 || strncmp(line, "NoNewPrivs", 10) == 0 || strncmp(line, "Seccomp:", 8) == 0 ||
		    strncmp(line, "Groups", 6) == 0)
			printf("%s", line);
}

static void limits(const char *unused)
{
	struct rlimit files, core;
	cpu_set_t cpus;

	(void)unused;
	getrlimit(RLIMIT_NOFILE, &files);
	getrlimit(RLIMIT_CORE, &core);
	sched_getaffinity(0, sizeof cpus, &cpus);
	printf("limits: files %ld core %ld cpus %d online %ld\n", (long)files.rlim_max, (long)core.rlim_max, CPU_COUNT(&cpus),
	       sysconf(_SC_NPROCESSORS_ONLN));
}

static void descriptors(const char *unused)
{
	(void)unused;
	printf("descriptors:");
	for (int fd = 0; fd < 1024; fd++)
		if (fcntl(fd, F_GETFD) >= 0)
			printf(" %d", fd);
	printf("\n");
}

/* Each privilege that a sandbox must refuse. */
static void try_escapes(const char *unused)
{
	(void)unused;
	say("try", "mount", mount("none", "/tmp", "tmpfs", 0, NULL));
	say("try", "remount", mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND, NULL));
	say("try", "umount", umount2("/proc", MNT_DETACH));
	say("try", "user-namespace", unshare(CLONE_NEWUSER));
	say("try", "clone-user-namespace", (int)syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0));
	say("try", "setuid", setuid(0));
	say("try", "chroot", chroot("/tmp"));
	say("try", "mknod", mknod("/tmp/disk", S_IFBLK | 0666, 0x700));
	say("try", "keyctl", (int)syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 1));
	say("try", "bpf", (int)syscall(SYS_bpf, 0, NULL, 0));
	say("try", "ptrace", (int)ptrace(PTRACE_ATTACH, 1, NULL, NULL));
	kill(1, SIGKILL); /* whoever goes on after this line has survived it */
	say("try", "lower-nice", setpriority(PRIO_PROCESS, 0, -10));
	say("try", "init-root", open("/proc/1/root/etc/passwd", O_RDONLY));
}

static void connect_to(const char *target) /* 127.0.0.1:80 */
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	char host[64];
	const char *colon = strchr(target, ':');
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	snprintf(host, sizeof host, "%.*s", (int)(colon - target), target);
	address.sin_port = htons((uint16_t)atoi(colon + 1));
	inet_pton(AF_INET, host, &address.sin_addr);
	say("connect", target, connect(fd, (struct sockaddr *)&address, sizeof address));
	close(fd);
}

static void daemonise(const char *unused)
{
	(void)unused;
	if (fork() != 0)
		return;
	setsid();
	signal(SIGTERM, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	if (fork() != 0)
		_exit(0);
	for (;;)
		pause();
}

/* A daemon that is never the same process for long. */
static void breed(const char *unused)
{
	(void)unused;
	if (fork() != 0)
		return;
	for (;;) {
		setsid();
		if (fork() != 0)
			_exit(0);
	}
}

static void ignore_sigterm(const char *unused)
{
	(void)unused;
	signal(SIGTERM, SIG_IGN);
}

static void wait_forever(const char *unused)
{
	(void)unused;
	printf("waiting\n");
	fflush(stdout);
	for (;;)
		pause();
}

static void print_text(const char *text)
{
	printf("%s\n", text);
}

static void show_environment(const char *name)
{
	const char *value = getenv(name);

	printf("environment %s: %s\n", name, value ? value : "(unset)");
}

static void show_space(const char *path)
{
	struct statvfs space;

	if (statvfs(path, &space) == 0)
		printf("space: %lu MB flags %lx\n", space.f_bavail * space.f_frsize >> 20, space.f_flag);
}

static void stop_by_signal(const char *number)
{
	fflush(stdout);
	raise(atoi(number));
}

static void end(const char *status)
{
	fflush(stdout);
	_exit(atoi(status));
}

static const struct {
	const char *name;
	void (*run)(const char *argument);
} actions[] = {
	{"burn", burn}, {"allocate", allocate}, {"fork-bomb", fork_bomb}, {"fill", fill}, {"read", read_path},
	{"write", write_path}, {"list", list}, {"ids", ids}, {"limits", limits}, {"descriptors", descriptors},
	{"escapes", try_escapes}, {"connect", connect_to}, {"daemonise", daemonise}, {"breed", breed}, {"ignore-sigterm", ignore_sigterm},
	{"wait", wait_forever}, {"print", print_text}, {"environment", show_environment}, {"space", show_space},
	{"raise", stop_by_signal}, {"exit", end},
};

static int act(char *text)
{
	char *argument = strchr(text, '=');
	int child = strncmp(text, "child-", 6) == 0;

	if (argument)
		*argument++ = '\0';
	for (size_t i = 0; i < sizeof actions / sizeof *actions; i++)
		if (strcmp(text + (child ? 6 : 0), actions[i].name) == 0) {
			if (child)
				in_child(actions[i].run, argument ? argument : "");
			else
				actions[i].run(argument ? argument : "");
			fflush(stdout);
			return 0;
		}
	printf("no action '%s'\n", text);
	return 1;
}

int main(int count, char **arguments)
{
	int failures = 0;

	for (int i = 1; i < count; i++)
		failures += act(arguments[i]);
	return failures > 0 ? 64 : 0;
}
