/* SPDX-License-Identifier: Apache-2.0
 *
 * Preparing functions (launch.h): one way per kind. What AWS's own clients need is looked for here, once, so that a
 * missing one is a clear error before anything starts and not a worker that dies.
 */
#include "runtime/launch_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <string.h>

#include "base/buffer.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/str.h"
#include "host/program.h"

void fw_launch_free(struct fw_launch *launch)
{
	if (!launch)
		return;
	for (size_t i = 0; i < launch->argv.count; i++)
		free(launch->argv.items[i]);
	for (size_t i = 0; i < launch->read_only.count; i++)
		free(launch->read_only.items[i]);
	free(launch->argv.items);
	free(launch->read_only.items);
	for (size_t i = 0; i < launch->owned.count; i++)
		free(launch->owned.items[i]);
	free(launch->owned.items);
	free(launch->package);
	free(launch->command);
	free(launch);
}

void fw_launch_show(struct fw_launch *launch, const char *path)
{
	if (!*path || strcmp(path, "/") == 0 || fw_path_is_below(path, "/usr") || fw_path_is_below(path, launch->package))
		return;
	for (size_t i = 0; i < launch->read_only.count; i++)
		if (fw_path_is_below(path, launch->read_only.items[i]))
			return;
	FW_PUSH(&launch->read_only, fw_strdup(path));
}

void fw_launch_add_argument(struct fw_launch *launch, const char *argument)
{
	FW_PUSH(&launch->argv, fw_strdup(argument));
}

static int prepare_package(struct fw_launch *launch, struct fw_error **err)
{
	fw_cleanup_free char *bootstrap = fw_printf("%s/bootstrap", launch->package);
	int rc = FW_OK;

	if (access(bootstrap, F_OK) != 0) {
		rc = fw_fail(err, FW_E_ABSENT, "the package has no file 'bootstrap'");
		return fw_error_hint(err, rc, "a package is a directory or zip with an executable named bootstrap at its top");
	}
	if (access(bootstrap, X_OK) != 0) {
		rc = fw_fail(err, FW_E_PERMISSION, "the package's bootstrap is not executable");
		return fw_error_hint(err, rc, "chmod +x bootstrap");
	}
	fw_launch_add_argument(launch, FW_LAUNCH_TASK "/bootstrap");
	fw_cleanup_fd int fd = open(bootstrap, O_RDONLY | O_CLOEXEC);

	return fd < 0 ? fw_fail_errno(err, errno, "open %s", bootstrap)
	              : fw_program_check(fd, FW_LAUNCH_TASK "/bootstrap", launch->package, err);
}

char *fw_launch_find_program(const char *name)
{
	struct fw_str rest = fw_str_of(getenv("PATH")), directory;

	while (fw_str_next_field(&rest, ':', &directory)) {
		fw_cleanup_free char *path = fw_printf("%.*s/%s", (int)directory.length, directory.text, name);

		if (path[0] == '/' && access(path, X_OK) == 0)
			return FW_TAKE(path);
	}
	return NULL;
}

void fw_launch_probe_environment(char *envp[3])
{
	const char *home = getenv("HOME"), *path = getenv("PATH");

	envp[0] = fw_printf("HOME=%s", home ? home : "/");
	envp[1] = fw_printf("PATH=%s", path ? path : "/usr/bin:/bin");
	envp[2] = NULL;
}

/* In the directory that the environment names, beside the running binary, where a build tree has it, or where it was
 * installed, also when its prefix was moved since; newly allocated, NULL when nowhere. */
static char *find_command_bootstrap(void)
{
	char self[PATH_MAX];
	ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);

	self[length > 0 ? length : 0] = '\0';
	const char *const here = dirname(self), *const named = getenv("FLEXWATT_LIBEXEC");
	const struct {
		const char *directory, *name;
	} places[] = {
		{named ? named : here, "flexwatt-command"},
		{here, "flexwatt-command"},
		{here, "../function/flexwatt-command"},
		{here, "../libexec/flexwatt/flexwatt-command"},
		{FW_LIBEXEC_DIRECTORY, "flexwatt-command"},
	};

	for (size_t i = 0; i < FW_COUNT_OF(places); i++) {
		fw_cleanup_free char *path = fw_printf("%s/%s", places[i].directory, places[i].name);
		fw_cleanup_free char *real = realpath(path, NULL);

		if (real && access(real, X_OK) == 0)
			return FW_TAKE(real);
	}
	return NULL;
}

static char *command_json(const struct fw_function *function)
{
	fw_cleanup_json json_t *words = json_array();

	for (size_t i = 0; i < function->command.count; i++)
		json_array_append_new(words, json_string(function->command.items[i]));
	fw_cleanup_json json_t *json = json_pack("{s:O, s:b}", "command", words, "per_object", function->per_object);

	return fw_json_dump(json);
}

static int prepare_command(struct fw_launch *launch, const struct fw_function *function, struct fw_error **err)
{
	fw_cleanup_free char *bootstrap = find_command_bootstrap();

	if (!bootstrap) {
		int rc = fw_fail(err, FW_E_ENVIRONMENT, "the program flexwatt-command, which runs command functions, is missing");

		return fw_error_hint(err, rc, "install flexwatt, or set FLEXWATT_LIBEXEC to the directory that has it");
	}
	FW_PUSH(&launch->read_only, fw_strdup(bootstrap));
	fw_launch_add_argument(launch, bootstrap);
	launch->command = command_json(function);
	return FW_OK;
}

static int prepare_kind(struct fw_sandboxes *sandboxes, struct fw_launch *launch, const struct fw_function *function,
                        struct fw_error **err)
{
	switch (function->kind) {
	case FW_FUNCTION_PACKAGE:
		return prepare_package(launch, err);
	case FW_FUNCTION_PYTHON:
		return fw_launch_python(sandboxes, launch, function, err);
	case FW_FUNCTION_NODE:
		return fw_launch_node(launch, err);
	case FW_FUNCTION_COMMAND:
		return prepare_command(launch, function, err);
	}
	return fw_fail(err, FW_E_INTERNAL, "unknown kind of function");
}

int fw_launch_prepare(struct fw_sandboxes *sandboxes, const struct fw_function *function, struct fw_launch **launch,
                      struct fw_error **err)
{
	FW_CLEANUP(fw_launch_free) struct fw_launch *made = fw_alloc(sizeof *made);
	int rc = FW_OK;

	if (function->kind != FW_FUNCTION_COMMAND)
		rc = fw_package_cache(sandboxes, function->path, made->digest, &made->package, err);
	if (rc == FW_OK)
		rc = prepare_kind(sandboxes, made, function, err);
	if (rc != FW_OK)
		return fw_error_wrap(err, rc, "prepare the function %s", function->path ? function->path : function->command.items[0]);
	*launch = FW_TAKE(made);
	return FW_OK;
}
