/* SPDX-License-Identifier: Apache-2.0
 *
 * How figures and books leave the ledger: as rows of a record and as JSON, the same for a live run and for a replay.
 */
#pragma once

#include "base/json.h"
#include "energy/attribution.h"
#include "record/record.h"

/* The version of slices, floor, prices and cuts: changes whenever figures may. */
#define FW_LEDGER_METHOD "ledger/3"

/* {"work", "residual_j", "domains": [...]}. New reference. */
json_t *fw_books_to_json(const struct fw_attribution *attribution, const char *work);

/* Of a figure by a counter that is_virtual. */
#define FW_BOOKS_VIRTUAL "virtual"
/* Adds a word for each flag that is set: "wrap", "gap". */
void fw_books_flag_words(unsigned flags, char **text);

/* Of one worker: where the machine's is told apart by BPF, one without an account there is read by its group. */
const char *fw_books_work_of(const char *work, bool by_bpf);
/* Adds the row of energy to a record. work: how the work of this worker was told apart. */
void fw_books_add_row(const struct fw_share *share, const char *work, struct fw_record *record);
/* True for a row that it has added. */
bool fw_books_made(const struct fw_energy *energy);
