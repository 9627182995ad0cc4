/* SPDX-License-Identifier: Apache-2.0
 *
 * What the head of a program's file says of how the kernel would start it: the interpreter that it names. The kernel
 * answers ENOENT for a missing interpreter as for a missing file, and too late; the file itself tells them apart.
 */
#pragma once

#include <elf.h>

#include "base/error.h"

#if defined __x86_64__
enum { FW_PROGRAM_MACHINE = EM_X86_64 }; /* of ELF files for this processor */
#else
enum { FW_PROGRAM_MACHINE = EM_AARCH64 };
#endif

/* What stands behind "#!", with the carriage return of a file with Windows line ends, or an ELF file's loader; NULL where
 * there is none. Newly allocated. The file is foreign: nothing in it is believed without bounds. */
char *fw_program_interpreter(int fd);

/* For an interpreter that is not there: FW_E_ABSENT with the remedy. */
int fw_program_no_interpreter(struct fw_error **err, const char *program, const char *interpreter);

/* FW_E_ABSENT when the interpreter that the open file names is nowhere on this machine, so that no sandbox can show it.
 * `task` is the directory that functions see as /var/task, `program` names the file in the message. */
int fw_program_check(int fd, const char *program, const char *task, struct fw_error **err);
