/* SPDX-License-Identifier: Apache-2.0
 *
 * Strict reading of JSON: jansson parses; depth is checked before, since jansson allows 2048 levels and recurses, and its
 * position is turned into ours with the line at fault.
 */
#include "base/json.h"

#include <string.h>

#include "base/memory.h"

/* The offset of the bracket that nests too deeply, or `length`. Brackets in strings do not count. */
static size_t find_too_deep(const char *text, size_t length)
{
	size_t depth = 0;
	bool quoted = false;

	for (size_t i = 0; i < length; i++) {
		char c = text[i];

		if (quoted && c == '\\')
			i++;
		else if (c == '"')
			quoted = !quoted;
		else if (!quoted && (c == '[' || c == '{') && ++depth > FW_JSON_MAX_DEPTH)
			return i;
		else if (!quoted && (c == ']' || c == '}') && depth > 0)
			depth--;
	}
	return length;
}

/* jansson counts the bytes it has read, up to the end of the token that it names as "near '...'". */
static size_t offset_of_failure(const json_error_t *failure, size_t length)
{
	size_t end = failure->position > 0 ? (size_t)failure->position : 0;
	const char *near = strstr(failure->text, " near '");
	size_t token = 1;

	if (strstr(failure->text, "near end of file"))
		return length;
	if (near) {
		size_t quoted = strlen(near + strlen(" near '"));

		token = quoted > 1 ? quoted - 1 : 1;
	}
	return end > token ? end - token : 0;
}

int fw_json_load(const char *source, const char *text, size_t length, json_t **json, struct fw_error **err)
{
	size_t deep = find_too_deep(text, length);
	json_error_t failure;

	if (deep < length) {
		int rc = fw_fail(err, FW_E_LIMIT, "JSON is nested deeper than %d levels", FW_JSON_MAX_DEPTH);

		return fw_error_at_offset(err, rc, source, text, length, deep);
	}
	json_t *loaded = json_loadb(text, length, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &failure);
	if (!loaded) {
		int rc = fw_fail(err, FW_E_INVALID, "not JSON: %s", failure.text);

		return fw_error_at_offset(err, rc, source, text, length, offset_of_failure(&failure, length));
	}
	*json = loaded;
	return FW_OK;
}

static const json_t *member(const json_t *json, const char *key)
{
	uint64_t index;

	if (json_is_object(json))
		return json_object_get(json, key);
	if (json_is_array(json) && fw_str_to_u64(fw_str_of(key), &index) && index < json_array_size(json))
		return json_array_get(json, (size_t)index);
	return NULL;
}

/* RFC 6901: ~1 is '/', ~0 is '~'. */
static void unescape_pointer(char *key)
{
	char *out = key;

	for (const char *in = key; *in; in++) {
		if (in[0] == '~' && (in[1] == '0' || in[1] == '1'))
			*out++ = *++in == '0' ? '~' : '/';
		else
			*out++ = *in;
	}
	*out = '\0';
}

const json_t *fw_json_at(const json_t *json, const char *path)
{
	bool pointer = path[0] == '/';
	struct fw_str rest = fw_str_of(pointer ? path + 1 : path), part;

	if (path[0] == '\0')
		return json;
	while (json && fw_str_next_field(&rest, pointer ? '/' : '.', &part)) {
		fw_cleanup_free char *key = fw_strndup(part.text, part.length);

		if (pointer)
			unescape_pointer(key);
		json = member(json, key);
	}
	return json;
}
