/* SPDX-License-Identifier: Apache-2.0
 *
 * Functions for the end-to-end tests: each handler does one thing that a test wants to see.
 */
#include <flexwatt/function.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int noop(struct fw_invocation *invocation)
{
	fw_units(invocation, 1);
	return FW_OK;
}

static void pause_ms(double ms)
{
	struct timespec wait = {(time_t)(ms / 1000), (long)((ms - 1000.0 * (double)(time_t)(ms / 1000)) * 1e6)};

	while (nanosleep(&wait, &wait) != 0 && errno == EINTR)
		;
}

static int write_text(struct fw_invocation *invocation, const char *output, const char *suffix, const char *text)
{
	const char *path = fw_output_path(invocation, output, suffix);

	return path ? fw_write_output(invocation, path, text, strlen(text)) : FW_ERROR;
}

/* Writes `count` objects, each with the task and its number. */
static int make(struct fw_invocation *invocation)
{
	int64_t count = fw_param_integer(invocation, "count", 1);

	pause_ms(fw_param_number(invocation, "pause_ms", 0));
	for (int64_t i = 0; i < count; i++) {
		char text[64];

		snprintf(text, sizeof text, "%lld/%lld\n", (long long)fw_task(invocation), (long long)i);
		if (write_text(invocation, "out", ".txt", text) != FW_OK)
			return FW_ERROR;
	}
	return FW_OK;
}

/* Copies every input object behind a line that says who did; fails for an object that contains the word given. */
static int copy(struct fw_invocation *invocation)
{
	struct fw_object object;
	const char *fail_on = fw_param_text(invocation, "fail_on", "");
	int rc;

	pause_ms(fw_param_number(invocation, "pause_ms", 0));
	while ((rc = fw_next_input(invocation, "in", &object)) == FW_OK) {
		char text[65536];
		FILE *file = fopen(object.path, "r");
		size_t length = file ? fread(text, 1, sizeof text - 1, file) : 0;

		if (!file)
			return fw_fail_invocation(invocation, "Copy.Unreadable", "%s: %s", object.uri, strerror(errno));
		fclose(file);
		text[length] = '\0';
		if (fail_on[0] && strstr(text, fail_on))
			return fw_fail_invocation(invocation, "Copy.Refused", "%s contains '%s'", object.uri, fail_on);
		fw_log(invocation, "copying %s", object.uri);
		if (write_text(invocation, "out", ".txt", text) != FW_OK)
			return FW_ERROR;
		fw_units(invocation, 1);
	}
	return rc == FW_END ? FW_OK : rc;
}

/* Its inputs, by what it can open of them. */
static int count(struct fw_invocation *invocation)
{
	struct fw_object object;
	size_t found = 0;
	char json[64];
	int rc;

	while ((rc = fw_next_input(invocation, "in", &object)) == FW_OK)
		found += access(object.path, R_OK) == 0;
	if (rc != FW_END)
		return rc;
	snprintf(json, sizeof json, "{\"count\": %zu}", found);
	return fw_result(invocation, json);
}

static int result(struct fw_invocation *invocation)
{
	fw_metric(invocation, "answer", 42);
	return fw_result(invocation, fw_param_text(invocation, "json", "{\"count\": 3}"));
}

static int long_result(struct fw_invocation *invocation)
{
	size_t bytes = (size_t)fw_param_integer(invocation, "bytes", 1000);
	char *json = malloc(bytes + sizeof "{\"text\": \"\"}");
	size_t length;

	if (!json)
		return fw_fail_invocation(invocation, "Result.TooLong", "%zu bytes", bytes);
	length = (size_t)sprintf(json, "{\"text\": \"");
	memset(json + length, 'x', bytes);
	strcpy(json + length + bytes, "\"}");
	int rc = fw_result(invocation, json);

	free(json);
	return rc;
}

/* Fails until the attempt given. */
static int flaky(struct fw_invocation *invocation)
{
	if (fw_attempt(invocation) < fw_param_integer(invocation, "succeeds_at", 2))
		return fw_fail_invocation(invocation, "Flaky.NotYet", "attempt %lld", (long long)fw_attempt(invocation));
	return write_text(invocation, "out", ".txt", "at last\n");
}

