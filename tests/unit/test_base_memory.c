/* SPDX-License-Identifier: Apache-2.0 */
#include "base/memory.h"

#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/support.h"

static void fresh_memory_is_zero_even_of_no_size(void **state)
{
	fw_cleanup_free char *some = fw_alloc(64), *none = fw_alloc(0), *no_items = fw_alloc_array(0, 8);
	static const char zeros[64];

	(void)state;
	assert_memory_equal(some, zeros, sizeof zeros);
	assert_non_null(none);
	assert_non_null(no_items);
}

static void a_vector_grows_and_keeps_its_items(void **state)
{
	FW_VECTOR(size_t) vector = {0};

	(void)state;
	for (size_t i = 0; i < 1000; i++)
		FW_PUSH(&vector, i);
	for (size_t i = 0; i < vector.count; i++)
		assert_int_equal(vector.items[i], i);
	assert_int_equal(vector.count, 1000);
	free(vector.items);
}

static void texts_are_copied_and_null_stays_null(void **state)
{
	fw_cleanup_free char *cut = fw_strndup("abc", 2), *made = fw_printf("%d-%s", 3, "x");

	(void)state;
	assert_string_equal(cut, "ab");
	assert_string_equal(made, "3-x");
	assert_null(fw_strdup(NULL));
	assert_null(fw_strndup(NULL, 3));
}

/* In a child whose standard error is a pipe. */
static void exhaustion_ends_the_process_with_one_line(void **state)
{
	int ends[2], status = 0;
	char line[100] = {0};

	(void)state;
	assert_int_equal(pipe(ends), 0);
	pid_t child = fork();
	if (child == 0) {
		dup2(ends[1], STDERR_FILENO);
		fw_memory_exhausted();
	}
	close(ends[1]);
	assert_true(read(ends[0], line, sizeof line - 1) > 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 3);
	assert_string_equal(line, "flexwatt: out of memory\n");
	close(ends[0]);
}

FW_TESTS(fresh_memory_is_zero_even_of_no_size, a_vector_grows_and_keeps_its_items, texts_are_copied_and_null_stays_null,
         exhaustion_ends_the_process_with_one_line)
