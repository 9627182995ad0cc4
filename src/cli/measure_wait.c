/* SPDX-License-Identifier: Apache-2.0
 *
 * One poll() for all. A signal from the terminal has reached the command too, which is in the same process group; one that
 * was sent to us alone is handed on. Either way the command decides what it means, and the report still comes.
 */
#include "cli/measure_wait.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/time.h"
#include "cli/terminal.h"
#include "report/format.h"

static const uint64_t slice_ns = FW_NS_PER_S, watched_slice_ns = FW_NS_PER_S / 2, draw_after_ns = FW_NS_PER_S / 10;

int fw_waiting_signals(struct fw_error **err)
{
	sigset_t taken;

	sigemptyset(&taken);
	sigaddset(&taken, SIGINT);
	sigaddset(&taken, SIGQUIT);
	sigaddset(&taken, SIGTERM);
	sigaddset(&taken, SIGHUP);
	sigaddset(&taken, SIGCHLD);
	sigprocmask(SIG_BLOCK, &taken, NULL);
	int fd = signalfd(-1, &taken, SFD_CLOEXEC | SFD_NONBLOCK);

	return fd < 0 ? fw_fail_errno(err, errno, "make a signalfd") : fd;
}

static void draw(const struct fw_span_totals *totals)
{
	char time[FW_FORMAT_SIZE], joules[FW_FORMAT_SIZE], memory[FW_FORMAT_SIZE], cpu[FW_FORMAT_SIZE], watts[FW_FORMAT_SIZE];
	struct fw_energy_sum sum;
	bool known = fw_energy_best(&totals->record, &sum);

	/* A line that wraps would be two to erase. */
	fprintf(stderr, "\r\033[K\033[?7l%s  %s  %s%s  cpu %s  memory %s\033[?7h", fw_format_ms(time, totals->record.duration_ms), fw_format_watts(watts, totals->watts),
	        fw_format_joules(joules, known ? sum.joules : (double)NAN), known && sum.modelled ? " (modelled)" : "",
	        fw_format_percent(cpu, totals->slice_cpu_percent / 100), fw_format_mb(memory, totals->slice_memory_mb));
	fflush(stderr);
}

/* Processes of the command that lost their parents come to us where there is no control group; they must not stay zombies.
 * The command itself stays one until its counters are read. */
static void reap_orphans(pid_t command)
{
	siginfo_t info = {0};

	while (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid > 0 && info.si_pid != command) {
		waitpid(info.si_pid, NULL, WNOHANG);
		info.si_pid = 0;
	}
}

/* True when one of them asks for the end. */
static bool take_signals(const struct fw_waiting *waiting)
{
	struct signalfd_siginfo info;
	bool any = false;

	while (read(waiting->signals, &info, sizeof info) == sizeof info) {
		if (info.ssi_signo == SIGCHLD) {
			reap_orphans(waiting->forward);
			continue;
		}
		any = true;
		if (waiting->forward > 0 && info.ssi_code != SI_KERNEL)
			kill(waiting->forward, (int)info.ssi_signo);
	}
	return any;
}

static uint64_t sooner(uint64_t a_ns, uint64_t b_ns)
{
	return a_ns < b_ns ? a_ns : b_ns;
}

static int timeout_ms(uint64_t now_ns, uint64_t until_ns)
{
	return until_ns <= now_ns ? 0 : (int)((until_ns - now_ns + FW_NS_PER_MS - 1) / FW_NS_PER_MS);
}

/* Slices at their time, and a moment later, when counters have told what they can, the line. */
struct pace {
	bool watch;
	uint64_t cut_ns, draw_ns;
};

static void keep_pace(struct pace *pace, uint64_t now_ns, fw_totals_fn *totals, void *context)
{
	if (now_ns >= pace->draw_ns) {
		draw(totals(context, false));
		pace->draw_ns = UINT64_MAX;
	}
	if (now_ns < pace->cut_ns)
		return;
	(void)totals(context, true);
	pace->cut_ns = now_ns + (pace->watch ? watched_slice_ns : slice_ns);
	if (pace->watch)
		pace->draw_ns = now_ns + draw_after_ns;
}

struct fw_waited fw_wait(const struct fw_waiting *waiting, fw_totals_fn *totals, void *context)
{
	struct pollfd fds[] = {{waiting->signals, POLLIN, 0}, {waiting->ended, POLLIN, 0}};
	struct pace pace = {waiting->watch && fw_terminal_is(STDERR_FILENO), 0, UINT64_MAX};
	uint64_t now_ns = fw_monotonic_ns(), deadline_ns = waiting->for_ns ? now_ns + waiting->for_ns : UINT64_MAX;
	struct fw_waited waited = {false, false};

	for (pace.cut_ns = now_ns + (pace.watch ? watched_slice_ns : slice_ns);;) {
		(void)poll(fds, 2, timeout_ms(now_ns, sooner(deadline_ns, sooner(pace.cut_ns, pace.draw_ns))));
		now_ns = fw_monotonic_ns();
		waited.has_ended = fds[1].revents != 0;
		if (waited.has_ended || now_ns >= deadline_ns)
			break;
		if (fds[0].revents && take_signals(waiting)) {
			waited.interrupted = true;
			if (waiting->forward == 0)
				break;
		}
		keep_pace(&pace, now_ns, totals, context);
	}
	if (pace.watch)
		fprintf(stderr, "\r\033[K");
	return waited;
}
