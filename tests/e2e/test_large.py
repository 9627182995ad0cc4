# SPDX-License-Identifier: Apache-2.0
"""What is too large for an event goes as a file: long lists by manifest, large results by reference."""
import hashlib
import json

import pytest

from conftest import events_of

RESULT = """
    name: large
    storage: ./data
    function: {package: ./functions}
    defaults: {memory: 256, retries: 0}
    stages:
      say: {handler: long_result, workers: 1, params: {bytes: %d}%s}
      next: {handler: noop, workers: 1, after: [say]}
"""


def result_of(flexwatt):
    result, = [e["result"] for e in events_of(flexwatt) if e["event"] == "ended" and e.get("result") is not None]
    return result


@pytest.mark.parametrize("outputs", ["", ", outputs: {out: {suffix: .txt}}"])
def test_a_large_result_goes_by_reference(flexwatt, functions, outputs):
    flexwatt.workflow(RESULT % (300_000, outputs))
    run = flexwatt.json("run", "workflow.yaml")["run"]
    result = result_of(flexwatt)
    path = flexwatt.data / "runs" / run / "say" / "0.1" / "result.json"
    assert result["reference"] == f"file:{path}"
    text = path.read_bytes()
    assert result["bytes"] == len(text) > 256 * 1024 and result["sha256"] == hashlib.sha256(text).hexdigest()
    assert json.loads(text) == {"text": "x" * 300_000}
    assert flexwatt.records(run, "say/0")[0]["objects_out"] == 0
    assert not (flexwatt.data / "runs" / run / ".attempts").exists()


def test_a_small_result_stays_in_the_log(flexwatt, functions):
    flexwatt.workflow(RESULT % (1000, ""))
    run = flexwatt.json("run", "workflow.yaml")["run"]
    assert result_of(flexwatt) == {"text": "x" * 1000}
    assert flexwatt.outputs(run) == {}


@pytest.mark.parametrize("status", ["ok", "function_error"])
def test_a_stage_without_outputs_gets_a_list_of_more_than_six_megabytes(flexwatt, functions, status):
    handler = "count" if status == "ok" else "die"
    name, count = "n" * 240, 10_000
    (flexwatt.data / "in").mkdir()
    for number in range(count):
        (flexwatt.data / "in" / f"{name}{number:05}.txt").touch()
    flexwatt.workflow(f"""
        name: long
        storage: ./data
        function: {{package: ./functions}}
        stages:
          count: {{handler: {handler}, workers: 1, retries: 0, memory: 512, inputs: {{in: {{keys: "in/*.txt"}}}}}}
    """)
    run = flexwatt.json("run", "workflow.yaml", status=status != "ok")["run"]
    record, = flexwatt.records(run)
    assert record["status"] == status and record["objects_in"] == count
    assert status != "ok" or result_of(flexwatt) == {"count": count}
    assert flexwatt.outputs(run) == {}, "neither the manifest nor its directory stays"


def test_a_long_list_goes_by_manifest(flexwatt, functions):
    name = "a-rather-long-name-of-an-object-so-that-the-list-is-long-" * 2
    (flexwatt.data / "in").mkdir()
    for number in range(500):
        (flexwatt.data / "in" / f"{name}{number:04}.txt").write_text(f"{number}\n")
    flexwatt.workflow("""
        name: long
        storage: ./data
        function: {package: ./functions}
        stages:
          copy: {handler: copy, workers: 1, memory: 512, inputs: {in: {keys: "in/*.txt"}}, outputs: {out: {suffix: .txt}}}
    """)
    run = flexwatt.json("run", "workflow.yaml")["run"]
    record, = flexwatt.records(run)
    assert record["objects_in"] == 500 and record["objects_out"] == 500
    outputs = flexwatt.outputs(run)
    assert sorted(outputs.values()) == sorted(f"{number}\n".encode() for number in range(500))
    assert all(key.startswith("copy/0.1/out/") for key in outputs), "the manifest itself is not published"
