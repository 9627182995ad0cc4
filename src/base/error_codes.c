/* SPDX-License-Identifier: Apache-2.0
 *
 * What the registry of error.h says of a code, and which code stands for an errno. The switch over errno is the only one,
 * so that the same failure of the system has the same exit status everywhere.
 */
#include <errno.h>

#include "base/error.h"

const char *fw_code_name(int code)
{
	switch (code) {
	case FW_OK:
		return "FW_OK";
#define X(name, value, exit_status, text) \
	case name:                            \
		return #name;
		FW_ERROR_CODES(X)
#undef X
	default:
		return "unknown code";
	}
}

const char *fw_code_text(int code)
{
	switch (code) {
	case FW_OK:
		return "done";
#define X(name, value, exit_status, text) \
	case name:                            \
		return text;
		FW_ERROR_CODES(X)
#undef X
	default:
		return "unknown error";
	}
}

int fw_code_exit_status(int code)
{
	switch (code) {
	case FW_OK:
		return 0;
#define X(name, value, exit_status, text) \
	case name:                            \
		return exit_status;
		FW_ERROR_CODES(X) /* NOLINT(bugprone-branch-clone): the rows of a table */
#undef X
	default:
		return 3;
	}
}

int fw_code_from_errno(int errnum)
{
	switch (errnum) {
	case ENOENT:
	case ENOTDIR:
	case ENODEV:
	case ENXIO:
	case ESRCH:
		return FW_E_ABSENT;
	case EACCES:
	case EPERM:
	case EROFS:
		return FW_E_PERMISSION;
	case ENOSPC:
	case EDQUOT:
		return FW_E_NO_SPACE;
	case EBUSY:
	case EAGAIN:
	case ETXTBSY:
	case EADDRINUSE:
		return FW_E_BUSY;
	case EEXIST:
	case ENOTEMPTY:
		return FW_E_CONFLICT;
	case ENAMETOOLONG:
	case E2BIG:
	case EFBIG:
		return FW_E_LIMIT;
	case EMFILE:
	case ENFILE:
	case ENOMEM:
	case ENOSYS:
	case EOPNOTSUPP:
	case EAFNOSUPPORT:
		return FW_E_ENVIRONMENT;
	case ETIMEDOUT:
		return FW_E_TIMEOUT;
	case ECANCELED:
		return FW_E_CANCELLED;
	default:
		return FW_E_IO;
	}
}
