/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <string.h>

#include "record/record.h"
#include "tests/unit/support.h"

static void a_fresh_record_is_null_everywhere_never_zero(void **state)
{
	struct fw_record record;
	(void)state;

	fw_record_init(&record);
	assert_null(record.run);
	assert_true(record.memory_mb == FW_NULL_INT);
	assert_true(isnan(record.duration_ms));
	fw_cleanup_json json_t *json = fw_record_to_json(&record);
	for (size_t i = 0; i < fw_record_field_count; i++)
		assert_true(json_is_null(json_object_get(json, fw_record_fields[i].name)));
	assert_int_equal(json_object_size(json), fw_record_field_count + 2);
	fw_record_done(&record);
}

static void fill(struct fw_record *record)
{
	for (size_t i = 0; i < fw_record_field_count; i++) {
		void *member = (char *)record + fw_record_fields[i].offset;

		switch (fw_record_fields[i].kind) {
		case FW_FIELD_TEXT: fw_record_set_text(member, fw_record_fields[i].name); break;
		case FW_FIELD_INT: *(int64_t *)member = (int64_t)i; break;
		case FW_FIELD_REAL: *(double *)member = (double)i + 0.1; break;
		}
	}
	struct fw_energy *energy = fw_record_add_energy(record);
	fw_record_set_text(&energy->source, "model");
	energy->joules = 1.25;
	record->metrics = json_pack("{s:f}", "accuracy", 0.81);
}

static void json_gives_back_the_record_that_went_in(void **state)
{
	struct fw_record record, read;
	fw_cleanup_error struct fw_error *err = NULL;
	(void)state;

	fw_record_init(&record);
	fill(&record);
	fw_cleanup_json json_t *json = fw_record_to_json(&record);
	assert_ok(fw_record_from_json(json, &read, &err), err);
	fw_cleanup_json json_t *again = fw_record_to_json(&read);
	assert_true(json_equal(json, again));
	assert_string_equal(read.method_version, "method_version");
	assert_true(isnan(read.energy.items[0].low));
	fw_record_done(&record);
	fw_record_done(&read);
}

static void refuse(const char *text, const char *message)
{
	fw_cleanup_error struct fw_error *err = NULL;
	fw_cleanup_json json_t *json = NULL;
	struct fw_record record;

	assert_ok(fw_json_load("test", text, strlen(text), &json, &err), err);
	assert_error_is(fw_record_from_json(json, &record, &err), &err, FW_E_INVALID, message);
}

static void says_what_is_wrong_with_a_record(void **state)
{
	(void)state;
	refuse("[]", "record: must be an object");
	refuse("{\"durration_ms\": 1}", "did you mean 'duration_ms'?");
	refuse("{\"task\": 1.5}", "record: task: must be an integer or null");
	refuse("{\"run\": 7}", "record: run: must be text or null");
	refuse("{\"duration_ms\": \"7\"}", "record: duration_ms: must be a number or null");
	refuse("{\"energy\": [{\"source\": \"model\"}, {\"watts\": 1}]}", "record: energy[1]: no field named 'watts'");
	refuse("{\"energy\": 1}", "record: energy: must be a list");
	refuse("{\"metrics\": 1}", "record: metrics: must be an object or null");
}

static void flags_are_words_kept_once(void **state)
{
	char *flags = NULL;
	(void)state;

	fw_record_flag(&flags, "cpu_capped");
	fw_record_flag(&flags, "contended");
	fw_record_flag(&flags, "cpu_capped");
	assert_string_equal(flags, "cpu_capped contended");
	assert_true(fw_record_has_flag(flags, "contended"));
	assert_false(fw_record_has_flag(flags, "cpu"));
	assert_false(fw_record_has_flag(NULL, "cpu"));
	free(flags);
}

static void a_field_is_found_by_its_name(void **state)
{
	(void)state;
	assert_string_equal(fw_record_field("duration_ms")->group, "times");
	assert_null(fw_record_field("duration"));
}

/* FLEXWATT_UPDATE=1 writes the page anew. */
static void the_committed_page_is_what_the_tables_say(void **state)
{
	fw_cleanup_free char *page = fw_record_document();
	fw_cleanup_free char *path = fw_printf("%s/docs/record.md", getenv("FLEXWATT_SOURCE"));
	fw_cleanup_error struct fw_error *err = NULL;
	fw_cleanup_buffer struct fw_buffer committed;
	(void)state;

	if (getenv("FLEXWATT_UPDATE"))
		assert_ok(fw_write_file(AT_FDCWD, path, page, strlen(page), 0644, &err), err);
	fw_buffer_init(&committed, 1 << 20);
	assert_ok(fw_read_file(AT_FDCWD, path, &committed, &err), err);
	if (strcmp(committed.data, page) != 0)
		fail_msg("docs/record.md is not what src/record/fields.h says: run this test with FLEXWATT_UPDATE=1");
	for (size_t i = 0; i < fw_record_field_count; i++)
		assert_non_null(strstr(page, fw_record_fields[i].name));
}

FW_TESTS(a_fresh_record_is_null_everywhere_never_zero, json_gives_back_the_record_that_went_in,
         says_what_is_wrong_with_a_record, flags_are_words_kept_once, a_field_is_found_by_its_name,
         the_committed_page_is_what_the_tables_say)
