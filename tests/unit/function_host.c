/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/function_host.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <ftw.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { WAIT_MS = 20000 };

static char captured[65536];
static size_t captured_length;

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* What the function prints is taken whenever it comes, or it would wait for us; the first of it is kept. */
static ssize_t hear(struct function_host *host)
{
	char scrap[4096];
	size_t room = sizeof captured - 1 - captured_length;
	ssize_t count = read(host->child_stderr, room ? captured + captured_length : scrap, room ? room : sizeof scrap);

	if (room && count > 0)
		captured_length += (size_t)count;
	return count;
}

static void wait_for(struct function_host *host, int fd, const char *what)
{
	struct pollfd waiting[] = {{fd, POLLIN, 0}, {fd == host->child_stderr ? -1 : host->child_stderr, POLLIN, 0}};
	uint64_t until_ns = now_ns() + (uint64_t)WAIT_MS * 1000000;

	while (now_ns() < until_ns && poll(waiting, 2, WAIT_MS) >= 0) {
		if (waiting[0].revents)
			return;
		if (waiting[1].revents && hear(host) <= 0)
			waiting[1].fd = -1;
	}
	kill(host->child, SIGKILL);
	fail_msg("waited %d ms for %s", WAIT_MS, what);
}

/* In the child: environment and stderr; returns only there. */
static int prepare(struct function_host *host, const char *handler)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof address;
	int ends[2];
	char text[32];

	*host = (struct function_host){.connection = -1, .directory = "/tmp/flexwatt-function-XXXXXX"};
	assert_non_null(mkdtemp(host->directory));
	host->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(host->listener, (struct sockaddr *)&address, sizeof address), 0);
	assert_int_equal(listen(host->listener, 8), 0);
	assert_int_equal(getsockname(host->listener, (struct sockaddr *)&address, &size), 0);
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	fflush(NULL);
	host->child = fork();
	assert_true(host->child >= 0);
	if (host->child > 0) {
		close(ends[1]);
		host->child_stderr = ends[0];
		captured_length = 0;
		return 0;
	}
	dup2(ends[1], STDERR_FILENO);
	close(ends[1]);
	close(ends[0]);
	close(host->listener);
	snprintf(text, sizeof text, "127.0.0.1:%u", ntohs(address.sin_port));
	setenv("AWS_LAMBDA_RUNTIME_API", text, 1);
	if (handler)
		setenv("_HANDLER", handler, 1);
	else
		unsetenv("_HANDLER");
	return 1;
}

void host_start(struct function_host *host, const char *handler, const struct fw_handler *handlers, size_t count)
{
	if (prepare(host, handler))
		exit(fw_functions_main(handlers, count));
}

void host_start_program(struct function_host *host, const char *handler, const char *const *argv)
{
	if (prepare(host, handler)) {
		execv(argv[0], (char *const *)argv);
		_exit(127);
	}
}

static void accept_connection(struct function_host *host)
{
	int one = 1;

	wait_for(host, host->listener, "a connection");
	host->connection = accept4(host->listener, NULL, NULL, SOCK_CLOEXEC);
	assert_true(host->connection >= 0);
	setsockopt(host->connection, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

const char *host_expect(struct function_host *host, const char *start)
{
	char *head_end;
	size_t body = 0;

	if (host->connection < 0)
		accept_connection(host);
	host->request[host->taken] = host->behind;
	memmove(host->request, host->request + host->taken, host->length - host->taken + 1);
	host->length -= host->taken;
	for (;;) {
		head_end = strstr(host->request, "\r\n\r\n");
		const char *length = head_end ? strstr(host->request, "Content-Length: ") : NULL;

		body = length && length < head_end ? strtoul(length + 16, NULL, 10) : 0;
		if (head_end && host->length >= (size_t)(head_end + 4 - host->request) + body)
			break;
		wait_for(host, host->connection, start);
		ssize_t count = read(host->connection, host->request + host->length, sizeof host->request - 1 - host->length);
		if (count <= 0)
			fail_msg("the function closed the connection; expected %s", start);
		host->length += (size_t)count;
		host->request[host->length] = '\0';
	}
	host->taken = (size_t)(head_end + 4 - host->request) + body;
	host->behind = host->request[host->taken];
	host->request[host->taken] = '\0';
	if (strncmp(host->request, start, strlen(start)) != 0)
		fail_msg("expected %s, got %s", start, host->request);
	return head_end + 4;
}

void host_send(struct function_host *host, const char *text)
{
	assert_int_equal(send(host->connection, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

void host_give(struct function_host *host, const char *event)
{
	static char text[65536];

	snprintf(text, sizeof text,
	         "HTTP/1.1 200 OK\r\nLambda-Runtime-Aws-Request-Id: id-1\r\nLambda-Runtime-Deadline-Ms: 9999999999999\r\n"
	         "Content-Length: %zu\r\n\r\n%s", strlen(event), event);
	host_send(host, text);
}

void host_reply(struct function_host *host, const char *status, const char *body)
{
	static char text[65536];

	snprintf(text, sizeof text, "HTTP/1.1 %s\r\nContent-Length: %zu\r\n\r\n%s", status, strlen(body), body);
	host_send(host, text);
}

void host_hang_up(struct function_host *host)
{
	close(host->connection);
	host->connection = -1;
	host->length = host->taken = 0;
	host->behind = host->request[0] = '\0';
}

static int remove_entry(const char *path, const struct stat *stat, int type, struct FTW *walk)
{
	(void)stat;
	(void)type;
	(void)walk;
	return remove(path);
}

int host_end(struct function_host *host)
{
	int status;

	close(host->listener);
	if (host->connection >= 0)
		host_hang_up(host);
	do
		wait_for(host, host->child_stderr, "the function's end");
	while (hear(host) > 0);
	captured[captured_length] = '\0';
	close(host->child_stderr);
	assert_int_equal(waitpid(host->child, &status, 0), host->child);
	nftw(host->directory, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
	if (!WIFEXITED(status))
		fail_msg("the function ended by signal %d: %s", WTERMSIG(status), captured);
	return WEXITSTATUS(status);
}

const char *host_stderr(struct function_host *host)
{
	(void)host;
	return captured;
}

const char *host_file(struct function_host *host, const char *name)
{
	static char content[65536];
	char path[256];

	snprintf(path, sizeof path, "%s/%s", host->directory, name);
	FILE *file = fopen(path, "re");
	if (!file)
		return NULL;
	content[fread(content, 1, sizeof content - 1, file)] = '\0';
	fclose(file);
	return content;
}

void host_write_file(struct function_host *host, const char *name, const char *content)
{
	char path[256];

	snprintf(path, sizeof path, "%s/%s", host->directory, name);
	FILE *file = fopen(path, "we");
	assert_non_null(file);
	fputs(content, file);
	fclose(file);
}
