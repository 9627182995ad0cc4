/* SPDX-License-Identifier: Apache-2.0
 *
 * Is the code of a function there? A package must have an executable bootstrap, a Python or Node directory the file that
 * the handler names. Looked at before anything starts, so that a typing error costs no run.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/program.h"
#include "workflow/workflow_internal.h"

enum { ZIP_MAX_MB = 250 }; /* as on Lambda, even unpacked */

static int fail_missing(struct fw_error **err, const struct fw_setting *where, const char *path)
{
	return fw_error_hint(err, fw_setting_fail(err, where, FW_E_INVALID, "cannot read '%s': %s", path, strerror(errno)),
	                     where->override ? "paths of an override are relative to the current directory"
	                                     : "paths are relative to the workflow file");
}

static int check_interpreter(int directory_fd, const char *path, const struct fw_setting *where, struct fw_error **err)
{
	fw_cleanup_error struct fw_error *reason = NULL;
	fw_cleanup_fd int fd = openat(directory_fd, "bootstrap", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return fail_missing(err, where, where->text);
	if (fw_program_check(fd, "bootstrap", path, &reason) == FW_OK)
		return FW_OK;
	return fw_error_hint(err, fw_setting_fail(err, where, FW_E_INVALID, "package '%s': %s", where->text,
	                                          fw_error_message(reason)), "%s", fw_error_hint_text(reason));
}

static int check_directory_package(int fd, const char *path, const struct fw_setting *where, struct fw_error **err)
{
	struct stat stat;

	if (fstatat(fd, "bootstrap", &stat, 0) < 0)
		return fw_error_hint(err, fw_setting_fail(err, where, FW_E_INVALID, "package '%s' has no bootstrap", where->text),
		                     "a package needs an executable file named bootstrap");
	if (!S_ISREG(stat.st_mode) || !(stat.st_mode & FW_MODE_EXECUTABLE))
		return fw_error_hint(err, fw_setting_fail(err, where, FW_E_INVALID,
		                                          "package '%s': bootstrap is not an executable file", where->text),
		                     "chmod +x %s/bootstrap", where->text);
	return check_interpreter(fd, path, where, err);
}

static int check_zip_bytes(const char *bytes, size_t length, const struct fw_setting *where, struct fw_error **err)
{
	struct fw_error *reason FW_CLEANUP(fw_error_free) = NULL;
	unsigned mode = 0;
	int rc = fw_zip_mode(bytes, length, "bootstrap", &mode, &reason);

	if (rc == FW_E_ABSENT)
		return fw_error_hint(err, fw_setting_fail(err, where, FW_E_INVALID, "package '%s' has no bootstrap", where->text),
		                     "a package needs an executable file named bootstrap at its top");
	if (rc != FW_OK)
		return fw_error_hint(err, fw_setting_fail(err, where, FW_E_INVALID, "package '%s' is neither a directory nor a zip",
		                                          where->text), "%s", fw_error_message(reason));
	if (!(mode & FW_MODE_EXECUTABLE))
		return fw_error_hint(err, fw_setting_fail(err, where, FW_E_INVALID, "package '%s': bootstrap is not executable",
		                                          where->text), "chmod +x bootstrap, then zip it again");
	return FW_OK;
}

static int check_zip_package(const char *path, const struct fw_setting *where, struct fw_error **err)
{
	fw_cleanup_error struct fw_error *reason = NULL;
	fw_cleanup_buffer struct fw_buffer zip;

	fw_buffer_init(&zip, (size_t)ZIP_MAX_MB << 20);
	if (fw_read_file(AT_FDCWD, path, &zip, &reason) != FW_OK)
		return fw_setting_fail(err, where, FW_E_INVALID, "package '%s': %s", where->text, fw_error_message(reason));
	return check_zip_bytes(zip.data, zip.length, where, err);
}

static int check_package(const char *path, const struct fw_setting *where, struct fw_error **err)
{
	fw_cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat stat;

	if (fd < 0 || fstat(fd, &stat) < 0)
		return fail_missing(err, where, where->text);
	if (S_ISDIR(stat.st_mode))
		return check_directory_package(fd, path, where, err);
	if (S_ISREG(stat.st_mode))
		return check_zip_package(path, where, err);
	return check_zip_bytes("", 0, where, err);
}

/* The handler's file below the directory: up to the last '.' for Python (dots are directories), up to the first '.' of
 * the last part for Node. */
static char *module_path(const struct fw_function *function)
{
	char *module = fw_strdup(function->handler);
	char *slash = strrchr(module, '/');
	char *file = slash ? slash : module;
	char *last = strrchr(module, '.');

	if (function->kind == FW_FUNCTION_NODE)
		last = file + strcspn(file, ".");
	if (last)
		*last = '\0';
	for (char *dot = module; function->kind == FW_FUNCTION_PYTHON && (dot = strchr(dot, '.'));)
		*dot = '/';
	return module;
}

static int check_module(int fd, const struct fw_function *function, const struct fw_setting *where, struct fw_error **err)
{
	static const char *const python_forms[] = {".py", "/__init__.py", ".so", NULL};
	static const char *const node_forms[] = {".js", ".mjs", ".cjs", "", NULL};
	const char *const *forms = function->kind == FW_FUNCTION_PYTHON ? python_forms : node_forms;
	fw_cleanup_free char *module = module_path(function);

	for (size_t i = 0; forms[i]; i++) {
		fw_cleanup_free char *file = fw_printf("%s%s", module, forms[i]);
		struct stat stat;

		if (fstatat(fd, file, &stat, 0) == 0 && S_ISREG(stat.st_mode))
			return FW_OK;
	}
	return fw_error_hint(err, fw_setting_fail(err, where, FW_E_INVALID, "'%s' has no module for the handler '%s'",
	                                          where->text, function->handler),
	                     "it should be %s/%s%s", where->text, module, forms[0]);
}

static int check_modules(const struct fw_function *function, const struct fw_setting *where, struct fw_error **err)
{
	fw_cleanup_fd int fd = open(function->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 && errno == ENOTDIR)
		return fw_error_hint(err, fw_setting_fail(err, where, FW_E_INVALID, "'%s' is not a directory", where->text),
		                     "name the directory that holds the modules");
	if (fd < 0)
		return fail_missing(err, where, where->text);
	return check_module(fd, function, where, err);
}

int fw_check_function_files(const struct fw_function *function, const struct fw_setting *where,
                            const struct fw_setting *interpreter, struct fw_error **err)
{
	if (function->kind == FW_FUNCTION_PACKAGE)
		return check_package(function->path, where, err);
	if (interpreter && access(function->interpreter, X_OK) < 0)
		return fw_error_hint(err, fw_setting_fail(err, interpreter, FW_E_INVALID, "interpreter: cannot run '%s': %s",
		                                          interpreter->text, strerror(errno)),
		                     "the path of a Python, for example ./venv/bin/python3");
	return check_modules(function, where, err);
}
