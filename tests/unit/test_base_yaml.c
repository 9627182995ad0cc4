/* SPDX-License-Identifier: Apache-2.0 */
#include "base/yaml.h"

#include <string.h>
#include <sys/resource.h>

#include "tests/unit/support.h"

static struct fw_yaml_document *load(const char *text)
{
	struct fw_yaml_document *document = NULL;
	fw_cleanup_error struct fw_error *err = NULL;

	assert_ok(fw_yaml_load("w.yaml", text, strlen(text), &document, &err), err);
	return document;
}

static void assert_refused(const char *text, int code, const char *expected)
{
	struct fw_yaml_document *document = NULL;
	struct fw_error *err = NULL;

	assert_error_is(fw_yaml_load("w.yaml", text, strlen(text), &document, &err), &err, code, expected);
	assert_null(document);
}

static void assert_json(const char *text, const char *expected)
{
	fw_cleanup_yaml struct fw_yaml_document *document = load(text);
	fw_cleanup_json json_t *json = fw_yaml_to_json(fw_yaml_root(document));
	fw_cleanup_free char *dumped = fw_json_dump(json);

	assert_string_equal(dumped, expected);
}

/* Follows the keys down from the root; a key of digits is an index of a list. */
static const struct fw_yaml_node *at(const struct fw_yaml_document *document, const char *path)
{
	const struct fw_yaml_node *node = fw_yaml_root(document);
	struct fw_str rest = fw_str_of(path), part;

	while (fw_str_next_field(&rest, '.', &part)) {
		fw_cleanup_free char *key = strndup(part.text, part.length);

		node = fw_yaml_kind(node) == FW_YAML_SEQUENCE ? fw_yaml_item(node, strtoul(key, NULL, 10)) : fw_yaml_get(node, key);
		assert_non_null(node);
	}
	return node;
}

static void assert_span(const char *text, const char *path, size_t line, size_t column, const char *spelled)
{
	fw_cleanup_yaml struct fw_yaml_document *document = load(text);
	struct fw_yaml_mark mark = fw_yaml_mark(document, at(document, path));
	fw_cleanup_free char *found = strndup(text + mark.start, mark.end - mark.start);

	assert_string_equal(found, spelled);
	assert_int_equal(mark.line, line);
	assert_int_equal(mark.column, column);
}

static void mappings_lists_and_text_are_read_in_order(void **state)
{
	(void)state;
	assert_json("b: [1, x]\na: {c: y}\n", "{\"b\":[1,\"x\"],\"a\":{\"c\":\"y\"}}");
}

static void plain_scalars_follow_the_core_schema(void **state)
{
	(void)state;
	assert_json("{a: null, b: ~, c: , d: True, e: false, f: yes}",
	            "{\"a\":null,\"b\":null,\"c\":null,\"d\":true,\"e\":false,\"f\":\"yes\"}");
}

static void numbers_follow_the_core_schema(void **state)
{
	(void)state;
	assert_json("[12, -7, +3, 0o17, 0x1F, 1.5, .5, 1e3, +2.5, 1_000, 0x, +-1]",
	            "[12,-7,3,15,31,1.5,0.5,1000.0,2.5,\"1_000\",\"0x\",\"+-1\"]");
}

static void what_json_cannot_hold_exactly_stays_text(void **state)
{
	(void)state;
	assert_json("[.inf, .nan, 9223372036854775807, 9223372036854775808]",
	            "[\".inf\",\".nan\",9223372036854775807,\"9223372036854775808\"]");
}

static void numbers_that_json_cannot_hold_are_known_as_such(void **state)
{
	fw_cleanup_yaml struct fw_yaml_document *document =
		load("beyond: [9223372036854775808, -9223372036854775809, +99999999999999999999, 1e400, -1.0e400, 0x1ffffffffffffffff, .inf, "
		     "-.INF, .NaN]\n"
		     "held: [9223372036854775807, -9223372036854775808, 1e308, 1e-400, 0x1F, '9223372036854775808', !!str 1e400, 1_000, v1, "
		     "+-1, 1-800-5, ~]\n");
	const struct fw_yaml_node *beyond = at(document, "beyond"), *held = at(document, "held");

	(void)state;
	for (size_t i = 0; i < fw_yaml_count(beyond); i++)
		assert_true(fw_yaml_is_beyond(fw_yaml_item(beyond, i)));
	for (size_t i = 0; i < fw_yaml_count(held); i++)
		assert_false(fw_yaml_is_beyond(fw_yaml_item(held, i)));
}

