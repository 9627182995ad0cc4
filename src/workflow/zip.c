/* SPDX-License-Identifier: Apache-2.0
 *
 * As much of the ZIP format as `check` needs: is it one, does it have this member, with which Unix mode (APPNOTE.TXT 4.3.12,
 * 4.3.16, 4.4.2, 4.4.15). The bytes are a stranger's: every offset is checked.
 */
#include <string.h>

#include "workflow/workflow_internal.h"

enum {
	END_SIZE = 22,
	END_COMMENT_MAX = 65535,
	ENTRY_SIZE = 46,
	MADE_BY_UNIX = 3,
};

static uint32_t little_endian(const char *bytes, unsigned count)
{
	uint32_t value = 0;

	for (unsigned i = count; i-- > 0;)
		value = value << 8 | (unsigned char)bytes[i];
	return value;
}

/* The end record, searched backwards over its comment. */
static const char *find_end(const char *bytes, size_t length)
{
	size_t oldest = length > END_SIZE + END_COMMENT_MAX ? length - END_SIZE - END_COMMENT_MAX : 0;

	if (length < END_SIZE)
		return NULL;
	for (size_t i = length - END_SIZE + 1; i-- > oldest;)
		if (memcmp(bytes + i, "PK\5\6", 4) == 0)
			return bytes + i;
	return NULL;
}

int fw_zip_mode(const char *bytes, size_t length, const char *member, unsigned *mode, struct fw_error **err)
{
	const char *end = find_end(bytes, length);
	size_t entries = end ? little_endian(end + 10, 2) : 0;
	size_t offset = end ? little_endian(end + 16, 4) : 0;

	if (!end)
		return fw_fail(err, FW_E_INVALID, "it has no ZIP directory");
	for (size_t i = 0; i < entries; i++) {
		if (offset > length || length - offset < ENTRY_SIZE || memcmp(bytes + offset, "PK\1\2", 4) != 0)
			return fw_fail(err, FW_E_INVALID, "its ZIP directory is broken");
		const char *entry = bytes + offset;
		size_t name = little_endian(entry + 28, 2);

		if (length - offset - ENTRY_SIZE < name)
			return fw_fail(err, FW_E_INVALID, "its ZIP directory is broken");
		if (name == strlen(member) && memcmp(entry + ENTRY_SIZE, member, name) == 0) {
			*mode = entry[5] == MADE_BY_UNIX ? little_endian(entry + 40, 2) : 0;
			return FW_OK;
		}
		offset += ENTRY_SIZE + name + little_endian(entry + 30, 2) + little_endian(entry + 32, 2);
	}
	return fw_fail(err, FW_E_ABSENT, "it has no member '%s'", member);
}
