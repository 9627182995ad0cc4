/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <string.h>

#include "tests/unit/support.h"

struct seen {
	unsigned count;
	enum fw_log_level level;
	char message[4096];
};

static void keep(void *context, enum fw_log_level level, const char *message)
{
	struct seen *seen = context;

	seen->count++;
	seen->level = level;
	snprintf(seen->message, sizeof seen->message, "%s", message);
}

static void messages_up_to_the_level_reach_the_sink(void **state)
{
	struct seen seen = {0};

	(void)state;
	fw_log_set(FW_LOG_INFO, keep, &seen);
	fw_info("%d workers", 3);
	fw_debug("not shown");
	fw_log_set(FW_LOG_ERROR, NULL, NULL);
	assert_int_equal(seen.count, 1);
	assert_int_equal(seen.level, FW_LOG_INFO);
	assert_string_equal(seen.message, "3 workers");
}

static void without_a_sink_nothing_happens(void **state)
{
	(void)state;
	fw_log_set(FW_LOG_DEBUG, NULL, NULL);
	fw_warning("nobody hears");
}

static void a_long_message_is_cut(void **state)
{
	struct seen seen = {0};
	char text[4000];

	(void)state;
	memset(text, 'x', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	fw_log_set(FW_LOG_DEBUG, keep, &seen);
	fw_debug("%s", text);
	fw_log_set(FW_LOG_ERROR, NULL, NULL);
	assert_int_equal(strlen(seen.message), 2047);
}

FW_TESTS(messages_up_to_the_level_reach_the_sink, without_a_sink_nothing_happens, a_long_message_is_cut)
