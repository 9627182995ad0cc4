/* SPDX-License-Identifier: Apache-2.0
 *
 * What `measure` found: one record a repetition, each figure as a mean with its interval, as text and as JSON. A figure that
 * is not known in one repetition is not known.
 */
#pragma once

#include "analysis/mean.h"
#include "base/buffer.h"
#include "catalogue/catalogue.h"

struct fw_measured_one { /* a repetition */
	struct fw_record record;
	double peak_w, peak_over_s; /* NAN unknown */
};

struct fw_measured {
	char *title;             /* what was measured: "sleep 0.1", "process 4711", "the system" */
	bool is_command;         /* hence priced as if on Lambda */
	FW_VECTOR(struct fw_measured_one) ones;
	int64_t memory_mb;       /* that the price is of; FW_NULL_INT before fw_measured_price() */
	bool memory_was_chosen;  /* by us: the smallest that fits the peak */
	const char *region;      /* borrowed */
	FW_VECTOR(char *) notes; /* what the reader must know: one sentence each */
};

void fw_measured_init(struct fw_measured *measured);
void fw_measured_done(struct fw_measured *measured);
/* A fresh one, its record initialised; until the next one is added. */
struct fw_measured_one *fw_measured_add(struct fw_measured *measured);
void fw_measured_note(struct fw_measured *measured, char *note); /* takes it */

/* Fills money and carbon of all repetitions. memory_mb 0: the smallest Lambda size that fits the largest peak. */
int fw_measured_price(const struct fw_catalogue *catalogue, const struct fw_processor *processor, int64_t memory_mb,
                      struct fw_measured *measured, struct fw_error **err);

void fw_measured_print(const struct fw_measured *measured, bool colour, struct fw_buffer *out);
json_t *fw_measured_to_json(const struct fw_measured *measured);

/* The figures by name ("wall_ms"), for whoever shows a choice of them. NAN where unknown. */
struct fw_mean fw_measured_figure(const struct fw_measured *measured, const char *name);
