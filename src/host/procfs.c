/* SPDX-License-Identifier: Apache-2.0
 *
 * Parsers of /proc for processes and for "key value" texts. The kernel's formats grow at their ends and lines come and
 * go between versions: nothing here depends on the order of lines or on the number of columns beyond those it needs.
 */
#include "host/procfs.h"

#include <string.h>
#include <unistd.h>

/* Centuries of CPU time: more is no counter. Sums of a few of them do not overflow. */
static bool ns_of_ticks(uint64_t ticks, int64_t *ns)
{
	const int64_t ns_per_tick = 1000000000 / sysconf(_SC_CLK_TCK);

	if (ticks > (uint64_t)(INT64_MAX / 16 / ns_per_tick))
		return false;
	*ns = (int64_t)ticks * ns_per_tick;
	return true;
}

/* Takes "key" off a line: followed by blanks, tabs or one colon. */
static bool line_has_key(struct fw_str line, const char *key, struct fw_str *rest)
{
	size_t length = strlen(key);

	if (!fw_str_starts(line, key) || line.length == length)
		return false;
	*rest = fw_str_trim((struct fw_str){line.text + length, line.length - length});
	if (rest->length > 0 && rest->text[0] == ':') {
		*rest = fw_str_trim((struct fw_str){rest->text + 1, rest->length - 1});
		return true;
	}
	return line.text[length] == ' ' || line.text[length] == '\t';
}

bool fw_key_text(struct fw_str text, const char *key, struct fw_str *value)
{
	struct fw_str line;

	while (fw_str_next_line(&text, &line))
		if (line_has_key(line, key, value))
			return true;
	return false;
}

bool fw_key_number(struct fw_str text, const char *key, int64_t *value)
{
	struct fw_str rest, word, unit;
	uint64_t number;

	if (!fw_key_text(text, key, &rest) || !fw_str_next_word(&rest, &word) || !fw_str_to_u64(word, &number))
		return false;
	if (fw_str_next_word(&rest, &unit) && fw_str_is(unit, "kB")) {
		if (number > INT64_MAX / 1024)
			return false;
		number *= 1024;
	}
	if (number > INT64_MAX)
		return false;
	*value = (int64_t)number;
	return true;
}

bool fw_pressure_total(struct fw_str text, const char *kind, int64_t *total_us)
{
	struct fw_str rest, word;
	uint64_t number;

	if (!fw_key_text(text, kind, &rest))
		return false;
	while (fw_str_next_word(&rest, &word)) {
		if (!fw_str_starts(word, "total="))
			continue;
		if (!fw_str_to_u64((struct fw_str){word.text + 6, word.length - 6}, &number) || number > INT64_MAX)
			return false;
		*total_us = (int64_t)number;
		return true;
	}
	return false;
}

bool fw_each_in_list(struct fw_str text, unsigned limit, void (*visit)(void *context, unsigned number), void *context)
{
	struct fw_str part, first;

	text = fw_str_trim(text);
	while (text.length > 0 && fw_str_next_field(&text, ',', &part)) {
		bool range = memchr(part.text, '-', part.length) != NULL;
		uint64_t from, to;

		fw_str_next_field(&part, '-', &first);
		if (!fw_str_to_u64(first, &from))
			return false;
		to = from;
		if (range && (!fw_str_to_u64(part, &to) || to < from))
			return false;
		for (uint64_t number = from; number <= to && number < limit; number++)
			visit(context, (unsigned)number);
	}
	return true;
}

/* The name stands in parentheses and may hold blanks and parentheses itself: the last one closes it. */
static bool split_name(struct fw_str text, struct fw_str *pid, struct fw_str *name, struct fw_str *rest)
{
	const char *open = memchr(text.text, '(', text.length);
	const char *close = memrchr(text.text, ')', text.length);

	if (!open || !close || close < open)
		return false;
	*pid = fw_str_trim((struct fw_str){text.text, (size_t)(open - text.text)});
	*name = (struct fw_str){open + 1, (size_t)(close - open - 1)};
	*rest = (struct fw_str){close + 1, text.length - (size_t)(close + 1 - text.text)};
	return true;
}

enum { FIRST = 4, LAST = 22 }; /* columns of proc(5), from the parent to the start time */