static void quoted_and_tagged_scalars_are_text(void **state)
{
	(void)state;
	assert_json("['12', \"true\", !!str 5, '']", "[\"12\",\"true\",\"5\",\"\"]");
}

static void block_scalars_keep_or_fold_their_lines(void **state)
{
	(void)state;
	assert_json("a: |\n  x\n  y\nb: >-\n  x\n  y\n", "{\"a\":\"x\\ny\\n\",\"b\":\"x y\"}");
	assert_json("a: |\n ", "{\"a\":\"\"}");
}

/* Of the sizes at which libfyaml's own reading of text loses memory; the leak checker judges. */
static void text_of_many_lines_and_escapes_is_read_whole(void **state)
{
	struct fw_buffer text, expected;

	(void)state;
	fw_buffer_init(&text, 10000);
	fw_buffer_init(&expected, 10000);
	fw_buffer_text(&text, "- |\n");
	fw_buffer_text(&expected, "[\"");
	for (int i = 0; i < 100; i++) {
		fw_buffer_printf(&text, "  %d\n", i);
		fw_buffer_printf(&expected, "%d\\n", i);
	}
	fw_buffer_text(&text, "- '");
	fw_buffer_text(&expected, "\",\"");
	for (int i = 0; i < 100; i++) {
		fw_buffer_text(&text, "x''");
		fw_buffer_text(&expected, "x'");
	}
	fw_buffer_text(&text, "'\n");
	fw_buffer_text(&expected, "\"]");
	assert_json(text.data, expected.data);
	fw_buffer_done(&text);
	fw_buffer_done(&expected);
}

static void an_empty_file_is_nothing(void **state)
{
	(void)state;
	assert_json("", "null");
	assert_json("# only a comment\n", "null");
}

static void a_plain_scalar_is_marked_by_its_bytes_and_its_characters(void **state)
{
	(void)state;
	assert_span("a: 1\nπ: {ß: 1024, c: d}\n", "π.ß", 2, 8, "1024");
}

static void quotes_belong_to_a_quoted_scalar(void **state)
{
	(void)state;
	assert_span("a: \"x y\"\n", "a", 1, 4, "\"x y\"");
	assert_span("a: 'it''s'\n", "a", 1, 4, "'it''s'");
	assert_span("a: \"\"\n", "a", 1, 4, "\"\"");
}

static void a_block_scalar_starts_at_its_indicator(void **state)
{
	(void)state;
	assert_span("a|b: |  # why\n\n  x\nc: 1\n", "a|b", 1, 6, "|  # why\n\n  x\n");
	assert_span("a:\n  # > no\n  >-\n  x\n", "a", 3, 3, ">-\n  x\n");
	assert_span("- !t &x |\n x\n", "0", 1, 9, "|\n x\n");
}

static void an_empty_value_stands_behind_its_colon_or_dash(void **state)
{
	(void)state;
	assert_span("a:\nb: 1\n", "a", 1, 3, "");
	assert_span("x:\n  -\n  - b\n", "x.0", 2, 4, "");
	assert_span("{a, b: }", "b", 1, 7, "");
	assert_span("a: &x\nb: 1\n", "a", 1, 6, "");
}

static void collections_span_from_their_first_to_their_last_child(void **state)
{
	(void)state;
	assert_span("a:\n  b: 1\n  c: [2, 3 ]  # x\n\nd: 4\n", "a", 2, 3, "b: 1\n  c: [2, 3 ]");
	assert_span("a:\n- x\n- y: z\n\nb: 1\n", "a", 2, 1, "- x\n- y: z");
	assert_span("a: { }\n", "a", 1, 4, "{ }");
}

static void windows_line_ends_and_byte_order_marks_do_not_shift_marks(void **state)
{
	(void)state;
	assert_span("\xef\xbb\xbf" "a: 1\r\nb: 22\r\n", "a", 1, 4, "1");
	assert_span("\xef\xbb\xbf" "a: 1\r\nb: 22\r\n", "b", 2, 4, "22");
}

static void an_alias_is_the_node_of_its_anchor(void **state)
{
	fw_cleanup_yaml struct fw_yaml_document *document = load("a: &x {k: 1}\nb: *x\n");

	(void)state;
	assert_ptr_equal(at(document, "a"), at(document, "b"));
}

