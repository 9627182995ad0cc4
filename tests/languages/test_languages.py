# SPDX-License-Identifier: Apache-2.0
"""One function in each language, the same one: answers large and streamed, files, errors, timeouts, a death; then any command."""
import json
import pathlib
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[0:0] = [str(ROOT / "tests/e2e"), str(ROOT / "tests/languages")]
import languages  # noqa: E402
from conftest import Flexwatt, events_of, nothing_stays_behind  # noqa: E402,F401

# What the runtime client of a language calls an error, and the end of its process.
REFUSED = {"python": "NoSuchCustomer", "node": "NoSuchCustomer", "go": "errorString", "shell": "NoSuchCustomer"}
DIED = {"python": "Runtime.ExitError", "node": "Runtime.ExitError", "go": "string", "shell": "Runtime.ExitError"}


@pytest.fixture
def flexwatt(tmp_path):
    return Flexwatt(tmp_path)


@pytest.fixture(params=["python", "node", "go", "shell"])
def language(request, flexwatt):
    directory = flexwatt.directory / "code"
    directory.mkdir()
    return request.param, getattr(languages, request.param)(directory)


def run(flexwatt, function, stages, status=0, **defaults):
    flexwatt.workflow(json.dumps({"name": "languages", "storage": "./data", "function": function, "stages": stages, "defaults": {
        "memory": 1024, "timeout": 60, "retries": 0, "on_failure": "continue", **defaults}}))
    run = flexwatt.json("run", "workflow.yaml", status=status)
    names = [stage["stage"] for stage in run["stages"]]
    results = {names[event["stage"]]: event["result"] for event in events_of(flexwatt) if event.get("result") is not None}
    return run["run"], {record["stage"]: record for record in flexwatt.records(run["run"])}, results


def test_a_function_answers_and_leaves_files(flexwatt, language):
    name, function = language
    made, records, results = run(flexwatt, function, {
        "greet": {"payload": {"do": "greet", "name": "Ada"}},
        "write": {"payload": {"do": "write", "directory": "${output.report}"}, "outputs": {"report": {"from": "/file"}}},
        "large": {"payload": {"do": "large", "bytes": 100}}, "huge": {"payload": {"do": "large", "bytes": (6 << 20) - 20}}})
    assert results["greet"]["greeting"] == "hello, Ada" and results["greet"]["request"] == records["greet"]["request_id"]
    assert 0 < results["greet"]["left"] <= 61000
    assert "\ngreeting Ada\n" in records["greet"]["log"].replace("\tINFO\t", "\n")
    outputs = flexwatt.outputs(made)
    report, = [data for key, data in outputs.items() if key.endswith("report.txt")]
    assert report.startswith(b"written by")
    assert json.loads(outputs["huge/0.1/result.json"]) == {"text": "x" * ((6 << 20) - 20)}


def test_errors_are_the_functions_own_and_one_does_not_stop_others(flexwatt, language):
    name, function = language
    _, records, results = run(flexwatt, function, {
        "refuse": {"payload": {"do": "refuse", "name": "Bob"}}, "panic": {"payload": {"do": "panic"}},
        "larger": {"payload": {"do": "large", "bytes": 7 << 20}}, "slow": {"payload": {"do": "sleep"}, "timeout": 2},
        "greet": {"payload": {"do": "greet", "name": "Ada"}}}, status=1)
    assert (records["refuse"]["status"], records["refuse"]["error_type"]) == ("function_error", REFUSED[name])
    assert "nobody is called Bob" in records["refuse"]["error_message"]
    assert (records["panic"]["status"], records["panic"]["error_type"]) == ("function_error", DIED[name])
    assert records["larger"]["error_type"] == "Function.ResponseSizeTooLarge"
    assert records["slow"]["status"] == "timeout" and records["slow"]["duration_ms"] < 10000
    assert results["greet"]["greeting"] == "hello, Ada"


def test_a_streamed_answer_arrives_whole(flexwatt, language):
    name, function = language
    stage = {"payload": {"do": "stream", "bytes": 100000}}
    if name in ("python", "node"):
        stage["handler"] = "app.stream"
    _, records, results = run(flexwatt, function, {"stream": stage})
    assert records["stream"]["status"] == "ok" and results["stream"] == {"text": "x" * 100000}


def test_any_command_is_a_function(flexwatt):
    flexwatt.write("data/texts/a.txt", "b\na\n")
    made, _, _ = run(flexwatt, {"command": ["sort", "-o", "{output.sorted}", "{input.texts}"]}, {
        "sort": {"inputs": {"texts": {"keys": "texts/*"}}, "outputs": {"sorted": {"suffix": ".txt"}}}})
    assert list(flexwatt.outputs(made).values()) == [b"a\nb\n"]
