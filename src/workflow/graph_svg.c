/* SPDX-License-Identifier: Apache-2.0
 *
 * The graph as SVG: one column a step, left to right. Edges over several columns pass through places of their own, and the
 * places of a column are sorted by the mean of their neighbours, which keeps most edges from crossing (Sugiyama, Tagawa,
 * Toda 1981).
 */
#include <stdlib.h>
#include <string.h>

#include "workflow/graph_internal.h"

enum {
	BOX_WIDTH = 190,
	BOX_HEIGHT = 56,
	BEND_HEIGHT = 16, /* of a passing edge */
	COLUMN_GAP = 110,
	ROW_GAP = 26,
	MARGIN = 20,
	SWEEPS = 6,
	PLACES_MAX = 20000,
	NAME_SHOWN = 24,
	LABEL_SHOWN = 20,
};

struct place {
	size_t step;
	size_t stage; /* SIZE_MAX: an edge passes */
	int y, height;
	double mean; /* of the neighbours' rows */
	size_t row;
};

struct hop { /* a piece of an edge between neighbouring columns */
	size_t from, to; /* places */
	size_t edge;
};

struct layout {
	const struct fw_graph *graph;
	FW_VECTOR(struct place) places;
	FW_VECTOR(struct hop) hops;
	size_t *order; /* places, column by column */
	int height;
};

static void add_hops(struct layout *layout, size_t index)
{
	const struct fw_graph_edge *edge = &layout->graph->edges.items[index];
	size_t from = edge->producer;

	for (size_t step = layout->graph->steps[edge->producer] + 1; step < layout->graph->steps[edge->consumer]; step++) {
		FW_PUSH(&layout->places, (struct place){.step = step, .stage = SIZE_MAX, .height = BEND_HEIGHT});
		FW_PUSH(&layout->hops, (struct hop){from, layout->places.count - 1, index});
		from = layout->places.count - 1;
	}
	FW_PUSH(&layout->hops, (struct hop){from, edge->consumer, index});
}

static size_t count_bends(const struct fw_graph *graph)
{
	size_t count = 0;

	for (size_t i = 0; i < graph->edges.count; i++)
		count += graph->steps[graph->edges.items[i].consumer] - graph->steps[graph->edges.items[i].producer];
	return count;
}

/* qsort(3) has no context; each place carries what it is sorted by. */
struct sorting {
	size_t place, step, row;
	double mean;
};

static int compare(const void *a, const void *b)
{
	const struct sorting *x = a, *y = b;

	if (x->step != y->step)
		return x->step < y->step ? -1 : 1;
	if (x->mean < y->mean || x->mean > y->mean)
		return x->mean < y->mean ? -1 : 1;
	return (x->row > y->row) - (x->row < y->row);
}

/* Sorts every column by the means and numbers the rows. */
static void sort_columns(struct layout *layout)
{
	size_t count = layout->places.count;
	struct sorting *sorting = fw_alloc_array(count, sizeof *sorting);

	for (size_t i = 0; i < count; i++) {
		const struct place *place = &layout->places.items[i];

		sorting[i] = (struct sorting){i, place->step, place->row, place->mean};
	}
	qsort(sorting, count, sizeof *sorting, compare);
	for (size_t i = 0, row = 0; i < count; i++) {
		row = i > 0 && sorting[i].step == sorting[i - 1].step ? row + 1 : 0;
		layout->order[i] = sorting[i].place;
		layout->places.items[sorting[i].place].row = row;
	}
	free(sorting);
}

/* The mean row of the neighbours on one side; places without any keep their own. */
static void average(struct layout *layout, bool from_left)
{
	size_t *counts = fw_alloc_array(layout->places.count, sizeof *counts);

	for (size_t i = 0; i < layout->places.count; i++)
		layout->places.items[i].mean = 0;
	for (size_t i = 0; i < layout->hops.count; i++) {
		size_t at = from_left ? layout->hops.items[i].to : layout->hops.items[i].from;
		size_t neighbour = from_left ? layout->hops.items[i].from : layout->hops.items[i].to;

		layout->places.items[at].mean += (double)layout->places.items[neighbour].row;
		counts[at]++;
	}
	for (size_t i = 0; i < layout->places.count; i++) {
		struct place *place = &layout->places.items[i];

		place->mean = counts[i] > 0 ? place->mean / (double)counts[i] : (double)place->row;
	}
	free(counts);
}

