# SPDX-License-Identifier: Apache-2.0
"""flexwatt check: the graph as text, DOT and SVG; nothing is started."""
import json
import os
import subprocess
import textwrap
import xml.etree.ElementTree

import pytest

from conftest import BINARY, SOURCE, tool

WORKFLOW = """
    name: shapes
    storage: ./data
    function: {package: ./functions}
    defaults: {memory: 256}
    stages:
      first: {handler: make, workers: 3, outputs: {out: {suffix: .txt}}}
      second: {handler: copy, workers: auto, inputs: {in: first.out}, outputs: {out: {suffix: .txt}}}
      third: {handler: copy, workers: 2, inputs: {in: {from: first.out, edge: broadcast}}, outputs: {out: {suffix: .txt}}}
      last: {handler: noop, workers: 1, after: [second, third]}
"""


def test_the_graph_as_text(flexwatt, functions):
    flexwatt.workflow(WORKFLOW)
    checked = flexwatt("check", "workflow.yaml")
    assert checked.stdout == textwrap.dedent("""\
        shapes: valid, 4 stages
        shapes · 4 stages in 3 steps
           1  first   3 tasks
           2  second  1 task per object  ← first.out (each)
              third   2 tasks            ← first.out (broadcast)
           3  last    1 task             after second
                                         after third
    """) and checked.stderr == ""
    assert flexwatt("check", "workflow.yaml", "--graph", "text").stdout == checked.stdout.split("\n", 1)[1]
    assert not flexwatt.store.exists() and list(flexwatt.data.iterdir()) == []


def test_the_graph_as_dot(flexwatt, functions):
    flexwatt.workflow(WORKFLOW)
    dot = flexwatt("check", "workflow.yaml", "--graph", "dot").stdout
    assert dot == textwrap.dedent("""\
        digraph "shapes" {
        \trankdir=LR;
        \tnode [shape=box, style=rounded, fontname="sans-serif"];
        \tedge [fontname="sans-serif", fontsize=10];
        \t"first" [label="first\\n3 tasks\\n256 MB"];
        \t"second" [label="second\\n1 task per object\\n256 MB"];
        \t"third" [label="third\\n2 tasks\\n256 MB"];
        \t"last" [label="last\\n1 task\\n256 MB"];
        \t"first" -> "second" [label="out, each"];
        \t"first" -> "third" [label="out, broadcast"];
        \t"second" -> "last" [label="after", style=dashed];
        \t"third" -> "last" [label="after", style=dashed];
        }
    """)


def test_the_graph_as_svg_is_well_formed_and_names_every_stage(flexwatt, functions):
    flexwatt.workflow(WORKFLOW)
    svg = xml.etree.ElementTree.fromstring(flexwatt("check", "workflow.yaml", "--graph", "svg").stdout)
    space = "{http://www.w3.org/2000/svg}"
    assert svg.tag == space + "svg" and svg.find(space + "title").text == "shapes"
    assert [text.text for text in svg.iter(space + "text") if text.get("class") == "name"] == [
        "first", "second", "third", "last"]
    width, height = float(svg.get("width")), float(svg.get("height"))
    for box in svg.iter(space + "rect"):
        assert 0 <= float(box.get("x")) <= width - float(box.get("width"))
        assert 0 <= float(box.get("y")) <= height - float(box.get("height"))


def test_an_unknown_format_is_told(flexwatt, functions):
    flexwatt.workflow(WORKFLOW)
    refused = flexwatt("check", "workflow.yaml", "--graph", "png", status=2).stderr
    assert "png" in refused and "text, dot" in refused


def test_the_json_is_what_flexwatt_understood(flexwatt, functions):
    flexwatt.workflow(WORKFLOW)
    known = flexwatt.json("check", "workflow.yaml", "--set", "stages.third.workers=5")
    assert known["workflow"] == "shapes" and known["order"] == ["first", "second", "third", "last"]
    assert known["storage"] == f"file:{flexwatt.data}" and len(known["digest"]) == 64
    assert known["effective"]["stages"]["third"]["workers"] == 5


def make_loop(path):
    path.symlink_to(path)


@pytest.mark.parametrize("make, message, hint, status", [
    (lambda path: path.write_text("#" * (5 << 20)), "error: bad.yaml: larger than a workflow file may be, 4 MiB",
     "data belongs into the storage: a stage's inputs name it by keys", 2),
    (lambda path: path.write_text(""), "error: the workflow is empty  bad.yaml:1:1", "docs/workflow.md shows", 2),
    (lambda path: path.write_bytes(b"name: x\n\xff\x1b[31m"), "error: not text in UTF-8  bad.yaml:2:1",
     "docs/workflow.md shows", 2),
    (lambda path: path.mkdir(), "error: no workflow file 'bad.yaml'", "it is a directory; name the YAML file in it", 2),
    (os.mkfifo, "error: no workflow file 'bad.yaml'", "it is a named pipe; `flexwatt check /dev/stdin <bad.yaml` reads", 2),
    (lambda path: None, "error: no workflow file 'bad.yaml'", "a YAML file: see docs/workflow.md", 2),
    (make_loop, "error: open bad.yaml: Too many levels of symbolic links", "the workflow file must be a YAML file", 3),
])
@pytest.mark.parametrize("command", ["check", "run"])
def test_a_file_that_is_no_workflow_is_one_error_with_a_hint(flexwatt, command, make, message, hint, status):
    make(flexwatt.directory / "bad.yaml")
    refused = flexwatt(command, "bad.yaml", status=status)
    assert refused.stdout == "" and refused.stderr.startswith(message) and f"\n  hint: {hint}" in refused.stderr
    assert refused.stderr.count("error: ") == 1 and "\x1b" not in refused.stderr
    assert not flexwatt.store.exists()


def piped(flexwatt, *arguments):
    return subprocess.run([BINARY, *arguments], input=textwrap.dedent(WORKFLOW), env=flexwatt.env, cwd=flexwatt.directory,
                          text=True, capture_output=True, timeout=60)


def test_a_workflow_may_come_through_a_pipe_and_is_then_of_the_current_directory(flexwatt, functions):
    done = piped(flexwatt, "check", "/dev/stdin", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["storage"] == f"file:{flexwatt.data}"
    run = json.loads(piped(flexwatt, "run", "/dev/stdin", "--json").stdout)["run"]
    refused = flexwatt("run", "--resume", run, "--from", "last", status=2)
    assert refused.stderr == (f"error: the workflow of run {run} came from /dev/stdin\n"
                              f"  hint: give it again: flexwatt run --resume {run} FILE\n")
    assert piped(flexwatt, "run", "--resume", run, "--from", "last", "/dev/stdin").returncode == 0


def test_every_error_of_a_bad_file_says_what_to_do():
    expected = sorted((SOURCE / "tests/workflows/bad").glob("*.expected"))
    assert len(expected) >= 110
    silent = [path.name for path in expected if not any(way in path.read_text() for way in ("hint: ", "(did you mean "))]
    assert not silent
