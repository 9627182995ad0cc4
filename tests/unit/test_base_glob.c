/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/str.h"
#include "base/time.h"
#include "tests/unit/support.h"

static void assert_matches(const char *pattern, const char *key)
{
	if (!fw_glob_match(pattern, key))
		fail_msg("'%s' should match '%s'", pattern, key);
}

static void assert_differs(const char *pattern, const char *key)
{
	if (fw_glob_match(pattern, key))
		fail_msg("'%s' should not match '%s'", pattern, key);
}

static void plain_text_matches_itself_alone(void **state)
{
	(void)state;
	assert_matches("videos/a.mp4", "videos/a.mp4");
	assert_differs("videos/a.mp4", "videos/a.mp");
	assert_differs("videos/a.mp", "videos/a.mp4");
	assert_matches("", "");
	assert_differs("", "a");
}

static void a_star_stays_within_its_component(void **state)
{
	(void)state;
	assert_matches("videos/*.mp4", "videos/a.b.mp4");
	assert_matches("videos/*.mp4", "videos/.mp4");
	assert_differs("videos/*.mp4", "videos/x/a.mp4");
	assert_matches("*a*b*c", "xaybzbc");
	assert_differs("*", "a/b");
}

static void a_question_mark_is_one_character_of_any_length(void **state)
{
	(void)state;
	assert_matches("a?c", "aπc");
	assert_differs("a??c", "aπc");
	assert_differs("a?c", "a/c");
	assert_matches("?", "\xff");
}

static void a_set_is_one_of_its_members(void **state)
{
	(void)state;
	assert_matches("[a-c]x[!0-9]", "bxy");
	assert_differs("[a-c]x[!0-9]", "bx7");
	assert_matches("[α-ω]", "π");
	assert_matches("[]]", "]");
	assert_matches("[a-]", "-");
	assert_differs("a[!x]b", "a/b");
	assert_matches("[", "[");
}

static void a_backslash_takes_the_next_character_as_it_is(void **state)
{
	(void)state;
	assert_matches("\\*", "*");
	assert_differs("\\*", "a");
}

static void two_stars_and_a_slash_span_none_or_more_components(void **state)
{
	(void)state;
	assert_matches("**/a.png", "a.png");
	assert_matches("**/a.png", "x/y/a.png");
	assert_differs("**/a.png", "xa.png");
	assert_matches("v/**/*.mp4", "v/a.mp4");
	assert_matches("v/**/*.mp4", "v/x/y/a.mp4");
	assert_differs("v/**/*.mp4", "va.mp4");
	assert_differs("v/**/b", "v/xb");
}

static void two_stars_elsewhere_span_everything(void **state)
{
	(void)state;
	assert_matches("**", "a/b/c");
	assert_matches("a/**", "a/b/c");
	assert_differs("a/**", "b/a/c");
	assert_matches("a**z", "a/b/z");
}

/* Backtracking would take longer than the universe has; so would a quadratic number of restarts, nearly. */
static void hostile_patterns_take_no_time(void **state)
{
	char pattern[401], key[2001];
	uint64_t start_ns = fw_monotonic_ns();

	(void)state;
	for (size_t i = 0; i < 400; i += 4)
		memcpy(pattern + i, i % 8 ? "**/*" : "*a*a", 4);
	pattern[400] = '\0';
	memset(key, 'a', 2000);
	key[1999] = 'b';
	key[2000] = '\0';
	assert_differs(pattern, key);
	assert_true(fw_monotonic_ns() - start_ns < FW_NS_PER_S);
}

FW_TESTS(plain_text_matches_itself_alone, a_star_stays_within_its_component,
         a_question_mark_is_one_character_of_any_length, a_set_is_one_of_its_members,
         a_backslash_takes_the_next_character_as_it_is, two_stars_and_a_slash_span_none_or_more_components,
         two_stars_elsewhere_span_everything, hostile_patterns_take_no_time)
