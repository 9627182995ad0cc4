/* SPDX-License-Identifier: Apache-2.0
 *
 * flexwatt monitors: what can be measured here, what cannot, why, and what would enable it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/terminal.h"
#include "energy/here.h"
#include "report/table.h"
#include "report/width.h"

enum { PIPED_WIDTH = 80, LEAST_WIDTH = 40 };

/* Packages first, as domains are listed everywhere. */
static int rank_of(const json_t *counter)
{
	int kind = 0;

	while (kind < FW_DOMAIN_KINDS && strcmp(fw_domain_kind_names[kind], json_string_value(json_object_get(counter, "domain"))) != 0)
		kind++;
	return kind;
}

/* By domain, source and name, numbers in names as numbers. */
static int by_name(const void *a, const void *b)
{
	const json_t *first = *(json_t *const *)a, *second = *(json_t *const *)b;
	int order = rank_of(first) - rank_of(second);

	if (order == 0)
		order = strcmp(json_string_value(json_object_get(first, "source")), json_string_value(json_object_get(second, "source")));
	return order ? order : strverscmp(json_string_value(json_object_get(first, "name")), json_string_value(json_object_get(second, "name")));
}

static json_t *sorted_domains(const json_t *domains)
{
	size_t count = json_array_size(domains);
	fw_cleanup_free json_t **sorted = fw_alloc_array(count ? count : 1, sizeof(json_t *));
	json_t *counters = json_array();

	for (size_t i = 0; i < count; i++)
		sorted[i] = json_array_get(domains, i);
	qsort(sorted, count, sizeof(json_t *), by_name);
	for (size_t i = 0; i < count; i++)
		json_array_append_new(counters, json_pack("{s:O, s:O, s:O}", "source", json_object_get(sorted[i], "source"), "domain",
		                                          json_object_get(sorted[i], "domain"), "name", json_object_get(sorted[i], "name")));
	return counters;
}

/* Where the joules of whatever is measured here come from: the counters in the machine's total, else the model. */
static json_t *joules_to_json(struct fw_energy_manager *manager)
{
	fw_cleanup_json json_t *books = fw_energy_manager_books(manager);
	const json_t *counter;
	json_t *counters = sorted_domains(json_object_get(books, "domains"));
	bool has_package = false;
	size_t i;

	json_array_foreach(counters, i, counter)
		has_package |= strcmp(json_string_value(json_object_get(counter, "domain")), "package") == 0;
	return json_pack("{s:s, s:o, s:O?}", "package", has_package ? "measured" : "modelled", "counters", counters, "shared_by",
	                 json_object_get(books, "work"));
}

static json_t *to_json(const struct fw_energy_here *here, const struct fw_monitor_report *reports, size_t count)
{
	json_t *monitors = json_array();

	for (size_t i = 0; i < count; i++)
		json_array_append_new(monitors, json_pack("{s:s, s:s, s:s, s:b, s:s?, s:s?}", "monitor", reports[i].ops->name,
		                                          "method", reports[i].ops->method, "gives", reports[i].ops->gives,
		                                          "works", reports[i].works, "detail", reports[i].detail, "hint",
		                                          reports[i].hint));
	return json_pack("{s:o, s:o, s:o, s:o}", "machine", fw_machine_to_json(&here->machine), "monitors", monitors, "joules",
	                 joules_to_json(here->manager), "metrics", fw_energy_manager_metrics(here->manager));
}

/* How many from here on are of the same source and domain. */
static size_t run_length(const json_t *counters, size_t first)
{
	const json_t *one = json_array_get(counters, first);
	size_t end = first + 1;

	for (; end < json_array_size(counters); end++)
		if (!json_equal(json_object_get(one, "source"), json_object_get(json_array_get(counters, end), "source")) ||
		    !json_equal(json_object_get(one, "domain"), json_object_get(json_array_get(counters, end), "domain")))
			break;
	return end - first;
}

/* "package-0", "64 packages", "2 dram": a few by name, many by number. */
static void print_counters(const json_t *counters, struct fw_buffer *out)
{
	for (size_t first = 0, count; first < json_array_size(counters); first += count) {
		const json_t *one = json_array_get(counters, first);
		const char *domain = json_string_value(json_object_get(one, "domain"));
		bool is_countable = strcmp(domain, "package") == 0 || strcmp(domain, "gpu") == 0;

		count = run_length(counters, first);
		fw_buffer_text(out, first ? ", " : "");
		if (count == 1)
			fw_buffer_text(out, json_string_value(json_object_get(one, "name")));
		else
			fw_buffer_printf(out, "%zu %s%s", count, domain, is_countable ? "s" : "");
		fw_buffer_printf(out, " by %s", json_string_value(json_object_get(one, "source")));
	}
}

