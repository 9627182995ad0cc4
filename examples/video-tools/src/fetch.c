/* SPDX-License-Identifier: Apache-2.0
 *
 * Fetching by libcurl. Servers are strangers: nothing is unbounded, redirections stay on HTTP, and a body that ends before its
 * length is no file.
 */
#include <curl/curl.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "fetch.h"

struct fetch {
	struct fw_invocation *invocation;
	const char *url;
	const struct fetch_limits *limits;
	FILE *file;
	int64_t bytes;
	bool too_large;
	int write_error;
	char why[CURL_ERROR_SIZE];
};

static size_t take_bytes(char *bytes, size_t size, size_t count, void *context)
{
	struct fetch *fetch = context;
	size_t length = size * count;

	fetch->bytes += (int64_t)length;
	fetch->too_large = fetch->bytes > fetch->limits->bytes;
	if (fetch->too_large)
		return 0;
	fw_write_begin(fetch->invocation);
	size_t written = fwrite(bytes, 1, length, fetch->file);
	fw_write_end(fetch->invocation);
	if (written < length)
		fetch->write_error = errno;
	return written;
}

static int tell_progress(void *context, curl_off_t total, curl_off_t done, curl_off_t upload, curl_off_t uploaded)
{
	const struct fetch *fetch = context;

	(void)upload;
	(void)uploaded;
	fw_progress(fetch->invocation, (double)done, (double)total, fetch->url);
	return 0;
}

static void set_options(CURL *curl, struct fetch *fetch)
{
	curl_easy_setopt(curl, CURLOPT_URL, fetch->url);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
	curl_easy_setopt(curl, CURLOPT_MAXREDIRS, 5L);
	curl_easy_setopt(curl, CURLOPT_FAILONERROR, 1L);
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_USERAGENT, "flexwatt-video-tools");
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, fetch->why);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)fetch->limits->total_ms);
	curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
	curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, (long)fetch->limits->stall_s);
	curl_easy_setopt(curl, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)fetch->limits->bytes);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_bytes);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, fetch);
	curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
	curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, tell_progress);
	curl_easy_setopt(curl, CURLOPT_XFERINFODATA, fetch);
}

static int fail(const struct fetch *fetch, CURLcode code, CURL *curl)
{
	const char *type = code == CURLE_OPERATION_TIMEDOUT ? "Fetch.Timeout" : "Fetch.Failed";
	long status = 0;

	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	if (fetch->too_large || code == CURLE_FILESIZE_EXCEEDED)
		return fw_fail_invocation(fetch->invocation, "Fetch.TooLarge", "%s: larger than %lld bytes (max_mb)", fetch->url,
		                          (long long)fetch->limits->bytes);
	if (fetch->write_error)
		return fw_fail_invocation(fetch->invocation, "Fetch.Write", "%s: %s", fetch->url, strerror(fetch->write_error));
	if (code == CURLE_HTTP_RETURNED_ERROR)
		return fw_fail_invocation(fetch->invocation, "Fetch.Status", "%s: the server answers %ld", fetch->url, status);
	return fw_fail_invocation(fetch->invocation, type, "%s: %s", fetch->url, *fetch->why ? fetch->why : curl_easy_strerror(code));
}

int fetch_url(struct fw_invocation *invocation, const char *url, const char *path, const struct fetch_limits *limits)
{
	struct fetch fetch = {.invocation = invocation, .url = url, .limits = limits, .file = fopen(path, "wbe")};
	CURL *curl = curl_easy_init();
	CURLcode code = CURLE_OUT_OF_MEMORY;

	if (!fetch.file)
		fetch.write_error = errno;
	if (curl && fetch.file) {
		set_options(curl, &fetch);
		code = curl_easy_perform(curl);
	}
	if (fetch.file && fclose(fetch.file) != 0 && code == CURLE_OK) {
		fetch.write_error = errno;
		code = CURLE_WRITE_ERROR;
	}
	int rc = code == CURLE_OK ? FW_OK : fail(&fetch, code, curl);
	curl_easy_cleanup(curl);
	return rc;
}
