/* SPDX-License-Identifier: Apache-2.0
 *
 * YAML text to tree: libfyaml makes events, yaml_build.c makes nodes of them. Only events are used, never libfyaml's
 * documents, which would expand aliases; its diagnostics are collected, never printed; bytes that are not text are
 * refused before it sees them. The only file that includes its header.
 */
#include "base/yaml.h"

#include <libfyaml.h>
#include <string.h>

#include "base/yaml_internal.h"

enum { MARK_BYTES = 3 }; /* of a byte order mark */

struct reader {
	struct fy_diag *diag;
	struct fy_parser *parser;
	struct fw_yaml_builder builder;
	char *complaint;  /* what libfyaml says without a position */
	size_t base;      /* offset of what libfyaml sees */
	size_t after;     /* end of the last thing read */
	bool seen;        /* a document */
};

static void reader_done(struct reader *reader)
{
	if (reader->parser)
		fy_parser_destroy(reader->parser);
	if (reader->diag)
		fy_diag_destroy(reader->diag);
	fw_map_free(reader->builder.anchors);
	free(reader->complaint);
}

/* libfyaml would print to standard error. The first line is the cause. */
static void keep_complaint(struct fy_diag *diag, void *context, const char *text, size_t length)
{
	struct reader *reader = context;

	(void)diag;
	if (!reader->complaint)
		reader->complaint = fw_strndup(text, length);
}

static void find_lines(struct fw_yaml_document *document, size_t base)
{
	FW_PUSH(&document->lines, base);
	for (size_t i = base; i < document->length; i++) {
		char c = document->text[i];

		if (c == '\n' || (c == '\r' && document->text[i + 1] != '\n'))
			FW_PUSH(&document->lines, i + 1);
	}
}

/* YAML's printable characters, except that C1 controls are let through to libfyaml. */
static int check_characters(const struct fw_yaml_document *document, struct fw_error **err)
{
	uint32_t character = 0;

	for (size_t i = 0, length; i < document->length; i += length) {
		length = fw_utf8_next(document->text + i, document->length - i, &character);
		bool control = character < 0x20 && character != '\t' && character != '\n' && character != '\r';

		if (length == 0)
			return fw_yaml_error_at(err, fw_fail(err, FW_E_INVALID, "not text in UTF-8"), document, i);
		if (control || character == 0x7f)
			return fw_yaml_error_at(err, fw_fail(err, FW_E_INVALID, "control character U+%04X", (unsigned)character),
			                        document, i);
	}
	return FW_OK;
}

/* Turns libfyaml's line and column (in characters) into an offset. */
static size_t offset_of(const struct fw_yaml_document *document, int line, int column)
{
	if (line < 1 || (size_t)line > document->lines.count)
		return document->length;
	size_t offset = document->lines.items[line - 1];
	for (int i = 1; i < column && offset < document->length && document->text[offset] != '\n'; i++) {
		uint32_t character;

		offset += fw_utf8_next(document->text + offset, document->length - offset, &character);
	}
	return offset;
}

static int fail_parse(const struct reader *reader, struct fw_error **err)
{
	const struct fw_yaml_document *document = reader->builder.document;
	void *position = NULL;
	const struct fy_diag_error *cause = fy_diag_errors_iterate(reader->diag, &position);

	if (cause)
		return fw_yaml_error_at(err, fw_fail(err, FW_E_INVALID, "not YAML: %s", cause->msg), document,
		                        offset_of(document, cause->line, cause->column));
	int rc = fw_fail(err, FW_E_INVALID, "not YAML: %s",
	                 reader->complaint ? reader->complaint : "cannot be understood here");
	return fw_yaml_error_at(err, rc, document, reader->after);
}

/* Looks from the end of the last thing read, over blanks and comments, for an indicator; its offset, or SIZE_MAX. */
static size_t find_indicator(const struct reader *reader, size_t from, char wanted)
{
	const char *text = reader->builder.document->text;

	for (size_t i = from; i < reader->builder.document->length; i++) {
		if (text[i] == wanted)
			return i;
		if (text[i] == '#')
			i += strcspn(text + i, "\n");
		else if (!strchr(" \t\r\n", text[i]))
			break;
	}
	return SIZE_MAX;
}

static size_t mark_offset(const struct reader *reader, const struct fy_mark *mark)
{
	return reader->base + mark->input_pos;
}

/* Text of a token, newly allocated; NULL for no token. */
static char *token_text(struct fy_token *token)
{
	size_t length = 0;
	const char *text = token ? fy_token_get_text(token, &length) : NULL;

	return text ? fw_strndup(text, length) : NULL;
}

/* What stands in front of a node. */
struct properties {
	char *anchor;
	char *tag;
};

static void properties_done(struct properties *properties)
{
	free(properties->anchor);
	free(properties->tag);
}

static void pass_token(struct reader *reader, struct fy_token *token)
{
	size_t end = token ? mark_offset(reader, fy_token_end_mark(token)) : 0;

	if (end > reader->after)
		reader->after = end;
}