/* Stacks every column and centres it on the tallest. */
static void stack(struct layout *layout)
{
	size_t count = layout->places.count;
	int *heights = fw_alloc_array(layout->graph->step_count, sizeof *heights);

	for (size_t i = 0; i < count; i++) {
		struct place *place = &layout->places.items[layout->order[i]];
		int *height = &heights[place->step];

		place->y = *height;
		*height += place->height + ROW_GAP;
		if (*height > layout->height)
			layout->height = *height;
	}
	for (size_t i = 0; i < count; i++)
		layout->places.items[i].y += MARGIN + (layout->height - heights[layout->places.items[i].step]) / 2;
	layout->height += 2 * MARGIN - ROW_GAP;
	free(heights);
}

static void layout_init(struct layout *layout, const struct fw_graph *graph)
{
	*layout = (struct layout){.graph = graph};
	for (size_t i = 0; i < graph->workflow->stages.count; i++)
		FW_PUSH(&layout->places, (struct place){.step = graph->steps[i], .stage = i, .height = BOX_HEIGHT, .row = i});
	for (size_t i = 0; i < graph->edges.count; i++)
		add_hops(layout, i);
	for (size_t i = 0; i < layout->places.count; i++)
		layout->places.items[i].row = i;
	layout->order = fw_alloc_array(layout->places.count, sizeof *layout->order);
	sort_columns(layout);
	for (int sweep = 0; sweep < SWEEPS; sweep++) {
		average(layout, sweep % 2 == 0);
		sort_columns(layout);
	}
	stack(layout);
}

static void layout_done(struct layout *layout)
{
	free(layout->places.items);
	free(layout->hops.items);
	free(layout->order);
}

/* ---- drawing ---- */

static void escape(struct fw_buffer *out, const char *text)
{
	for (; *text; text++) {
		if (*text == '&')
			fw_buffer_text(out, "&amp;");
		else if (*text == '<')
			fw_buffer_text(out, "&lt;");
		else if (*text == '>')
			fw_buffer_text(out, "&gt;");
		else if (*text == '"')
			fw_buffer_text(out, "&quot;");
		else if ((unsigned char)*text < ' ')
			fw_buffer_text(out, " "); /* XML 1.0 knows no control characters */
		else
			fw_buffer_append(out, text, 1);
	}
}

/* What fits between two columns; the tooltip has all of it. */
static char *shorten(const char *label)
{
	size_t end = 0, shown = 0;

	for (; label[end] && shown < LABEL_SHOWN; shown++)
		for (end++; (label[end] & 0xc0) == 0x80;)
			end++; /* the rest of a character */
	return label[end] ? fw_printf("%.*s…", (int)end, label) : fw_strdup(label);
}

static int left_of(const struct place *place)
{
	return MARGIN + (int)place->step * (BOX_WIDTH + COLUMN_GAP);
}

static void draw_stage(const struct layout *layout, const struct place *place, struct fw_buffer *out)
{
	const struct fw_stage *stage = &layout->graph->workflow->stages.items[place->stage];
	fw_cleanup_free char *tasks = fw_graph_tasks(stage);
	int x = left_of(place);

	fw_buffer_printf(out, "<g class=\"stage\"><title>%s", stage->name);
	for (size_t i = 0; i < stage->inputs.count; i++)
		if (stage->inputs.items[i].keys) {
			fw_buffer_text(out, " ← ");
			escape(out, stage->inputs.items[i].keys);
		}
	fw_buffer_printf(out, "</title><rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" rx=\"6\"/>", x, place->y, BOX_WIDTH,
	                 BOX_HEIGHT);
	fw_buffer_printf(out, "<text class=\"name\" x=\"%d\" y=\"%d\">%.*s%s</text>", x + BOX_WIDTH / 2, place->y + 24,
	                 NAME_SHOWN, stage->name, strlen(stage->name) > NAME_SHOWN ? "…" : "");
	fw_buffer_printf(out, "<text x=\"%d\" y=\"%d\">%s · %lld MB</text></g>\n", x + BOX_WIDTH / 2, place->y + 43, tasks,
	                 (long long)stage->memory_mb);
}

