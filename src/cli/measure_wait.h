/* SPDX-License-Identifier: Apache-2.0
 *
 * How `measure` waits: for the end of what it measures, a deadline or Ctrl-C, with a slice of the span and a line of the live
 * view now and then.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "energy/span.h"

struct fw_waiting {
	int signals;     /* signalfd */
	int ended;       /* a pidfd, or -1 */
	pid_t forward;   /* the command that gets signals which were sent to us alone; 0: signals end the waiting */
	uint64_t for_ns; /* 0: no deadline */
	bool watch;      /* the live view; on a terminal alone */
};

/* Blocks the signals that measure takes itself and returns their signalfd. */
int fw_waiting_signals(struct fw_error **err);
/* Why the waiting is over; none of them: the deadline. */
struct fw_waited {
	bool interrupted; /* the user asked for the end; also while a command that got the signal goes on */
	bool has_ended;   /* what is measured */
};
/* The totals as far as they are known; `cut`: a slice ends now. May not wait: signals and the end come meanwhile. */
typedef const struct fw_span_totals *fw_totals_fn(void *context, bool cut);
struct fw_waited fw_wait(const struct fw_waiting *waiting, fw_totals_fn *totals, void *context);
