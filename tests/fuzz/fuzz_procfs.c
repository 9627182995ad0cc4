/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes as files of /proc: no parser reads past the end, none overflows, what is unknown is -1 and never less.
 * Sources: src/host/procfs.c, src/host/proctree.c, src/host/machine*.c, src/base.
 */
#include <stdlib.h>

#include "host/machine_internal.h"
#include "host/procfs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void count(void *context, unsigned number)
{
	if (number >= FW_MAX_CPUS)
		abort();
	++*(unsigned *)context;
}

static void at_least(int64_t value, int64_t least)
{
	if (value < least)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct fw_machine machine;
	struct fw_str text = {(const char *)data, size};
	struct fw_proc_stat stat;
	struct fw_proc_status status;
	struct fw_cpu_times times;
	struct fw_disk_totals disks;
	struct fw_net_totals nets;
	int64_t number;
	unsigned seen = 0;

	if (size > 16384)
		return 0; /* lists may repeat every number: their length bounds the work */
	if (fw_key_number(text, "MemTotal", &number))
		at_least(number, 0);
	if (fw_pressure_total(text, "some", &number))
		at_least(number, 0);
	if (size < 64)
		fw_each_in_list(text, FW_MAX_CPUS, count, &seen);
	if (fw_proc_stat_parse(text, &stat)) {
		at_least(stat.user_ns, 0);
		at_least(stat.parent, 0);
	}
	fw_proc_status_parse(text, &status);
	at_least(status.anonymous, -1);
	if (fw_cpu_times_parse(text, -1, &times))
		at_least(fw_cpu_times_total_ns(&times), fw_cpu_times_busy_ns(&times));
	fw_diskstats_parse(text, &disks);
	at_least(disks.read_bytes, -1);
	fw_net_dev_parse(text, &nets);
	at_least(nets.sent_bytes, -1);
	machine = (struct fw_machine){0};
	fw_machine_parse_cpuinfo(text, &machine);
	return 0;
}
