# SPDX-License-Identifier: Apache-2.0
"""How runs on a bucket end when something is in their way: a signal, a refusal, a server that stalls or is gone, a full disk. Each ends in a
bounded time, says why, and leaves neither an upload nor an object that nobody asked for."""
import json
import os
import re
import signal
import socket
import subprocess
import time

import pytest

import e2e
from s3_faults import Fault
from test_storage import flexwatt  # noqa: F401: a fixture

pytestmark = pytest.mark.parametrize("server", ["minio"], indirect=True)

ONE = """
    name: copy
    storage: %s
    defaults: {memory: 256, timeout: 60, retries: 0}
    stages:
      copy: {function: {command: [cp, "{input.rows}", "{output.copies}"], per: object}, workers: 1,
             inputs: {rows: {keys: "rows/*"}}, outputs: {copies: {suffix: .txt}}}
"""
PROMPT_S = 15


@pytest.fixture
def through(flexwatt, proxy, server):
    """The run goes through the proxy, the test's own looks do not."""
    flexwatt.put("rows/a.txt", b"line\n" * 1000)
    flexwatt.storage = flexwatt.storage.replace(server.url, proxy.url)
    flexwatt.workflow(ONE % flexwatt.storage)
    return flexwatt


def ends(process, within=PROMPT_S):
    """What it said, and how long it took."""
    began = time.monotonic()
    try:
        _, told = process.communicate(timeout=within)
    except subprocess.TimeoutExpired:
        process.kill()
        pytest.fail(f"still there after {within} s: {process.communicate()[1]}")
    assert "AddressSanitizer" not in told and "runtime error" not in told, told
    return told, time.monotonic() - began


def stalls(proxy, method, path):
    proxy.faults.append(Fault("stall", method=method, path=path, after=1, seconds=100, times=99))


def interrupt(process, proxy, method, path, times):
    """After the request was seen; between two signals the engine has said that it heard the first."""
    e2e.wait_until(lambda: proxy.requests(method, path))
    for number in range(times):
        process.send_signal(signal.SIGINT)
        if number + 1 < times:
            line = process.stderr.readline()
            assert "interrupted" in line or "the run has ended" in line, line


# ---- signals ----

def test_a_listing_that_stalls_ends_at_the_first_signal(through, proxy):
    stalls(proxy, "GET", "prefix=some%2Fwhere%2Frows")
    process = through.start("run", "workflow.yaml")
    interrupt(process, proxy, "GET", "prefix=some%2Fwhere%2Frows", 1)
    ends(process)
    assert process.returncode == 130


def test_a_plan_that_stalls_ends_at_the_first_signal(through, proxy):
    through.put("rows/a.txt", b"one long line" * 1000)
    through.workflow("""
        name: lines
        storage: %s
        stages:
          read: {function: {command: [cat, "{input.rows}"]}, workers: 2, inputs: {rows: {keys: "rows/*", range: lines}}}
    """ % through.storage)
    stalls(proxy, "GET", "rows/a.txt")
    process = through.start("run", "workflow.yaml")
    interrupt(process, proxy, "GET", "rows/a.txt", 1)
    ends(process)
    assert process.returncode == 130


@pytest.mark.parametrize("fault", [Fault("status", status=503, code="SlowDown", field=("Retry-After", "100"), times=99),
                                   Fault("silent", seconds=100, times=99)], ids=["told-to-wait", "no-answer"])
def test_a_publication_ends_at_the_second_signal(through, proxy, fault):
    fault.method, fault.path = "PUT", "copies"
    proxy.faults.append(fault)
    process = through.start("run", "workflow.yaml")
    interrupt(process, proxy, "PUT", "copies", 2)
    ends(process)
    assert process.returncode == 130
    proxy.faults.clear()
    run, = e2e.run_ids(through)
    assert through.json("show", run)["state"] == "cancelled" and through.outputs(run) == {}
    through.nothing_is_left()
    assert through.json("run", "--resume", run)["state"] == "ok"


def test_cleaning_up_says_so_and_is_left_at_a_second_signal(through, proxy):
    stalls(proxy, "GET", "uploads=")
    process = through.start("run", "workflow.yaml")
    interrupt(process, proxy, "GET", "uploads=", 2)
    told, _ = ends(process)
    assert process.returncode == 0, "the run had ended well before"
    assert "leaving them" in told and "attempts that lost were not all removed" in told


BIG = """
    name: big
    storage: %s
    defaults: {memory: 512, retries: 0}
    stages:
      big: {function: {command: [sh, -c, 'head -c 40000000 /dev/urandom >{output.out}']}, workers: 1, outputs: {out: {}}}
      next: {function: {command: [cp, "{input.in}", "{output.out}"]}, workers: 1, inputs: {in: big.out}, outputs: {out: {}}}
"""


@pytest.mark.parametrize("number, times, wait", [(signal.SIGINT, 1, "1"), (signal.SIGINT, 2, "100"), (signal.SIGTERM, 1, "1"),
                                                 (signal.SIGTERM, 2, "100")])
