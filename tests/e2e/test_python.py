# SPDX-License-Identifier: Apache-2.0
"""Python functions on our own bootstrap: plain handlers as on AWS Lambda, and functions that take a StageContext."""
import json
import re

import pytest

from conftest import SOURCE, events_of

PYTHON = "/usr/bin/python3"
PLAIN = '''
import os
import sys

CALLS = []


def greet(event, context):
    CALLS.append(1)
    print("greeting", event["name"])
    import logging
    logging.getLogger().warning("a warning for %s", event["name"])
    print("to stderr", file=sys.stderr)
    return {"greeting": f"hello, {event['name']}", "calls": len(CALLS), "attributes": {
        name: getattr(context, name) for name in (
            "function_name", "function_version", "invoked_function_arn", "memory_limit_in_mb", "aws_request_id", "log_group_name",
            "log_stream_name", "client_context", "tenant_id")},
        "identity": context.identity.cognito_identity_id, "left": context.get_remaining_time_in_millis(),
        "root": os.environ["LAMBDA_TASK_ROOT"], "handler": os.environ["_HANDLER"], "path": sys.path[0]}


class NoSuchCustomer(Exception):
    pass


def refuse(event, context):
    deeper(event["name"])


def deeper(name):
    raise NoSuchCustomer(f"nobody is called {name}")


def large(event, context):
    return {"text": "ä" * event["letters"]}


def endless(event, context):
    while True:
        pass


def leave(event, context):
    exit(3)


def stream(event, context):
    yield '{"pieces": ['
    for number in range(event["pieces"]):
        yield ("," if number else "") + '"' + "x" * event["size"] + '"'
        if number == event.get("break"):
            raise NoSuchCustomer("in the middle")
    yield b"]}"


def not_json(event, context):
    return {"when": object()}


def not_a_number(event, context):
    return float("nan")


class Odd(Exception):
    error_type = 7


class Mute(Exception):
    def __str__(self):
        raise RuntimeError("no words")


def fail_oddly(event, context):
    if event["how"] == "closed":
        sys.stdout.close()
    raise {"surrogate": ValueError("half of a pair: \\ud800"), "type": Odd("a number for a type"), "mute": Mute(),
           "closed": ValueError("without a log"), "cyrillic": type("Ошибка", (Exception,), {})("named so")}[event["how"]]


def number(event, context):
    yield "[1"
    yield 5


async def later(event, context):
    return 1
'''


@pytest.fixture
def stages(flexwatt):
    """Runs Python stages: the run, its records by stage, its results by stage."""
    def run(stages, status=0, **function):
        function = {"python": {"path": "./code", "interpreter": PYTHON}, **function}
        flexwatt.write("code/app.py", PLAIN)
        flexwatt.workflow(json.dumps({"name": "python", "storage": "./data", "function": function, "defaults": {
            "memory": 512, "timeout": 60, "retries": 0, "on_failure": "continue"}, "stages": stages}))
        run = flexwatt.json("run", "workflow.yaml", status=status)
        names = [stage["stage"] for stage in run["stages"]]
        results = {names[event["stage"]]: event["result"] for event in events_of(flexwatt) if event.get("result") is not None}
        return run, {record["stage"]: record for record in flexwatt.records(run["run"])}, results
    return run


def plain(handler, **payload):
    return {"handler": f"app.{handler}", "payload": payload}


def test_a_plain_handler_has_what_aws_gives_it(stages):
    _, records, results = stages({"hello": plain("greet", name="Ada")})
    result, record = results["hello"], records["hello"]
    attributes = result["attributes"]
    assert result["greeting"] == "hello, Ada" and result["calls"] == 1
    assert attributes["aws_request_id"] == record["request_id"] and attributes["memory_limit_in_mb"] == "512"
    assert attributes["invoked_function_arn"].startswith("arn:aws:lambda:") and attributes["function_version"] == "$LATEST"
    assert attributes["log_group_name"] == "/aws/lambda/" + attributes["function_name"]
    assert "[$LATEST]" in attributes["log_stream_name"]
    assert attributes["client_context"] is None and attributes["tenant_id"] is None and result["identity"] is None
    assert 0 < result["left"] <= 60000
    assert result["root"] == result["path"] == "/var/task" and result["handler"] == "app.greet"
    log = record["log"]
    assert "\ngreeting Ada\n" in log and "\nto stderr\n" in log
    assert re.search(r"\n\[WARNING\]\t\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\t" + record["request_id"] + "\ta warning for Ada\n", log)


