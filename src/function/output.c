/* SPDX-License-Identifier: Apache-2.0
 *
 * Output objects are files in the directories that the event names; the host publishes them when the answer says so. A
 * path is declared when it is given out, in that order: the order is each object's ordinal.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "function/sdk.h"

static struct fw_sdk_output *find_output(struct fw_invocation *invocation, const char *name)
{
	struct fw_sdk_output *output = invocation->outputs;

	while (output && strcmp(output->name, name) != 0)
		output = output->next;
	if (!output)
		fw_fail_invocation(invocation, "Function.Output", "the stage has no output '%s'", name);
	return output;
}

static const char *declare(struct fw_invocation *invocation, struct fw_sdk_output *output, const char *name)
{
	const char *path = fw_sdk_format(&invocation->arena, "%s/%s", output->directory, name);

	if (output->count == output->capacity) {
		size_t capacity = output->capacity ? 2 * output->capacity : 8;
		struct fw_sdk_output_object *objects = fw_sdk_take(&invocation->arena, capacity * sizeof *objects);

		if (output->count)
			memcpy(objects, output->objects, output->count * sizeof *objects);
		output->objects = objects;
		output->capacity = capacity;
	}
	output->objects[output->count++] = (struct fw_sdk_output_object){name, path};
	return path;
}

const char *fw_output_path(struct fw_invocation *invocation, const char *name, const char *suffix)
{
	struct fw_sdk_output *output = find_output(invocation, name);

	if (!output)
		return NULL;
	return declare(invocation, output, fw_sdk_format(&invocation->arena, "%04lld-%03lld%s", (long long)invocation->task,
	                                                 (long long)output->ordinal++, suffix ? suffix : output->suffix));
}

const char *fw_output_named(struct fw_invocation *invocation, const char *name, const char *file)
{
	struct fw_sdk_output *output = find_output(invocation, name);

	if (!output)
		return NULL;
	if (!*file || strchr(file, '/') || strcmp(file, ".") == 0 || strcmp(file, "..") == 0) {
		fw_fail_invocation(invocation, "Function.Output", "output '%s': '%s' is no name for an object", name, file);
		return NULL;
	}
	return declare(invocation, output, fw_sdk_copy(&invocation->arena, file, strlen(file)));
}

const char *fw_output_directory(struct fw_invocation *invocation, const char *name)
{
	const struct fw_sdk_output *output = find_output(invocation, name);

	return output ? output->directory : NULL;
}

void fw_output_drop(struct fw_invocation *invocation, const char *path)
{
	for (struct fw_sdk_output *output = invocation->outputs; path && output; output = output->next) {
		for (size_t i = output->count; i-- > 0;) {
			if (strcmp(output->objects[i].path, path) != 0)
				continue;
			output->count--;
			memmove(&output->objects[i], &output->objects[i + 1], (output->count - i) * sizeof *output->objects);
			unlink(path); /* there may be none */
			return;
		}
	}
}

void fw_write_begin(struct fw_invocation *invocation)
{
	if (invocation->write_depth++ == 0)
		invocation->write_since_ns = fw_sdk_now_ns();
}

void fw_write_end(struct fw_invocation *invocation)
{
	if (invocation->write_depth && --invocation->write_depth == 0)
		invocation->write_ns += fw_sdk_now_ns() - invocation->write_since_ns;
}

static int write_all(int fd, const char *bytes, size_t length)
{
	while (length > 0) {
		ssize_t written = write(fd, bytes, length);

		if (written < 0 && errno == EINTR)
			continue;
		if (written < 0)
			return FW_ERROR;
		bytes += written;
		length -= (size_t)written;
	}
	return FW_OK;
}

int fw_write_output(struct fw_invocation *invocation, const char *path, const void *bytes, size_t length)
{
	if (!path) /* the failure to get one is recorded */
		return FW_ERROR;
	fw_write_begin(invocation);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	int failed = fd < 0 || write_all(fd, bytes, length) != FW_OK;
	int why = errno;
	if (fd >= 0 && close(fd) != 0 && !failed) {
		failed = 1;
		why = errno;
	}
	fw_write_end(invocation);
	return failed ? fw_fail_invocation(invocation, "Function.Write", "write %s: %s", path, strerror(why)) : FW_OK;
}