static int hang(struct fw_invocation *invocation)
{
	fw_log(invocation, "hanging");
	if (fw_param_bool(invocation, "ignore_term", 0))
		signal(SIGTERM, SIG_IGN);
	while (pause() < 0) /* it never returns anything else */
		continue;
	return FW_ERROR;
}

static int burn(struct fw_invocation *invocation)
{
	struct timespec now;
	double cpu_ms = fw_param_number(invocation, "cpu_ms", 100);

	do
		clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	while ((double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6 < cpu_ms);
	return FW_OK;
}

/* Takes memory, in itself or in a child, until it is killed or has it all. */
static int eat(struct fw_invocation *invocation)
{
	int64_t megabytes = fw_param_integer(invocation, "mb", 100);
	bool in_child = fw_param_bool(invocation, "child", 0);

	if (in_child && fork() != 0) {
		if (fw_param_bool(invocation, "wait", 0)) {
			wait(NULL);
			return fw_fail_invocation(invocation, "Eat.ChildEnded", "the child has ended");
		}
		pause_ms(600000);
		return FW_OK;
	}
	for (int64_t taken = 0, step; taken < megabytes; taken += step) {
		step = megabytes - taken < 16 ? megabytes - taken : 16;
		/* Filled by the kernel in one go: a fault a page would take a slow machine with little CPU its whole timeout. */
		if (mmap(NULL, (size_t)step << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0) ==
		    MAP_FAILED)
			return fw_fail_invocation(invocation, "Eat.Refused", "after %lld MB", (long long)taken);
	}
	pause_ms(fw_param_number(invocation, "pause_ms", 0));
	return FW_OK;
}

static int fork_bomb(struct fw_invocation *invocation)
{
	for (int i = 0; i < 100000; i++)
		if (fork() < 0)
			return fw_fail_invocation(invocation, "Fork.Refused", "%s", strerror(errno));
	while (pause() < 0) /* it never returns anything else */
		continue;
	return FW_ERROR;
}

static int fill_tmp(struct fw_invocation *invocation)
{
	static char block[1 << 20];
	int fd = open("/tmp/full", O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	int64_t bytes = 0;
	ssize_t written;

	memset(block, 1, sizeof block);
	while ((written = write(fd, block, sizeof block)) > 0) /* the last one before the end is a short one */
		bytes += written;
	return fw_fail_invocation(invocation, "Tmp.Full", "%s after %lld MB", strerror(errno), (long long)(bytes >> 20));
}

/* Tries to read a path that it should not see. */
static int spy(struct fw_invocation *invocation)
{
	const char *path = fw_param_text(invocation, "path", "/etc/shadow");
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd >= 0)
		return fw_fail_invocation(invocation, "Spy.Read", "%s could be opened", path);
	return FW_OK;
}

/* Leaves a process behind that outlives the handler and its session. */
static int daemonise(struct fw_invocation *invocation)
{
	if (fork() == 0) {
		setsid();
		if (fork() != 0)
			_exit(0);
		signal(SIGTERM, SIG_IGN);
		while (pause() < 0)
			continue;
	}
	fw_log(invocation, "a daemon is out");
	return FW_OK;
}

/* Leaves something in the output's directory that is not a regular file. */
static int litter(struct fw_invocation *invocation)
{
	const char *kind = fw_param_text(invocation, "kind", "link");
	const char *path = fw_output_path(invocation, "out", ".txt");
	int rc = 0;

	if (!path)
		return FW_ERROR;
	if (strcmp(kind, "link") == 0)
		rc = symlink("/etc/passwd", path);
	else if (strcmp(kind, "fifo") == 0)
		rc = mkfifo(path, 0666);
	else if (strcmp(kind, "device") == 0)
		rc = mknod(path, S_IFCHR | 0666, 0x103);
	else if (strcmp(kind, "nothing") == 0)
		rc = 0;
	if (rc != 0)
		return fw_fail_invocation(invocation, "Litter.Refused", "%s: %s", kind, strerror(errno));
	return FW_OK;
}

static int die(struct fw_invocation *invocation)
{
	const char *how = fw_param_text(invocation, "how", "exit");

	fw_log(invocation, "dying: %s", how);
	if (strcmp(how, "kill") == 0)
		raise(SIGKILL);
	if (strcmp(how, "abort") == 0)
		abort();
	_exit((int)fw_param_integer(invocation, "status", 1));
}

static int chatter(struct fw_invocation *invocation)
{
	int64_t lines = fw_param_integer(invocation, "lines", 10);

	for (int64_t i = 0; i < lines; i++)
		fw_log(invocation, "line %lld", (long long)i);
	if (fw_param_bool(invocation, "fail", 0))
		return fw_fail_invocation(invocation, "Chatter.Failed", "after %lld lines", (long long)lines);
	return FW_OK;
}

static int progress(struct fw_invocation *invocation)
{
	const char *note = fw_param_text(invocation, "note", "halfway there");

	for (int i = 1; i <= 20; i++) {
		fw_progress(invocation, i, 20, i == 1 ? note : NULL);
		pause_ms(100);
	}
	return FW_OK;
}

/* Prints by stdio: a line and half of one; then crashes where it is asked to. */
static int prints(struct fw_invocation *invocation)
{
	printf("a line of task %lld\nhalf a line", (long long)fw_task(invocation));
	if (fw_param_bool(invocation, "crash", false))
		abort();
	return FW_OK;
}

/* Every cell of the records of "rows", each behind its length, each record in a line of its own. */
static int cells(struct fw_invocation *invocation)
{
	const char *path = fw_output_path(invocation, "out", ".txt");
	FILE *file = path ? fopen(path, "w") : NULL;
	struct fw_object object;
	struct fw_record record;

	if (!file)
		return fw_fail_invocation(invocation, "Cells.Open", "no output");
	while (fw_next_input(invocation, "rows", &object) == FW_OK) {
		struct fw_reader *reader = fw_read_open(invocation, &object);

		while (reader && fw_next_record(reader, &record) == FW_OK) {
			for (size_t i = 0; i < record.count; i++)
				fprintf(file, "%zu:%s,", strlen(record.cells[i]), record.cells[i]);
			fputs(";", file);
			fw_units(invocation, 1);
		}
		fw_read_close(reader);
	}
	return fclose(file) == 0 ? FW_OK : fw_fail_invocation(invocation, "Cells.Close", "%s", strerror(errno));
}

/* The sum of a column, as a metric. */
static int sum(struct fw_invocation *invocation)
{
	struct fw_object object;
	struct fw_record record;
	double number, total = 0;
	int rc;

	while ((rc = fw_next_input(invocation, "rows", &object)) == FW_OK) {
		struct fw_reader *reader = fw_read_open(invocation, &object);
		int column = reader ? fw_column(reader, fw_param_text(invocation, "column", "x")) : FW_ERROR;

		while (column >= 0 && (rc = fw_next_record(reader, &record)) == FW_OK) {
			if (fw_cell_number(reader, &record, column, &number) != FW_OK)
				return FW_ERROR;
			total += number;
		}
		if (column < 0 || rc == FW_ERROR)
			return FW_ERROR;
	}
	fw_metric(invocation, "total", total);
	return rc == FW_END ? FW_OK : rc;
}

FW_FUNCTIONS({"cells", cells}, {"sum", sum}, {"noop", noop}, {"make", make}, {"copy", copy}, {"result", result}, {"count", count}, {"long_result", long_result}, {"flaky", flaky}, {"hang", hang},
             {"burn", burn}, {"eat", eat}, {"fork_bomb", fork_bomb}, {"fill_tmp", fill_tmp}, {"spy", spy},
             {"daemonise", daemonise}, {"litter", litter}, {"die", die}, {"prints", prints}, {"chatter", chatter}, {"progress", progress})
