/* SPDX-License-Identifier: Apache-2.0
 *
 * The files under tests/workflows: every good one is read, and says the same again when its effective form is read; every
 * bad one is refused with the exact words of its .expected. FLEXWATT_UPDATE=1 rewrites those.
 */
#include "tests/unit/workflow_fixture.h"

static void expect_refusal(const char *directory, const char *name)
{
	fw_cleanup_free char *expected_path = fw_printf("%s/%.*s.expected", directory, (int)strlen(name) - 5, name);
	struct fw_error *err FW_CLEANUP(fw_error_free) = NULL;
	struct fw_workflow *workflow = NULL;
	int rc = fw_workflow_load(name, NULL, &workflow, &err);

	if (rc == FW_OK)
		fail_msg("%s was accepted", name);
	assert_null(workflow);
	assert_int_equal(fw_code_exit_status(rc), 2);
	fw_cleanup_free char *described = fw_error_describe(err);
	fw_cleanup_free char *found = fw_printf("%s\n", described);
	if (getenv("FLEXWATT_UPDATE"))
		assert_ok(fw_write_file(AT_FDCWD, expected_path, found, strlen(found), 0644, NULL), NULL);
	fw_cleanup_free char *expected = read_text(expected_path, NULL);
	if (!expected)
		fail_msg("%s is missing; FLEXWATT_UPDATE=1 writes it", expected_path);
	if (strcmp(found, expected) != 0)
		fail_msg("%s:\nexpected: %sfound:    %s", name, expected, found);
}

static void bad_workflows_are_refused_with_one_clear_error(void **state)
{
	fw_cleanup_tree struct tree tree = fixture_tree();
	size_t count = for_each_workflow("tests/workflows/bad", &tree, expect_refusal);

	(void)state;
	assert_true(count >= 40);
}

static void expect_acceptance(const char *directory, const char *name)
{
	struct fw_error *err FW_CLEANUP(fw_error_free) = NULL;
	struct fw_workflow *workflow FW_CLEANUP(fw_workflow_free) = NULL;
	struct fw_workflow *again FW_CLEANUP(fw_workflow_free) = NULL;

	(void)directory;
	assert_ok(fw_workflow_load(name, NULL, &workflow, &err), err);
	assert_int_equal(workflow->order.count, workflow->stages.count);
	fw_cleanup_free char *effective = fw_json_dump(workflow->effective);
	assert_ok(fw_workflow_parse(workflow->path, effective, strlen(effective), NULL, true, &again, &err), err);
	assert_string_equal(again->digest, workflow->digest);
	assert_string_equal(again->storage, workflow->storage);
}

static void good_workflows_are_read_and_their_effective_form_says_the_same(void **state)
{
	fw_cleanup_tree struct tree tree = fixture_tree();
	size_t count = for_each_workflow("tests/workflows/good", &tree, expect_acceptance);

	(void)state;
	assert_true(count >= 5);
}

FW_TESTS(bad_workflows_are_refused_with_one_clear_error,
         good_workflows_are_read_and_their_effective_form_says_the_same)
