/* SPDX-License-Identifier: Apache-2.0
 *
 * What all storages share: choosing one by its scheme, and the layout of the keys.
 */
#include "storage/storage.h"

#include <stdlib.h>
#include <string.h>

static const struct fw_storage_ops *const members[] = {&fw_storage_file};

int fw_storage_open(const char *uri, struct fw_loop *loop, struct fw_pool *pool, struct fw_storage **storage,
                    struct fw_error **err)
{
	for (size_t i = 0; i < FW_COUNT_OF(members); i++) {
		size_t length = strlen(members[i]->scheme);

		if (strncmp(uri, members[i]->scheme, length) == 0 && uri[length] == ':')
			return members[i]->open(uri, loop, pool, storage, err);
	}
	int rc = fw_fail(err, FW_E_UNAVAILABLE, "storage %s: no such kind of storage in this version", uri);

	return fw_error_hint(err, rc, "a directory is written as a path or as file:/path");
}

void fw_storage_close(struct fw_storage *storage)
{
	if (storage)
		storage->ops->close(storage);
}

void fw_storage_objects_done(struct fw_storage_objects *objects)
{
	for (size_t i = 0; i < objects->list.count; i++)
		free(objects->list.items[i].key);
	free(objects->list.items);
	memset(objects, 0, sizeof *objects);
}

static int by_key(const void *a, const void *b)
{
	const struct fw_storage_object *left = a, *right = b;

	return strcmp(left->key, right->key);
}

void fw_storage_objects_sort(struct fw_storage_objects *objects, size_t first)
{
	if (objects->list.count > first)
		qsort(objects->list.items + first, objects->list.count - first, sizeof objects->list.items[0], by_key);
}

char *fw_attempt_prefix(const struct fw_attempt_key *key)
{
	return fw_printf("runs/%s/%s/%u.%u", key->run, key->stage, key->task, key->attempt);
}