static bool take_columns(const uint64_t columns[LAST + 1], struct fw_proc_stat *stat)
{
	for (int i = 10; i <= LAST; i++)
		if (columns[i] > INT64_MAX)
			return false;
	if (columns[4] > INT32_MAX)
		return false;
	stat->parent = (pid_t)columns[4];
	stat->faults_minor = (int64_t)columns[10];
	stat->children_faults_minor = (int64_t)columns[11];
	stat->faults_major = (int64_t)columns[12];
	stat->children_faults_major = (int64_t)columns[13];
	stat->threads = (int64_t)columns[20];
	stat->start_ticks = columns[22];
	return ns_of_ticks(columns[14], &stat->user_ns) && ns_of_ticks(columns[15], &stat->system_ns) &&
	       ns_of_ticks(columns[16], &stat->children_user_ns) && ns_of_ticks(columns[17], &stat->children_system_ns);
}

bool fw_proc_stat_parse(struct fw_str text, struct fw_proc_stat *stat)
{
	struct fw_str pid, name, rest, word;
	uint64_t columns[LAST + 1] = {0}, number;

	if (!split_name(text, &pid, &name, &rest) || !fw_str_to_u64(pid, &number) || number > INT32_MAX)
		return false;
	struct fw_proc_stat read = {.pid = (pid_t)number};

	if (!fw_str_next_word(&rest, &word) || word.length != 1)
		return false;
	read.state = word.text[0];
	for (int i = FIRST; i <= LAST; i++) {
		if (!fw_str_next_word(&rest, &word))
			return false;
		if (!fw_str_to_u64(word, &columns[i]) && (i < 6 || i > 8) && (i < 18 || i > 19))
			return false; /* the terminal (6 to 8), priority and nice value may be negative */
	}
	memcpy(read.name, name.text, name.length < sizeof read.name ? name.length : sizeof read.name - 1);
	if (!take_columns(columns, &read))
		return false;
	*stat = read;
	return true;
}

void fw_proc_status_parse(struct fw_str text, struct fw_proc_status *status)
{
	const struct {
		const char *key;
		int64_t *value;
	} known[] = {
		{"RssAnon", &status->anonymous}, {"RssFile", &status->file}, {"RssShmem", &status->shared},
		{"VmSwap", &status->swap}, {"VmPTE", &status->page_tables}, {"VmRSS", &status->resident},
		{"VmHWM", &status->resident_peak}, {"VmSize", &status->virtual_size}, {"Threads", &status->threads},
		{"voluntary_ctxt_switches", &status->switches_voluntary},
		{"nonvoluntary_ctxt_switches", &status->switches_involuntary},
	};
	struct fw_str line;

	for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
		*known[i].value = -1;
	while (fw_str_next_line(&text, &line))
		for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
			if (*known[i].value < 0 && fw_key_number(line, known[i].key, known[i].value))
				break;
}

bool fw_cpu_times_parse(struct fw_str text, int cpu, struct fw_cpu_times *times)
{
	struct fw_cpu_times read = {0};
	int64_t *columns[] = {&read.user_ns, &read.nice_ns, &read.system_ns, &read.idle_ns,
	                      &read.iowait_ns, &read.irq_ns, &read.softirq_ns, &read.steal_ns};
	char key[16] = "cpu";
	struct fw_str rest, word;
	uint64_t ticks;

	if (cpu >= 0)
		snprintf(key, sizeof key, "cpu%d", cpu);
	if (!fw_key_text(text, key, &rest))
		return false;
	for (size_t i = 0; i < sizeof columns / sizeof columns[0]; i++) {
		if (!fw_str_next_word(&rest, &word) || !fw_str_to_u64(word, &ticks) || !ns_of_ticks(ticks, columns[i]))
			return false;
	}
	*times = read;
	return true;
}

int64_t fw_cpu_times_busy_ns(const struct fw_cpu_times *times)
{
	int64_t sum = 0;

	if (__builtin_add_overflow(times->user_ns, times->nice_ns, &sum) ||
	    __builtin_add_overflow(sum, times->system_ns, &sum) || __builtin_add_overflow(sum, times->irq_ns, &sum) ||
	    __builtin_add_overflow(sum, times->softirq_ns, &sum) || __builtin_add_overflow(sum, times->steal_ns, &sum))
		return INT64_MAX;
	return sum;
}

int64_t fw_cpu_times_total_ns(const struct fw_cpu_times *times)
{
	int64_t sum = 0;

	if (__builtin_add_overflow(times->idle_ns, times->iowait_ns, &sum) ||
	    __builtin_add_overflow(sum, fw_cpu_times_busy_ns(times), &sum))
		return INT64_MAX;
	return sum;
}
