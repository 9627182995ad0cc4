/* SPDX-License-Identifier: Apache-2.0
 *
 * The floor of a warm invocation: a round trip over loopback TCP, wherever this program is pinned to.
 * Usage: ping_pong COUNT. Prints the median in microseconds.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "bench.h"

int main(int argc, char **argv)
{
	size_t count = argc == 2 ? strtoul(argv[1], NULL, 10) : 0;

	bench_require(count > 0, "usage: ping_pong COUNT", NULL);
	fw_cleanup_free double *values = fw_alloc_array(count, sizeof *values);

	printf("%.3f\n", bench_ping_pong_us(values, count));
	return 0;
}
