/* SPDX-License-Identifier: Apache-2.0 */
#include "bench.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/time.h"

void bench_require(bool condition, const char *what, const struct fw_error *err)
{
	if (condition)
		return;
	fprintf(stderr, "bench: %s: %s\n", what, err ? fw_error_message(err) : "failed");
	exit(1);
}

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

double bench_median(double *values, size_t count)
{
	qsort(values, count, sizeof *values, ascending);
	return values[count / 2];
}

static void echo(int fd)
{
	char bytes[64];
	ssize_t length;

	while ((length = read(fd, bytes, sizeof bytes)) > 0)
		if (write(fd, bytes, (size_t)length) != length)
			break;
	_exit(0);
}

static void pin(int cpu)
{
	cpu_set_t one;

	if (cpu < 0)
		return;
	CPU_ZERO(&one);
	CPU_SET((size_t)cpu, &one);
	bench_require(sched_setaffinity(0, sizeof one, &one) == 0, "pin to a CPU", NULL);
}

static int connected_pair(pid_t *child)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof address;
	int listener = socket(AF_INET, SOCK_STREAM, 0), on = 1;

	bench_require(bind(listener, (struct sockaddr *)&address, size) == 0 && listen(listener, 1) == 0 &&
	              getsockname(listener, (struct sockaddr *)&address, &size) == 0, "listen", NULL);
	*child = fork();
	int fd = *child == 0 ? socket(AF_INET, SOCK_STREAM, 0) : accept(listener, NULL, NULL);

	if (*child == 0)
		bench_require(connect(fd, (struct sockaddr *)&address, size) == 0, "connect", NULL);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	close(listener);
	if (*child == 0)
		echo(fd);
	return fd;
}

double bench_ping_pong_us(double *values, size_t count, int near, int far)
{
	char bytes[64] = {0};
	pid_t child;

	pin(far); /* the child inherits it */
	int fd = connected_pair(&child);

	pin(near);

	for (size_t i = 0; i < count; i++) {
		uint64_t start = fw_monotonic_ns();

		bench_require(write(fd, bytes, sizeof bytes) == sizeof bytes && read(fd, bytes, sizeof bytes) > 0, "ping", NULL);
		values[i] = (double)(fw_monotonic_ns() - start) / 1000;
	}
	close(fd);
	waitpid(child, NULL, 0);
	return bench_median(values, count);
}