def test_log_records_are_json_where_the_function_asks_for_it(stages):
    _, records, _ = stages({"hello": {**plain("greet", name="Ada"), "environment": {"AWS_LAMBDA_LOG_FORMAT": "JSON"}}})
    line, = [json.loads(line) for line in records["hello"]["log"].splitlines() if line.startswith("{")]
    assert line["message"] == "a warning for Ada" and line["level"] == "WARNING"
    assert line["requestId"] == records["hello"]["request_id"]


def test_an_exception_is_in_the_record_and_its_own_frames_in_the_log(stages):
    _, records, _ = stages({"sad": plain("refuse", name="Bob")}, status=1)
    record = records["sad"]
    assert (record["status"], record["error_type"], record["error_message"]) == (
        "function_error", "NoSuchCustomer", "nobody is called Bob")
    assert "[ERROR] NoSuchCustomer: nobody is called Bob\nTraceback (most recent call last):\n" in record["log"]
    assert 'File "/var/task/app.py", line' in record["log"] and "in deeper" in record["log"]
    assert "flexwatt/_runtime.py" not in record["log"], "frames of the bootstrap are no part of the function's stack"


@pytest.mark.parametrize("handler, error_type, words", [
    ("app.absent", "Runtime.HandlerNotFound", "Handler 'absent' missing on module 'app'"),
    ("needy.handler", "Runtime.ImportModuleError", "Unable to import module 'needy': No module named 'no_such_module'"),
    ("garbled.handler", "Runtime.UserCodeSyntaxError", "Syntax error in module 'garbled': "),
    ("raises.handler", "ValueError", "at import"),
    ("app.not_json", "Runtime.MarshalError", "Unable to marshal response: Object of type object is not JSON serializable"),
    ("app.not_a_number", "Runtime.MarshalError", "Unable to marshal response: Out of range float values"),
    ("app.leave", "Runtime.ExitError", "3")])
def test_errors_have_the_names_that_aws_gives_them(flexwatt, stages, handler, error_type, words):
    flexwatt.write("code/needy.py", "import no_such_module\n")
    flexwatt.write("code/garbled.py", "def handler(:\n")
    flexwatt.write("code/raises.py", "raise ValueError('at import')\n")
    _, records, _ = stages({"bad": {"handler": handler, "payload": {}}}, status=1)
    assert (records["bad"]["status"], records["bad"]["error_type"]) == ("function_error", error_type)
    assert words in records["bad"]["error_message"]


@pytest.mark.parametrize("how, error_type, words", [
    ("surrogate", "ValueError", r"half of a pair: \ud800"), ("type", "Odd", "a number for a type"),
    ("mute", "Mute", "its message cannot be told: __str__ raised RuntimeError"), ("closed", "ValueError", "without a log"),
    ("cyrillic", "Ошибка", "named so")])
def test_an_error_is_told_whatever_it_is_made_of(stages, how, error_type, words):
    _, records, _ = stages({"odd": plain("fail_oddly", how=how)}, status=1)
    assert (records["odd"]["status"], records["odd"]["error_type"], records["odd"]["error_message"]) == ("function_error", error_type, words)


def test_what_is_no_piece_of_an_answer_and_what_never_ran_are_errors(stages):
    _, records, _ = stages({"number": plain("number"), "later": plain("later")}, status=1)
    assert records["number"]["error_message"].endswith("a generator's pieces are text or bytes, this one is int")
    assert records["later"]["error_type"] == records["number"]["error_type"] == "Runtime.MarshalError"
    assert "coroutine" in records["later"]["error_message"]


