/* SPDX-License-Identifier: Apache-2.0
 *
 * What a command takes without being measured: fork, exec, wait. Usage: spawn COMMAND [ARGUMENT...]. Prints milliseconds, and
 * ends as the command did where that was no success.
 */
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/time.h"
#include "bench.h"

int main(int argc, char **argv)
{
	int status = 0;

	bench_require(argc > 1, "usage: spawn COMMAND [ARGUMENT...]", NULL);
	uint64_t begin_ns = fw_monotonic_ns();
	pid_t pid = fork();

	if (pid == 0) {
		execvp(argv[1], argv + 1);
		_exit(127);
	}
	bench_require(pid > 0 && waitpid(pid, &status, 0) == pid, "start the command", NULL);
	printf("%.4f\n", fw_ns_to_ms(fw_monotonic_ns() - begin_ns));
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