static void draw_hop(const struct layout *layout, const struct hop *hop, struct fw_buffer *out)
{
	const struct place *from = &layout->places.items[hop->from], *to = &layout->places.items[hop->to];
	const struct fw_graph_edge *edge = &layout->graph->edges.items[hop->edge];
	int x1 = left_of(from) + BOX_WIDTH, y1 = from->y + from->height / 2;
	int x2 = left_of(to), y2 = to->y + to->height / 2;

	fw_buffer_printf(out, "<path class=\"%s\" d=\"", edge->data ? "edge" : "edge wait");
	if (from->stage == SIZE_MAX)
		fw_buffer_printf(out, "M%d %d H%d ", left_of(from), y1, x1);
	else
		fw_buffer_printf(out, "M%d %d ", x1, y1);
	fw_buffer_printf(out, "C%d %d %d %d %d %d\"%s><title>", x1 + COLUMN_GAP / 2, y1, x2 - COLUMN_GAP / 2, y2, x2, y2,
	                 to->stage == SIZE_MAX ? "" : " marker-end=\"url(#arrow)\"");
	escape(out, edge->label);
	fw_buffer_text(out, "</title></path>\n");
	if (to->stage == SIZE_MAX)
		return;
	fw_cleanup_free char *label = shorten(edge->label);
	fw_buffer_printf(out, "<text class=\"label\" x=\"%d\" y=\"%d\">", (x1 + x2) / 2, (y1 + y2) / 2 - 5);
	escape(out, label);
	fw_buffer_text(out, "</text>\n");
}

static void draw_head(const struct layout *layout, struct fw_buffer *out)
{
	int width = 2 * MARGIN + (int)layout->graph->step_count * (BOX_WIDTH + COLUMN_GAP) - COLUMN_GAP;

	fw_buffer_printf(out, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" viewBox=\"0 0 %d %d\" "
	                      "role=\"img\">\n<title>%s</title>\n", width, layout->height, width, layout->height,
	                 layout->graph->workflow->name);
	fw_buffer_text(out, "<style>text{font:12px sans-serif;text-anchor:middle;fill:#333}.name{font-size:14px;font-weight:bold}"
	                    ".label{font-size:10px;fill:#666}rect{fill:#f4f7fb;stroke:#4a6fa5}"
	                    ".edge{fill:none;stroke:#4a6fa5;stroke-width:1.5}.wait{stroke-dasharray:5 4}</style>\n"
	                    "<defs><marker id=\"arrow\" viewBox=\"0 0 8 8\" refX=\"8\" refY=\"4\" markerWidth=\"8\" "
	                    "markerHeight=\"8\" orient=\"auto\"><path d=\"M0 0 L8 4 L0 8z\" fill=\"#4a6fa5\"/></marker></defs>\n");
}

int fw_graph_svg(const struct fw_graph *graph, struct fw_buffer *out)
{
	struct layout layout;

	if (count_bends(graph) > PLACES_MAX)
		return FW_E_LIMIT;
	layout_init(&layout, graph);
	draw_head(&layout, out);
	for (size_t i = 0; i < layout.hops.count; i++)
		draw_hop(&layout, &layout.hops.items[i], out);
	for (size_t i = 0; i < layout.places.count; i++)
		if (layout.places.items[i].stage != SIZE_MAX)
			draw_stage(&layout, &layout.places.items[i], out);
	fw_buffer_text(out, "</svg>\n");
	layout_done(&layout);
	return out->failed ? FW_E_LIMIT : FW_OK;
}