static struct properties read_properties(struct reader *reader, struct fy_token *anchor, struct fy_token *tag)
{
	pass_token(reader, anchor);
	pass_token(reader, tag);
	return (struct properties){token_text(anchor), token_text(tag)};
}

/* Behind the ':' or '-' that announces the next node, when nothing else has been read since. */
static size_t behind_announcer(const struct reader *reader)
{
	const struct fw_yaml_builder *builder = &reader->builder;
	const struct fw_yaml_node *parent = builder->depth > 0 ? builder->stack[builder->depth - 1] : NULL;

	if (!parent)
		return reader->after;
	size_t at = find_indicator(reader, reader->after, parent->kind == FW_YAML_MAPPING ? ':' : '-');
	return at == SIZE_MAX ? reader->after : at + 1;
}

/* libfyaml's marks leave out quotes and the indicator of a block. */
static struct fw_yaml_item scalar_span(const struct reader *reader, struct fy_token *value, bool has_properties)
{
	if (!value) {
		size_t at = has_properties ? reader->after : behind_announcer(reader);

		return (struct fw_yaml_item){.start = at, .end = at};
	}
	enum fy_scalar_style style = fy_token_scalar_style(value);
	struct fw_yaml_item item = {.start = mark_offset(reader, fy_token_start_mark(value)),
	                            .end = mark_offset(reader, fy_token_end_mark(value))};

	if (style == FYSS_SINGLE_QUOTED || style == FYSS_DOUBLE_QUOTED) {
		item.start--;
		item.end++;
	} else if (style == FYSS_LITERAL || style == FYSS_FOLDED) {
		size_t from = has_properties ? reader->after : behind_announcer(reader);
		size_t at = find_indicator(reader, from, style == FYSS_LITERAL ? '|' : '>');

		item.start = at == SIZE_MAX ? item.start : at;
	}
	return item;
}

static bool is_blank(const struct reader *reader, struct fy_token *token)
{
	size_t start = mark_offset(reader, fy_token_start_mark(token)), end = mark_offset(reader, fy_token_end_mark(token));

	return strspn(reader->builder.document->text + start, " \t") >= end - start;
}

/* By an iterator: fy_token_get_text() of libfyaml 0.7.12 leaks when a scalar has more than a few lines or escapes. A
 * block of blanks at the end of the file, without a newline, is empty; there both fail. */
static bool read_text(const struct reader *reader, struct fy_token *token, struct fw_buffer *text)
{
	struct fy_token_iter *pieces = fy_token_iter_create(token);
	int failure = 0;

	if (!pieces)
		fw_memory_exhausted();
	for (const struct fy_iter_chunk *piece = NULL; (piece = fy_token_iter_chunk_next(pieces, piece, &failure));)
		fw_buffer_append(text, piece->str, piece->len);
	fy_token_iter_destroy(pieces);
	return failure == 0 || is_blank(reader, token);
}

static int on_scalar(struct reader *reader, const struct fy_event_scalar_data *scalar, struct fw_error **err)
{
	fw_cleanup_buffer struct fw_buffer text;
	__attribute__((cleanup(properties_done))) struct properties properties =
		read_properties(reader, scalar->anchor, scalar->tag);
	struct fw_yaml_item item = scalar_span(reader, scalar->value, scalar->anchor || scalar->tag);

	fw_buffer_init(&text, SIZE_MAX / 2); /* the text's own length bounds it */
	item.anchor = properties.anchor;
	item.tag = properties.tag;
	if (item.end > reader->after)
		reader->after = item.end;
	if (scalar->value && !read_text(reader, scalar->value, &text))
		return fw_yaml_error_at(err, fw_fail(err, FW_E_INVALID, "not YAML: a text with a malformed escape"),
		                        reader->builder.document, item.start);
	bool plain = !scalar->value || fy_token_scalar_style(scalar->value) == FYSS_PLAIN;
	return fw_yaml_build_scalar(&reader->builder, item, fw_buffer_str(&text), plain, err);
}

static int on_alias(struct reader *reader, struct fy_token *token, struct fw_error **err)
{
	fw_cleanup_free char *anchor = token_text(token);
	struct fw_yaml_item item = {.start = mark_offset(reader, fy_token_start_mark(token)) - 1,
	                            .end = mark_offset(reader, fy_token_end_mark(token))};

	pass_token(reader, token);
	return fw_yaml_build_alias(&reader->builder, item, anchor ? anchor : "", err);
}

static int on_start(struct reader *reader, enum fw_yaml_kind kind, struct fy_token *anchor, struct fy_token *tag,
                    const struct fy_mark *mark, struct fw_error **err)
{
	__attribute__((cleanup(properties_done))) struct properties properties = read_properties(reader, anchor, tag);
	struct fw_yaml_item item = {.anchor = properties.anchor, .tag = properties.tag};

	item.start = item.end = mark ? mark_offset(reader, mark) : behind_announcer(reader);
	if (item.start > reader->after)
		reader->after = item.start;
	return fw_yaml_build_open(&reader->builder, item, kind, err);
}