def test_a_handler_that_does_not_end_is_ended_at_its_timeout(stages):
    _, records, _ = stages({"slow": {**plain("endless"), "timeout": 1}}, status=1)
    assert records["slow"]["status"] == "timeout"


def test_a_large_answer_arrives_whole_and_too_large_a_one_is_refused(flexwatt, stages):
    letters = (6 << 20) // 2 - 100
    run, records, _ = stages({"large": plain("large", letters=letters), "larger": plain("large", letters=letters + 1000)}, status=1)
    assert records["large"]["status"] == "ok"
    assert json.loads(flexwatt.outputs(run["run"])["large/0.1/result.json"]) == {"text": "ä" * letters}
    assert records["larger"]["error_type"] == "Function.ResponseSizeTooLarge"


@pytest.mark.parametrize("handler, large, small, answer", [
    ("large", {"letters": 50 << 20}, {"letters": 1}, {"text": "ä"}),
    ("stream", {"pieces": 12, "size": 1 << 20}, {"pieces": 1, "size": 1}, {"pieces": ["x"]}),
    ("stream", {"pieces": 100, "size": 1 << 20}, {"pieces": 1, "size": 1}, {"pieces": ["x"]})])
def test_an_answer_is_too_large_however_large_it_is_and_its_worker_goes_on(stages, handler, large, small, answer):
    """Far above the limit the host reads it not even to its end: the function is told, and judged, all the same."""
    memory = {"memory": 2048}
    _, records, results = stages({"large": {**plain(handler, **large), **memory},
                                  "next": {**plain(handler, **small), **memory, "after": ["large"]}}, 1)
    assert records["large"]["error_type"] == "Function.ResponseSizeTooLarge"
    assert records["next"]["status"] == "ok" and results["next"] == answer and records["next"]["cold_start_ms"] is None


def test_a_worker_goes_on_after_an_answer_that_was_too_large(flexwatt, stages):
    """On the connection that the host cut, or a new one."""
    flexwatt.write("code/twice.py", '''
        CALLS = []

        def handler(event, context):
            CALLS.append(1)
            return "x" * (7 << 20) if len(CALLS) == 1 else len(CALLS)
    ''')
    stage = {"handler": "twice.handler", "payload": {}}
    _, records, results = stages({"first": stage, "second": {**stage, "after": ["first"]}}, status=1)
    assert records["first"]["error_type"] == "Function.ResponseSizeTooLarge"
    assert records["second"]["status"] == "ok" and results["second"] == 2, "the same process answers"


def test_a_generator_streams_its_answer(stages):
    _, records, results = stages({"stream": plain("stream", pieces=50, size=1000), "none": plain("stream", pieces=0, size=0)})
    assert results["stream"] == {"pieces": ["x" * 1000] * 50} and results["none"] == {"pieces": []}
    assert records["stream"]["status"] == "ok"


def test_a_stream_that_fails_on_its_way_is_an_error_with_its_message(stages):
    _, records, _ = stages({"stream": plain("stream", pieces=50, size=1000, **{"break": 20})}, status=1)
    assert (records["stream"]["error_type"], records["stream"]["error_message"]) == ("NoSuchCustomer", "in the middle")
    assert "in stream" in records["stream"]["log"]




# ---- StageContext ----

