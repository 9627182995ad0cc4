/* SPDX-License-Identifier: Apache-2.0
 *
 * What a function says of its failure: {"errorType", "errorMessage", "stackTrace"}, made into two bounded, printable texts.
 */
#pragma once

#include <stddef.h>

#include "base/str.h"

struct fw_error_document {
	char type[256];
	char message[4096];
};

/* Never fails: bytes that are no such document become the message. header_type is Lambda-Runtime-Function-Error-Type or
 * NULL, fallback the type when neither names one. Control characters are replaced, UTF-8 is cut at a character. */
void fw_error_document_read(const char *text, size_t length, const char *header_type, const char *fallback,
                            struct fw_error_document *document);
/* The same of a document in base64, as it comes in a trailer; without one (NULL, or no base64) the message is `message`. */
void fw_error_document_read_trailer(const char *encoded, const char *type, const char *message,
                                    struct fw_error_document *document);
/* Copies foreign text bounded and printable; valid UTF-8 whatever came. */
void fw_error_text_copy(struct fw_str text, char *out, size_t size);
/* The document as JSON, newly allocated. */
char *fw_error_document_write(const char *type, const char *message);
