/* SPDX-License-Identifier: Apache-2.0
 *
 * One output of an attempt: its tree is walked, what is declared is taken over, what is not is removed, and the objects
 * are listed in the order that consumers are dealt by.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/map.h"
#include "base/str.h"
#include "base/tree.h"
#include "storage/file_publish_internal.h"

static void add_object(struct fw_publishing *publishing, const char *path, int64_t bytes)
{
	publishing->output_of = fw_grow(publishing->output_of, publishing->objects->list.count,
	                                &publishing->output_of_capacity, sizeof *publishing->output_of);
	publishing->output_of[publishing->objects->list.count] = publishing->output_index;
	FW_PUSH(&publishing->objects->list,
	        (struct fw_storage_object){
			.key = fw_printf("%s/%s/%s", publishing->prefix, publishing->output, path), .bytes = bytes});
}

static int check_entry(void *context, const char *path, int parent_fd, const char *name, const struct stat *stat,
                       struct fw_error **err)
{
	struct fw_publishing *publishing = context;
	const char *forbidden = fw_take_forbidden(stat);
	int64_t bytes = 0;

	if (forbidden)
		return fw_take_refuse(err, publishing->output, path, forbidden);
	if (!fw_is_utf8(path))
		return fw_take_refuse(err, publishing->output, "(…)", "a name that is not UTF-8");
	if (S_ISDIR(stat->st_mode))
		return fw_take_directory(publishing, path, parent_fd, name, err);
	if (publishing->declared && !fw_map_has(publishing->declared, path)) {
		if (publishing->fresh_fd < 0 && unlinkat(parent_fd, name, 0) < 0)
			return fw_fail_errno(err, errno, "remove undeclared %s", path);
		return FW_OK;
	}
	int rc = fw_take_file(publishing, path, parent_fd, name, &bytes, err);

	if (rc != FW_OK)
		return rc;
	if (!publishing->declared)
		add_object(publishing, path, bytes);
	else
		fw_map_set(publishing->declared, path, (void *)(intptr_t)(bytes + 1));
	return FW_OK;
}

/* Declared objects keep the order of the answer: it is the ordinal that consumers are dealt by. */
static int add_declared(struct fw_publishing *publishing, const char *const *names, size_t count, struct fw_error **err)
{
	for (size_t i = 0; i < count; i++) {
		intptr_t size = (intptr_t)fw_map_get(publishing->declared, names[i]);

		if (size == 0) {
			int rc = fw_fail(err, FW_E_FUNCTION, "output '%s': the answer declares '%s', which was not written",
			                 publishing->output, names[i]);

			return fw_error_hint(err, rc, "write the file into the directory that the event names before answering");
		}
		add_object(publishing, names[i], (int64_t)size - 1);
	}
	return FW_OK;
}

int fw_publish_output(struct fw_publishing *publishing, int directory_fd, const char *const *names, size_t count,
                      struct fw_error **err)
{
	size_t first = publishing->objects->list.count;
	int rc = fw_take_directory(publishing, "", directory_fd, publishing->output, err);

	publishing->declared = names ? fw_map_new() : NULL;
	for (size_t i = 0; names && i < count; i++)
		fw_map_set(publishing->declared, names[i], NULL);
	if (rc == FW_OK)
		rc = fw_tree_walk(directory_fd, publishing->output, check_entry, publishing, err);
	if (rc == FW_OK && names)
		rc = add_declared(publishing, names, count, err);
	else if (rc == FW_OK)
		fw_storage_objects_sort(publishing->objects, first);
	fw_map_free(publishing->declared);
	publishing->declared = NULL;
	return rc;
}