def test_no_upload_stays_open_after_a_signal_with_parts_under_way(through, proxy, number, times, wait):
    """After one the publication comes to its end, after two it is given up."""
    through.workflow(BIG % through.storage)
    proxy.faults.append(Fault("status", method="PUT", path="partNumber=2", status=503, code="SlowDown", field=("Retry-After", wait),
                              times=1))
    process = through.start("run", "workflow.yaml")
    e2e.wait_until(lambda: proxy.requests("PUT", "partNumber=2"))
    assert through.s3.uploads() != [], "nothing was under way: nothing is shown"
    for _ in range(times):
        process.send_signal(number)
        assert "interrupted" in process.stderr.readline()
    ends(process, within=30)
    assert process.returncode == 130
    run, = e2e.run_ids(through)
    assert len(through.outputs(run)) == (1 if times == 1 else 0)
    through.nothing_is_left()


# ---- fatal ends ----

def test_a_fatal_end_leaves_no_upload_open(through, proxy):
    """One stage uploads a part that has to wait, the other is refused for good."""
    through.workflow("""
        name: two
        storage: %s
        defaults: {retries: 0, memory: 512}
        stages:
          big: {function: {command: [sh, -c, 'head -c 40000000 /dev/urandom >{output.out}']}, workers: 1, outputs: {out: {}}}
          late: {function: {command: [bash, -c, 'read -r line <>/dev/tcp/127.0.0.1/$1; echo >{output.out}', bash, "{param.port}"]},
                 workers: 1, outputs: {out: {}}}
    """ % through.storage)
    proxy.faults += [Fault("status", method="PUT", path="partNumber=2", status=503, code="SlowDown", field=("Retry-After", "60"), times=9),
                     Fault("status", method="PUT", path="/late/", status=403, code="AccessDenied", times=99)]
    with socket.create_server(("127.0.0.1", 0)) as gate:
        gate.settimeout(60)
        process = through.start("run", "workflow.yaml", "--set", f"stages.late.params.port={gate.getsockname()[1]}")
        late, _ = gate.accept()
        e2e.wait_until(lambda: proxy.requests("PUT", "partNumber=2"))
        assert through.s3.uploads() != [], "nothing was under way: nothing is shown"
        late.sendall(b"go\n")
        late.close()
        told, _ = ends(process)
    assert process.returncode == 3 and "AccessDenied" in told
    through.nothing_is_left()


def test_a_refusal_to_write_ends_the_run_without_another_invocation(through, proxy):
    proxy.faults.append(Fault("status", method="PUT", path="copies", status=403, code="AccessDenied", times=99))
    told = through("run", "workflow.yaml", status=3).stderr
    run, = e2e.run_ids(through)
    tail = run.rsplit("-", 1)[1]
    assert "the outputs of copy/0 cannot be kept: put s3://" in told and "AccessDenied" in told
    assert told.count("error:") == 1 and "s3:PutObject" in told.split("hint:")[1] and f"flexwatt run --resume {tail}" in told
    assert len(proxy.requests("PUT", "copies")) == 1
    assert through.json("show", run)["state"] == "interrupted"
    through.nothing_is_left()
    proxy.faults.clear()
    assert through.json("run", "--resume", run)["state"] == "ok"


def test_a_redirect_of_the_bucket_is_not_booked_as_the_functions_fault(through, proxy):
    proxy.faults.append(Fault("status", method="PUT", path="copies", status=301, code="PermanentRedirect", times=99))
    told = through("run", "workflow.yaml", status=3).stderr
    assert "cannot be kept" in told and "InvalidOutput" not in told


def test_a_server_that_is_gone_in_the_middle_ends_the_run_which_then_goes_on(through, proxy):
    proxy.faults.append(Fault("cut_request", method="PUT", path="copies", times=999))
    began = time.monotonic()
    told = through("run", "workflow.yaml", status=3, timeout=240).stderr
    assert "the outputs of copy/0 cannot be kept" in told and "endpoint" in told.split("hint:")[1]
    assert time.monotonic() - began < 200
    run, = e2e.run_ids(through)
    assert len([event for event in e2e.events_of(through) if event["event"] == "started"]) == 3
    proxy.faults.clear()
    assert through.json("run", "--resume", run)["state"] == "ok"
    assert len(through.outputs(run)) == 1
    through.nothing_is_left()


def test_an_attempt_that_was_uploaded_and_yet_lost_is_not_seen(through, proxy):
    """Its object stood there, but no answer came: it is removed, and the next attempt's is the only one."""
    proxy.faults.append(Fault("lose", method="PUT", path="copies", times=6))
    run = through.json("run", "workflow.yaml", timeout=120)["run"]
    lost, kept = through.records(run)
    assert (lost["status"], lost["error_type"], kept["status"]) == ("lost", "Flexwatt.PublicationFailed", "ok")
    assert list(through.outputs(run)) == ["copy/0.2/copies/0000-000.txt"]
    through.nothing_is_left()


# ---- words ----

