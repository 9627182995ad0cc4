/* SPDX-License-Identifier: Apache-2.0
 *
 * What S3 answers in XML, read by libexpat: errors, listings, uploads. Bounded in depth, size and text; declarations of a
 * document type (and with them entities) are refused.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/memory.h"

enum { FW_S3_MAX_XML_BYTES = 16 << 20, FW_S3_MAX_ITEMS = 10000 };

struct fw_s3_xml_item {
	char *key, *etag, *upload_id;
	int64_t bytes;
	bool common_prefix;
};

struct fw_s3_xml {
	char *root; /* name of the outermost element: "Error", "ListBucketResult", ... */
	char *code, *message, *region; /* of an error */
	char *upload_id, *etag;        /* of an upload that was begun or completed */
	char *crc32c;                  /* ChecksumCRC32C of a completed upload */
	bool truncated;
	char *next_token, *next_key, *next_upload_id;
	bool url_encoded; /* keys came percent-encoded; they are decoded here */
	FW_VECTOR(struct fw_s3_xml_item) items;
};

int fw_s3_xml_read(const char *text, size_t length, struct fw_s3_xml *answer, struct fw_error **err);
void fw_s3_xml_done(struct fw_s3_xml *answer);
#define fw_cleanup_s3_xml __attribute__((cleanup(fw_s3_xml_done)))
