/* SPDX-License-Identifier: Apache-2.0
 *
 * One attempt of a task while it is in the driver's hands.
 */
#pragma once

#include "backend/driver_internal.h"
#include "record/event.h"

struct fw_task_run {
	struct fw_driver *driver;
	struct fw_task_run *previous, *next; /* in driver->runs */
	const struct fw_stage *stage;
	uint32_t stage_index, task, attempt;
	enum fw_status status;
	double fraction; /* done, as it told last; NAN: it told nothing */
	struct fw_record record;
	char *flags; /* of the record when it started; what is found later belongs to the meters */
	bool concluded; /* its end was fed to the engine */
	bool metered;   /* the backend is done with the record */
	struct fw_answer answer;
	json_t *result; /* what the engine gets, or NULL */
	char *result_text; /* of one that goes by reference, or NULL */
	struct fw_publication publication;
	char *directory;
	char *log_path;
	FW_VECTOR(char *) texts; /* what the event borrows */
	FW_VECTOR(struct fw_task_object) objects; /* driver_stage_in.c */
	size_t object_at;
	bool objects_known;
	bool input_changed; /* it was refused an object that is another now: no attempt can get what was listed */
	bool cuts_changed;  /* likewise of what it has ranges of, seen by us */
	struct fw_task_staging *stagings;
};

/* driver_stage_in.c: gives an object of the event to the function as a local file. */
void fw_task_run_stage_in(struct fw_task_run *run, const char *uri, int64_t offset, int64_t length,
                          struct fw_stage_request *request);
/* What was staged for it is nobody's any more, as far as it goes. */
void fw_task_run_let_go(struct fw_task_run *run);

/* driver_cuts.c: FW_E_CONFLICT when an object that it has a range of is not what was cut. */
int fw_task_run_check_cuts(const struct fw_task_run *run, struct fw_error **err);

/* Reads the answer and publishes what it declares; concludes in every case, now or later. */
void fw_task_run_publish(struct fw_task_run *run, const char *body, size_t length);
/* Feeds the end; `event` carries objects and result. The run may be gone afterwards. */
void fw_task_run_conclude(struct fw_task_run *run, struct fw_engine_event *event);
/* The storage is full: no end is fed, so that the attempt is lost without using up a retry; the run stops and can be
 * resumed. */
void fw_task_run_no_space(struct fw_task_run *run);
/* Throws away what it wrote, if anything. */
void fw_task_run_discard(struct fw_task_run *run);
void fw_task_run_free(struct fw_task_run *run);
