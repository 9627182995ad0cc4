/* SPDX-License-Identifier: Apache-2.0
 *
 * One reader for all of S3's documents: it looks at the names of an element and of the one around it. Elements that it
 * does not know are other versions' business. Text is kept for one element at a time.
 */
#include "aws/s3_xml.h"

#include <expat.h>
#include <stdlib.h>
#include <string.h>

#include "aws/settings.h"
#include "base/buffer.h"

enum { MAX_DEPTH = 16, MAX_NAME = 64, MAX_TEXT_BYTES = 16 * 1024 };

struct reader {
	XML_Parser parser;
	struct fw_s3_xml *answer;
	char names[MAX_DEPTH][MAX_NAME]; /* of the elements that are open */
	size_t depth;
	struct fw_buffer text;
	const char *reason; /* why it was stopped */
};

static void stop(struct reader *reader, const char *reason)
{
	if (!reader->reason)
		reader->reason = reason;
	XML_StopParser(reader->parser, XML_FALSE);
}

static void doctype(void *context, const XML_Char *name, const XML_Char *system, const XML_Char *public, int internal)
{
	(void)name;
	(void)system;
	(void)public;
	(void)internal;
	stop(context, "it declares a document type");
}

static void keep(char **target, const struct fw_buffer *text)
{
	free(*target);
	*target = fw_strndup(text->data, text->length);
}

static bool begins_item(const struct reader *reader)
{
	const char *name = reader->names[reader->depth - 1];

	return reader->depth == 2 &&
	       (strcmp(name, "Contents") == 0 || strcmp(name, "CommonPrefixes") == 0 || strcmp(name, "Upload") == 0);
}

static void element_begins(void *context, const XML_Char *name, const XML_Char **attributes)
{
	struct reader *reader = context;

	(void)attributes;
	if (reader->depth == MAX_DEPTH) {
		stop(reader, "it is nested too deeply");
		return;
	}
	snprintf(reader->names[reader->depth++], MAX_NAME, "%s", name);
	fw_buffer_clear(&reader->text);
	if (reader->depth == 1) {
		free(reader->answer->root);
		reader->answer->root = fw_strdup(reader->names[0]);
	} else if (begins_item(reader)) {
		if (reader->answer->items.count == FW_S3_MAX_ITEMS)
			stop(reader, "a page has too many entries");
		else
			FW_PUSH(&reader->answer->items, (struct fw_s3_xml_item){.common_prefix = strcmp(name, "CommonPrefixes") == 0});
	}
}

static void item_member(struct reader *reader, const char *name)
{
	struct fw_s3_xml_item *item = &reader->answer->items.items[reader->answer->items.count - 1];
	uint64_t bytes;

	if (strcmp(name, "Key") == 0 || strcmp(name, "Prefix") == 0) {
		keep(&item->key, &reader->text);
	} else if (strcmp(name, "ETag") == 0) {
		keep(&item->etag, &reader->text);
	} else if (strcmp(name, "UploadId") == 0) {
		keep(&item->upload_id, &reader->text);
	} else if (strcmp(name, "Size") == 0) {
		if (!fw_str_to_u64(fw_str_trim(fw_buffer_str(&reader->text)), &bytes) || bytes > INT64_MAX)
			stop(reader, "a Size is no number of bytes");
		else
			item->bytes = (int64_t)bytes;
	}
}

static void document_member(struct reader *reader, const char *name)
{
	struct fw_s3_xml *answer = reader->answer;
	const struct {
		const char *name;
		char **target;
	} members[] = {
		{"Code", &answer->code},
		{"Message", &answer->message},
		{"Region", &answer->region},
		{"UploadId", &answer->upload_id},
		{"ETag", &answer->etag},
		{"ChecksumCRC32C", &answer->crc32c},
		{"NextContinuationToken", &answer->next_token},
		{"NextKeyMarker", &answer->next_key},
		{"NextUploadIdMarker", &answer->next_upload_id},
	};

	for (size_t i = 0; i < FW_COUNT_OF(members); i++)
		if (strcmp(name, members[i].name) == 0)
			keep(members[i].target, &reader->text);
	if (strcmp(name, "IsTruncated") == 0)
		answer->truncated = fw_str_is(fw_str_trim(fw_buffer_str(&reader->text)), "true");
	if (strcmp(name, "EncodingType") == 0)
		answer->url_encoded = fw_str_is(fw_str_trim(fw_buffer_str(&reader->text)), "url");
}

