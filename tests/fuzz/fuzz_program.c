/* SPDX-License-Identifier: Apache-2.0
 *
 * A stranger's program that the kernel would not start: whatever the file holds, there is one reason that can be shown.
 * Sources: src/runtime/sandbox_exec.c, src/host/program.c.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "host/program.h"
#include "runtime/sandbox_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const int reasons[] = {ENOENT, ENOEXEC, EACCES, ETXTBSY};
	char path[32];
	fw_cleanup_fd int fd = memfd_create("program", MFD_CLOEXEC);

	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		abort();
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	struct fw_sandbox_spec spec = {.argv = (const char *const[]){path, NULL}};

	fw_cleanup_free char *interpreter = fw_program_interpreter(fd);
	fw_cleanup_error struct fw_error *absent = NULL;

	if (interpreter && !*interpreter)
		abort();
	if (fw_program_check(fd, "program", "/nowhere", &absent) != FW_OK && (!interpreter || !absent))
		abort();

	for (size_t i = 0; i < FW_COUNT_OF(reasons); i++) {
		struct fw_error *err FW_CLEANUP(fw_error_free) = NULL;
		fw_cleanup_free char *shown = NULL;

		if (fw_exec_failed(&err, reasons[i], &spec) == FW_OK || !err)
			abort();
		shown = fw_error_describe(err);
	}
	return 0;
}
