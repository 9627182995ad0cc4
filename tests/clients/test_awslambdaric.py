# SPDX-License-Identifier: Apache-2.0
"""AWS's own Python runtime client (PyPI awslambdaric) runs plain Lambda handlers unchanged in `payload:` stages."""
import json
import pathlib
import sqlite3
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/e2e"))
from conftest import Flexwatt, nothing_stays_behind  # noqa: E402,F401

HANDLERS = '''
import json
import logging
import os
import time

COLD = time.monotonic_ns()
CALLS = 0


def greet(event, context):
    """Uses nothing but what AWS documents."""
    global CALLS
    CALLS += 1
    print("greeting", event["name"])
    logging.getLogger().warning("a warning for %s", event["name"])
    return {"greeting": f"hello, {event['name']}", "calls": CALLS, "cold": COLD, "request": context.aws_request_id,
            "memory": context.memory_limit_in_mb, "function": context.function_name, "left": context.get_remaining_time_in_millis(),
            "arn": context.invoked_function_arn, "stream": context.log_stream_name, "root": os.environ["LAMBDA_TASK_ROOT"],
            "handler": os.environ["_HANDLER"]}


class NoSuchCustomer(Exception):
    pass


def deeper(name):
    raise NoSuchCustomer(f"nobody is called {name}")


def refuse(event, context):
    deeper(event["name"])


def large(event, context):
    return {"text": "x" * event["bytes"]}


def write(event, context):
    with open(event["directory"] + "/report.txt", "w") as file:
        file.write("written by a plain handler")
    return {"file": "report.txt"}


def not_json(event, context):
    return {"when": object()}
'''


@pytest.fixture(scope="module")
def interpreter():
    return subprocess.run([ROOT / "scripts/venv", "awslambdaric", "awslambdaric==4.2.2"], stdout=subprocess.PIPE, text=True,
                          check=True, timeout=300).stdout.strip()


@pytest.fixture
def flexwatt(tmp_path):
    return Flexwatt(tmp_path)


@pytest.fixture
def run_stages(flexwatt, interpreter):
    """Runs stages of plain Python handlers: the run, its records by stage, its results by stage."""
    def run(stages, status=0):
        flexwatt.write("code/app.py", HANDLERS)
        flexwatt.write("code/needy.py", "import no_such_module\n")
        flexwatt.write("code/garbled.py", "def handler(:\n")
        function = {"python": {"path": "./code", "interpreter": interpreter}}
        flexwatt.workflow(json.dumps({"name": "plain", "storage": "./data", "function": function, "defaults": {
            "memory": 512, "timeout": 60}, "stages": stages}))
        run = flexwatt.json("run", "workflow.yaml", status=status)
        records = {record["stage"]: record for record in flexwatt.records(run["run"])}
        with sqlite3.connect(f"file:{flexwatt.store}?mode=ro", uri=True) as store:
            events = [json.loads(text) for text, in store.execute("select text from event")]
        names = [stage["stage"] for stage in run["stages"]]
        results = {names[event["stage"]]: event["result"] for event in events if event.get("result") is not None}
        return run, records, results
    return run


def log_of(flexwatt, run, stage):
    return flexwatt("show", run["run"], "--task", f"{stage}/0", "--logs").stdout


def test_a_plain_handler_runs_unchanged(flexwatt, run_stages):
    run, records, results = run_stages({"hello": {"handler": "app.greet", "payload": {"name": "Ada"}}})
    record, result = records["hello"], results["hello"]
    assert result["greeting"] == "hello, Ada" and result["request"] == record["request_id"]
    assert int(result["memory"]) == 512 and 0 < result["left"] <= 60000
    assert result["root"] == "/var/task" and result["handler"] == "app.greet"
    assert result["arn"].startswith("arn:aws:lambda:eu-central-1:") and "[$LATEST]" in result["stream"]
    log = log_of(flexwatt, run, "hello")
    assert "greeting Ada\n" in log and "a warning for Ada" in log
    assert record["init_ms"] > 0 and record["cold_start_ms"] >= record["init_ms"]


def test_one_process_serves_task_after_task(run_stages):
    one = {"handler": "app.greet", "payload": {"name": "Ada"}, "workers": 1}
    _, records, results = run_stages({
        "hello": one, "other": {"handler": "app.large", "payload": {"bytes": "${hello.result.calls}"}}})
    assert results["hello"]["calls"] == 1 and results["other"] == {"text": "x"}
    assert records["hello"]["worker"] != records["other"]["worker"], "another handler is another function"


