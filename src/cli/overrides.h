/* SPDX-License-Identifier: Apache-2.0
 *
 * What overrides a workflow file without editing it: the options that run and check share, their variables, and the
 * settings that both come to. A later setting wins over an earlier one.
 */
#pragma once

#include "cli/options.h"
#include "workflow/workflow.h"

struct fw_override_options {
	struct fw_text_list set;
	const char *storage;
	int64_t memory, workers;
};

#define FW_OVERRIDE_OPTIONS(options)                                                                                     \
	{"set", "KEY=VALUE", "override a value of the file: stages.split.params.fps=1", FW_OPTION_LIST, &(options)->set,      \
	 "FLEXWATT_SET"},                                                                                                     \
		{"storage", "URI", "where objects are read and written: a directory, or s3://bucket/prefix?endpoint=URL", FW_OPTION_TEXT,                \
	     &(options)->storage, "FLEXWATT_STORAGE"},                                                                        \
		{"memory", "MB", "memory of every stage, 128 to 10240", FW_OPTION_COUNT, &(options)->memory, "FLEXWATT_MEMORY"},   \
		{"workers", "N", "workers of every stage that has a number of them", FW_OPTION_COUNT, &(options)->workers,         \
	     "FLEXWATT_WORKERS"}

bool fw_override_options_any(const struct fw_override_options *options);
void fw_override_options_done(struct fw_override_options *options);

struct fw_collected {
	struct fw_overrides overrides; /* borrows from owned */
	FW_VECTOR(char *) owned;
};

/* Takes the text. origin: the variable that said it, or NULL. */
void fw_collected_add(struct fw_collected *collected, char *owned, const char *origin);
/* Each source is collected whole, the one that wins last: variables first, then options. */
void fw_collected_add_options(struct fw_collected *collected, const struct fw_override_options *options, bool variables);
/* FLEXWATT_STORAGE_BUCKET, _PREFIX, _ENDPOINT, _REGION, _PROFILE: parts of a storage that is a bucket, unless the command
 * line says a storage, which wins over all of them. After the variables of the options. */
void fw_collected_add_bucket(struct fw_collected *collected, const struct fw_override_options *given);
void fw_collected_done(struct fw_collected *collected);
#define fw_cleanup_collected __attribute__((cleanup(fw_collected_done)))