STAGED = '''
import multiprocessing
import os
import pickle

from flexwatt import FunctionError, StageContext


def count(ctx: StageContext):
    lines = 0
    for path in ctx.get_input_paths("texts"):
        with open(path) as file:
            lines += sum(1 for _ in file)
    with open(ctx.next_output_path("counts"), "w") as file:
        file.write(str(lines))
    ctx.units(lines)
    ctx.metric("lines", lines)
    ctx.progress(lines, lines, "counted")
    return {"worker": ctx.worker_id, "of": ctx.num_workers, "factor": ctx.get_param("factor"),
            "dynamic": ctx.is_dynamic_chunker("texts"), "named": [item.uri for item in ctx.inputs("texts")],
            "attempt": ctx.attempt, "stage": ctx.stage, "left": ctx.get_remaining_time_in_millis(), "again": len(ctx.get_input_paths("texts"))}


def sizes(ctx: StageContext):
    ctx.units(sum(len(item.open().read()) for item in ctx.inputs("texts")))
    return {"objects": len(ctx.get_input_paths("texts")), "manifest": "manifest" in ctx.event["inputs"]["texts"]}


def copies(ctx: StageContext):
    for path in ctx.get_input_paths("texts"):
        with open(path, "rb") as file:
            ctx.write_output("counts", file.read())


def streams(ctx: StageContext):
    for item in ctx.inputs("texts"):
        with item.open() as file, ctx.writing():
            ctx.write_output("counts", file.read())


def bare(io):
    io.write_output("counts", "bare", ".txt")
    return io.get_param("absent", 7)


def child(ctx, number):
    with open(ctx.next_output_path("counts"), "w") as file:
        file.write(f"child {number}")


def children(ctx: "StageContext") -> None:
    with open(ctx.next_output_path("counts"), "w") as file:
        file.write("parent")
    for method in "fork", "spawn":
        own = multiprocessing.get_context(method)
        processes = [own.Process(target=child, args=(ctx, f"{number} by {method}")) for number in range(2)]
        for process in processes:
            process.start()
        for process in processes:
            process.join()
            assert process.exitcode == 0


def phases(ctx: StageContext):
    import time
    with ctx.reading():
        time.sleep(0.05)
    with ctx.writing():
        time.sleep(0.1)
    time.sleep(0.15)


def fails(ctx: StageContext):
    raise FunctionError("Table.BadCell", "people.csv: row 7: 'x' is no number")


def unwritten(ctx: StageContext):
    ctx.next_output_path("counts")


def unknown_input(ctx: StageContext):
    ctx.get_input_paths("text")


def unknown_output(ctx: StageContext):
    ctx.next_output_path("count")


def unknown_param(ctx: StageContext):
    ctx.get_param("factr")


async def coroutine(ctx: StageContext):
    ctx.next_output_path("counts")


def generator(ctx: StageContext):
    yield ctx.next_output_path("counts")


async def both(ctx: StageContext):
    yield 1


def odd_result(ctx: StageContext):
    return object()
'''


@pytest.fixture
def staged(flexwatt, stages):
    flexwatt.write("code/staged.py", STAGED)
    for number in range(5):
        flexwatt.write(f"data/texts/{number}.txt", f"line of {number}\n" * (number + 1))

    def run(handler, status=0, function=None, **stage):
        return stages({"one": {"handler": f"staged.{handler}", "outputs": {"counts": {"suffix": ".n"}},
                               "inputs": {"texts": {"keys": "texts/*.txt"}}, "params": {"factor": 3}, **stage}}, status, **(function or {}))
    return run


def test_a_stage_context_has_inputs_params_outputs_and_figures(flexwatt, staged):
    run, _, results = staged("count", workers=2)
    records = flexwatt.records(run["run"])
    counts = {key: int(value) for key, value in flexwatt.outputs(run["run"]).items()}
    assert sorted(counts) == ["one/0.1/counts/0000-000.n", "one/1.1/counts/0001-000.n"] and sum(counts.values()) == 15
    assert sum(record["units"] for record in records) == sum(record["metrics"]["lines"] for record in records) == 15
    result = results["one"]
    assert (result["of"], result["factor"], result["dynamic"], result["attempt"], result["stage"]) == (2, 3, False, 1, "one")
    assert result["worker"] in (0, 1) and 0 < result["left"] <= 60000 and result["again"] == len(result["named"])
    assert all(re.fullmatch(r"file:/.*/texts/\d\.txt", uri) for uri in result["named"])
    assert all(record["compute_ms"] > 0 and record["read_ms"] >= 0 and record["write_ms"] == 0 for record in records)


def test_a_function_without_an_annotation_is_called_by_the_style_that_the_file_says(flexwatt, staged):
    run, _, results = staged("bare", function={"style": "stage"})
    assert results["one"] == 7 and flexwatt.outputs(run["run"]) == {"one/0.1/counts/0000-000.txt": b"bare"}
    _, records, _ = staged("count", 1, function={"style": "event"})
    assert "takes 1 positional argument" in records["one"]["error_message"]


