/* SPDX-License-Identifier: Apache-2.0
 *
 * Error documents (error_document.h). They come from foreign code, and end on terminals, in SQL and in JSON.
 */
#include "runtime/error_document.h"

#include <ctype.h>
#include <string.h>

#include "base/json.h"

/* Bytes of the UTF-8 character at text, 0 when it is not one. */
static size_t character_bytes(const unsigned char *text, size_t left)
{
	size_t bytes = text[0] < 0x80 ? 1 : text[0] >= 0xC2 && text[0] < 0xE0 ? 2 : (text[0] & 0xF0) == 0xE0 ? 3 :
	               text[0] >= 0xF0 && text[0] < 0xF5 ? 4 : 0;

	if (bytes == 0 || bytes > left)
		return 0;
	for (size_t i = 1; i < bytes; i++)
		if ((text[i] & 0xC0) != 0x80)
			return 0;
	if ((text[0] == 0xE0 && text[1] < 0xA0) || (text[0] == 0xED && text[1] >= 0xA0) || /* overlong, surrogate */
	    (text[0] == 0xF0 && text[1] < 0x90) || (text[0] == 0xF4 && text[1] >= 0x90))
		return 0;
	return bytes;
}

static bool is_control(const unsigned char *text, size_t bytes)
{
	return (text[0] < ' ' && text[0] != '\n' && text[0] != '\t') || text[0] == 127 ||
	       (bytes == 2 && text[0] == 0xC2 && text[1] < 0xA0); /* C1 */
}

void fw_error_text_copy(struct fw_str text, char *out, size_t size)
{
	const unsigned char *from = (const unsigned char *)text.text;
	size_t written = 0;

	for (size_t i = 0; i < text.length;) {
		size_t bytes = character_bytes(from + i, text.length - i);
		bool printable = bytes && !is_control(from + i, bytes);
		size_t needed = printable ? bytes : 1;

		if (written + needed >= size)
			break;
		if (printable)
			memcpy(out + written, from + i, bytes);
		else
			out[written] = '?';
		written += needed;
		i += bytes ? bytes : 1;
	}
	out[written] = '\0';
}

static void copy_member(const json_t *object, const char *key, char *out, size_t size)
{
	const json_t *value = json_object_get(object, key);

	if (json_is_string(value))
		fw_error_text_copy((struct fw_str){json_string_value(value), json_string_length(value)}, out, size);
}

void fw_error_document_read(const char *text, size_t length, const char *header_type, const char *fallback,
                            struct fw_error_document *document)
{
	fw_cleanup_json json_t *json = NULL;

	document->type[0] = document->message[0] = '\0';
	if (fw_json_load("error document", text, length, &json, NULL) == FW_OK && json_is_object(json)) {
		copy_member(json, "errorType", document->type, sizeof document->type);
		copy_member(json, "errorMessage", document->message, sizeof document->message);
	} else {
		fw_error_text_copy((struct fw_str){text, length}, document->message, sizeof document->message);
	}
	if (!document->type[0])
		fw_error_text_copy(fw_str_of(header_type && *header_type ? header_type : fallback), document->type,
		                   sizeof document->type);
}

char *fw_error_document_write(const char *type, const char *message)
{
	fw_cleanup_json json_t *json = json_pack("{s:s, s:s}", "errorMessage", message, "errorType", type);

	return fw_json_dump(json);
}
