/* SPDX-License-Identifier: Apache-2.0
 *
 * Interpreters of programs (program.h). A format that is not ours is nobody's fault here: the kernel may know how to run it.
 */
#include "host/program.h"

#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"

enum { HEAD_BYTES = 256, SEGMENTS_MAX = 128 };

static char *of_script(const char *head, size_t length)
{
	size_t start = 2, end;

	while (start < length && (head[start] == ' ' || head[start] == '\t'))
		start++;
	for (end = start; end < length && head[end] && !strchr(" \t\r\n", head[end]); end++)
		;
	/* A carriage return belongs to the name as the kernel reads it. */
	return end > start ? fw_strndup(head + start, (end < length && head[end] == '\r' ? end + 1 : end) - start) : NULL;
}

/* PT_INTERP. */
static char *of_elf(int fd, const char *head)
{
	Elf64_Ehdr header;
	Elf64_Phdr segment;
	char name[HEAD_BYTES];

	memcpy(&header, head, sizeof header);
	if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_machine != FW_PROGRAM_MACHINE)
		return NULL;
	for (unsigned i = 0; i < header.e_phnum && i < SEGMENTS_MAX; i++) {
		off_t at = (off_t)(header.e_phoff + (uint64_t)i * sizeof segment);

		if (pread(fd, &segment, sizeof segment, at) != (ssize_t)sizeof segment)
			return NULL;
		if (segment.p_type != PT_INTERP)
			continue;
		ssize_t got = pread(fd, name, sizeof name - 1, (off_t)segment.p_offset);

		return got > 0 && name[0] ? fw_strndup(name, strnlen(name, (size_t)got)) : NULL;
	}
	return NULL;
}

char *fw_program_interpreter(int fd)
{
	char head[HEAD_BYTES];
	ssize_t got = pread(fd, head, sizeof head, 0);
	size_t length = got > 0 ? (size_t)got : 0;

	if (length > 2 && memcmp(head, "#!", 2) == 0)
		return of_script(head, length);
	return length >= sizeof(Elf64_Ehdr) && memcmp(head, ELFMAG, SELFMAG) == 0 ? of_elf(fd, head) : NULL;
}

int fw_program_no_interpreter(struct fw_error **err, const char *program, const char *interpreter)
{
	size_t length = strlen(interpreter);
	bool carriage = length > 0 && interpreter[length - 1] == '\r';
	int rc = fw_fail(err, FW_E_ABSENT, "%s cannot start: its interpreter %.*s%s is not there", program,
	                 (int)(carriage ? length - 1 : length), interpreter, carriage ? "\\r" : "");

	if (carriage)
		return fw_error_hint(err, rc, "the file has Windows line ends: convert it with `sed -i 's/\\r$//' %s`", program);
	return fw_error_hint(err, rc, "install it, or name one that functions see (system directories and the package)");
}

int fw_program_check(int fd, const char *program, const char *task, struct fw_error **err)
{
	static const char shown[] = "/var/task/";
	size_t length = sizeof shown - 1;
	fw_cleanup_free char *interpreter = fw_program_interpreter(fd);

	if (!interpreter)
		return FW_OK;
	bool own = interpreter[0] != '/' || strncmp(interpreter, shown, length) == 0;
	fw_cleanup_free char *path =
		own ? fw_printf("%s/%s", task, interpreter + (interpreter[0] == '/' ? length : 0)) : fw_strdup(interpreter);

	return access(path, F_OK) == 0 ? FW_OK : fw_program_no_interpreter(err, program, interpreter);
}
