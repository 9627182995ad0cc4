/* SPDX-License-Identifier: Apache-2.0
 *
 * Fetching one URL into a file, within bounds of size and time.
 */
#pragma once

#include "flexwatt/function.h"

struct fetch_limits {
	int64_t bytes;
	int64_t total_ms; /* for the whole of it */
	int64_t stall_s;  /* without a byte */
};

/* FW_ERROR: recorded as Fetch.Status, Fetch.TooLarge, Fetch.Timeout, Fetch.Failed or Fetch.Write, naming the URL. */
int fetch_url(struct fw_invocation *invocation, const char *url, const char *path, const struct fetch_limits *limits);
