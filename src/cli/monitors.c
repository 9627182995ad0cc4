/* SPDX-License-Identifier: Apache-2.0
 *
 * flexwatt monitors: what can be measured here, what cannot, why, and what would enable it.
 */
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/terminal.h"
#include "energy/here.h"
#include "report/table.h"

/* Where the joules of whatever is measured here come from: the counters in the machine's total, else the model. */
static json_t *joules_to_json(struct fw_energy_manager *manager)
{
	fw_cleanup_json json_t *books = fw_energy_manager_books(manager);
	const json_t *domain;
	json_t *counters = json_array();
	bool has_package = false;
	size_t i;

	json_array_foreach(json_object_get(books, "domains"), i, domain) {
		json_array_append_new(counters, json_pack("{s:O, s:O, s:O}", "source", json_object_get(domain, "source"), "domain",
		                                          json_object_get(domain, "domain"), "name", json_object_get(domain, "name")));
		has_package |= strcmp(json_string_value(json_object_get(domain, "domain")), "package") == 0;
	}
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

static void print_joules(struct fw_energy_manager *manager, struct fw_buffer *out)
{
	fw_cleanup_json json_t *joules = joules_to_json(manager);
	const json_t *counters = json_object_get(joules, "counters"), *counter;
	size_t i;

	fw_buffer_printf(out, "joules of what is measured here: %s", strcmp(json_string_value(json_object_get(joules, "package")), "measured") == 0
	                                                                  ? "by counters"
	                                                                  : "by the model");
	json_array_foreach(counters, i, counter)
		fw_buffer_printf(out, "%s%s by %s", i ? ", " : " (", json_string_value(json_object_get(counter, "name")),
		                 json_string_value(json_object_get(counter, "source")));
	if (json_array_size(counters) > 0)
		fw_buffer_printf(out, "), shared by CPU time from %s", json_string_value(json_object_get(joules, "shared_by")));
	fw_buffer_text(out, "\n");
}

static int print_table(const struct fw_energy_here *here, const struct fw_monitor_report *reports, size_t count,
                       struct fw_error **err)
{
	static const char *const spare[] = {"gives"}; /* on a narrow terminal */
	const struct fw_machine *machine = &here->machine;
	fw_cleanup_buffer struct fw_buffer out;
	struct fw_table *table = fw_table_new();

	fw_buffer_init(&out, 1 << 20);
	fw_buffer_printf(&out, "%s, %u CPUs, %s%s%s, Linux %s\n", machine->cpu_model, machine->threads, machine->architecture,
	                 machine->hypervisor[0] ? ", guest of " : "", machine->hypervisor, machine->kernel);
	print_joules(here->manager, &out);
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
	fw_table_fit(table, fw_terminal_width(STDOUT_FILENO), spare, FW_COUNT_OF(spare));
	fw_table_print(table, fw_terminal_colour(STDOUT_FILENO), &out);
	fw_table_free(table);
	for (size_t i = 0; i < count; i++)
		if (reports[i].hint)
			fw_buffer_printf(&out, "  %s: %s\n", reports[i].ops->name, reports[i].hint);
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

	return json ? fw_print_json(to_json(here, reports, count), err) : print_table(here, reports, count, err);
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