static void a_merge_adds_what_is_not_there(void **state)
{
	(void)state;
	assert_json("d: &d {m: 1, t: 2}\ns:\n  <<: *d\n  t: 3\n", "{\"d\":{\"m\":1,\"t\":2},\"s\":{\"t\":3,\"m\":1}}");
}

static void of_merged_mappings_the_first_wins(void **state)
{
	(void)state;
	assert_json("- &a {k: 1}\n- &b {k: 2, l: 2}\n- <<: [*a, *b]\n", "[{\"k\":1},{\"k\":2,\"l\":2},{\"k\":1,\"l\":2}]");
}

static void a_merge_of_something_else_is_refused(void **state)
{
	(void)state;
	assert_refused("a: 1\nb:\n  <<: [x]\n", FW_E_INVALID, "'<<' merges a mapping or a list of mappings, not text  w.yaml:3:3");
}

static void a_quoted_merge_key_is_a_key(void **state)
{
	(void)state;
	assert_json("'<<': 1\n", "{\"<<\":1}");
}

static void a_duplicate_key_is_refused_with_both_positions(void **state)
{
	(void)state;
	assert_refused("a: 1\nb:\n  k: 1\n  l: 2\n  k: 3\n", FW_E_INVALID,
	               "key 'k' is given twice (first at line 3, column 3)  w.yaml:5:3\n    k: 3\n    ^");
}

static void an_unknown_alias_is_refused(void **state)
{
	(void)state;
	assert_refused("a: *nope\n", FW_E_INVALID, "no anchor '&nope' stands before this alias  w.yaml:1:4");
}

static void an_alias_inside_its_own_anchor_is_refused(void **state)
{
	(void)state;
	assert_refused("a: &a [x, *a]\n", FW_E_INVALID, "alias '*a' contains itself  w.yaml:1:11");
}

static void a_key_that_is_not_text_is_refused(void **state)
{
	(void)state;
	assert_refused("{[a]: 1}", FW_E_INVALID, "a key must be text  w.yaml:1:2");
	assert_refused("? \n: 1", FW_E_INVALID, "a key must be text");
}

static void a_key_named_null_is_text(void **state)
{
	(void)state;
	assert_json("null: 1\n", "{\"null\":1}");
}

static void a_second_document_is_refused(void **state)
{
	(void)state;
	assert_refused("--- a\n--- b\n", FW_E_INVALID, "a second document starts here; one is expected  w.yaml:2:1");
}

static void the_parsers_complaint_has_line_column_and_source(void **state)
{
	(void)state;
	assert_refused("a: 1\n\"π\": @x\n", FW_E_INVALID,
	               "not YAML: plain scalar cannot start with '@'  w.yaml:2:6\n  \"π\": @x\n       ^");
}

static void a_complaint_without_a_position_is_kept_too(void **state)
{
	(void)state;
	assert_refused("%YAML 9.9\n---\na: 1\n", FW_E_INVALID, "not YAML: ");
}

static void bytes_that_are_not_text_are_refused(void **state)
{
	struct fw_yaml_document *document = NULL;
	struct fw_error *err = NULL;

	(void)state;
	assert_refused("a: 1\nb: \xff\n", FW_E_INVALID, "not text in UTF-8  w.yaml:2:4");
	assert_refused("a: \x1b[1m\n", FW_E_INVALID, "control character U+001B  w.yaml:1:4");
	assert_refused("a: \"x\\0y\"\n", FW_E_INVALID, "text must not hold a NUL character  w.yaml:1:4");
	assert_error_is(fw_yaml_load("w.yaml", "a\0b", 3, &document, &err), &err, FW_E_INVALID, "control character U+0000");
}

static char *repeat(const char *text, size_t count)
{
	struct fw_buffer buffer;

	fw_buffer_init(&buffer, FW_YAML_MAX_BYTES + 64);
	for (size_t i = 0; i < count; i++)
		fw_buffer_text(&buffer, text);
	return fw_buffer_take(&buffer);
}

static void nesting_is_allowed_to_the_limit_and_refused_beyond(void **state)
{
	fw_cleanup_free char *open = repeat("[", 64), *close = repeat("]", 64);
	fw_cleanup_free char *text = malloc(200), *deep = repeat("[", 100000);

	(void)state;
	snprintf(text, 200, "%s%s", open, close);
	fw_yaml_free(load(text));
	assert_refused(deep, FW_E_LIMIT, "nested deeper than 64 levels  w.yaml:1:65");
}

