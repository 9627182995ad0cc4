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
	"measured and modelled ones, are never added to each other. In SQL each is a row of the view `energy`, keyed by run,\n"
	"stage, task, attempt and `ordinal` (from 0).\n\n";

static const char end_of_page[] =
	"\n## metrics\n\n"
	"An object of numbers that the function reported (`accuracy`, …), or null. In SQL it is JSON text in the column\n"
	"`metrics`: `SELECT metrics ->> 'accuracy' FROM invocation`.\n";

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
	return fw_buffer_take(&page);
}