def test_a_warm_worker_is_reused(flexwatt, run_stages):
    run, _, _ = run_stages({"hello": {"handler": "app.greet", "payload": {"name": "Ada"}, "workers": 8}})
    records = flexwatt.records(run["run"], "hello")
    cold = [record for record in records if record["cold_start_ms"] is not None]
    assert len(records) == 8 and len(cold) == len({record["worker"] for record in records}) < 8


def test_an_exception_is_in_the_record_and_its_traceback_in_the_log(flexwatt, run_stages):
    run, records, _ = run_stages({"sad": {"handler": "app.refuse", "payload": {"name": "Bob"}, "retries": 3}}, status=1)
    record = records["sad"]
    assert (record["status"], record["error_type"]) == ("function_error", "NoSuchCustomer")
    assert record["error_message"] == "nobody is called Bob"
    assert len(flexwatt.records(run["run"])) == 1, "a plain function may have side effects: it is not tried again"
    log = log_of(flexwatt, run, "sad")
    assert "[ERROR] NoSuchCustomer: nobody is called Bob" in log and "Traceback" in log and "in deeper" in log


@pytest.mark.parametrize("handler, error_type", [
    ("app.absent", "Runtime.HandlerNotFound"), ("needy.handler", "Runtime.ImportModuleError"),
    ("garbled.handler", "Runtime.UserCodeSyntaxError"), ("app.not_json", "Runtime.MarshalError")])
def test_the_clients_own_errors_are_reported(run_stages, handler, error_type):
    _, records, _ = run_stages({"bad": {"handler": handler, "payload": {}, "retries": 0}}, status=1)
    assert (records["bad"]["status"], records["bad"]["error_type"]) == ("function_error", error_type)


def test_a_large_answer_arrives_whole_and_too_large_a_one_is_refused(flexwatt, run_stages):
    size = 5 << 20
    run, records, _ = run_stages({
        "large": {"handler": "app.large", "payload": {"bytes": size}, "on_failure": "continue"},
        "larger": {"handler": "app.large", "payload": {"bytes": 7 << 20}, "on_failure": "continue", "retries": 0}}, status=1)
    assert records["large"]["status"] == "ok"
    result = flexwatt.outputs(run["run"])["large/0.1/result.json"]  # too large for the run's log of events
    assert json.loads(result) == {"text": "x" * size}
    assert records["larger"]["error_type"] == "Function.ResponseSizeTooLarge"


def test_files_of_a_plain_handler_are_published(flexwatt, run_stages):
    run, _, _ = run_stages({"write": {"handler": "app.write", "payload": {"directory": "${output.report}"},
                                      "outputs": {"report": {"from": "/file"}}}})
    assert list(flexwatt.outputs(run["run"]).values()) == [b"written by a plain handler"]


def test_a_function_with_a_stage_context_runs_where_the_client_is_installed_too(flexwatt, interpreter):
    """AWS's client would call it with an event: ours does, by the annotation, and by the style where there is none."""
    flexwatt.write("code/app.py", """
        import awslambdaric
        from flexwatt import StageContext

        def annotated(ctx: StageContext):
            return [ctx.worker_id, awslambdaric.__name__]

        def bare(ctx):
            return [ctx.worker_id, awslambdaric.__name__]

        def event(event, context):
            return {"result": [event["task"], type(context).__module__]}
    """)
    flexwatt.workflow(json.dumps({"name": "staged", "storage": "./data", "stages": {
        name: {"function": {"python": {"path": "./code", "interpreter": interpreter}, "handler": f"app.{name}",
                            **({"style": "stage"} if name == "bare" else {})}} for name in ("annotated", "bare", "event")}}))
    flexwatt("run", "workflow.yaml")
    with sqlite3.connect(f"file:{flexwatt.store}?mode=ro", uri=True) as store:
        events = [json.loads(text) for text, in store.execute("select text from event")]
    assert [event["result"] for event in sorted((e for e in events if e.get("result")), key=lambda e: e["stage"])] == [
        [0, "awslambdaric"], [0, "awslambdaric"], [0, "awslambdaric.lambda_context"]]
