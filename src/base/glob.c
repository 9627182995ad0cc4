/* SPDX-License-Identifier: Apache-2.0
 *
 * Globs over keys, and what paths are to each other. The pattern becomes a list of tokens and the key runs through all its states at once, character by
 * character: the time is at most pattern × key whatever they hold, where backtracking could take exponential time.
 */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/memory.h"
#include "base/str.h"

enum kind {
	LITERAL,
	ANY_ONE,        /* ?   */
	SET,            /* [..] */
	WITHIN,         /* *   */
	ACROSS,         /* **  */
	COMPONENTS,     /* ** and a slash, at the start of a component: none or more whole components */
	COMPONENTS_REST /* inside one of them */
};

struct token {
	enum kind kind;
	uint32_t character;
	struct fw_str set; /* between the brackets */
};

/* A byte that is not UTF-8 is a character of its own, apart from all real ones. */
static uint32_t next_character(const char **text)
{
	uint32_t character = 0x80000000U | (unsigned char)**text;
	size_t length = fw_utf8_next(*text, strnlen(*text, 4), &character);

	*text += length > 0 ? length : 1;
	return character;
}

static bool set_has(struct fw_str set, uint32_t character)
{
	const char *at = set.text, *end = set.text + set.length;
	bool negated = *at == '!' || *at == '^', found = false;

	at += negated;
	while (at < end) {
		uint32_t low = next_character(&at), high = low;

		if (at + 1 < end && *at == '-') {
			at++;
			high = next_character(&at);
		}
		found = found || (character >= low && character <= high);
	}
	return found != negated && character != '/';
}

/* The end of a set that opens at `open`, or NULL: then the bracket is a plain character. A ']' in front is a member. */
static const char *set_end(const char *open)
{
	const char *from = open + 1;

	from += *from == '!' || *from == '^';
	from += *from == ']';
	return strchr(from, ']');
}

static const char *read_star(const char *pattern, bool component_start, struct token *token)
{
	if (pattern[1] != '*') {
		token->kind = WITHIN;
		return pattern + 1;
	}
	pattern += strspn(pattern, "*");
	token->kind = component_start && *pattern == '/' ? COMPONENTS : ACROSS;
	return pattern + (token->kind == COMPONENTS);
}

/* At most one token a byte, and two for "**" and a slash, which are three bytes. */
static size_t read_tokens(const char *pattern, struct token *tokens)
{
	const char *at = pattern, *end;
	size_t count = 0;

	while (*at) {
		struct token *token = &tokens[count++];

		if (*at == '*') {
			at = read_star(at, at == pattern || at[-1] == '/', token);
			if (token->kind == COMPONENTS)
				tokens[count++].kind = COMPONENTS_REST;
		} else if (*at == '?') {
			token->kind = ANY_ONE;
			at++;
		} else if (*at == '[' && (end = set_end(at))) {
			token->kind = SET;
			token->set = (struct fw_str){at + 1, (size_t)(end - at - 1)};
			at = end + 1;
		} else {
			at += at[0] == '\\' && at[1];
			token->kind = LITERAL;
			token->character = next_character(&at);
		}
	}
	return count;
}

/* Enters a state and those that it reaches without a character. */
static void enter(const struct token *tokens, size_t count, bool *states, size_t state)
{
	while (!states[state]) {
		states[state] = true;
		if (state == count)
			return;
		if (tokens[state].kind == COMPONENTS)
			state += 2;
		else if (tokens[state].kind == WITHIN || tokens[state].kind == ACROSS)
			state++;
		else
			return;
	}
}

/* The state after a character in this one, or SIZE_MAX. */
static size_t step(const struct token *tokens, size_t state, uint32_t character)
{
	const struct token *token = &tokens[state];
	bool slash = character == '/';

	switch (token->kind) {
	case LITERAL:
		return character == token->character ? state + 1 : SIZE_MAX;
	case ANY_ONE:
		return slash ? SIZE_MAX : state + 1;
	case SET:
		return set_has(token->set, character) ? state + 1 : SIZE_MAX;
	case WITHIN:
		return slash ? SIZE_MAX : state;
	case ACROSS:
		return state;
	case COMPONENTS:
		return slash ? state : state + 1;
	case COMPONENTS_REST:
		return slash ? state - 1 : state;
	}
	return SIZE_MAX;
}

bool fw_glob_match(const char *pattern, const char *key)
{
	size_t length = strlen(pattern);
	fw_cleanup_free struct token *tokens = fw_alloc_array(length + 1, sizeof *tokens);
	size_t count = read_tokens(pattern, tokens);
	fw_cleanup_free bool *memory = fw_alloc_array(count + 1, 2 * sizeof *memory);
	bool *now = memory, *next = memory + count + 1;

	enter(tokens, count, now, 0);
	while (*key) {
		uint32_t character = next_character(&key);

		memset(next, 0, count + 1);
		for (size_t i = 0; i < count; i++) {
			size_t state = now[i] ? step(tokens, i, character) : SIZE_MAX;

			if (state != SIZE_MAX)
				enter(tokens, count, next, state);
		}
		bool *spare = now;
		now = next;
		next = spare;
	}
	return now[count];
}

bool fw_path_is_inside(const char *path)
{
	struct fw_str rest = fw_str_of(path), part;

	while (fw_str_next_field(&rest, '/', &part))
		if (part.length == 0 || fw_str_is(part, ".") || fw_str_is(part, ".."))
			return false;
	return true;
}

bool fw_path_is_below(const char *path, const char *directory)
{
	size_t length = path && directory ? strlen(directory) : 0;

	if (length == 0 || strncmp(path, directory, length) != 0)
		return false;
	return path[length] == '/' || path[length] == '\0' || directory[length - 1] == '/';
}
