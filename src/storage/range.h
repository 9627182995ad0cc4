/* SPDX-License-Identifier: Apache-2.0
 *
 * A range: a piece of an object that one task reads, given by its exact bytes. What is cut out of what, and how it is
 * told where a record starts, without the reading (range_plan.h).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/memory.h"

enum fw_range_kind {
	FW_RANGE_NONE,    /* whole objects */
	FW_RANGE_BYTES,   /* a record starts anywhere */
	FW_RANGE_LINES,   /* after a newline */
	FW_RANGE_CSV,     /* after a newline outside quotes */
	FW_RANGE_SECONDS, /* nothing is cut: every task gets all objects and does its part of each */
};

enum {
	FW_RANGE_HEADER_MAX_BYTES = 64 << 10,
	FW_RANGE_DELIMITER = ',', /* unless said otherwise */
};

struct fw_range_format {
	enum fw_range_kind kind;
	char delimiter; /* of csv */
	bool header;    /* of csv: the first record of every object names the columns and belongs to no range */
};

struct fw_range {
	uint32_t part;          /* from 0, without gaps */
	uint32_t object;        /* index in the list of objects */
	int64_t offset, length; /* never empty */
	const char *header;     /* the object's, without its newline; NULL: none */
};

struct fw_range_object {
	const char *key;
	const char *version; /* as listed, or NULL */
	int64_t bytes;       /* as listed */
};

struct fw_ranges {
	FW_VECTOR(struct fw_range) list; /* sorted by part, then object */
	const char *const *versions;     /* by object: what was cut; borrowed */
	size_t object_count;
};
