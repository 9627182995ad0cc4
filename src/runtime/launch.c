/* SPDX-License-Identifier: Apache-2.0
 *
 * Preparing functions (launch.h): one way per kind. What AWS's own clients need is looked for here, once, so that a
 * missing one is a clear error before anything starts and not a worker that dies.
 */
#include "runtime/launch.h"

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
#include "runtime/probe.h"

#define TASK "/var/task"

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
	free(launch->package);
	free(launch->python_path);
	free(launch->command);
	free(launch);
}

/* System directories and the package are shown by every sandbox. */
static void show(struct fw_launch *launch, const char *path)
{
	if (!*path || strcmp(path, "/") == 0 || fw_path_is_below(path, "/usr") || fw_path_is_below(path, launch->package))
		return;
	for (size_t i = 0; i < launch->read_only.count; i++)
		if (fw_path_is_below(path, launch->read_only.items[i]))
			return;
	FW_PUSH(&launch->read_only, fw_strdup(path));
}

static void add_argument(struct fw_launch *launch, const char *argument)
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
	add_argument(launch, TASK "/bootstrap");
	fw_cleanup_fd int fd = open(bootstrap, O_RDONLY | O_CLOEXEC);

	return fd < 0 ? fw_fail_errno(err, errno, "open %s", bootstrap)
	              : fw_program_check(fd, TASK "/bootstrap", launch->package, err);
}

/* The active virtual environment's interpreter, else the system's; newly allocated. */
static char *python_of(const struct fw_function *function)
{
	const char *environment = getenv("VIRTUAL_ENV");

	if (function->interpreter)
		return fw_strdup(function->interpreter);
	return environment && environment[0] == '/' ? fw_printf("%s/bin/python3", environment)
	                                            : fw_strdup("/usr/bin/python3");
}

/* Lines of the probe: prefix, base prefix, where the client lies (empty when it cannot be imported). */
static int take_python_probe(struct fw_launch *launch, const char *interpreter, struct fw_str output,
                             struct fw_error **err)
{
	struct fw_str prefix = {0}, base_prefix = {0}, origin = {0};

	(void)fw_str_next_line(&output, &prefix);
	(void)fw_str_next_line(&output, &base_prefix);
	(void)fw_str_next_line(&output, &origin);
	if (!origin.length) {
		int rc = fw_fail(err, FW_E_UNAVAILABLE, "%s cannot import awslambdaric, AWS's runtime client for Python",
		                 interpreter);

		return fw_error_hint(err, rc, "%s -m pip install awslambdaric, or put it into the function's directory",
		                     interpreter);
	}
	fw_cleanup_free char *environment = fw_strndup(prefix.text, prefix.length);
	fw_cleanup_free char *base = fw_strndup(base_prefix.text, base_prefix.length);
	fw_cleanup_free char *site = fw_strndup(origin.text, origin.length);
	const char *directory = dirname(dirname(site)); /* …/site-packages/awslambdaric/__init__.py */

	show(launch, environment);
	show(launch, base);
	show(launch, directory);
	launch->python_path = fw_path_is_below(directory, launch->package) ? fw_strdup(TASK) : fw_printf(TASK ":%s", directory);
	return FW_OK;
}

/* Isolated, and without the package among the places that Python imports from: it runs as us and outside of any sandbox,
 * where no line of the function's may be executed (sitecustomize, a module that hides one of the library's). */
static int prepare_python(struct fw_launch *launch, const struct fw_function *function, struct fw_error **err)
{
	static const char script[] =
		"import sys, site; from importlib.machinery import PathFinder as finder\n"
		"user = [site.getusersitepackages()] if sys.prefix == sys.base_prefix else []\n"
		"s = finder.find_spec('awslambdaric', [sys.argv[1], *user, *sys.path])\n"
		"print(sys.prefix); print(sys.base_prefix); print(s.origin or '' if s else '')";
	fw_cleanup_free char *interpreter = python_of(function);
	const char *const argv[] = {interpreter, "-I", "-c", script, launch->package, NULL}, *const envp[] = {NULL};
	fw_cleanup_buffer struct fw_buffer output;

	fw_buffer_init(&output, (size_t)3 * PATH_MAX);
	int rc = fw_probe_run(argv, envp, &output, err);

	if (rc == FW_OK)
		rc = take_python_probe(launch, interpreter, fw_buffer_str(&output), err);
	if (rc != FW_OK)
		return rc;
	show(launch, interpreter);
	add_argument(launch, interpreter);
	add_argument(launch, "-m");
	add_argument(launch, "awslambdaric");
	launch->handler_is_argument = true;
	return FW_OK;
}

/* First of $PATH's directories that has it; newly allocated, NULL when none. */
static char *find_program(const char *name)
{
	struct fw_str rest = fw_str_of(getenv("PATH")), directory;

	while (fw_str_next_field(&rest, ':', &directory)) {
		fw_cleanup_free char *path = fw_printf("%.*s/%s", (int)directory.length, directory.text, name);

		if (path[0] == '/' && access(path, X_OK) == 0)
			return FW_TAKE(path);
	}
	return NULL;
}

static int prepare_node(struct fw_launch *launch, struct fw_error **err)
{
	static const char *const entries[] = {"bin/index.mjs", "bin/index.js"};
	fw_cleanup_free char *node = find_program("node");

	if (!node) {
		int rc = fw_fail(err, FW_E_UNAVAILABLE, "no program 'node' in PATH");

		return fw_error_hint(err, rc, "install Node.js (apt-get install nodejs)");
	}
	for (size_t i = 0; i < FW_COUNT_OF(entries); i++) {
		fw_cleanup_free char *inside = fw_printf("/node_modules/aws-lambda-ric/%s", entries[i]);
		fw_cleanup_free char *path = fw_printf("%s%s", launch->package, inside);

		if (access(path, R_OK) != 0)
			continue;
		fw_cleanup_free char *shown = fw_printf(TASK "%s", inside);

		show(launch, node);
		add_argument(launch, node);
		add_argument(launch, shown);
		launch->handler_is_argument = true;
		return FW_OK;
	}
	int rc = fw_fail(err, FW_E_UNAVAILABLE, "the package has no aws-lambda-ric, AWS's runtime client for Node");

	return fw_error_hint(err, rc, "npm install aws-lambda-ric in the function's directory");
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
	add_argument(launch, bootstrap);
	launch->command = command_json(function);
	return FW_OK;
}

static int prepare_kind(struct fw_launch *launch, const struct fw_function *function, struct fw_error **err)
{
	switch (function->kind) {
	case FW_FUNCTION_PACKAGE:
		return prepare_package(launch, err);
	case FW_FUNCTION_PYTHON:
		return prepare_python(launch, function, err);
	case FW_FUNCTION_NODE:
		return prepare_node(launch, err);
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
		rc = prepare_kind(made, function, err);
	if (rc != FW_OK)
		return fw_error_wrap(err, rc, "prepare the function %s", function->path ? function->path : function->command.items[0]);
	*launch = FW_TAKE(made);
	return FW_OK;
}
