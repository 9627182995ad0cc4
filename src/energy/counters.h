/* SPDX-License-Identifier: Apache-2.0
 *
 * The energy counters of all monitors, read together at each tick, and what that makes of records: the impure side of
 * attribution.h. All calls with the manager's `pass` held, but for what says otherwise.
 */
#pragma once

#include "energy/feed.h"
#include "energy/manager.h"
#include "energy/work_meter.h"

struct fw_energy_counters;
struct fw_ended;

/* NULL where no monitor that works has counters. Takes the baseline. keeps_readings: what is read is kept for fw_counters_take(). */
struct fw_energy_counters *fw_counters_new(struct fw_energy_manager *manager, const struct fw_machine *machine,
                                           const struct fw_energy_options *options);
void fw_counters_free(struct fw_energy_counters *counters);

void fw_counters_join(struct fw_energy_counters *counters, struct fw_energy_worker *worker);
/* Its last reading, before its group goes. The worker itself must stay until fw_counters_forget(). */
void fw_counters_leave(struct fw_energy_counters *counters, struct fw_energy_worker *worker);
/* True when nothing of it is in an open slice: the worker may be freed. */
bool fw_counters_is_settled(const struct fw_energy_worker *worker);
void fw_counters_forget(struct fw_energy_worker *worker);

/* Reads everything that is due and closes slices. No allocation. */
void fw_counters_tick(struct fw_energy_counters *counters);
/* The same with what else is read more seldom. */
void fw_counters_tick_all(struct fw_energy_counters *counters);
/* What they showed at the latest tick. */
size_t fw_counters_look(struct fw_energy_counters *counters, struct fw_counter_look *looks, size_t capacity);
/* When the latest tick was; any thread. */
uint64_t fw_counters_tick_ns(const struct fw_energy_counters *counters);
/* When the next one closes a slice. */
uint64_t fw_counters_due_ns(const struct fw_energy_counters *counters);
/* Workers that had an invocation at the latest tick, and how long the youngest of these had run; any thread. */
size_t fw_counters_active(const struct fw_energy_counters *counters, uint64_t *youngest_ns);

/* What a reading at an edge of this worker is for the account. Any thread. */
struct fw_edge fw_counters_edge(const struct fw_energy_worker *worker, const struct fw_reading *reading);
bool fw_counters_covers(const struct fw_ended *ended);
/* Adds the rows of energy to the record. */
void fw_counters_fill(struct fw_energy_counters *counters, struct fw_ended *ended);
/* The same for one that goes on, up to the latest slice; none where nothing can be told yet. */
void fw_counters_fill_so_far(struct fw_energy_counters *counters, struct fw_energy_worker *worker, struct fw_record *record);
/* The books as JSON. New reference. */
json_t *fw_counters_books(const struct fw_energy_counters *counters);
/* Floors of an earlier run, as its books tell them, which ended so long ago. */
void fw_counters_inherit(struct fw_energy_counters *counters, const json_t *books, double age_s);
/* Moves the readings that were kept since the last time to the end of `out`; false: there were none. */
bool fw_counters_take(struct fw_energy_counters *counters, struct fw_buffer *out);