static void print_joules(struct fw_energy_manager *manager, size_t width, struct fw_buffer *out)
{
	fw_cleanup_json json_t *joules = joules_to_json(manager);
	const json_t *counters = json_object_get(joules, "counters");
	fw_cleanup_buffer struct fw_buffer text;

	fw_buffer_init(&text, 64 << 10);
	fw_buffer_printf(&text, "joules of what is measured here: %s",
	                 strcmp(json_string_value(json_object_get(joules, "package")), "measured") == 0 ? "by counters" : "by the model");
	if (json_array_size(counters) > 0) {
		fw_buffer_text(&text, " (");
		print_counters(counters, &text);
		fw_buffer_printf(&text, "), shared by CPU time from %s", json_string_value(json_object_get(joules, "shared_by")));
	}
	fw_cleanup_free char *line = fw_buffer_take(&text);

	fw_display_paragraph(line, width, 2, out);
}

static void print_hints(const struct fw_monitor_report *reports, size_t count, size_t width, struct fw_buffer *out)
{
	for (size_t i = 0; i < count; i++) {
		fw_cleanup_free char *hint = reports[i].hint ? fw_printf("%s: %s", reports[i].ops->name, reports[i].hint) : NULL;

		if (hint) {
			fw_buffer_text(out, "  ");
			fw_display_paragraph(hint, width - 2, 4, out);
		}
	}
}

static void print_monitors(const struct fw_monitor_report *reports, size_t count, size_t width, struct fw_buffer *out)
{
	static const char *const spare[] = {"gives"}; /* on a narrow terminal */
	struct fw_table *table = fw_table_new();

	fw_table_column(table, "monitor", FW_LEFT);
	fw_table_column(table, "works", FW_LEFT);
	fw_table_column(table, "gives", FW_LEFT);
	fw_table_column(table, "here", FW_LEFT);
	for (size_t i = 0; i < count; i++) {
		fw_table_row(table);
		fw_table_cell(table, "%s", reports[i].ops->name);
		fw_table_cell(table, "%s", reports[i].works ? "yes" : "no");
		fw_table_cell(table, "%s", reports[i].ops->gives);
		fw_table_cell(table, "%s", reports[i].detail ? reports[i].detail : "");
	}
	fw_table_wrap(table);
	fw_table_fit(table, width, spare, FW_COUNT_OF(spare));
	fw_table_print(table, fw_terminal_colour(STDOUT_FILENO), out);
	fw_table_free(table);
}

static int print_all(const struct fw_energy_here *here, const struct fw_monitor_report *reports, size_t count,
                     struct fw_error **err)
{
	const struct fw_machine *machine = &here->machine;
	size_t told = fw_terminal_width(STDOUT_FILENO), width = told == 0 ? PIPED_WIDTH : told < LEAST_WIDTH ? LEAST_WIDTH : told;
	fw_cleanup_buffer struct fw_buffer out;

	fw_buffer_init(&out, 1 << 20);
	fw_buffer_printf(&out, "%s, %u CPUs, %s%s%s, Linux %s\n", machine->cpu_model, machine->threads, machine->architecture,
	                 machine->hypervisor[0] ? ", guest of " : "", machine->hypervisor, machine->kernel);
	print_joules(here->manager, width, &out);
	print_monitors(reports, count, width, &out);
	print_hints(reports, count, width, &out);
	return fw_print(&out, err);
}

static int show(bool json, const char *counters_root, struct fw_error **err)
{
	FW_CLEANUP(fw_energy_here_close) struct fw_energy_here *here = NULL;
	const struct fw_monitor_report *reports = NULL;
	int rc = fw_energy_here_open(false, counters_root, &here, err);

	if (rc != FW_OK)
		return rc;
	size_t count = fw_energy_manager_monitors(here->manager, &reports);

	return json ? fw_print_json(to_json(here, reports, count), err) : print_all(here, reports, count, err);
}

static int run(int argc, char **argv, struct fw_error **err)
{
	fw_cleanup_text_list struct fw_text_list positional = {0};
	const char *counters_root = NULL;
	bool json = false, help = false;
	const struct fw_option options[] = {
		{"json", NULL, "with all system metrics, as JSON", FW_OPTION_FLAG, &json, NULL},
		{"counters-root", "DIR", "directory that stands for / for energy counters: the host's, in a container",
	     FW_OPTION_TEXT, &counters_root, "FLEXWATT_COUNTERS_ROOT"},
	};
	int rc = fw_options_read(&fw_command_monitors, options, FW_COUNT_OF(options), argc, argv, 0, 0, &positional, &help, err);

	return rc == FW_OK && !help ? show(json, counters_root, err) : rc;
}

const struct fw_command fw_command_monitors = {
	.name = "monitors",
	.arguments = "",
	.summary = "what can be measured here, and why not",
	.example = "  flexwatt monitors --json",
	.run = run,
};
