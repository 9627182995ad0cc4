/* SPDX-License-Identifier: Apache-2.0
 *
 * Node functions: AWS's own runtime client from the function's directory, on the first node in PATH, which is asked where it
 * really lies: what PATH has may be a link (nvm) or a program that only finds another (Volta, asdf).
 */
#include <string.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/memory.h"
#include "base/str.h"
#include "runtime/launch_internal.h"
#include "runtime/probe.h"

enum { PATH_BYTES = 8 << 10 };

static int find_node(char **node, struct fw_error **err)
{
	fw_cleanup_free char *found = fw_launch_find_program("node");
	fw_cleanup_buffer struct fw_buffer output;
	char *envp[3];

	if (!found)
		return fw_error_hint(err, fw_fail(err, FW_E_UNAVAILABLE, "no program 'node' in PATH"),
		                     "install Node.js (apt-get install nodejs), or put the one that you have into PATH");
	const char *const argv[] = {found, "-p", "process.execPath", NULL};
	fw_buffer_init(&output, PATH_BYTES);
	fw_launch_probe_environment(envp);
	int rc = fw_probe_run(argv, (const char *const *)envp, &output, err);
	free(envp[0]);
	free(envp[1]);
	if (rc != FW_OK)
		return fw_error_hint(err, rc, "%s -p process.execPath shows what is wrong with it", found);
	struct fw_str rest = fw_buffer_str(&output), line;
	fw_cleanup_free char *told = fw_str_next_line(&rest, &line) ? fw_strndup(line.text, line.length) : NULL;
	*node = told ? realpath(told, NULL) : NULL;
	return *node ? FW_OK : fw_fail(err, FW_E_ENVIRONMENT, "%s does not say where it lies", found);
}

int fw_launch_node(struct fw_launch *launch, struct fw_error **err)
{
	static const char *const entries[] = {"bin/index.mjs", "bin/index.js"};
	fw_cleanup_free char *node = NULL;
	int rc = find_node(&node, err);

	if (rc != FW_OK)
		return rc;
	for (size_t i = 0; i < FW_COUNT_OF(entries); i++) {
		fw_cleanup_free char *inside = fw_printf("/node_modules/aws-lambda-ric/%s", entries[i]);
		fw_cleanup_free char *path = fw_printf("%s%s", launch->package, inside);

		if (access(path, R_OK) != 0)
			continue;
		fw_cleanup_free char *shown = fw_printf(FW_LAUNCH_TASK "%s", inside);

		fw_launch_show(launch, node);
		fw_launch_add_argument(launch, node);
		fw_launch_add_argument(launch, shown);
		launch->handler_is_argument = true;
		return FW_OK;
	}
	rc = fw_fail(err, FW_E_UNAVAILABLE, "the package has no aws-lambda-ric, AWS's runtime client for Node");
	return fw_error_hint(err, rc, "npm install aws-lambda-ric in the function's directory");
}
