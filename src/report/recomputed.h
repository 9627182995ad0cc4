/* SPDX-License-Identifier: Apache-2.0
 *
 * A run's energy, attributed again from its stored readings by the ledger of this version: what that changes, figure by
 * figure, and the records as they would be. Rows of other methods (model, tdp) and everything that was not read by
 * counters stay as they are.
 */
#pragma once

#include "store/store.h"

/* One row of energy of one invocation that comes out otherwise; a side that is missing has source NULL. */
struct fw_recomputed_row {
	char *stage;
	int64_t task, attempt;
	struct fw_energy before, after;
};

struct fw_recomputed {
	struct fw_run_row row;
	size_t invocations, rows;  /* attributed again */
	size_t missing;            /* have rows of the ledger, and no readings */
	bool is_cut_short;         /* more was read than was kept */
	FW_VECTOR(struct fw_recomputed_row) changes;
	FW_VECTOR(json_t *) records; /* as they would be, of those that change */
	char *method_before;       /* of the rows that change, or of all: "ledger/1" */
	json_t *books;
	bool saved;
};

/* FW_E_USAGE for a run that is not there, still runs, or has no readings; FW_E_INVALID for damaged ones. */
int fw_recomputed_load(struct fw_store *store, const char *run, struct fw_recomputed *recomputed, struct fw_error **err);
/* Writes the records that change, and the run's totals. */
int fw_recomputed_save(struct fw_store *store, struct fw_recomputed *recomputed, struct fw_error **err);
void fw_recomputed_print(const struct fw_recomputed *recomputed, bool colour, struct fw_buffer *out);
json_t *fw_recomputed_to_json(const struct fw_recomputed *recomputed);
void fw_recomputed_done(struct fw_recomputed *recomputed);
