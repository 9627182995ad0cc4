/* SPDX-License-Identifier: Apache-2.0
 *
 * Why a program could not be started, by the file itself: the kernel says ENOENT for a missing interpreter as for a missing
 * file and ENOEXEC for a foreign processor as for a missing "#!". Only FW_E_ENVIRONMENT may go better another time.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "host/program.h"
#include "runtime/sandbox_internal.h"

char *fw_host_path(const struct fw_sandbox_spec *spec, const char *path)
{
	static const char task[] = "/var/task";
	size_t length = sizeof task - 1;

	if (spec->package && strncmp(path, task, length) == 0 && (path[length] == '/' || path[length] == '\0'))
		return fw_printf("%s%s", spec->package, path + length);
	return fw_strdup(path);
}

static const char *machine_name(unsigned machine)
{
	return machine == EM_X86_64 ? "x86-64" : machine == EM_AARCH64 ? "arm64" : machine == EM_386 ? "32-bit x86" :
	       machine == EM_ARM ? "32-bit ARM" : machine == EM_RISCV ? "RISC-V" : "another processor";
}

static int not_permitted(struct fw_error **err, const char *path, const struct stat *stat)
{
	struct statvfs filesystem;

	if (!S_ISREG(stat->st_mode))
		return fw_fail(err, FW_E_INVALID, "%s cannot start: it is not a regular file", path);
	if (!(stat->st_mode & S_IXOTH))
		return fw_error_hint(err, fw_fail(err, FW_E_PERMISSION, "%s cannot start: it is not executable", path),
		                     "chmod a+rx %s", path);
	if (statvfs(path, &filesystem) == 0 && (filesystem.f_flag & ST_NOEXEC))
		return fw_error_hint(err, fw_fail(err, FW_E_PERMISSION, "%s cannot start: its file system is mounted noexec", path),
		                     "choose a state directory on a file system that may hold programs");
	return fw_error_hint(err, fw_fail(err, FW_E_PERMISSION, "%s cannot start: permission denied", path),
	                     "the function's user must be able to read and execute it: chmod a+rx %s", path);
}

static int wrong_format(struct fw_error **err, const char *path, const char *head, size_t length)
{
	Elf64_Ehdr header;

	if (length >= sizeof header && memcmp(head, ELFMAG, SELFMAG) == 0) {
		memcpy(&header, head, sizeof header);
		if (header.e_machine != FW_PROGRAM_MACHINE)
			return fw_error_hint(err, fw_fail(err, FW_E_INVALID, "%s cannot start: it is a program for %s, this machine is %s",
			                     path, machine_name(header.e_machine), machine_name(FW_PROGRAM_MACHINE)),
			                     "build it for this machine's processor");
	}
	return fw_error_hint(err, fw_fail(err, FW_E_INVALID, "%s cannot start: it is neither a program nor a script", path),
	                     "a script begins with #! and its interpreter, as #!/bin/sh");
}

/* Of the machine at that moment, not of the program. */
static bool may_pass(int error_number)
{
	static const int passing[] = {EAGAIN, ENOMEM, ENFILE, EMFILE, EIO, ETXTBSY, EINTR};

	for (size_t i = 0; i < FW_COUNT_OF(passing); i++)
		if (passing[i] == error_number)
			return true;
	return false;
}

int fw_exec_failed(struct fw_error **err, int error_number, const struct fw_sandbox_spec *spec)
{
	fw_cleanup_free char *path = fw_host_path(spec, spec->argv[0]);
	fw_cleanup_free char *interpreter = NULL;
	char head[256];
	struct stat stat_;
	fw_cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	ssize_t got = fd >= 0 ? pread(fd, head, sizeof head, 0) : 0;
	size_t length = got > 0 ? (size_t)got : 0;

	if (stat(path, &stat_) != 0)
		return fw_error_hint(err, fw_fail(err, FW_E_ABSENT, "%s cannot start: there is no %s", spec->argv[0], path),
		                     "a package holds an executable file named bootstrap");
	if (error_number == EACCES || error_number == EPERM)
		return not_permitted(err, path, &stat_);
	interpreter = fd >= 0 ? fw_program_interpreter(fd) : NULL;
	if (error_number == ENOENT)
		return interpreter ? fw_program_no_interpreter(err, path, interpreter) :
		       fw_error_hint(err, fw_fail(err, FW_E_ABSENT, "%s cannot start: functions do not see it", path),
		                     "put it into the package or a system directory");
	if (error_number == ENOEXEC)
		return wrong_format(err, path, head, length);
	return fw_fail(err, may_pass(error_number) ? FW_E_ENVIRONMENT : FW_E_INVALID, "%s cannot start: %s", path,
	               strerror(error_number));
}