/* A block's end has no width and lies where the next thing starts; only a bracket says where its collection ends. */
static int on_end(struct reader *reader, struct fy_token *token, struct fw_error **err)
{
	size_t start = token ? mark_offset(reader, fy_token_start_mark(token)) : 0;
	size_t end = token ? mark_offset(reader, fy_token_end_mark(token)) : 0;
	bool bracket = end > start && strchr("]}", reader->builder.document->text[start]);

	if (bracket)
		pass_token(reader, token);
	return fw_yaml_build_close(&reader->builder, bracket ? end : 0, err);
}

static int on_document(struct reader *reader, const struct fy_mark *mark, struct fw_error **err)
{
	size_t at = mark ? mark_offset(reader, mark) : reader->after;

	if (reader->seen)
		return fw_yaml_error_at(err, fw_fail(err, FW_E_INVALID, "a second document starts here; one is expected"),
		                        reader->builder.document, at);
	reader->seen = true;
	return FW_OK;
}

static int on_event(struct reader *reader, struct fy_event *event, struct fw_error **err)
{
	const struct fy_mark *mark = fy_event_start_mark(event);

	switch (event->type) {
	case FYET_DOCUMENT_START:
		return on_document(reader, mark, err);
	case FYET_SCALAR:
		return on_scalar(reader, &event->scalar, err);
	case FYET_ALIAS:
		return on_alias(reader, event->alias.anchor, err);
	case FYET_MAPPING_START:
		return on_start(reader, FW_YAML_MAPPING, event->mapping_start.anchor, event->mapping_start.tag, mark, err);
	case FYET_SEQUENCE_START:
		return on_start(reader, FW_YAML_SEQUENCE, event->sequence_start.anchor, event->sequence_start.tag, mark, err);
	case FYET_MAPPING_END:
		return on_end(reader, event->mapping_end.mapping_end, err);
	case FYET_SEQUENCE_END:
		return on_end(reader, event->sequence_end.sequence_end, err);
	default:
		return FW_OK;
	}
}

static void open_parser(struct reader *reader)
{
	const struct fw_yaml_document *document = reader->builder.document;
	struct fy_diag_cfg diagnostics;

	fy_diag_cfg_default(&diagnostics);
	diagnostics.fp = NULL;
	diagnostics.output_fn = keep_complaint;
	diagnostics.user = reader;
	diagnostics.colorize = false;
	reader->diag = fy_diag_create(&diagnostics);
	if (!reader->diag)
		fw_memory_exhausted();
	fy_diag_set_collect_errors(reader->diag, true);

	/* Depth is limited here, with a position, so libfyaml's own limit is off: its events need no stack. */
	const struct fy_parse_cfg config = {
		.flags = FYPCF_DEFAULT_VERSION_1_2 | FYPCF_COLLECT_DIAG | FYPCF_DISABLE_DEPTH_LIMIT,
		.diag = reader->diag,
	};
	reader->parser = fy_parser_create(&config);
	if (!reader->parser ||
	    fy_parser_set_string(reader->parser, document->text + reader->base, document->length - reader->base) != 0)
		fw_memory_exhausted();
}

static int read_events(struct reader *reader, struct fw_error **err)
{
	int rc = FW_OK;

	for (struct fy_event *event; rc == FW_OK && (event = fy_parser_parse(reader->parser));) {
		rc = on_event(reader, event, err);
		fy_parser_event_free(reader->parser, event);
	}
	if (rc == FW_OK && fy_parser_get_stream_error(reader->parser))
		rc = fail_parse(reader, err);
	return rc;
}

/* A file of nothing but comments is one empty value. */
static int build(struct reader *reader, struct fw_error **err)
{
	const struct fw_yaml_document *document = reader->builder.document;
	struct fw_yaml_item nothing = {.start = reader->base, .end = reader->base};
	int rc = FW_OK;

	reader->builder.anchors = fw_map_new();
	reader->after = reader->base;
	if (document->length > reader->base) {
		open_parser(reader);
		rc = read_events(reader, err);
	}
	if (rc == FW_OK && !document->root)
		rc = fw_yaml_build_scalar(&reader->builder, nothing, FW_STR(""), true, err);
	return rc;
}

int fw_yaml_load(const char *name, const char *text, size_t length, struct fw_yaml_document **document,
                 struct fw_error **err)
{
	fw_cleanup_yaml struct fw_yaml_document *made = NULL;
	__attribute__((cleanup(reader_done))) struct reader reader = {0};

	if (length > FW_YAML_MAX_BYTES)
		return fw_fail(err, FW_E_LIMIT, "%s: larger than %d bytes", name, FW_YAML_MAX_BYTES);
	made = fw_alloc(sizeof *made);
	made->name = fw_strdup(name);
	made->text = fw_alloc(length + 1);
	made->length = length;
	if (length > 0)
		memcpy(made->text, text, length);
	reader.base = fw_str_starts((struct fw_str){made->text, length}, "\xef\xbb\xbf") ? MARK_BYTES : 0;
	reader.builder.document = made;
	find_lines(made, reader.base);

	int rc = check_characters(made, err);
	if (rc == FW_OK)
		rc = build(&reader, err);
	if (rc == FW_OK)
		*document = FW_TAKE(made);
	return rc;
}
