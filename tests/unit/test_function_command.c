/* SPDX-License-Identifier: Apache-2.0
 *
 * The bootstrap of command functions against a scripted host.
 */
#include "tests/unit/function_host.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const next = "GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\n";
static const char *const response = "POST /2018-06-01/runtime/invocation/id-1/response HTTP/1.1\r\n";
static const char *const error = "POST /2018-06-01/runtime/invocation/id-1/error HTTP/1.1\r\n";

static char answer[65536];

static void assert_has(const char *text, const char *part)
{
	if (!text)
		fail_msg("expected '%s', got nothing", part);
	else if (!strstr(text, part))
		fail_msg("expected '%s' in: %s", part, text);
}

/* Runs one task with the objects /x/0 … of the input "in"; `answer` is what came back. */
static void run(struct function_host *host, const char *command, int objects, const char *start)
{
	char event[8192], list[4096] = "";

	setenv("FLEXWATT_COMMAND", command, 1);
	host_start_program(host, "anything", (const char *const[]){getenv("COMMAND_CHECKED"), NULL});
	for (int i = 0; i < objects; i++)
		snprintf(list + strlen(list), sizeof list - strlen(list), "%s{\"path\":\"/x/%d\",\"bytes\":1}", i ? "," : "", i);
	snprintf(event, sizeof event,
	         "{\"flexwatt\":1,\"handler\":\"\",\"task\":3,\"workers\":8,\"inputs\":{\"in\":[%s],\"model\":[{\"path\":\"/m/1\"}]},"
	         "\"outputs\":{\"out\":{\"directory\":\"%s\",\"suffix\":\".txt\"}},\"params\":{\"level\":9,\"name\":\"a b\"}}",
	         list, host->directory);
	host_expect(host, next);
	host_give(host, event);
	snprintf(answer, sizeof answer, "%s", host_expect(host, start));
	host_reply(host, "202 Accepted", "{}");
	host_expect(host, next);
}

static void an_argument_that_is_an_input_becomes_one_argument_per_object(void **state)
{
	struct function_host host;

	(void)state;
	run(&host, "{\"command\":[\"sh\",\"-c\",\"printf '[%s]' \\\"$@\\\" >$0\",\"{output.out}\",\"{input.in}\",\"x\",\"{input.model}\"]}",
	    3, response);
	assert_has(answer, "\"outputs\":{\"out\":[\"0003-000.txt\"]}");
	assert_string_equal(host_file(&host, "0003-000.txt"), "[/x/0][/x/1][/x/2][x][/m/1]");
	assert_int_equal(host_end(&host), 0);
}

static void per_object_the_command_runs_once_for_each(void **state)
{
	struct function_host host;

	(void)state;
	run(&host, "{\"command\":[\"sh\",\"-c\",\"echo $1 $2 >$0\",\"{output.out}.md\",\"{input.in}\",\"{input.model}\"],\"per_object\":true}",
	    2, response);
	assert_has(answer, "\"outputs\":{\"out\":[\"0003-000.md\",\"0003-001.md\"]}");
	assert_string_equal(host_file(&host, "0003-000.md"), "/x/0 /m/1\n");
	assert_string_equal(host_file(&host, "0003-001.md"), "/x/1 /m/1\n");
	assert_int_equal(host_end(&host), 0);
}

static void parameters_and_task_are_filled_in_and_other_braces_stay(void **state)
{
	struct function_host host;

	(void)state;
	run(&host, "{\"command\":[\"sh\",\"-c\",\"printf '[%s]' \\\"$@\\\" >$0\",\"{output.out}\",\"-{param.level}\",\"{param.name}\","
	           "\"{task}/{workers}\",\"{print $1}\",\"{}\",\"{input}\",\"m={input.model};\"]}", 1, response);
	assert_string_equal(host_file(&host, "0003-000.txt"), "[-9][a b][3/8][{print $1}][{}][{input}][m=/m/1;]");
	assert_int_equal(host_end(&host), 0);
}

