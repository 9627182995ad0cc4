/* SPDX-License-Identifier: Apache-2.0
 *
 * docs/record.md from the field tables: a test keeps the committed page equal to what this makes.
 */
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "record/record.h"

enum { MAX_PAGE = 1 << 20 };

static const char introduction[] =
	"# The record\n\n"
	"One row an invocation (one attempt to execute a task), one meaning a field, the unit in the name. The names are the\n"
	"same in C (`struct fw_record`), in SQL (view `invocation` of the store), in JSON (`--json`) and here. Every backend\n"
	"fills the same record; what it cannot know is null, never 0. This page is generated from `src/record/fields.h`.\n\n"
	"Kinds: *text*, *integer* (64 bits), *real* (64 bits). Units: `_ms` milliseconds, `_mb` MiB, `_bytes` bytes, `_usd`\n"
	"US dollars, `_gco2e` grams of CO2 equivalent, `_mhz` megahertz, `_j` and the energies `joules`, `low`, `high` joules.\n";

static const char energy_introduction[] =
	"\n## energy\n\n"
	"A list, since one invocation may have figures from several sources and domains. Figures of different sources, and\n"
	"measured and modelled ones, are never added to each other within an invocation. In SQL each is a row of the view `energy`,\n"
	"keyed by run, stage, task, attempt and `ordinal` (from 0).\n\n";

static const char end_of_page[] =
	"\n## metrics\n\n"
	"An object of numbers that the function reported (`accuracy`, …), or null. In SQL it is JSON text in the column\n"
	"`metrics`: `SELECT metrics ->> 'accuracy' FROM invocation`.\n";

static const char where_null[] =
	"\n## Where a field is null\n\n"
	"A machine that does not tell a figure leaves it null; `flexwatt monitors` says what would enable it.\n\n"
	"| field | known | null, or weaker |\n|---|---|---|\n"
	"| `pressure_*` | from the worker's group on cgroup v2 | on cgroup v1, which has no pressure of a group, and where the kernel "
	"was built or started without PSI |\n"
	"| `disk_*` | from the worker's group on cgroup v2 with the io controller (`io.stat`) | elsewhere the sum of `/proc/PID/io` of "
	"the worker's processes, which holds what is written by their own calls and children that were waited for; null where "
	"that file may not be read. The blkio controller of v1 is not used: it counts buffered writes to nobody's group |\n"
	"| `network_*` | by BPF on the worker's own v2 group | without BPF, or without a v2 hierarchy |\n"
	"| `throttled_ms` | where a CPU controller enforces the quota | without one, flagged throttled_unknown |\n"
	"| `cpu_*` | from the worker's control group, or its tree of at most 1024 processes | else, flagged cpu_unknown; measured "
	"joules of an invocation of which the end could not be read have the flag gap |\n"
	"| `cycles`, `instructions`, `cache_misses` | where the processor's counters can be opened; cycles also by BPF alone, where the "
	"counters of a control group cannot: flagged cycles_by_ebpf | in most virtual machines |\n"
	"| `frequency_*`, `temperature_c`, `cstate_residency_percent` | where the kernel shows cpufreq, a sensor, the idle states, "
	"and a sample fell into the invocation | in most virtual machines, and for invocations shorter than the sampling interval |\n"
	"| `switches_*` | for workers of one thread of which no child ended within | else |\n"
	"| `memory_peak_mb`, `memory_average_mb` | where a control group or the process tree was sampled at the end | else, flagged "
	"memory_unsampled |\n"
	"| `cold_start_ms`, `init_ms` | for the first invocation of a worker | for a warm one |\n"
	"| `read_ms`, `compute_ms`, `write_ms` | as the function reports them (the SDK does) | for plain functions, and when "
	"together they are longer than the invocation |\n"
	"| `clock_offset_*` | 0 on this machine, measured elsewhere | never |\n"
	"| `sweep`, `repetition` | for runs of a sweep | for a run of its own |\n"
	"| `idle_wait_ms` | for invocations that may start before their inputs are there (futures) | else |\n";

static void append_header(struct fw_buffer *page)
{
	fw_buffer_text(page, "| field | kind | meaning |\n|---|---|---|\n");
}

static void append_field(struct fw_buffer *page, const struct fw_field *field)
{
	static const char *const kinds[] = {"text", "integer", "real"};

	fw_buffer_printf(page, "| `%s` | %s | %s |\n", field->name, kinds[field->kind], field->description);
}

char *fw_record_document(void)
{
	fw_cleanup_buffer struct fw_buffer page;
	const char *group = "";

	fw_buffer_init(&page, MAX_PAGE);
	fw_buffer_text(&page, introduction);
	for (size_t i = 0; i < fw_record_field_count; i++) {
		if (strcmp(group, fw_record_fields[i].group) != 0) {
			group = fw_record_fields[i].group;
			fw_buffer_printf(&page, "\n## %s\n\n", group);
			append_header(&page);
		}
		append_field(&page, &fw_record_fields[i]);
	}
	fw_buffer_text(&page, energy_introduction);
	append_header(&page);
	for (size_t i = 0; i < fw_energy_field_count; i++)
		append_field(&page, &fw_energy_fields[i]);
	fw_buffer_text(&page, end_of_page);
	fw_buffer_text(&page, where_null);
	return fw_buffer_take(&page);
}
