/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/workflow_fixture.h"
#include "workflow/workflow_internal.h"

static void the_mode_of_a_member_is_found(void **state)
{
	char bytes[256];
	size_t length = fixture_zip(bytes, "bootstrap", 0100755);
	unsigned mode = 0;

	(void)state;
	assert_ok(fw_zip_mode(bytes, length, "bootstrap", &mode, NULL), NULL);
	assert_int_equal(mode, 0100755);
}

static void a_member_made_elsewhere_has_no_unix_mode(void **state)
{
	char bytes[256];
	size_t length = fixture_zip(bytes, "bootstrap", 0100755);
	unsigned mode = 1;

	(void)state;
	bytes[5] = 0;
	assert_ok(fw_zip_mode(bytes, length, "bootstrap", &mode, NULL), NULL);
	assert_int_equal(mode, 0);
}

static void another_member_is_not_it(void **state)
{
	char bytes[256];
	size_t length = fixture_zip(bytes, "bin/bootstrap", 0100755);
	struct fw_error *err = NULL;
	unsigned mode = 0;

	(void)state;
	assert_error_is(fw_zip_mode(bytes, length, "bootstrap", &mode, &err), &err, FW_E_ABSENT, "no member 'bootstrap'");
}

/* Every truncation and every offset out of bounds is told, under a sanitizer that would see a read too far. */
static void broken_archives_are_refused(void **state)
{
	char bytes[256];
	size_t length = fixture_zip(bytes, "bootstrap", 0100755);
	unsigned mode = 0;

	(void)state;
	for (size_t i = 0; i < length; i++) {
		char *copy = memcpy(malloc(length - i), bytes + i, length - i);
		int rc = fw_zip_mode(copy, length - i, "bootstrap", &mode, NULL);

		free(copy);
		if (i > 0)
			assert_int_equal(rc, FW_E_INVALID);
	}
	bytes[length - 3] = 0x7f; /* the offset of the directory */
	assert_int_equal(fw_zip_mode(bytes, length, "bootstrap", &mode, NULL), FW_E_INVALID);
}

FW_TESTS(the_mode_of_a_member_is_found, a_member_made_elsewhere_has_no_unix_mode, another_member_is_not_it,
         broken_archives_are_refused)
