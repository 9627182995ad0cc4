# SPDX-License-Identifier: Apache-2.0
"""What a function prints may be meant for a terminal, which it must not drive; a terminal may be small, and may go away."""
import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import termios

import pytest

from conftest import BINARY, DEADLINE_S, query, run_ids, wait_until

LOUD = r"""
    name: loud
    storage: ./data
    defaults: {memory: 128, timeout: 30, retries: 0}
    stages:
      shout:
        function:
          command: [sh, -c, 'printf "\033]0;stolen\007\033[31mred\000\n"; head -c 3000 /dev/zero | tr "\0" x; echo; exit 3']
"""
SLOW = """
    name: slow
    storage: ./data
    defaults: {memory: 128, timeout: 60}
    stages:
      wait: {function: {command: [sleep, "2"]}, workers: 2}
      then: {function: {command: [echo]}, after: [wait]}
"""


def on_terminal(flexwatt, *arguments, rows=24, columns=80):
    """Everything that the command writes to a terminal of this size, and its exit status."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    process = subprocess.Popen([BINARY, *arguments], env={**flexwatt.env, "TERM": "xterm"}, cwd=flexwatt.directory,
                               stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    written = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # the other end is closed
            break
        if not part:
            break
        written += part
    os.close(ours)
    return written, process.wait(timeout=DEADLINE_S)


def test_the_end_of_a_log_cannot_drive_the_terminal(flexwatt):
    flexwatt.workflow(LOUD)
    done = flexwatt("run", "workflow.yaml", status=1)
    assert "  | ?]0;stolen??[31mred?\n" in done.stderr
    assert "\033" not in done.stderr and "\a" not in done.stderr
    assert re.search(r"^  \| x{300,399}…$", done.stderr, re.MULTILINE), "a line without end is cut"
    assert "INIT_REPORT" not in done.stderr


def test_logs_are_shown_as_they_are_except_on_a_terminal(flexwatt):
    flexwatt.workflow(LOUD)
    flexwatt("run", "workflow.yaml", status=1)
    run, = run_ids(flexwatt)
    assert "\033]0;stolen\007" in flexwatt("show", run, "--logs").stdout
    written, status = on_terminal(flexwatt, "show", run, "--logs")
    assert status == 0 and b"?]0;stolen??[31mred?" in written and b"\033]0" not in written and b"x" * 3000 in written


def table_lines(written):
    """Lines below a head that begins with the title of the first column, without colours."""
    lines = re.sub(rb"\x1b\[[0-9;?]*[a-zA-Z]", b"", written).decode().splitlines()
    return [line for line in lines if re.match(r"  (stage|run|total|only|a-name)\S*  ", line)]


@pytest.mark.parametrize("arguments", [("runs",), ("show", "{run}"), ("show", "{run}", "--energy")])
@pytest.mark.parametrize("columns", [80, 120])
def test_tables_fit_a_terminal_and_say_what_is_left_out(flexwatt, arguments, columns):
    flexwatt.workflow("""
        name: tables
        storage: ./data
        stages:
          a-name-of-a-stage: {function: {command: [sh, -c, 'head -c 2000000 /dev/zero | gzip -9 >/dev/null']}, workers: 3}
          only: {function: {command: ["true"]}, after: [a-name-of-a-stage]}
    """)
    run = flexwatt.json("run", "workflow.yaml")["run"]
    arguments = [argument.format(run=run) for argument in arguments]
    whole = flexwatt(*arguments).stdout
    assert "a wider terminal" not in whole
    written, status = on_terminal(flexwatt, *arguments, columns=columns)
    lines = table_lines(written)
    assert status == 0 and lines and all(len(line) <= columns for line in lines), lines
    left_out = re.search(rb"  a wider terminal shows: (.*?)\r?\n", written)
    assert bool(left_out) == (max(map(len, table_lines(whole.encode()))) > columns)
    titles = [title for title in left_out[1].decode().split(", ")] if left_out else []
    assert all(title in whole and title not in lines[0].split("  ") for title in titles)


@pytest.mark.parametrize("rows", [1, 2, 3, 4, 5])
def test_a_terminal_lower_than_the_table_does_not_scroll(flexwatt, rows):
    flexwatt.workflow(SLOW.replace('"2"', '"0.3"'))
    written, status = on_terminal(flexwatt, "run", "workflow.yaml", rows=rows)
    assert status == 0
    moves = [int(count) for count in re.findall(rb"\033\[(\d+)A", written)]
    assert moves and max(moves) < max(rows, 2)


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM, signal.SIGINT])
def test_a_terminal_that_goes_away_or_a_polite_end_ends_the_run_in_order(flexwatt, number):
    flexwatt.workflow(SLOW)
    process = flexwatt.start("run", "workflow.yaml")
    wait_until(lambda: query(flexwatt, "select 1 from event where text like '%\"started\"%'"))
    process.send_signal(number)
    process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 130
    assert flexwatt.json("runs")[0]["state"] == "cancelled"


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM, signal.SIGINT])
def test_a_signal_after_the_end_changes_nothing(flexwatt, number):
    """The summary waits for a reader, so that the signal comes when all is done."""
    flexwatt.workflow(SLOW.replace('"2"', '"0"'))
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)
    filled = 0
    while True:
        try:
            filled += os.write(write_end, b"x" * 4096)
        except BlockingIOError:
            break
    os.set_blocking(write_end, True)
    process = subprocess.Popen([BINARY, "run", "workflow.yaml"], env=flexwatt.env, cwd=flexwatt.directory,
                               stdout=write_end, stderr=subprocess.PIPE, text=True)
    os.close(write_end)
    wait_until(lambda: query(flexwatt, "select 1 from run where state = 'ok'"))
    process.send_signal(number)
    with open(read_end, "rb") as reader:
        written = reader.read()
    assert process.wait(timeout=DEADLINE_S) == 0 and "interrupted" not in process.stderr.read()
    process.stderr.close()
    assert written[filled:].startswith(b"slow \xc2\xb7 run ") and b"flexwatt show" in written
    assert flexwatt.json("runs")[0]["state"] == "ok"


def test_under_nohup_a_run_goes_on(flexwatt):
    flexwatt.workflow(SLOW)
    process = flexwatt.start("run", "workflow.yaml", preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    wait_until(lambda: run_ids(flexwatt))
    process.send_signal(signal.SIGHUP)
    process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0


def test_a_reader_that_has_gone_is_no_failure(flexwatt):
    flexwatt.workflow(SLOW.replace('"2"', '"0"'))
    flexwatt("run", "workflow.yaml")
    run, = run_ids(flexwatt)
    for arguments in (["--help"], ["runs"], ["runs", "--json"], ["show", run, "--logs"], ["check", "workflow.yaml"]):
        read_end, write_end = os.pipe()
        os.close(read_end)
        done = subprocess.run([BINARY, *arguments], env=flexwatt.env, cwd=flexwatt.directory, stdout=write_end,
                              stderr=subprocess.PIPE, text=True, timeout=DEADLINE_S)
        os.close(write_end)
        assert (done.returncode, done.stderr) == (0, ""), arguments


@pytest.mark.parametrize("arguments", [(), ("--energy",)])
def test_what_stands_below_a_table_is_folded_at_words(flexwatt, arguments):
    flexwatt.workflow("""
        name: foot
        storage: ./data
        stages: {one: {function: {command: ["true"]}}}
    """)
    run = flexwatt.json("run", "workflow.yaml")["run"]
    whole = [line for line in flexwatt("show", run, *arguments).stdout.splitlines() if re.match(r"  (m =|Cost|SCI|Grid)", line)]
    assert any(len(line) > 80 for line in whole)
    written, _ = on_terminal(flexwatt, "show", run, *arguments)
    text = re.sub(rb"\x1b\[[0-9;?]*[a-zA-Z]", b"", written).decode()
    below = text.split("a wider terminal", 1)[-1].splitlines()[1:]
    assert below and all(len(line) <= 80 for line in below), below
    words = " ".join(line.strip() for line in below)
    assert all(line.strip() in words for line in whole), words
