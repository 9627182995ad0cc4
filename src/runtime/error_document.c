/* SPDX-License-Identifier: Apache-2.0
 *
 * Error documents (error_document.h). They come from foreign code, and end on terminals, in SQL and in JSON.
 */
#include "runtime/error_document.h"

#include <string.h>

#include "base/json.h"
#include "base/memory.h"

static bool is_control(uint32_t character)
{
	return (character < ' ' && character != '\n' && character != '\t') || (character >= 127 && character < 160); /* C1 */
}

void fw_error_text_copy(struct fw_str text, char *out, size_t size)
{
	size_t written = 0;

	for (size_t i = 0; i < text.length;) {
		uint32_t character = 0;
		size_t bytes = fw_utf8_next(text.text + i, text.length - i, &character);
		bool printable = bytes && !is_control(character);
		size_t needed = printable ? bytes : 1;

		if (written + needed >= size)
			break;
		if (printable)
			memcpy(out + written, text.text + i, bytes);
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

static int sextet_of(char letter)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *found = letter ? strchr(letters, letter) : NULL;

	return found ? (int)(found - letters) : -1;
}

/* Length of the bytes; SIZE_MAX when it is not base64. `out` holds 3/4 of the text. */
static size_t decode_base64(const char *text, size_t length, char *out)
{
	uint32_t bits = 0;
	size_t count = 0, filled = 0;

	while (length > 0 && text[length - 1] == '=')
		length--;
	for (size_t i = 0; i < length; i++) {
		int sextet = sextet_of(text[i]);

		if (sextet < 0)
			return SIZE_MAX;
		bits = bits << 6 | (uint32_t)sextet;
		filled += 6;
		if (filled >= 8) {
			filled -= 8;
			out[count++] = (char)(bits >> filled);
		}
	}
	return count;
}

void fw_error_document_read_trailer(const char *encoded, const char *type, const char *message,
                                    struct fw_error_document *document)
{
	size_t length = encoded ? strlen(encoded) : 0;
	fw_cleanup_free char *decoded = fw_alloc(length + 1);
	size_t count = encoded ? decode_base64(encoded, length, decoded) : SIZE_MAX;

	if (count == SIZE_MAX || count == 0)
		fw_error_document_read(message, strlen(message), type, type, document);
	else
		fw_error_document_read(decoded, count, type, type, document);
	fw_error_text_copy(fw_str_of(type), document->type, sizeof document->type);
}

char *fw_error_document_write(const char *type, const char *message)
{
	fw_cleanup_json json_t *json = json_pack("{s:s, s:s}", "errorMessage", message, "errorType", type);

	return fw_json_dump(json);
}
