# SPDX-License-Identifier: Apache-2.0
"""--json: one valid document on standard output from every command, quantities named with their unit, errors as text."""
import json
import re

import pytest

WORKFLOW = """
    name: data
    storage: ./data
    function: {package: ./functions}
    defaults: {memory: 256, retries: 0}
    stages:
      say: {handler: chatter, workers: 2, params: {lines: 2}}
      bytes: {function: {command: [printf, 'a\\377\\033b']}, workers: 1}
"""
UNITS = r"(ms|us|w|per_unit|per_joule|seconds|bytes|mb|j|joules|joules_low|joules_high|low|high|usd|gco2e|gco2e_per_kwh|percent|pages|1m|5m|15m)$"
COUNTS = {"tasks", "energy_rank", "ok", "failed", "skipped", "invocations", "cold_starts", "task", "attempt", "attempts", "workers", "vcpus",
          "pue", "grid_year", "objects_in", "objects_out", "units", "cores", "threads", "packages", "cpus_allowed", "family",
          "model", "repetition", "cpus_visible", "exit", "faults_minor", "faults_major", "bytes_in", "bytes_out", "switches_voluntary",
          "switches_involuntary", "context_switches"}


def quantities(value, name=""):
    if isinstance(value, dict):
        for key, below in value.items():
            if key not in ("effective", "metrics", "options"):  # a file's own words; a table of {value, unit}
                yield from quantities(below, key)
    elif isinstance(value, list):
        for below in value:
            yield from quantities(below, name)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        yield name


@pytest.fixture
def run(flexwatt, functions):
    flexwatt.workflow(WORKFLOW)
    return flexwatt.json("run", "workflow.yaml")["run"]


@pytest.mark.parametrize("arguments", [
    ["run", "workflow.yaml"], ["check", "workflow.yaml"], ["check", "workflow.yaml", "--graph", "svg"], ["runs"], ["monitors"],
    ["show", "{run}"], ["show", "{run}", "--task", "say"], ["show", "{run}", "--task", "say/1", "--logs"],
    ["show", "{run}", "--logs"], ["show", "{run}", "--graph", "dot"], ["runs", "rm", "{run}"],
    ["runs", "prune", "--keep", "1"],
])
def test_every_command_prints_one_document_with_units_in_its_names(flexwatt, run, arguments):
    done = flexwatt(*[argument.format(run=run) for argument in arguments], "--json")
    known = json.loads(done.stdout)
    assert done.stdout.count("\n") == 1
    assert {name for name in quantities(known) if not re.search(UNITS, name)} <= COUNTS


def test_what_each_form_holds(flexwatt, run):
    first, second = flexwatt.json("show", run, "--task", "say", "--logs")
    assert first["log"].startswith("START RequestId: ") and "\nline 1\nEND RequestId: " in first["log"]
    assert "log" not in flexwatt.json("show", run, "--task", "say/0")[0] and second["task"] == 1
    record, = flexwatt.json("show", run, "--task", "bytes/0", "--logs")
    assert "\na??b\nEND " in record["log"], "what JSON cannot say is replaced"
    graph = flexwatt.json("show", run, "--graph", "dot")
    assert graph["format"] == "dot" and graph["graph"] == flexwatt("show", run, "--graph", "dot").stdout
    assert flexwatt.json("check", "workflow.yaml", "--graph", "text")["graph"] == flexwatt(
        "check", "workflow.yaml", "--graph", "text").stdout
    assert "graph" not in flexwatt.json("check", "workflow.yaml")
    assert flexwatt.json("runs", "prune", "--keep", "1") == {"removed": []}
    assert flexwatt.json("runs", "rm", run) == {"removed": [run]} and flexwatt.json("runs") == []


@pytest.mark.parametrize("arguments", [
    ["run", "none.yaml"], ["check", "none.yaml"], ["show", "zzzz"], ["show", "{run}", "--task", "no"], ["runs", "rm", "zzzz"],
    ["runs", "prune"], ["run", "--resume", "zzzz"], ["show", "{run}", "--graph", "png"],
])
def test_an_error_is_text_on_standard_error(flexwatt, run, arguments):
    done = flexwatt(*[argument.format(run=run) for argument in arguments], "--json", status=2)
    assert done.stderr.startswith("error: ") and "\n  hint: " in done.stderr
    assert done.stdout == ""
