/* SPDX-License-Identifier: Apache-2.0
 *
 * How `measure` waits: for the end of what it measures, a deadline or Ctrl-C, with a slice of the span and a line of the live
 * view now and then.
 */
#pragma once

#include <signal.h>
#include <stdbool.h>

#include "energy/span.h"

struct fw_waiting {
	int signals;     /* signalfd */
	int ended;       /* a pidfd, or -1 */
	pid_t forward;   /* the command that gets signals which were sent to us alone; 0: signals end the waiting */
	uint64_t for_ns; /* 0: no deadline */
	bool watch;      /* the live view; on a terminal alone */
};

/* Blocks the signals that measure takes itself and returns their signalfd; *before gets the mask as it was. */
int fw_waiting_signals(sigset_t *before, struct fw_error **err);
/* True when the user asked for the end. `cut` makes a slice. */
bool fw_wait(const struct fw_waiting *waiting, const struct fw_span_totals *(*cut)(void *context), void *context);
