/* SPDX-License-Identifier: Apache-2.0
 *
 * Handlers in a module beside the program. It is never unloaded: the loader counts, and the next call finds it there.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "module.h"

int module_call(struct fw_invocation *invocation, const char *module, const char *handler)
{
	char program[3072] = "", path[4096];
	ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);
	fw_handler_fn *call = NULL;

	char *slash = length > 0 ? strrchr(program, '/') : NULL;
	if (slash)
		slash[1] = '\0';
	snprintf(path, sizeof path, "%s%s", program, module);
	void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (library)
		*(void **)&call = dlsym(library, handler);
	if (!call)
		return fw_fail_invocation(invocation, "Video.NoFFmpeg", "%s: %s", path, dlerror());
	return call(invocation);
}