def test_what_helps_is_told_wherever_the_bucket_refuses(through, proxy):
    proxy.faults.append(Fault("status", method="GET", path="rows/a.txt", status=403, code="AccessDenied", times=99))
    assert "s3:GetObject" in through("run", "workflow.yaml", status=1).stderr
    proxy.faults[:] = [Fault("status", method="GET", path="prefix=some%2Fwhere%2Frows", status=403, code="AccessDenied", times=99)]
    told = through("run", "workflow.yaml", status=3).stderr
    assert "s3:ListBucket" in told and told.count("rows/") == 1, told


@pytest.fixture
def small_state(through):
    """The state of runs on a small disk."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root")
    state = through.store.parent
    state.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=40M", "small-disk", state], check=True)
    yield state
    e2e.wait_until(lambda: subprocess.run(["umount", state]).returncode == 0)


def test_a_full_disk_of_this_machine_is_not_called_the_buckets(through, small_state):
    through.workflow("""
        name: full
        storage: %s
        defaults: {retries: 0}
        stages:
          full: {function: {command: [sh, -c, 'cat /dev/zero >{output.out}']}, workers: 1, outputs: {out: {}}}
    """ % through.storage)
    told = through("run", "workflow.yaml", status=3).stderr
    assert f"{small_state}/scratch: no space is left here" in told and "full/0" in told and "make room" in told


# ---- staging in ----

ASKS = """\
    #!/usr/bin/python3
    import http.client, json, os
    host = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
    def call(method, path, body=None):
        host.request(method, path, body=body if body is None else json.dumps(body))
        answer = host.getresponse()
        return answer, json.loads(answer.read() or b"null")
    while True:
        head, event = call("GET", "/2018-06-01/runtime/invocation/next")
        uri, most, told = event["inputs"]["rows"][0]["uri"], 2 ** 63 - 1, []
        for offset, length in (most, 5), (0, most), (most, most), (1, most), (most, -1), (6000, 1), (5001, -1):
            answer, refused = call("POST", "/flexwatt/1/stage-in", {"uri": uri, "offset": offset, "length": length})
            told.append([answer.status, refused["errorType"]])
        answer, last = call("POST", "/flexwatt/1/stage-in", {"uri": uri, "offset": 4995, "length": 5})
        told.append(open(last["path"]).read()[last["offset"]:][:last["length"]])
        with open(event["outputs"]["found"]["directory"] + "/found.json", "w") as file:
            json.dump(told, file)
        request = head.headers["Lambda-Runtime-Aws-Request-Id"]
        call("POST", f"/2018-06-01/runtime/invocation/{request}/response", {"outputs": {"found": ["found.json"]}})
"""


def test_a_range_beyond_the_object_is_refused_before_anything_is_fetched(through, proxy):
    through.package("functions", ASKS)
    through.workflow("""
        name: beyond
        storage: %s
        defaults: {retries: 0}
        stages:
          read: {function: {package: ./functions}, workers: 1, inputs: {rows: {keys: "rows/*"}}, outputs: {found: {}}}
    """ % through.storage)
    run = through.json("run", "workflow.yaml")
    found, = through.outputs(run["run"]).values()
    *refused, last = json.loads(found)
    assert refused == [[refused[0][0], "Storage.InvalidRange"]] * 7 and refused[0][0] // 100 == 4 and last == "line\n"
    asked, = proxy.requests("GET", "rows/a.txt")
    assert asked.headers["Range"] == "bytes=4995-4999"


def test_what_a_task_that_has_ended_wanted_is_fetched_no_more(through, proxy):
    """Eight that time out would else hold all connections."""
    for number in range(9):
        through.put(f"rows/{number}", "row\n")
    through.s3("delete", "some/where/rows/a.txt")
    through.workflow((ONE % through.storage).replace("memory: 256, timeout: 60", "memory: 3538, timeout: 1")
                     .replace("workers: 1", "workers: 9"))
    proxy.faults.append(Fault("silent", method="GET", path="/rows/", seconds=100, times=8))
    run = json.loads(through("run", "workflow.yaml", "--json", status=1).stdout)["run"]
    assert sorted(record["status"] for record in through.records(run)) == ["ok"] + ["timeout"] * 8


@pytest.mark.parametrize("pattern, asked", [("*.csv", ["some/where/"]), ("rows/*", ["some/where/", "some/where/rows/"]),
                                            ("d*/deep/*", ["some/where/", "some/where/d", "some/where/d/"]),
                                            ("**/x.txt", ["some/where/" + name for name in ("", "a/", "b/", "c/", "d/", "rows/")])])
def test_only_what_can_match_is_listed(through, proxy, pattern, asked):
    for name in "abcd":
        through.put(f"{name}/deep/x.txt", "x")
    through.put("top.csv", "x")
    through.workflow((ONE % through.storage).replace("rows/*", pattern))
    run = through.json("run", "workflow.yaml")["run"]
    prefixes = {re.search("prefix=([^&]*)", seen.path)[1].replace("%2F", "/") for seen in proxy.requests("GET", "list-type")}
    assert sorted(prefix for prefix in prefixes if "/runs/" not in prefix) == asked
    assert through.json("show", run)["state"] == "ok"
