/* SPDX-License-Identifier: Apache-2.0
 *
 * Live progress. The time left is asked of the engine's counts: tasks done against tasks known, once all are known.
 */
#include "cli/progress.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/time.h"
#include "cli/terminal.h"
#include "report/format.h"
#include "report/table.h"

#define REDRAW_EVERY_NS (FW_NS_PER_S / 10)
#define LINE_EVERY_NS FW_NS_PER_S
/* A line that wraps would be two to erase. */
#define NO_WRAP "\033[?7l"
#define WRAP "\033[?7h"

struct fw_progress {
	struct fw_driver *driver;
	const struct fw_workflow *workflow;
	struct fw_timer *timer;
	bool live;
	size_t lines; /* on the screen now */
	uint32_t last_done;
};

struct counts {
	uint32_t total, done, running;
	bool closed;
};

static struct counts count(const struct fw_progress *progress)
{
	struct counts counts = {.closed = true};

	for (uint32_t i = 0; i < progress->workflow->stages.count; i++) {
		struct fw_stage_progress stage = fw_driver_stage(progress->driver, i);

		counts.total += stage.total;
		counts.done += stage.ok + stage.failed + stage.skipped;
		counts.running += stage.running;
		counts.closed &= stage.closed;
	}
	return counts;
}

static void print_totals(const struct fw_progress *progress, const struct counts *counts, struct fw_buffer *out)
{
	struct fw_driver_totals totals = fw_driver_totals(progress->driver);
	double elapsed_ms = fw_driver_elapsed_ms(progress->driver);
	char elapsed[FW_FORMAT_SIZE], joules[FW_FORMAT_SIZE], usd[FW_FORMAT_SIZE], left[FW_FORMAT_SIZE];

	fw_buffer_printf(out, "%u/%u%s tasks, %u running, %s, %s%s, %s", counts->done, counts->total,
	                 counts->closed ? "" : "+", counts->running, fw_format_ms(elapsed, elapsed_ms),
	                 fw_format_joules(joules, totals.joules), totals.modelled ? " m" : "", fw_format_usd(usd, totals.usd));
	if (counts->closed && counts->done > 0 && counts->done < counts->total)
		fw_buffer_printf(out, ", about %s left",
		                 fw_format_ms(left, elapsed_ms / counts->done * (counts->total - counts->done)));
}

static void print_stages(const struct fw_progress *progress, struct fw_buffer *out)
{
	struct fw_table *table = fw_table_new();

	fw_table_column(table, "stage", FW_LEFT);
	fw_table_column(table, "done", FW_RIGHT);
	fw_table_column(table, "running", FW_RIGHT);
	fw_table_column(table, "failed", FW_RIGHT);
	fw_table_column(table, "", FW_LEFT);
	for (uint32_t i = 0; i < progress->workflow->stages.count; i++) {
		struct fw_stage_progress stage = fw_driver_stage(progress->driver, i);
		const char *note = fw_driver_note(progress->driver, i);

		fw_table_row(table);
		fw_table_cell(table, "%s", progress->workflow->stages.items[i].name);
		fw_table_cell(table, "%u/%u%s", stage.ok, stage.total, stage.closed ? "" : "+");
		fw_table_cell(table, "%u", stage.running);
		fw_table_cell(table, "%u", stage.failed);
		fw_table_cell(table, "%.60s", stage.ended ? fw_status_name(stage.status) : note ? note : "");
	}
	fw_table_print(table, fw_terminal_colour(STDERR_FILENO), out);
	fw_table_free(table);
}

static struct fw_progress *on_screen; /* its table stands above the cursor */

static void erase(struct fw_progress *progress, struct fw_buffer *out)
{
	if (progress->lines > 0)
		fw_buffer_printf(out, "\033[%zuA\r\033[J", progress->lines);
	progress->lines = 0;
}

void fw_progress_make_way(void)
{
	fw_cleanup_buffer struct fw_buffer out;

	fw_buffer_init(&out, 4096);
	if (!on_screen || on_screen->lines == 0)
		return;
	erase(on_screen, &out);
	fwrite(out.data, 1, out.length, stderr);
}

/* Rows that the terminal has beside the line of totals and the one of the cursor. */
static size_t room(void)
{
	struct winsize size;

	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_row == 0) /* it does not say */
		return SIZE_MAX;
	return size.ws_row > 2 ? size.ws_row - 2u : 0;
}

static void redraw(struct fw_progress *progress, const struct counts *counts)
{
	fw_cleanup_buffer struct fw_buffer out;

	fw_buffer_init(&out, 1 << 20);
	erase(progress, &out);
	size_t start = out.length;

	fw_buffer_text(&out, NO_WRAP);
	if (progress->workflow->stages.count + 1 <= room()) /* else the terminal would scroll: the totals alone */
		print_stages(progress, &out);
	fw_buffer_text(&out, "  ");
	print_totals(progress, counts, &out);
	fw_buffer_text(&out, "\n" WRAP);
	for (size_t i = start; i < out.length; i++)
		progress->lines += out.data[i] == '\n';
	fwrite(out.data, 1, out.length, stderr);
}

static void print_line(struct fw_progress *progress, const struct counts *counts)
{
	fw_cleanup_buffer struct fw_buffer out;

	fw_buffer_init(&out, 4096);
	if (counts->done == progress->last_done)
		return;
	progress->last_done = counts->done;
	print_totals(progress, counts, &out);
	fprintf(stderr, "%s\n", out.data);
}

static void tick(void *context)
{
	struct fw_progress *progress = context;
	struct counts counts = count(progress);

	if (progress->live)
		redraw(progress, &counts);
	else
		print_line(progress, &counts);
	fw_timer_set(progress->timer, progress->live ? REDRAW_EVERY_NS : LINE_EVERY_NS);
}

struct fw_progress *fw_progress_new(struct fw_driver *driver, const struct fw_workflow *workflow)
{
	struct fw_progress *progress = fw_alloc(sizeof *progress);

	progress->driver = driver;
	progress->workflow = workflow;
	progress->live = fw_terminal_is(STDERR_FILENO);
	on_screen = progress->live ? progress : NULL;
	progress->timer = fw_timer_new(fw_driver_loop(driver), tick, progress);
	fw_timer_set(progress->timer, progress->live ? REDRAW_EVERY_NS : LINE_EVERY_NS);
	return progress;
}

void fw_progress_free(struct fw_progress *progress)
{
	fw_cleanup_buffer struct fw_buffer out;

	fw_buffer_init(&out, 4096);
	if (!progress)
		return;
	if (progress->live)
		erase(progress, &out);
	fwrite(out.data, 1, out.length, stderr);
	on_screen = NULL;
	fw_timer_free(progress->timer);
	free(progress);
}
