/* SPDX-License-Identifier: Apache-2.0
 *
 * Functions with a known use of the CPU, for tests of energy. Each invocation first takes a name, "<mark>.<task>", by which
 * the simulator of counters knows it: it sees names of threads, and nothing else of ours. What it used by the clock of its own
 * process is its metric `used_ms`: time that a hypervisor took away is not in it.
 */
#include <flexwatt/function.h>

#include <errno.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void take_name(struct fw_invocation *invocation)
{
	char name[16];

	snprintf(name, sizeof name, "%s.%lld", fw_param_text(invocation, "mark", "?"), (long long)fw_task(invocation));
	prctl(PR_SET_NAME, name);
}

static double clock_ms(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static void use_cpu(double ms)
{
	double end = clock_ms(CLOCK_PROCESS_CPUTIME_ID) + ms;

	while (clock_ms(CLOCK_PROCESS_CPUTIME_ID) < end)
		for (volatile int i = 0; i < 20000; i++)
			continue; /* mostly in user space, as work is */
}

static void rest(double ms)
{
	struct timespec wait = {(time_t)(ms / 1e3), (long)((ms - 1e3 * (double)(time_t)(ms / 1e3)) * 1e6)};

	while (nanosleep(&wait, &wait) != 0 && errno == EINTR)
		continue;
}

/* What it has used by its own clocks, children that are gone included. */
static double used_ms(void)
{
	struct rusage children;

	getrusage(RUSAGE_CHILDREN, &children);
	return clock_ms(CLOCK_PROCESS_CPUTIME_ID) + (double)(children.ru_utime.tv_sec + children.ru_stime.tv_sec) * 1e3 +
	       (double)(children.ru_utime.tv_usec + children.ru_stime.tv_usec) / 1e3;
}

/* `rounds` times: works, then rests. */
static int work(struct fw_invocation *invocation)
{
	int64_t rounds = fw_param_integer(invocation, "rounds", 1);
	double cpu_ms = fw_param_number(invocation, "cpu_ms", 0), rest_ms = fw_param_number(invocation, "rest_ms", 0);

	double before_ms = used_ms();

	take_name(invocation);
	for (int64_t i = 0; i < rounds; i++) {
		use_cpu(cpu_ms);
		rest(rest_ms);
	}
	fw_metric(invocation, "used_ms", used_ms() - before_ms);
	return FW_OK;
}

/* The work is done by children that are gone before anyone who looks now and then can see them. */
static int children(struct fw_invocation *invocation)
{
	int64_t count = fw_param_integer(invocation, "count", 10);
	double cpu_ms = fw_param_number(invocation, "cpu_ms", 10);

	double before_ms = used_ms();

	take_name(invocation);
	for (int64_t i = 0; i < count; i++) {
		pid_t pid = fork();

		if (pid < 0)
			return fw_fail_invocation(invocation, "Children.Refused", "child %lld", (long long)i);
		if (pid == 0) {
			use_cpu(cpu_ms);
			_exit(0);
		}
		waitpid(pid, NULL, 0);
	}
	fw_metric(invocation, "used_ms", used_ms() - before_ms);
	return FW_OK;
}

FW_FUNCTIONS({"work", work}, {"children", children})
