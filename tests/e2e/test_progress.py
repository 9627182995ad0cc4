# SPDX-License-Identifier: Apache-2.0
"""Live progress in a real terminal: a table that redraws itself and leaves nothing behind."""
import re

import pytest

from powercap import powercap
from terminal import Terminal

pytestmark = pytest.mark.alone

WORKFLOW = """
    name: live
    storage: ./data
    function: {package: ./functions}
    defaults: {memory: 256, timeout: 60}
    stages:
      make: {handler: make, workers: 4, outputs: {out: {suffix: .txt}}, params: {pause_ms: 400}}
      tell: {handler: progress, workers: 1, after: [make]}
"""


def test_the_table_redraws_and_leaves_only_the_summary(flexwatt, functions):
    flexwatt.workflow(WORKFLOW)
    terminal = Terminal(flexwatt, "run", "workflow.yaml")
    terminal.until(r"halfway there")
    terminal.until(r"4/5 tasks, [^\r\n]*\$0")  # energy and cost come one sample after an end
    terminal.until("\\x1b\\[\\?7h$")
    terminal.until(r"\b(5|[1-9]0|[1-9]5) %  halfway there")
    shown = terminal.screen()
    assert sum(line.split()[:2] == ["stage", "done"] for line in shown) == 1, "one table, not several"
    assert any(re.match(r"  make +4/4 +0 +0 +ok", line) for line in shown)
    assert re.search(r"4/5 tasks, 1 running, [\d.]+ m?s, .* m so far, \$0\.\d+, about [\d.]+ m?s left", "\n".join(shown))
    assert terminal.end() == 0
    assert len(re.findall(r"\x1b\[\d+A\r\x1b\[J", terminal.text)) >= 5
    left = [line for line in terminal.screen() if line]
    assert left[0].startswith("live · run ") and left[-1].startswith("  flexwatt show ")
    assert not any("running" in line or "halfway" in line for line in left)


def joules_shown(text):
    factors = {"µJ": 1e-6, "mJ": 1e-3, "J": 1, "kJ": 1e3}
    return [float(number) * factors[unit] for number, unit in re.findall(r"0/1\+? tasks, 1 running, [\d.]+ m?s, ([\d.]+) ([mµk]?J)(?: m)? so far", text)]


@pytest.mark.parametrize("measured", [False, True], ids=["modelled", "measured"])
def test_what_runs_counts_as_far_as_it_is(flexwatt, functions, measured, request):
    """Long before its end, joules of the only task are shown, and they rise."""
    if measured:
        request.getfixturevalue("powercap")
    flexwatt.workflow("""
        name: long
        storage: ./data
        function: {package: ./functions}
        defaults: {memory: 1769, timeout: 60}
        stages: {burn: {handler: burn, workers: 1, params: {cpu_ms: 2500}}}
    """)
    terminal = Terminal(flexwatt, "run", "workflow.yaml", *(["--counters-root", flexwatt.directory / "host"] if measured else []))
    assert terminal.end() == 0
    shown = joules_shown(terminal.text)
    assert len(shown) >= 5 and shown == sorted(shown) and shown[-1] > 3 * shown[1] > 0, shown
    assert (" J so far" in terminal.text) == measured and (" J m so far" in terminal.text) != measured


def test_a_long_pass_over_tables_is_told(flexwatt, functions):
    """Gigabytes that take no disk: one table under many names."""
    first = flexwatt.write("data/tables/0.csv", "")
    first.write_bytes(b"name,number\n" + b'"a, b",12\n' * 2_000_000)
    for number in range(1, 400):
        (first.parent / f"{number}.csv").hardlink_to(first)
    flexwatt.workflow("""
        name: cut
        storage: ./data
        function: {package: ./functions}
        stages: {read: {handler: noop, workers: 2, inputs: {rows: {keys: "tables/*", range: csv}}}}
    """)
    terminal = Terminal(flexwatt, "run", "workflow.yaml")
    terminal.until(r"read +0/0\+ +0 +0 +[1-9]\d? %  cutting its input")
    terminal.type(b"\x03")
    assert terminal.end() == 130


def test_a_narrow_and_low_terminal_shows_no_leftovers(flexwatt, functions):
    flexwatt.workflow(WORKFLOW)
    terminal = Terminal(flexwatt, "run", "workflow.yaml", rows=4, columns=30)
    terminal.until(r"1 running")
    terminal.read(0.3)
    terminal.until("\\x1b\\[\\?7h$")
    shown = [line for line in terminal.screen() if line]
    assert len(shown) <= 3 and "tasks" in shown[0] and all(len(line) <= 30 for line in shown), shown
    assert terminal.end() == 0


