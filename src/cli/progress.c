/* SPDX-License-Identifier: Apache-2.0
 *
 * Live progress. The time left follows from the tasks done against those that there will be, once their number is known.
 */
#include "cli/progress.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/time.h"
#include "cli/terminal.h"
#include "report/format.h"
#include "report/table.h"
#include "report/width.h"

#define REDRAW_EVERY_NS (FW_NS_PER_S / 10)
#define LINE_EVERY_NS FW_NS_PER_S
/* A line that wraps would be two to erase. */
#define NO_WRAP "\033[?7l"
#define WRAP "\033[?7h"

enum { NOTE_COLUMNS = 60 };

struct room {
	size_t rows, columns;
};
#define UNBOUNDED ((struct room){SIZE_MAX, SIZE_MAX})

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
	bool closed;     /* no stage gets more tasks */
	double expected; /* tasks in the end, as far as the file says it; NAN: some stage's number is a matter of the data */
};

static double tasks_of(const struct fw_stage *stage)
{
	return fw_stage_is_each(stage) || stage->workers == FW_WORKERS_AUTO ? (double)NAN : (double)stage->workers;
}

static struct counts count(const struct fw_progress *progress)
{
	struct counts counts = {.closed = true};

	for (uint32_t i = 0; i < progress->workflow->stages.count; i++) {
		struct fw_stage_progress stage = fw_driver_stage(progress->driver, i);

		counts.total += stage.total;
		counts.done += stage.ok + stage.failed + stage.skipped;
		counts.running += stage.running;
		counts.closed &= stage.closed;
		counts.expected += stage.closed || stage.ended ? stage.total : tasks_of(&progress->workflow->stages.items[i]);
	}
	return counts;
}

/* ---- the line of totals ---- */

enum { SEGMENTS_MAX = 8 };

struct segments {
	char *items[SEGMENTS_MAX];
	size_t count;
};

static void segments_done(struct segments *segments)
{
	for (size_t i = 0; i < segments->count; i++)
		free(segments->items[i]);
}

static void collect_totals(const struct fw_progress *progress, const struct counts *counts, const struct fw_totals *totals,
                           const char *so_far, struct segments *segments)
{
	double elapsed_ms = fw_driver_elapsed_ms(progress->driver);
	char text[FW_FORMAT_SIZE];

	segments->items[segments->count++] =
		fw_printf("%u/%u%s tasks", counts->done, counts->total, counts->closed ? "" : "+");
	segments->items[segments->count++] = fw_printf("%u running", counts->running);
	segments->items[segments->count++] = fw_strdup(fw_format_ms(text, elapsed_ms));
	segments->items[segments->count++] =
		fw_printf("%s%s%s", fw_format_joules(text, totals->joules), totals->modelled ? " m" : "", so_far);
	segments->items[segments->count++] = fw_strdup(fw_format_usd(text, totals->usd));
	if (counts->done > 0 && counts->expected > counts->done)
		segments->items[segments->count++] =
			fw_printf("about %s left", fw_format_ms(text, elapsed_ms / counts->done * (counts->expected - counts->done)));
}

static size_t width_of(const struct segments *segments)
{
	size_t width = 0;

	for (size_t i = 0; i < segments->count; i++)
		width += fw_display_width(segments->items[i]) + 2; /* comma and space */
	return width;
}

/* On as many lines as it needs in so many columns, but on no more than there are. */
static void print_totals(const struct fw_progress *progress, const struct counts *counts, const char *indent,
                         struct room room, struct fw_buffer *out)
{
	__attribute__((cleanup(segments_done))) struct segments segments = {.count = 0};
	size_t column = 0, lines = 1, running;

	struct fw_totals totals = fw_driver_totals(progress->driver, &running);

	collect_totals(progress, counts, &totals, running > 0 ? " so far" : "", &segments);
	if (running > 0 && strlen(indent) + width_of(&segments) > room.columns) { /* a row of the table is worth more than the words */
		segments_done(&segments);
		segments.count = 0;
		collect_totals(progress, counts, &totals, "", &segments);
	}
	for (size_t i = 0; i < segments.count; i++) {
		size_t width = fw_display_width(segments.items[i]) + 1; /* with the comma behind it */

		if (i > 0 && column + 1 + width > room.columns && lines < room.rows) {
			fw_buffer_text(out, ",\n");
			column = 0;
			lines++;
		} else if (i > 0) {
			fw_buffer_text(out, ", ");
			column++;
		}
		fw_buffer_printf(out, "%s%s", column == 0 ? indent : "", segments.items[i]);
		column += width + (column == 0 ? strlen(indent) : 0);
	}
	fw_buffer_text(out, "\n");
}

/* ---- the table ---- */

/* The less, the more a person wants to see it. */
static int rank(const struct fw_stage_progress *stage)
{
	if (stage->ended)
		return stage->failed ? 3 : 4;
	return stage->running ? 0 : stage->ok + stage->failed ? 1 : 2;
}