static void element_ends(void *context, const XML_Char *name)
{
	struct reader *reader = context;

	if (reader->depth == 2)
		document_member(reader, name);
	else if (reader->depth == 3 && reader->answer->items.count > 0 &&
	         (strcmp(reader->names[1], "Contents") == 0 || strcmp(reader->names[1], "CommonPrefixes") == 0 ||
	          strcmp(reader->names[1], "Upload") == 0))
		item_member(reader, name);
	if (reader->depth > 0)
		reader->depth--;
	fw_buffer_clear(&reader->text);
}

static void some_text(void *context, const XML_Char *text, int length)
{
	struct reader *reader = context;

	if (fw_buffer_append(&reader->text, text, (size_t)length) != FW_OK)
		stop(reader, "a text in it is too long");
}

/* In place. encoding-type=url writes a space as '+'. */
static void decode_url(char *text)
{
	char *out = text;

	if (!text)
		return;
	for (; *text; text++) {
		int high = *text == '%' ? fw_aws_hex_digit(text[1]) : -1, low = high >= 0 ? fw_aws_hex_digit(text[2]) : -1;

		if (low >= 0 && (high || low)) { /* a NUL stays as it was spelled */
			*out++ = (char)(high * 16 + low);
			text += 2;
		} else {
			*out++ = (char)(*text == '+' ? ' ' : *text);
		}
	}
	*out = '\0';
}

static int check(struct reader *reader, struct fw_error **err)
{
	struct fw_s3_xml *answer = reader->answer;

	for (size_t i = 0; i < answer->items.count; i++)
		if (!answer->items.items[i].key)
			return fw_fail(err, FW_E_INVALID, "read an answer of S3: an entry has no key");
	if (!answer->url_encoded)
		return FW_OK;
	for (size_t i = 0; i < answer->items.count; i++)
		decode_url(answer->items.items[i].key);
	decode_url(answer->next_key);
	return FW_OK;
}

int fw_s3_xml_read(const char *text, size_t length, struct fw_s3_xml *answer, struct fw_error **err)
{
	struct reader reader = {.answer = answer, .parser = XML_ParserCreate("UTF-8")};
	int rc;

	if (!reader.parser)
		fw_memory_exhausted();
	*answer = (struct fw_s3_xml){0};
	fw_buffer_init(&reader.text, MAX_TEXT_BYTES);
	XML_SetUserData(reader.parser, &reader);
	XML_SetElementHandler(reader.parser, element_begins, element_ends);
	XML_SetCharacterDataHandler(reader.parser, some_text);
	XML_SetStartDoctypeDeclHandler(reader.parser, doctype);
	if (length > FW_S3_MAX_XML_BYTES)
		rc = fw_fail(err, FW_E_LIMIT, "read an answer of S3: it has more than %d bytes", FW_S3_MAX_XML_BYTES);
	else if (XML_Parse(reader.parser, text, (int)length, 1) != XML_STATUS_OK)
		rc = fw_fail(err, FW_E_INVALID, "read an answer of S3: line %lu: %s", XML_GetCurrentLineNumber(reader.parser),
		             reader.reason ? reader.reason : XML_ErrorString(XML_GetErrorCode(reader.parser)));
	else
		rc = check(&reader, err);
	XML_ParserFree(reader.parser);
	fw_buffer_done(&reader.text);
	if (rc != FW_OK)
		fw_s3_xml_done(answer);
	return rc;
}

void fw_s3_xml_done(struct fw_s3_xml *answer)
{
	char *texts[] = {answer->root, answer->code, answer->message, answer->region, answer->upload_id, answer->etag,
	                 answer->crc32c, answer->next_token, answer->next_key, answer->next_upload_id};

	for (size_t i = 0; i < FW_COUNT_OF(texts); i++)
		free(texts[i]);
	for (size_t i = 0; i < answer->items.count; i++) {
		free(answer->items.items[i].key);
		free(answer->items.items[i].etag);
		free(answer->items.items[i].upload_id);
	}
	free(answer->items.items);
	*answer = (struct fw_s3_xml){0};
}