static void every_regular_file_is_an_object_in_the_order_of_numbers(void **state)
{
	struct function_host host;

	(void)state;
	run(&host, "{\"command\":[\"sh\",\"-c\",\"for i in 10 9 1; do echo >$0-$i.png; done; mkdir $0.d; ln -s /etc/passwd $0.l\","
	           "\"{output.out}x\"]}", 0, response);
	assert_has(answer, "\"outputs\":{\"out\":[\"0003-000x-1.png\",\"0003-000x-9.png\",\"0003-000x-10.png\"]}");
	assert_int_equal(host_end(&host), 0);
	assert_has(host_stderr(&host), "0003-000x.l is no regular file: not an output object\n");
}

static void a_failing_command_tells_its_status_and_its_last_words(void **state)
{
	struct function_host host;

	(void)state;
	run(&host, "{\"command\":[\"sh\",\"-c\",\"seq 1 5000 >&2; echo moov atom not found >&2; exit 3\"]}", 0, error);
	assert_has(answer, "\"errorType\":\"Command.ExitStatus\"");
	assert_has(answer, "sh exited with status 3: 4992\\u000a4993");
	assert_has(answer, "5000\\u000amoov atom not found\"");
	assert_int_equal(host_end(&host), 0);
	assert_has(host_stderr(&host), "1\n2\n3\n");
}

static void a_command_that_is_not_there_is_told_by_name(void **state)
{
	struct function_host host;

	(void)state;
	run(&host, "{\"command\":[\"no-such-program\",\"{input.in}\"]}", 1, error);
	assert_has(answer, "\"errorType\":\"Command.NotFound\"");
	assert_has(answer, "no-such-program: no such program");
	assert_int_equal(host_end(&host), 0);
	run(&host, "{\"command\":[\"sh\",\"-c\",\"no-such-program\"]}", 1, error);
	assert_has(answer, "sh exited with status 127 (a shell says so when it does not find a program): ");
	assert_int_equal(host_end(&host), 0);
	run(&host, "{\"command\":[\"/etc/passwd\"]}", 1, error);
	assert_has(answer, "\"errorType\":\"Command.NotExecutable\"");
	assert_int_equal(host_end(&host), 0);
}

/* The kernel refuses /etc, a directory, as it refuses whatever is looked for in a directory that may not be searched. */
static void what_is_refused_on_the_way_is_not_taken_for_the_program(void **state)
{
	char *path = strdup(getenv("PATH"));
	struct function_host host;

	(void)state;
	setenv("PATH", "/", 1);
	run(&host, "{\"command\":[\"etc\"]}", 1, error);
	assert_has(answer, "\"errorType\":\"Command.NotFound\"");
	assert_int_equal(host_end(&host), 0);
	setenv("PATH", "/:/etc", 1);
	run(&host, "{\"command\":[\"passwd\"]}", 1, error);
	assert_has(answer, "\"errorType\":\"Command.NotExecutable\"");
	assert_int_equal(host_end(&host), 0);
	setenv("PATH", path, 1);
	free(path);
}

static void a_killed_command_tells_its_signal(void **state)
{
	struct function_host host;

	(void)state;
	run(&host, "{\"command\":[\"sh\",\"-c\",\"kill -SEGV $$\"]}", 0, error);
	assert_has(answer, "\"errorType\":\"Command.Signal\"");
	assert_has(answer, "sh was killed by signal 11 (Segmentation fault)");
	assert_int_equal(host_end(&host), 0);
}