/* Which stages are shown where there is not room for all: what runs, what waits, what has ended. */
static void choose(const struct fw_progress *progress, size_t most, bool *shown)
{
	for (int wanted = 0; wanted <= 4; wanted++)
		for (uint32_t i = 0; i < progress->workflow->stages.count && most > 0; i++) {
			struct fw_stage_progress stage = fw_driver_stage(progress->driver, i);

			if (rank(&stage) != wanted)
				continue;
			shown[i] = true;
			most--;
		}
}

/* How far its running tasks are by their own word, and what one of them said last; before them, how far its input is cut. */
static char *tell(const struct fw_progress *progress, uint32_t index)
{
	double fraction = fw_driver_fraction(progress->driver, index), cutting = fw_driver_cutting(progress->driver, index);
	const char *note = fw_driver_note(progress->driver, index);
	fw_cleanup_free char *line = fw_display_line(note ? note : "", NOTE_COLUMNS);

	if (!isnan(cutting))
		return fw_printf("%.0f %%  cutting its input", 100 * cutting);
	if (isnan(fraction))
		return fw_strdup(line);
	return fw_printf("%.0f %%%s%s", 100 * fraction, *line ? "  " : "", line);
}

static void add_stage(const struct fw_progress *progress, uint32_t index, struct fw_table *table)
{
	struct fw_stage_progress stage = fw_driver_stage(progress->driver, index);
	fw_cleanup_free char *line = tell(progress, index);

	fw_table_row(table);
	fw_table_cell(table, "%s", progress->workflow->stages.items[index].name);
	fw_table_cell(table, "%u/%u%s", stage.ok, stage.total, stage.closed ? "" : "+");
	fw_table_cell(table, "%u", stage.running);
	fw_table_cell(table, "%u", stage.failed);
	fw_table_cell(table, "%s", stage.ended ? fw_status_name(stage.status) : line);
}

static void print_rest(const struct fw_progress *progress, const bool *shown, struct fw_buffer *out)
{
	size_t ended = 0, open = 0;

	for (uint32_t i = 0; i < progress->workflow->stages.count; i++) {
		if (shown[i])
			continue;
		if (fw_driver_stage(progress->driver, i).ended)
			ended++;
		else
			open++;
	}
	fw_buffer_printf(out, "  … %zu more: %zu ended, %zu not\n", ended + open, ended, open);
}

/* In at most `rows` lines, and in none where not even one stage would be seen. */
static void print_stages(const struct fw_progress *progress, size_t rows, struct fw_buffer *out)
{
	size_t count = progress->workflow->stages.count;
	bool all = count + 1 <= rows;
	fw_cleanup_free bool *shown = fw_alloc_array(count, sizeof *shown);
	struct fw_table *table;

	if (!all && rows < 3)
		return;
	table = fw_table_new();
	choose(progress, all ? count : rows - 2, shown);
	fw_table_column(table, "stage", FW_LEFT);
	fw_table_column(table, "done", FW_RIGHT);
	fw_table_column(table, "running", FW_RIGHT);
	fw_table_column(table, "failed", FW_RIGHT);
	fw_table_column(table, "", FW_LEFT);
	for (uint32_t i = 0; i < count; i++)
		if (shown[i])
			add_stage(progress, i, table);
	fw_table_print(table, fw_terminal_colour(STDERR_FILENO), out);
	fw_table_free(table);
	if (!all)
		print_rest(progress, shown, out);
}

/* ---- on the screen ---- */

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

/* Of the terminal, less the line of the cursor. */
static struct room room_of_terminal(void)
{
	struct winsize size;

	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_row == 0 || size.ws_col == 0) /* it does not say */
		return UNBOUNDED;
	return (struct room){size.ws_row > 1 ? size.ws_row - 1u : 0, size.ws_col};
}

static size_t lines(const struct fw_buffer *text)
{
	size_t count = 0;

	for (size_t i = 0; i < text->length; i++)
		count += text->data[i] == '\n';
	return count;
}

static void redraw(struct fw_progress *progress, const struct counts *counts)
{
	fw_cleanup_buffer struct fw_buffer out, totals;
	struct room room = room_of_terminal();

	fw_buffer_init(&out, 1 << 20);
	fw_buffer_init(&totals, 4096);
	print_totals(progress, counts, "  ", room, &totals);
	size_t used = lines(&totals);

	erase(progress, &out); /* moves, but writes no line */
	fw_buffer_text(&out, NO_WRAP);
	print_stages(progress, room.rows > used ? room.rows - used : 0, &out); /* more lines than there are would scroll */
	progress->lines = lines(&out) + used;
	fw_buffer_append(&out, totals.data, totals.length);
	fw_buffer_text(&out, WRAP);
	fwrite(out.data, 1, out.length, stderr);
}

static void print_line(struct fw_progress *progress, const struct counts *counts)
{
	fw_cleanup_buffer struct fw_buffer out;

	fw_buffer_init(&out, 4096);
	if (counts->done == progress->last_done)
		return;
	progress->last_done = counts->done;
	print_totals(progress, counts, "", UNBOUNDED, &out);
	fwrite(out.data, 1, out.length, stderr);
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