def test_a_stage_function_from_elsewhere_is_one_where_awss_client_is_installed(flexwatt, stages):
    """That client calls with an event and a context: it gets only handlers that are seen not to want a StageContext."""
    flexwatt.write("code/awslambdaric/__main__.py", "raise SystemExit('this is for plain handlers')\n")
    flexwatt.write("code/awslambdaric/__init__.py", "")
    flexwatt.write("code/inside.py", "from flexwatt import StageContext\n\n\ndef worker(ctx: StageContext):\n    return ctx.worker_id\n")
    flexwatt.write("code/outside.py", "from inside import worker\n\n\ndef plain(event, context):\n    return 1\n")
    _, records, results = stages({"staged": {"handler": "outside.worker"}, "plain": {"handler": "outside.plain", "payload": {}}}, 1)
    assert results["staged"] == 0
    assert records["plain"]["error_type"] == "Runtime.ExitError", "it went to the client, which is not one here"


def test_child_processes_write_outputs_of_their_own(flexwatt, staged):
    run, _, _ = staged("children")
    outputs = flexwatt.outputs(run["run"])
    assert sorted(outputs.values()) == [
        b"child 0 by fork", b"child 0 by spawn", b"child 1 by fork", b"child 1 by spawn", b"parent"]


@pytest.mark.parametrize("handler", ["copies", "streams"])
def test_ranges_of_lines_are_each_read_once(flexwatt, staged, handler):
    run, _, _ = staged(handler, workers=4, inputs={"texts": {"keys": "texts/*.txt", "range": "lines"}})
    outputs = flexwatt.outputs(run["run"])
    assert b"".join(sorted(outputs.values())).count(b"\n") == 15 and len({key.split("/")[1] for key in outputs}) == 4
    assert sorted(b"".join(outputs.values()).splitlines()) == sorted(b"line of %d" % n for n in range(5) for _ in range(n + 1))


def test_a_range_that_does_not_fit_into_tmp_fails_and_says_how_it_fits(flexwatt, staged):
    (flexwatt.data / "large").write_bytes(bytes(40 << 20))
    large = {"workers": 2, "tmp": 16, "inputs": {"texts": {"keys": "large", "range": "bytes"}}}
    _, records, _ = staged("copies", 1, **large)
    assert records["one"]["error_type"] == "Function.StageIn" and "give the stage more tmp" in records["one"]["error_message"]
    run, _, _ = staged("streams", **large)
    assert sorted(map(len, flexwatt.outputs(run["run"]).values())) == [20 << 20] * 2


def test_phases_are_timed(staged):
    _, records, _ = staged("phases")
    record = records["one"]
    assert 50 <= record["read_ms"] and 100 <= record["write_ms"] and 150 <= record["compute_ms"]
    assert record["read_ms"] + record["write_ms"] + record["compute_ms"] <= record["duration_ms"], "no time is in two of them"


@pytest.mark.parametrize("handler, error_type, words", [
    ("fails", "Table.BadCell", "people.csv: row 7: 'x' is no number"),
    ("coroutine", "Function.NotRun", "the handler is a coroutine, which nothing awaits"),
    ("generator", "Function.NotRun", "the handler is a generator"),
    ("both", "Function.NotRun", "the handler is a generator"),
    ("unwritten", "Function.Output", "0000-000.n was asked for and not written"),
    ("unknown_input", "Function.Input", "the stage has no input 'text', only ['texts']"),
    ("unknown_output", "Function.Output", "the stage has no output 'count', only ['counts']"),
    ("unknown_param", "KeyError", "the stage has no parameter 'factr', only ['factor']")])
def test_a_stage_function_fails_with_a_clear_message(staged, handler, error_type, words):
    _, records, _ = staged(handler, 1)
    assert records["one"]["error_type"] == error_type and words in records["one"]["error_message"]


