# SPDX-License-Identifier: Apache-2.0
"""Python functions whose inputs are objects of a bucket: staged in by a StageContext, or by a plain handler that asks for it."""
import json
import re
import socket

import pytest

import e2e
from test_storage import flexwatt  # noqa: F401: a fixture

CODE = '''
import http.client
import json
import os

from flexwatt import StageContext


def whole(ctx: StageContext):
    for path in ctx.get_input_paths("tables"):
        with open(path, "rb") as file:
            ctx.write_output("out", file.read())
    ctx.units(len(list(ctx.inputs("tables"))))


def pieces(ctx: StageContext):
    for item in ctx.inputs("tables"):
        with item.open() as file:
            ctx.write_output("out", file.read())


def paths(ctx: StageContext):
    for path in ctx.get_input_paths("tables"):
        with open(path, "rb") as file:
            ctx.write_output("out", file.read())


def plain(event, context):
    host = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
    names = []
    for item in event["inputs"]["tables"]:
        host.request("POST", "/flexwatt/1/stage-in", json.dumps({"uri": item["uri"]}))
        answer = host.getresponse()
        told = json.loads(answer.read())
        assert answer.status == 200, told
        names.append(f"{len(names)}.csv")
        with open(told["path"], "rb") as file, open(os.path.join(event["outputs"]["out"]["directory"], names[-1]), "wb") as copy:
            file.seek(told["offset"])
            copy.write(file.read(told["length"]))
    return {"outputs": {"out": names}, "result": sorted(name for name in os.environ if name.startswith("AWS_") and "KEY" in name)}


def waits(ctx: StageContext):
    import socket
    with socket.create_connection(("127.0.0.1", ctx.get_param("port"))) as gate:
        gate.recv(1)
    ctx.get_input_paths("tables")
'''
TABLES = {"tables/a b+c%.csv": b"name,number\n" + b"".join(b'"row, %d",%d\n' % (n, n) for n in range(3000)),
          "tables/ü.csv": b"name,number\r\n" + b"x,1\r\n" * 500}


@pytest.fixture
def tables(flexwatt):
    """Runs stages of these handlers over the tables in the bucket."""
    flexwatt.write("code/app.py", CODE)
    for key, content in TABLES.items():
        flexwatt.put(key, content)

    def stage(handler, **more):
        return {"handler": f"app.{handler}", "workers": 3, "inputs": {"tables": {"keys": "tables/*"}}, "outputs": {"out": {}}, **more}

    def prepare(stages):
        flexwatt.workflow(json.dumps({
            "name": "python", "storage": flexwatt.storage, "defaults": {"memory": 512, "timeout": 60, "retries": 0},
            "function": {"python": {"path": "./code", "interpreter": "/usr/bin/python3"}},
            "stages": {name: stage(name, **more) for name, more in stages.items()}}))
    return prepare


def test_a_stage_context_and_a_plain_handler_stage_in_what_they_read(flexwatt, tables):
    cut = {"inputs": {"tables": {"keys": "tables/*", "range": "csv"}}}
    tables({"whole": {}, "pieces": cut, "paths": cut, "plain": {"workers": 1}})
    run = flexwatt.json("run", "workflow.yaml")
    made = {}
    for key, content in sorted(flexwatt.outputs(run["run"]).items()):
        made.setdefault(key.split("/")[0], []).append(content)
    assert sorted(made["whole"]) == sorted(made["plain"]) == sorted(TABLES.values())
    rows = sorted(row for table in TABLES.values() for row in re.split(b"\r?\n", table)[1:-1])
    for name in ("pieces", "paths"):
        assert len(made[name]) >= 3, "each worker has its range"
        assert all(piece.startswith(b"name,number") for piece in made[name])
        assert sorted(row for piece in made[name] for row in re.split(b"\r?\n", piece)[1:-1]) == rows
    records = {record["stage"]: record for record in flexwatt.records(run["run"])}
    assert records["whole"]["read_ms"] > 0
    results = [event["result"] for event in e2e.events_of(flexwatt) if event.get("result") is not None]
    assert results == [[]], "no credentials in the sandbox"
    flexwatt.nothing_is_left()


def test_what_cannot_be_staged_in_fails_in_the_storages_words(flexwatt, tables):
    """The table is replaced after it was listed."""
    tables({"waits": {"workers": 1}})
    with socket.create_server(("127.0.0.1", 0)) as gate:
        gate.settimeout(60)
        process = flexwatt.start("run", "workflow.yaml", "--json", "--set", f"stages.waits.params.port={gate.getsockname()[1]}")
        waiting, _ = gate.accept()
        flexwatt.put("tables/ü.csv", b"another\n")
        waiting.close()
        out, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    record, = flexwatt.records(json.loads(out)["run"])
    assert record["error_type"] == "Storage.Changed"
    assert "object tables/ü.csv changed while the run read it" in record["error_message"]
