/* SPDX-License-Identifier: Apache-2.0
 *
 * The bootstrap of the video tools: fetch, which wants no FFmpeg, and the three that tools.so has.
 */
#include <inttypes.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "../../common/module.h"
#include "fetch.h"
#include "handlers.h"

enum { URL_MAX = 8190 };

static int read_limits(struct fw_invocation *invocation, struct fetch_limits *limits)
{
	double mb = fw_param_number(invocation, "max_mb", 4096), seconds = fw_param_number(invocation, "timeout_seconds", 300);
	int64_t left_ms = fw_remaining_ms(invocation) - 1000; /* so that the error names the URL before the task is ended */

	limits->stall_s = fw_param_integer(invocation, "stall_seconds", 15);
	if (!(mb > 0 && mb <= 1e6) || !(seconds > 0 && seconds <= 1e6) || limits->stall_s < 1 || limits->stall_s > 1000000)
		return fw_fail_invocation(invocation, "Function.Parameter",
		                          "'max_mb', 'timeout_seconds' and 'stall_seconds' must be above 0 and at most 1,000,000");
	limits->bytes = (int64_t)(mb * 1e6);
	limits->total_ms = (int64_t)(seconds * 1000);
	if (left_ms < limits->total_ms)
		limits->total_ms = left_ms > 1 ? left_ms : 1;
	return FW_OK;
}

/* ".mp4" of http://host/a/b.mp4?c=d; what has no ending is called a video all the same. */
static void choose_suffix(const char *url, char suffix[static 8])
{
	const char *end = url + strcspn(url, "?#"), *dot = end;

	while (dot > url && *dot != '.' && *dot != '/')
		dot--;
	size_t letters = strspn(dot + (*dot == '.'), "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789");
	int fits = *dot == '.' && letters > 0 && letters <= 5 && dot + 1 + letters == end;
	snprintf(suffix, 8, "%.*s", fits ? (int)letters + 1 : 4, fits ? dot : ".mp4");
}

static int fetch_one(struct fw_invocation *invocation, const char *url)
{
	struct fetch_limits limits;
	char suffix[8];

	choose_suffix(url, suffix);
	const char *path = fw_output_path(invocation, "videos", suffix);
	int rc = path ? read_limits(invocation, &limits) : FW_ERROR;
	if (rc == FW_OK)
		rc = fetch_url(invocation, url, path, &limits);
	fw_units(invocation, rc == FW_OK ? 1 : 0);
	return rc;
}

/* `params.urls`: dealt out in turn to the workers of the stage. */
static int fetch_listed_in_parameter(struct fw_invocation *invocation, const char *text)
{
	json_t *urls = json_loads(text, 0, NULL);
	int rc = FW_OK;

	if (!json_is_array(urls))
		rc = fw_fail_invocation(invocation, "Function.Parameter", "parameter 'urls' must be a list of texts");
	for (size_t i = 0; rc == FW_OK && i < json_array_size(urls); i++) {
		const char *url = json_string_value(json_array_get(urls, i));

		if (!url)
			rc = fw_fail_invocation(invocation, "Function.Parameter", "parameter 'urls': item %zu is no text", i + 1);
		else if ((int64_t)i % fw_workers(invocation) == fw_task(invocation))
			rc = fetch_one(invocation, url);
	}
	json_decref(urls);
	return rc;
}

/* One URL a line; empty lines and those that begin with # are none. */
static int fetch_line(struct fw_invocation *invocation, const struct fw_object *object, const char *line, size_t length)
{
	const char *url = line + strspn(line, " \t");

	if (length > URL_MAX || strlen(line) != length)
		return fw_fail_invocation(invocation, "Fetch.BadList", "%s: a line %s", object->uri,
		                          length > URL_MAX ? "is longer than 8,190 bytes" : "has a byte 0 in it");
	return *url && *url != '#' ? fetch_one(invocation, url) : FW_OK;
}

static int fetch_listed_in_object(struct fw_invocation *invocation, const struct fw_object *object)
{
	struct fw_reader *reader = fw_read_open(invocation, object);
	bool first = object->start == 0;
	const char *line;
	size_t length;
	int rc = FW_ERROR;

	while (reader && (rc = fw_next_line(reader, &line, &length)) == FW_OK) {
		size_t mark = first && length >= 3 && memcmp(line, "\xef\xbb\xbf", 3) == 0 ? 3 : 0; /* some editors begin with it */

		first = false;
		if (fetch_line(invocation, object, line + mark, length - mark) != FW_OK)
			return FW_ERROR;
	}
	return rc == FW_END ? FW_OK : rc;
}

static int fetch(struct fw_invocation *invocation)
{
	const char *urls = fw_param_json(invocation, "urls");
	struct fw_object object;
	int rc;

	if (urls)
		return fetch_listed_in_parameter(invocation, urls);
	while ((rc = fw_next_input(invocation, "lists", &object)) == FW_OK)
		if (fetch_listed_in_object(invocation, &object) != FW_OK)
			return FW_ERROR;
	return rc == FW_END ? FW_OK : rc;
}

int scale(struct fw_invocation *invocation)
{
	return module_call(invocation, "tools.so", "scale");
}

int crop(struct fw_invocation *invocation)
{
	return module_call(invocation, "tools.so", "crop");
}

int overlay(struct fw_invocation *invocation)
{
	return module_call(invocation, "tools.so", "overlay");
}

FW_FUNCTIONS({"fetch", fetch}, {"scale", scale}, {"crop", crop}, {"overlay", overlay})