static void nesting_counts_through_aliases(void **state)
{
	fw_cleanup_free char *open = repeat("[", 40), *close = repeat("]", 40), *text = malloc(400);

	(void)state;
	snprintf(text, 400, "a: &a %s%s\nb: %.30s*a%.30s\n", open, close, open, close);
	assert_refused(text, FW_E_LIMIT, "nested deeper than 64 levels  w.yaml:2:34");
}

static long peak_kb(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_maxrss;
}

static void a_billion_laughs_fail_before_they_grow(void **state)
{
	static const char text[] = "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\n"
							   "c: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\n"
							   "e: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e]\n"
							   "g: &g [*f,*f,*f,*f,*f,*f,*f,*f,*f]\nh: &h [*g,*g,*g,*g,*g,*g,*g,*g,*g]\n";
	long before_kb = peak_kb();

	(void)state;
	assert_refused(text, FW_E_LIMIT, "more than 200000 nodes, with every alias written out  w.yaml:6:");
	assert_true(peak_kb() - before_kb < 8192);
}

static void a_merge_of_many_large_mappings_is_counted(void **state)
{
	struct fw_buffer text;

	(void)state;
	fw_buffer_init(&text, FW_YAML_MAX_BYTES);
	fw_buffer_text(&text, "a: &a\n");
	for (int i = 0; i < 1000; i++)
		fw_buffer_printf(&text, "  k%d: 1\n", i);
	for (int i = 0; i < 1000; i++)
		fw_buffer_printf(&text, "b%d: {<<: *a}\n", i);
	assert_refused(text.data, FW_E_LIMIT, "more than 200000 nodes");
	fw_buffer_done(&text);
}

static void too_large_a_file_is_refused(void **state)
{
	fw_cleanup_free char *text = repeat("# 45678\n", FW_YAML_MAX_BYTES / 8 + 1);

	(void)state;
	assert_refused(text, FW_E_LIMIT, "larger than 4194304 bytes");
}

static void a_failure_can_point_at_any_node(void **state)
{
	fw_cleanup_yaml struct fw_yaml_document *document = load("a: 1\nmemory: lots\n");
	struct fw_error *err = NULL;

	(void)state;
	assert_error_is(fw_yaml_fail(&err, document, at(document, "memory"), FW_E_INVALID, "not a %s", "number"), &err,
	                FW_E_INVALID, "not a number  w.yaml:2:9\n  memory: lots\n          ^");
}

static void tags_are_kept(void **state)
{
	fw_cleanup_yaml struct fw_yaml_document *document = load("a: !Ref b\nc: d\n");

	(void)state;
	assert_string_equal(fw_yaml_tag(at(document, "a")), "!Ref");
	assert_null(fw_yaml_tag(at(document, "c")));
}

FW_TESTS(mappings_lists_and_text_are_read_in_order, plain_scalars_follow_the_core_schema,
         numbers_follow_the_core_schema, what_json_cannot_hold_exactly_stays_text,
         numbers_that_json_cannot_hold_are_known_as_such, quoted_and_tagged_scalars_are_text,
         block_scalars_keep_or_fold_their_lines, text_of_many_lines_and_escapes_is_read_whole, an_empty_file_is_nothing,
         a_plain_scalar_is_marked_by_its_bytes_and_its_characters, quotes_belong_to_a_quoted_scalar,
         a_block_scalar_starts_at_its_indicator, an_empty_value_stands_behind_its_colon_or_dash,
         collections_span_from_their_first_to_their_last_child,
         windows_line_ends_and_byte_order_marks_do_not_shift_marks, an_alias_is_the_node_of_its_anchor,
         a_merge_adds_what_is_not_there, of_merged_mappings_the_first_wins, a_merge_of_something_else_is_refused,
         a_quoted_merge_key_is_a_key, a_duplicate_key_is_refused_with_both_positions, an_unknown_alias_is_refused,
         an_alias_inside_its_own_anchor_is_refused, a_key_that_is_not_text_is_refused, a_key_named_null_is_text,
         a_second_document_is_refused, the_parsers_complaint_has_line_column_and_source,
         a_complaint_without_a_position_is_kept_too, bytes_that_are_not_text_are_refused,
         nesting_is_allowed_to_the_limit_and_refused_beyond, nesting_counts_through_aliases,
         a_billion_laughs_fail_before_they_grow, a_merge_of_many_large_mappings_is_counted, too_large_a_file_is_refused,
         a_failure_can_point_at_any_node, tags_are_kept)
