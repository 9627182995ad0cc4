/* SPDX-License-Identifier: Apache-2.0
 *
 * "did you mean": the edit distance that counts a swap of neighbours as one mistake (optimal string alignment), since
 * that is how people mistype. Short words need to be nearer, else every word would resemble every other.
 */
#include <string.h>

#include "base/str.h"

enum { LONGEST_WORD = 63, SHORT_WORD = 3, MOST_EDITS = 2 };

static unsigned least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

static unsigned distance(const char *a, size_t a_length, const char *b, size_t b_length)
{
	unsigned rows[3][LONGEST_WORD + 1];
	unsigned *before = rows[0], *above = rows[1], *row = rows[2];

	for (size_t j = 0; j <= b_length; j++)
		row[j] = (unsigned)j;
	for (size_t i = 1; i <= a_length; i++) {
		unsigned *spare = before;

		before = above;
		above = row;
		row = spare;
		row[0] = (unsigned)i;
		for (size_t j = 1; j <= b_length; j++) {
			row[j] = least(above[j - 1] + (a[i - 1] != b[j - 1]), least(above[j], row[j - 1]) + 1);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				row[j] = least(row[j], before[j - 2] + 1);
		}
	}
	return row[b_length];
}

const char *fw_nearest(const char *word, const char *const *candidates, size_t count)
{
	size_t length = strlen(word);
	unsigned best = MOST_EDITS + 1;
	const char *nearest = NULL;

	for (size_t i = 0; i < count; i++) {
		size_t other = strlen(candidates[i]);
		size_t longer = length > other ? length : other;

		if (longer > LONGEST_WORD || length == 0 || other == 0)
			continue;
		unsigned edits = distance(word, length, candidates[i], other);
		if (edits < best && (longer > SHORT_WORD || edits < MOST_EDITS)) {
			best = edits;
			nearest = candidates[i];
		}
	}
	return nearest;
}