static void what_a_command_leaves_running_is_ended(void **state)
{
	struct function_host host;

	(void)state;
	run(&host, "{\"command\":[\"sh\",\"-c\",\"sleep 1000 & echo $! >$0\",\"{output.out}\"]}", 0, response);
	const char *text = host_file(&host, "0003-000.txt");
	assert_non_null(text);
	int pid = atoi(text);
	assert_int_equal(host_end(&host), 0);
	char path[64], status[256] = "";
	snprintf(path, sizeof path, "/proc/%d/stat", pid);
	FILE *file = fopen(path, "re");
	if (file) { /* nobody may have reaped it yet */
		assert_non_null(fgets(status, sizeof status, file));
		fclose(file);
		assert_has(status, ") Z");
	}
}

/* One that writes without end keeps the pipe full: what the program itself has said is passed on, and no more. Then it
 * ends, though it has a session of its own. */
static void a_daemon_that_writes_without_end_does_not_hold_its_command_and_is_ended(void **state)
{
	struct function_host host;

	(void)state;
	run(&host, "{\"command\":[\"sh\",\"-c\",\"setsid sh -c 'echo $$ >$0.pid; for i in 1 2 3 4 5 6 7 8; do yes >&2 & done; wait' $0 & "
	           "while [ ! -s $0.pid ]; do :; done; echo done >$0\",\"{output.out}\"]}", 0, response);
	assert_string_equal(host_file(&host, "0003-000.txt"), "done\n");
	assert_int_equal(kill(-(pid_t)atoi(host_file(&host, "0003-000.txt.pid")), SIGKILL), -1); /* its session */
	assert_int_equal(errno, ESRCH);
	assert_int_equal(host_end(&host), 0);
}

static void placeholders_that_cannot_be_filled_are_refused(void **state)
{
	static const struct {
		const char *command, *message;
	} cases[] = {
		{"{\"command\":[\"true\",\"{input.nope}\"]}", "the stage has no input 'nope'"},
		{"{\"command\":[\"true\",\"{output.nope}\"]}", "the stage has no output 'nope'"},
		{"{\"command\":[\"true\",\"{param.nope}\"]}", "the stage has no parameter 'nope'"},
		{"{\"command\":[\"true\",\"-i{input.in}\"]}", "'-i{input.in}' takes one object of input 'in', but the task has 2"},
		{"{\"command\":[\"true\"],\"per_object\":true}", "once per object but names no {input.NAME}"},
		{"{\"command\":[]}", "FLEXWATT_COMMAND is not"},
		{"{\"command\":[1]}", "FLEXWATT_COMMAND is not"},
	};
	struct function_host host;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		run(&host, cases[i].command, 2, error);
		assert_has(answer, cases[i].message);
		assert_int_equal(host_end(&host), 0);
	}
}

static void the_installed_program_is_static_and_does_the_same(void **state)
{
	struct function_host host;

	(void)state;
	setenv("COMMAND_CHECKED", getenv("COMMAND_STATIC"), 1);
	run(&host, "{\"command\":[\"sh\",\"-c\",\"echo $1 >$0\",\"{output.out}\",\"{input.in}\"]}", 1, response);
	assert_string_equal(host_file(&host, "0003-000.txt"), "/x/0\n");
	assert_int_equal(host_end(&host), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_argument_that_is_an_input_becomes_one_argument_per_object),
		cmocka_unit_test(per_object_the_command_runs_once_for_each),
		cmocka_unit_test(parameters_and_task_are_filled_in_and_other_braces_stay),
		cmocka_unit_test(every_regular_file_is_an_object_in_the_order_of_numbers),
		cmocka_unit_test(a_failing_command_tells_its_status_and_its_last_words),
		cmocka_unit_test(a_command_that_is_not_there_is_told_by_name),
		cmocka_unit_test(what_is_refused_on_the_way_is_not_taken_for_the_program),
		cmocka_unit_test(a_killed_command_tells_its_signal),
		cmocka_unit_test(what_a_command_leaves_running_is_ended),
		cmocka_unit_test(a_daemon_that_writes_without_end_does_not_hold_its_command_and_is_ended),
		cmocka_unit_test(placeholders_that_cannot_be_filled_are_refused),
		cmocka_unit_test(the_installed_program_is_static_and_does_the_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
