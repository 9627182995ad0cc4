/* SPDX-License-Identifier: Apache-2.0
 *
 * Content-Range of an answer: "bytes 100-199/1000", or, with 416, "bytes * / 1000" (without the blanks).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fw_http_range {
	int64_t first, last; /* -1: there is none (416) */
	int64_t whole;       /* of the object */
};

/* False leaves *range alone; so does a range that lies outside its object. */
bool fw_http_content_range(const char *text, size_t length, struct fw_http_range *range);
