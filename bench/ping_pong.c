/* SPDX-License-Identifier: Apache-2.0
 *
 * The floor of a warm invocation: a round trip over loopback TCP, wherever this program is pinned to.
 * Usage: ping_pong COUNT [CPU CPU], the CPUs of the two sides. Prints the median in microseconds.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "bench.h"

int main(int argc, char **argv)
{
	size_t count = argc == 2 || argc == 4 ? strtoul(argv[1], NULL, 10) : 0;
	int near = argc == 4 ? atoi(argv[2]) : -1, far = argc == 4 ? atoi(argv[3]) : -1;

	bench_require(count > 0, "usage: ping_pong COUNT [CPU CPU]", NULL);
	fw_cleanup_free double *values = fw_alloc_array(count, sizeof *values);

	printf("%.3f\n", bench_ping_pong_us(values, count, near, far));
	return 0;
}
