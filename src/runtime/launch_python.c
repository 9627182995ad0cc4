/* SPDX-License-Identifier: Apache-2.0
 *
 * Python functions. The interpreter itself is asked what it needs (python_probe.py), wherever it lies: a virtual environment
 * and the Python that it was made from, pyenv, uv. Our bootstrap comes with this program, compiled for that interpreter. The
 * worker runs the interpreter behind all links, and the bootstrap gives it the environment that it was called by.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/str.h"
#include "runtime/launch_internal.h"
#include "runtime/probe.h"
#include "python_probe.h"
#include "python_runtime.h"

enum { PROBE_OUTPUT_BYTES = 1 << 20 };

/* The active virtual environment's interpreter, else the first that PATH has, else the system's; newly allocated. */
static char *interpreter_of(const struct fw_function *function)
{
	const char *environment = getenv("VIRTUAL_ENV");

	if (function->interpreter)
		return fw_strdup(function->interpreter);
	if (environment && environment[0] == '/')
		return fw_printf("%s/bin/python3", environment);
	char *found = fw_launch_find_program("python3");
	return found ? found : fw_strdup("/usr/bin/python3");
}

/* A virtual environment is a link to a Python that may have been removed or is somebody's alone. */
static int check_interpreter(const char *path, struct fw_error **err)
{
	char target[PATH_MAX];
	struct stat stat_;

	if (access(path, X_OK) == 0)
		return FW_OK;
	int why = errno;
	ssize_t length = readlink(path, target, sizeof target - 1);
	if (why == ENOENT && length > 0) {
		target[length] = '\0';
		return fw_error_hint(err, fw_fail(err, FW_E_ABSENT, "%s is a link to %s, which is not there", path, target),
		                     "make the virtual environment anew, or name another interpreter");
	}
	if (why == EACCES && geteuid() != 0 && (length > 0 || stat(path, &stat_) != 0))
		return fw_error_hint(err, fw_fail(err, FW_E_PERMISSION, "%s lies where user %u may not look", path, geteuid()),
		                     "give this user an interpreter of its own (python3 -m venv), or open the directories on "
		                     "its way: chmod o+x");
	return fw_error_hint(err, fw_fail_errno(err, why, "run %s", path),
	                     "function: {python: {path: ..., interpreter: ./venv/bin/python3}} names another");
}

static int ask(struct fw_sandboxes *sandboxes, const struct fw_launch *launch, const struct fw_function *function,
               const char *interpreter, json_t **told, struct fw_error **err)
{
	static const char *const styles[] = {[FW_STYLE_FOUND] = "", [FW_STYLE_EVENT] = "event", [FW_STYLE_STAGE] = "stage"};
	fw_cleanup_free char *runtime = NULL;
	fw_cleanup_free char *cache = fw_printf("%s/python", fw_sandboxes_state(sandboxes));
	fw_cleanup_free char *script = fw_strndup((const char *)python_probe, sizeof python_probe);
	fw_cleanup_buffer struct fw_buffer output;
	char *envp[3];

	fw_buffer_init(&output, PROBE_OUTPUT_BYTES);
	int rc = fw_package_cache_bytes(sandboxes, python_runtime, sizeof python_runtime, &runtime, err);
	if (rc != FW_OK)
		return fw_error_wrap(err, rc, "unpack the bootstrap for Python");
	const char *const argv[] = {interpreter, "-I", "-c", script, launch->package, runtime, cache, function->handler,
	                            styles[function->style], NULL};
	fw_launch_probe_environment(envp);
	rc = fw_probe_run(argv, (const char *const *)envp, &output, err);
	free(envp[0]);
	free(envp[1]);
	if (rc == FW_OK && fw_json_load(interpreter, output.data, output.length, told, NULL) != FW_OK)
		rc = fw_fail(err, FW_E_ENVIRONMENT, "run %s: it does not answer as Python does", interpreter);
	if (rc != FW_OK)
		return fw_error_hint(err, rc, "%s -I -c 'import ast, json, site' shows what is wrong with it", interpreter);
	return FW_OK;
}

static void take_texts(const json_t *list, struct fw_launch *launch, void (*take)(struct fw_launch *launch, const char *text))
{
	size_t i;
	json_t *item;

	json_array_foreach((json_t *)(uintptr_t)list, i, item)
		if (json_is_string(item))
			take(launch, json_string_value(item));
}

static void own(struct fw_launch *launch, const char *path)
{
	FW_PUSH(&launch->owned, fw_strdup(path));
}

static int take_answer(struct fw_launch *launch, const char *interpreter, const json_t *told, struct fw_error **err)
{
	fw_cleanup_free char *executable = NULL, *directory = NULL, *old = NULL, *unreadable = NULL;
	json_t *options = NULL, *show = NULL, *owned = NULL;
	const struct fw_json_member members[] = {
		{"executable", 's', false, &executable}, {"bootstrap", 's', false, &directory}, {"options", 'o', false, &options},
		{"show", 'o', false, &show}, {"owned", 'o', false, &owned}, {"old", 's', false, &old},
		{"unreadable", 's', false, &unreadable}};
	int rc = fw_json_read(told, interpreter, members, FW_COUNT_OF(members), false, err);

	if (rc != FW_OK)
		return rc;
	if (old)
		return fw_error_hint(err, fw_fail(err, FW_E_UNAVAILABLE, "%s is Python %s", interpreter, old),
		                     "functions run on Python 3.9 and later");
	if (unreadable)
		return fw_error_hint(err, fw_fail(err, FW_E_PERMISSION, "%s cannot be read by functions", unreadable),
		                     "chmod -R a+rX %s", unreadable);
	if (!executable || !directory)
		return fw_fail(err, FW_E_ENVIRONMENT, "%s says nothing of itself", interpreter);
	take_texts(show, launch, fw_launch_show);
	take_texts(owned, launch, own);
	fw_launch_show(launch, directory);
	fw_cleanup_free char *bootstrap = fw_printf("%s/flexwatt/bootstrap.pyc", directory);
	fw_launch_add_argument(launch, executable);
	fw_launch_add_argument(launch, "-S"); /* site-packages come in when they are needed */
	fw_launch_add_argument(launch, bootstrap);
	take_texts(options, launch, fw_launch_add_argument);
	launch->handler_is_argument = true;
	return FW_OK;
}

int fw_launch_python(struct fw_sandboxes *sandboxes, struct fw_launch *launch, const struct fw_function *function,
                     struct fw_error **err)
{
	fw_cleanup_free char *interpreter = interpreter_of(function);
	fw_cleanup_json json_t *told = NULL;
	int rc = check_interpreter(interpreter, err);

	if (rc == FW_OK)
		rc = ask(sandboxes, launch, function, interpreter, &told, err);
	return rc == FW_OK ? take_answer(launch, interpreter, told, err) : rc;
}