def test_a_result_that_is_no_json_is_left_out_and_said(staged):
    _, records, results = staged("odd_result")
    assert records["one"]["status"] == "ok" and "one" not in results
    assert "[WARN] what the function returned is no JSON" in records["one"]["log"]


def test_a_manifest_is_read_like_a_list(flexwatt, staged):
    for number in range(2000):
        flexwatt.write(f"data/texts/{'long-' * 20}{number}.txt", "line\n")
    _, records, results = staged("sizes")
    assert results["one"] == {"objects": 2005, "manifest": True}
    assert records["one"]["units"] == 2000 * len("line\n") + sum((number + 1) * len("line of 0\n") for number in range(5))


@pytest.mark.parametrize("function, words", [
    ({"package": "./code", "style": "stage"}, "style: only a Python function has one"),
    ({"command": ["true"], "style": "stage"}, "style: only a Python function has one"),
    ({"python": "./code", "handler": "staged.bare", "style": "stages"}, "style: expected event or stage, found text 'stages' (did you mean 'stage'?)"),
])
def test_a_style_that_cannot_be_is_told(flexwatt, function, words):
    flexwatt.write("code/staged.py", STAGED)
    flexwatt.write("code/bootstrap", "#!/bin/sh\n", 0o755)
    flexwatt.workflow(json.dumps({"name": "style", "storage": "./data", "stages": {"one": {"function": function}}}))
    assert words in flexwatt("check", "workflow.yaml", status=2).stderr


def test_a_payload_stage_has_no_stage_context(flexwatt):
    flexwatt.write("code/staged.py", STAGED)
    flexwatt.workflow(json.dumps({"name": "style", "storage": "./data", "stages": {"one": {
        "function": {"python": "./code", "handler": "staged.bare", "style": "stage"}, "payload": {}}}}))
    assert "style: a payload: stage has no StageContext" in flexwatt("check", "workflow.yaml", status=2).stderr


def test_the_documented_functions_run(flexwatt):
    """The Python blocks of docs/functions.md, in a workflow of what their comments say."""
    blocks = re.findall(r"^```python\n(.*?)^```$", (SOURCE / "docs/functions.md").read_text(), re.S | re.M)
    assert len(blocks) == 2
    flexwatt.write("scripts/words.py", "\n".join(blocks))
    flexwatt.write("data/texts/a.txt", "one two three\n")
    said = dict(re.findall(r"# (function|inputs|outputs|payload): (.*)$", blocks[0], re.M))
    plain = dict(re.findall(r"# (function|inputs|outputs|payload): (.*)$", blocks[1], re.M))
    flexwatt.write("workflow.yaml", "\n".join([
        "name: documented", "storage: ./data", "stages:",
        "  count:", f"    function: {{python: ./scripts}}\n    handler: {said['function'].rpartition('handler: ')[2]}",
        f"    inputs: {said['inputs']}", f"    outputs: {said['outputs']}",
        "  main:", f"    function: {{python: ./scripts}}\n    handler: {plain['function'].rpartition('handler: ')[2]}",
        f"    payload: {plain['payload']}", f"    outputs: {plain['outputs']}", ""]))
    flexwatt.env["PATH"] = "/usr/bin:/bin"
    flexwatt.env.pop("VIRTUAL_ENV", None)
    outputs = flexwatt.outputs(flexwatt.json("run", "workflow.yaml")["run"])
    assert sorted(outputs.values()) == [b"3", b"one\ntwo\nthree"]


def test_an_interpreter_that_is_no_python_is_a_fault_of_the_machine(flexwatt):
    flexwatt.write("scripts/one.py", "def handle(event, context):\n    return 1\n")
    flexwatt.workflow("""
        name: no-python
        storage: ./data
        function: {python: {path: ./scripts, interpreter: /bin/true}}
        stages: {one: {handler: one.handle, payload: {}}}
    """)
    refused = flexwatt("run", "workflow.yaml", status=3).stderr
    assert "run /bin/true: it does not answer as Python does\n" in refused and "not JSON" not in refused
    assert "hint: /bin/true -I -c" in refused