def test_a_note_is_shown_on_one_line_and_cut_by_columns(flexwatt, functions):
    flexwatt.workflow(WORKFLOW.replace("after: [make]", "params: {note: \"" + "日本" * 20 + "\\nnext\"}"))
    terminal = Terminal(flexwatt, "run", "workflow.yaml")
    terminal.until(r"日本")
    terminal.read(0.3)
    shown = terminal.screen()
    row, = (line for line in shown if line.startswith("  tell"))
    note = row.split("  ")[-1].strip()
    assert note == "日本" * 14 + "日…", "59 of 60 columns: the next would have taken two"
    assert not any(line.startswith("next") for line in shown)
    assert terminal.end() == 0


MANY = """
    name: many
    storage: ./data
    defaults: {memory: 128, timeout: 60}
    stages:
""" + "".join(f"      s{i:03}: {{function: {{command: [sleep, '0.02']}}, after: [{f's{i - 1:03}' if i else ''}]}}\n"
              for i in range(200))


@pytest.mark.parametrize("rows, columns", [(24, 40), (12, 200), (5, 80)])
def test_more_stages_than_rows_show_what_runs(flexwatt, rows, columns):
    flexwatt.workflow(MANY)
    terminal = Terminal(flexwatt, "run", "workflow.yaml", rows=rows, columns=columns)
    terminal.until(r"\b3\d/3\d\+ tasks")
    terminal.until(r"\x1b\[\?7h$")  # not in the middle of a redraw
    shown = [line for line in terminal.screen() if line]
    assert len(shown) <= rows - 1 and all(len(line) <= columns for line in shown), shown
    assert shown[0].split() == ["stage", "done", "running", "failed"]
    assert sum(bool(re.match(r"  s\d{3} +0/1 +1 +0", line)) for line in shown) <= 1
    rest, = (line for line in shown if line.startswith("  … "))
    more, ended, others = map(int, re.fullmatch(r"  … (\d+) more: (\d+) ended, (\d+) not", rest).groups())
    stages = sum(line.startswith("  s0") for line in shown)
    assert more == ended + others == 200 - stages and 30 <= ended < 60
    totals = " ".join(line.strip() for line in shown[stages + 2:])
    assert re.fullmatch(r"[345]\d/[345]\d\+ tasks, [01] running, [\d.]+ m?s, [\d.]+ [mµ]?J m( so far)?, \$[\d.]+, about .* left",
                        totals), shown
    terminal.process.terminate()
    assert terminal.end() == 130
    moves = [int(count) for count in re.findall(r"\x1b\[(\d+)A", terminal.text)]
    assert max(moves) < rows


def test_ctrl_c_once_and_twice(flexwatt, functions):
    flexwatt.workflow("""
        name: forever
        storage: ./data
        function: {package: ./functions}
        stages: {hang: {handler: hang, workers: 2, memory: 128, timeout: 600, params: {ignore_term: true}}}
    """)
    terminal = Terminal(flexwatt, "run", "workflow.yaml")
    terminal.until(r"2 running")
    terminal.type(b"\x03")
    terminal.until(r"running invocations may finish; once more ends them now")
    terminal.read(0.3)
    shown = terminal.screen()
    assert "interrupted: running invocations may finish; once more ends them now" in shown
    assert sum(line.split()[:2] == ["stage", "done"] for line in shown) == 1, "the table stands once, below the message"
    terminal.type(b"\x03")
    terminal.until(r"interrupted again: ending what runs")
    assert terminal.end() == 130
    left = [line for line in terminal.screen() if line]
    assert left[:2] == ["interrupted: running invocations may finish; once more ends them now",
                        "interrupted again: ending what runs"]
    assert re.match(r"forever · run .* · cancelled · ", left[2])
    assert re.match(r"  resume: flexwatt run --resume \w{3}$", left[-1])


@pytest.mark.parametrize("env, colour", [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)])
def test_colour_only_where_it_is_wanted(flexwatt, functions, env, colour):
    flexwatt.workflow(WORKFLOW.replace("400", "0").replace("handler: progress", "handler: noop"))
    terminal = Terminal(flexwatt, "run", "workflow.yaml", **env)
    assert terminal.end() == 0
    assert bool(re.search(r"\x1b\[[\d;]*m", terminal.text)) == colour
    if env.get("TERM") == "dumb":
        assert "\x1b" not in terminal.text


def test_piped_output_has_no_escapes(flexwatt, functions):
    flexwatt.workflow(WORKFLOW)
    done = flexwatt("run", "workflow.yaml")
    assert "\x1b" not in done.stdout + done.stderr
    assert re.search(r"^\d/\d\+? tasks, \d running", done.stderr, re.M)
