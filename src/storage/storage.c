/* SPDX-License-Identifier: Apache-2.0
 *
 * What all storages share: choosing one by its scheme, and the layout of the keys.
 */
#include "storage/storage.h"

#include <stdlib.h>
#include <string.h>

static const struct fw_storage_ops *const members[] = {&fw_storage_file, &fw_storage_s3};

int fw_storage_open(const char *uri, const struct fw_storage_host *host, struct fw_storage **storage,
                    struct fw_error **err)
{
	static const struct fw_storage_host none = {0};

	for (size_t i = 0; i < FW_COUNT_OF(members); i++) {
		size_t length = strlen(members[i]->scheme);

		if (strncmp(uri, members[i]->scheme, length) == 0 && uri[length] == ':')
			return members[i]->open(uri, host ? host : &none, storage, err);
	}
	int rc = fw_fail(err, FW_E_UNAVAILABLE, "storage %s: no such kind of storage in this version", uri);

	return fw_error_hint(err, rc, "a directory is written as a path or as file:/path, a bucket as s3://bucket");
}

void fw_storage_close(struct fw_storage *storage)
{
	if (storage)
		storage->ops->close(storage);
}

void fw_storage_objects_done(struct fw_storage_objects *objects)
{
	for (size_t i = 0; i < objects->list.count; i++) {
		free(objects->list.items[i].key);
		free(objects->list.items[i].version);
	}
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

bool fw_attempt_read(const char *name, uint32_t *task, uint32_t *attempt)
{
	const char *dot = strchr(name, '.');
	uint64_t number = 0, tries = 0;

	if (!dot || !fw_str_to_u64((struct fw_str){name, (size_t)(dot - name)}, &number) ||
	    !fw_str_to_u64(fw_str_of(dot + 1), &tries) || number > UINT32_MAX || tries > UINT32_MAX)
		return false;
	*task = (uint32_t)number;
	*attempt = (uint32_t)tries;
	return true;
}

struct fw_str fw_storage_place(const char *uri)
{
	bool options = strncmp(uri, "file:", 5) != 0; /* in a path '?' is a letter as any other */

	return (struct fw_str){uri, options ? strcspn(uri, "?") : strlen(uri)};
}

char *fw_storage_object_uri(const char *uri, const char *key)
{
	struct fw_str place = fw_storage_place(uri);

	return fw_printf("%.*s/%s", (int)place.length, place.text, key);
}

int fw_storage_changed(const char *key, struct fw_error **err)
{
	return fw_fail(err, FW_E_CONFLICT, "object %s changed while the run read it", key);
}

int fw_staged_length(const char *key, int64_t bytes, int64_t offset, int64_t *length, struct fw_error **err)
{
	if (offset < 0 || *length < -1)
		return fw_fail(err, FW_E_INVALID, "object %s: a range cannot begin or be long less than nothing", key);
	if (offset > bytes || (*length >= 0 && *length > bytes - offset)) {
		int64_t last = *length > 0 && *length <= INT64_MAX - offset ? offset + *length - 1 : offset;

		return fw_fail(err, FW_E_INVALID, "object %s has %lld bytes, none at %lld", key, (long long)bytes, (long long)last);
	}
	if (*length < 0)
		*length = bytes - offset;
	return FW_OK;
}
