# SPDX-License-Identifier: Apache-2.0
"""Functions that misbehave: each gets its verdict, its neighbours finish, and nothing of it stays behind.

Every case is one task beside three neighbours that are running meanwhile; conftest.nothing_stays_behind looks afterwards
for processes, control groups, mounts, block devices and files.
"""
import dataclasses
import json
import os
import re
import socket

import pytest

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: workers get uids of their own")

NEIGHBOURS = 3


@dataclasses.dataclass
class Case:
    """What a function does, by a handler of tests/tools/functions.c or by Python text, and what must come of it."""
    name: str
    status: str                # of the record
    error_type: str = None
    message: str = ""          # pattern in the record's error_message
    handler: str = None
    code: str = None
    params: dict = dataclasses.field(default_factory=dict)
    options: dict = dataclasses.field(default_factory=dict)
    init: str = None           # Python text before the first event
    log: str = ""              # pattern in the invocation's log
    outputs: dict = dataclasses.field(default_factory=dict)  # published: name to bytes, or None for any


ANSWER = {"answer.json": None}
TIMED_OUT = r"Task timed out after 1\.00 seconds"

RESOURCES = [
    Case("fork_bomb", "function_error", "Fork.Refused", "Resource temporarily unavailable", handler="fork_bomb"),
    Case("memory_bomb", "out_of_memory", handler="eat", params={"mb": 600}, options={"memory": 128}),
    Case("memory_bomb_in_a_child", "out_of_memory", handler="eat", params={"mb": 600, "child": True},
         options={"memory": 128, "timeout": 5}),
    Case("memory_bomb_in_files", "out_of_memory", options={"memory": 256}, code="""
        pieces = []
        while True:
            file = os.memfd_create("x")
            os.write(file, b"x" * (1 << 20))
            pieces.append(file)
    """),
    Case("fills_its_tmp", "function_error", "Tmp.Full", r"No space left on device after (\d|1\d) MB", handler="fill_tmp",
         options={"tmp": 16}),
    Case("opens_every_descriptor", "ok", outputs=ANSWER, code="""
        files = []
        try:
            while True:
                files.append(os.open("/dev/null", os.O_RDONLY))
        except OSError as error:
            assert error.errno == errno.EMFILE
        while files:
            os.close(files.pop())
    """),
    Case("floods_its_log", "ok", log=r"\[flexwatt: \d+ bytes of this log were cut here\]", outputs=ANSWER, code="""
        for i in range(300):
            os.write(1, b"flood\\n" * 10000)
    """),
]

PROCESSES = [
    Case("ignores_sigterm", "timeout", "Sandbox.Timedout", TIMED_OUT, handler="hang", params={"ignore_term": True},
         options={"timeout": 1}),
    Case("stops_itself", "timeout", "Sandbox.Timedout", TIMED_OUT, options={"timeout": 1},
         code="os.kill(os.getpid(), signal.SIGSTOP)"),
    Case("daemonises", "ok", handler="daemonise", log="a daemon is out"),
    Case("daemonises_and_dies", "function_error", "Runtime.ExitError", "exit status 3", code="""
        for _ in range(20):
            if os.fork() == 0:
                os.setsid()
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
                time.sleep(600)
        os._exit(3)
    """),
    Case("kills_all_it_can", "ok", outputs=ANSWER, code="""
        for pid in (1, -1):
            attempt(os.kill, pid, signal.SIGKILL)
    """),
    Case("kills_itself", "function_error", "Runtime.ExitError", "Runtime exited with error: signal: killed",
         code="os.kill(os.getpid(), signal.SIGKILL)"),
    Case("terminates_itself", "function_error", "Runtime.ExitError", "Runtime exited with error: signal: terminated", code="""
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTERM)
    """),
    Case("kills_itself_during_init", "function_error", "Runtime.ExitError", "Runtime exited with error: signal: killed",
         init="os.kill(os.getpid(), signal.SIGKILL)"),
    Case("exits_during_init", "function_error", "Runtime.ExitError", "exit status 9", init="os._exit(9)"),
    Case("init_error", "function_error", "Runtime.NoConfig", "nothing to read", init="""
        api.call("POST", BASE + "/init/error", b'{"errorType": "Runtime.NoConfig", "errorMessage": "nothing to read"}')
        sys.exit(1)
    """),
    Case("never_asks", "timeout", "Sandbox.Timedout", "Init timed out: the worker did not ask for its first event",
         init="time.sleep(600)", options={"timeout": 1}),
]

WIRE = [
    Case("closes_mid_answer_and_exits", "function_error", "Runtime.ExitError", "without providing a reason", code="""
        api.connection.sendall(f"POST {api.path('response')} HTTP/1.1\\r\\nContent-Length: 1000\\r\\n\\r\\n{{".encode())
        api.connection.close()
        os._exit(0)
    """),
    Case("closes_mid_answer_and_says_nothing", "timeout", "Sandbox.Timedout", TIMED_OUT, options={"timeout": 1}, code="""
        api.connection.sendall(f"POST {api.path('response')} HTTP/1.1\\r\\nContent-Length: 1000\\r\\n\\r\\n{{".encode())
        api.connection.close()
        time.sleep(600)
    """),
    Case("closes_mid_answer_and_answers_again", "ok", outputs=ANSWER, code="""
        api.connection.sendall(f"POST {api.path('response')} HTTP/1.1\\r\\nContent-Length: 1000\\r\\n\\r\\n{{".encode())
        api.connection.close()
        api.connection = None
    """),
    Case("answers_seven_megabytes", "function_error", "Function.ResponseSizeTooLarge", "exceeded maximum allowed payload",
         log="status 413", code="""
        print("status", api.post(b'"' + b"x" * (7 << 20) + b'"'), flush=True)
    """),
    Case("claims_to_answer_a_terabyte", "function_error", "Function.ResponseSizeTooLarge", "1099511627776 bytes. exceeded",
         log="status 413", code="""
        api.connection.sendall(f"POST {api.path('response')} HTTP/1.1\\r\\nContent-Length: {1 << 40}\\r\\n\\r\\n".encode())
        print("status", api.read(api.connection)[0], flush=True)
        api.connection = None
    """),
    Case("answers_twice", "ok", log=r"first 202\nsecond 403", code="""
        print("first", api.post({}), flush=True)
        print("second", api.post({"outputs": {"out": ["stolen"]}}), flush=True)
    """),
    Case("answers_and_then_fails", "ok", log=r"first 202\nsecond 403", code="""
        print("first", api.post({}), flush=True)
        print("second", api.post({"errorType": "Late.Error", "errorMessage": "too late"}, "error"), flush=True)
    """),
    Case("answers_another_request", "ok", outputs=ANSWER, code="""
        mine, api.request_id = api.request_id, "11111111-2222-3333-4444-555555555555"
        assert api.post({}) == 400
        api.request_id, api.answered = mine, False
    """),
    Case("answers_and_hangs", "ok", options={"timeout": 1}, code="""
        api.post({})
        time.sleep(600)
    """),
    Case("sends_what_is_not_http", "ok", outputs=ANSWER, code="""
        for garbage in (b"\\0\\xff" * 4096, b"GET\\r\\n\\r\\n", b"POST / HTTP/9.9\\r\\n" + b"a: b\\r\\n" * 50000, b"\\x16\\x03\\x01"):
            other = api.connect()
            attempt(other.sendall, garbage)
            other.close()
    """),
    Case("opens_every_connection", "ok", outputs=ANSWER, code="""
        connections = []
        for i in range(500):
            other = socket.socket()
            other.settimeout(0.2)
            if attempt(other.connect, (HOST, int(PORT))) == "done":
                connections.append(other)
            if i > 100 and len(connections) < i - 20:
                break
        for other in connections:
            other.close()
    """),
    Case("asks_for_the_next_event_before_it_answers", "ok", outputs=ANSWER, code="""
        assert api.call("GET", BASE + "/invocation/next")[0] == 403
    """),
    Case("asks_for_what_is_not_its_own", "ok", outputs=ANSWER, code="""
        for uri in ("file:/etc/shadow", "file:" + output + "/../../../../secret", "file:/proc/1/environ"):
            assert api.call("POST", "/flexwatt/1/stage-in", json.dumps({"uri": uri}).encode())[0] in (400, 403), uri
    """),
]

ANSWERS = [
    Case("answers_garbage", "function_error", "Flexwatt.InvalidAnswer", code="api.post(b'\\x00\\xff\\xfe')"),
    Case("answers_what_is_not_json", "function_error", "Flexwatt.InvalidAnswer", code="api.post('OK')"),
    Case("answers_nothing", "function_error", "Flexwatt.InvalidAnswer", code="api.post('')"),
    Case("answers_a_list", "function_error", "Flexwatt.InvalidAnswer", code="api.post([1, 2])"),
    Case("answers_another_version", "function_error", "Flexwatt.InvalidAnswer", "flexwatt",
         code="api.post({'flexwatt': 2, 'outputs': {}})"),
    Case("answers_endless_nesting", "function_error", "Flexwatt.InvalidAnswer", code="api.post('[' * 1000000)"),
    Case("answers_an_unknown_output", "function_error", "Flexwatt.InvalidAnswer", "the stage 'hostile' has no such output",
         code="api.post({'outputs': {'loot': ['x']}})"),
    Case("declares_what_it_did_not_write", "function_error", "Flexwatt.InvalidOutput", "'ghost', which was not written",
         code="api.post({'outputs': {'out': ['ghost']}})"),
    Case("declares_a_way_out", "function_error", "Flexwatt.Invalid(Answer|Output)", "../../secret",
         code="api.post({'outputs': {'out': ['../../../../secret']}})"),
    Case("declares_an_absolute_path", "function_error", "Flexwatt.Invalid(Answer|Output)", "/etc/passwd",
         code="api.post({'outputs': {'out': ['/etc/passwd']}})"),
    Case("fails_with_a_megabyte_of_words", "function_error", "Long.Story", code="""
        api.post({"errorType": "Long.Story", "errorMessage": "x" * (1 << 20), "stackTrace": ["y" * 1000] * 1000}, "error")
    """),
    Case("fails_with_control_characters", "function_error", r"[^\x00-\x1f]*", r"^[^\x00\x1b]*$", code="""
        api.post({"errorType": "Bad\\u001b[31m", "errorMessage": "red \\u001b[31m\\u0000 end"}, "error")
    """),
]

LEFT = r"the function left %s: leaf"
LITTER = [
    Case("leaves_a_link", "function_error", "Flexwatt.InvalidOutput", LEFT % "a symbolic link",
         code="os.symlink('/etc/passwd', output + '/leaf')"),
    Case("leaves_a_link_it_declares", "function_error", "Flexwatt.InvalidOutput", LEFT % "a symbolic link", code="""
        os.symlink('/etc/passwd', output + '/leaf')
        api.post({"outputs": {"out": ["leaf"]}})
    """),
    Case("leaves_a_fifo", "function_error", "Flexwatt.InvalidOutput", LEFT % "a FIFO", code="os.mkfifo(output + '/leaf')"),
    Case("leaves_a_socket", "function_error", "Flexwatt.InvalidOutput", LEFT % "a socket", code="""
        os.chdir(output)
        socket.socket(socket.AF_UNIX).bind('leaf')
    """),
    Case("leaves_a_hard_link", "function_error", "Flexwatt.InvalidOutput", "the function left a hard link", code="""
        open(output + '/leaf', 'w').close()
        os.link(output + '/leaf', output + '/twin')
    """),
    Case("cannot_link_its_inputs", "ok", outputs=ANSWER, code="""
        assert attempt(os.link, event["inputs"]["in"][0]["path"], output + "/leaf") in ("EXDEV", "EPERM")
        assert attempt(os.link, "/usr/bin/env", output + "/leaf") in ("EXDEV", "EPERM")
    """),
    Case("cannot_make_devices", "ok", outputs=ANSWER, code="""
        for kind in (stat.S_IFCHR, stat.S_IFBLK):
            assert attempt(os.mknod, output + "/leaf", kind | 0o666, os.makedev(1, 3)) == "EPERM"
    """),
    Case("replaces_its_output_by_a_link", "function_error", "Flexwatt.InvalidOutput", "removed or replaced", code="""
        os.rmdir(output)
        os.symlink('/etc', output)
        api.post({"outputs": {"out": ["passwd"]}})
    """),
    Case("cannot_replace_its_attempt", "ok", outputs=ANSWER, code="""
        mine = os.path.dirname(output)
        assert attempt(os.rename, mine, mine + ".moved") == "EACCES"
        os.rmdir(output)
        assert attempt(os.rmdir, mine) == "EACCES"
        assert attempt(os.symlink, "/", os.path.dirname(mine) + "/neighbours-0.1") == "EACCES"
        os.mkdir(output)
    """),
    Case("removes_its_output", "function_error", "Flexwatt.InvalidOutput", "removed or replaced", code="""
        os.rmdir(output)
        api.post({"outputs": {"out": []}})
    """),
    Case("leaves_files_outside_its_outputs", "ok", outputs=ANSWER, code="""
        root = os.path.dirname(os.path.dirname(output))
        for name in ("neighbours-0.1", "hidden", "../escaped"):
            attempt(os.mkdir, root + "/" + name)
            attempt(os.mknod, root + "/" + name + "/file")
    """),
    Case("leaves_thousands_of_files", "ok", outputs=ANSWER, code="""
        for i in range(5000):
            os.close(os.open(f"{output}/{i}", os.O_CREAT | os.O_WRONLY))
    """),
    Case("leaves_more_than_a_storage_takes", "function_error", "Flexwatt.InvalidOutput", "the function left more than", code="""
        for name in ("a", "b"):
            with open(f"{output}/{name}", "w") as file:
                os.ftruncate(file.fileno(), 700 << 30)
        api.post({"outputs": {"out": ["a", "b"]}})
    """),
    Case("leaves_a_deep_tree", "function_error", "Flexwatt.InvalidOutput", "directories deep", code="""
        os.chdir(output)
        for i in range(1500):
            os.mkdir("d")
            os.chdir("d")
        open("bottom", "w").close()
    """),
    Case("leaves_names_that_are_no_text", "function_error", "Flexwatt.InvalidOutput", "not UTF-8", code="""
        open(output.encode() + b"/\\xff\\xfe", "w").close()
    """),
    Case("locks_its_outputs_up", "ok", outputs=ANSWER, code="""
        with open(output + "/answer.json", "w") as file:
            file.write("7")
        os.chmod(output + "/answer.json", 0)
        os.chmod(output, 0)
        os.chmod(os.path.dirname(output), 0)
        api.post({"outputs": {"out": ["answer.json"]}})
    """),
    Case("leaves_a_program_that_sets_its_user", "ok", outputs={"tool": b"#!/bin/sh\nid\n"}, code="""
        with open(output + "/tool", "w") as file:
            file.write("#!/bin/sh\\nid\\n")
        os.chmod(output + "/tool", 0o6777)
        api.post({"outputs": {"out": ["tool"]}})
    """),
]


def dedented(text):
    lines = (text or "").split("\n")
    indent = min((len(line) - len(line.lstrip()) for line in lines[1:] if line.strip()), default=0)
    return "\n".join([lines[0], *(line[indent:] for line in lines[1:])])


def stage_of(case, functions, scripted):
    stage = {"workers": 1, "memory": 512, "timeout": 30, "retries": 0, "on_failure": "continue",
             "outputs": {"out": {"suffix": ".txt"}}, "params": case.params, **case.options}
    if case.handler:
        stage.update(function={"package": functions}, handler=case.handler)
    else:
        stage.update(function={"package": scripted}, inputs={"in": {"keys": "in/*.txt"}},
                     params={"code": dedented(case.code)}, environment={"FUNCTION_INIT": dedented(case.init)})
    return stage


def run_beside_neighbours(flexwatt, case, functions, scripted):
    """The run's JSON and the hostile record."""
    flexwatt.write("data/in/a.txt", "input\n")
    flexwatt.write("data/secret/key.txt", "secret\n")
    neighbour = {"function": {"package": functions}, "handler": "make", "workers": NEIGHBOURS, "memory": 128,
                 "outputs": {"out": {"suffix": ".txt"}}, "params": {"count": 2, "pause_ms": 250}}
    consumer = {"function": {"package": functions}, "handler": "copy", "workers": "auto", "memory": 128,
                "inputs": {"in": "neighbours.out"}, "outputs": {"out": {"suffix": ".txt"}}}
    flexwatt.workflow(json.dumps({"name": "hostile", "storage": "./data", "stages": {
        "neighbours": neighbour, "hostile": stage_of(case, functions, scripted), "consumers": consumer}}))
    run = flexwatt.json("run", "workflow.yaml", status=0 if case.status == "ok" else None)
    record, = flexwatt.records(run["run"], "hostile")
    return run, record


def published(flexwatt, run, stage):
    """Objects of a stage by the last part of their key."""
    outputs = flexwatt.outputs(run["run"])
    return {key.rsplit("/", 1)[1]: data for key, data in outputs.items() if key.startswith(stage + "/")}


def check_verdict(flexwatt, case, run, record):
    assert re.fullmatch(case.status, record["status"]), record
    assert case.error_type is None or re.fullmatch(case.error_type, str(record["error_type"])), record
    assert re.search(case.message, record["error_message"] or ""), record["error_message"]
    if case.log:
        assert re.search(case.log, flexwatt("show", run["run"], "--task", "hostile/0", "--logs").stdout)
    found = published(flexwatt, run, "hostile")
    assert found.keys() == case.outputs.keys()
    assert all(data is None or found[name] == data for name, data in case.outputs.items())


def check_neighbours(flexwatt, run):
    stages = {stage["stage"]: (stage["ok"], stage["failed"]) for stage in run["stages"]}
    assert stages["neighbours"] == (NEIGHBOURS, 0) and stages["consumers"] == (2 * NEIGHBOURS, 0)
    expected = sorted(f"{task}/{i}\n".encode() for task in range(NEIGHBOURS) for i in range(2))
    assert sorted(published(flexwatt, run, "neighbours").values()) == expected
    assert sorted(published(flexwatt, run, "consumers").values()) == expected


def check_storage(flexwatt, run):
    """The run's own objects and nothing else, all of them ours and plain."""
    assert {path.name for path in flexwatt.data.iterdir()} == {"in", "secret", "runs"}
    root = flexwatt.data / "runs" / run["run"]
    assert not (root / ".attempts").exists()
    assert {path.name for path in root.iterdir()} <= {"hostile", "neighbours", "consumers"}
    for path in root.rglob("*"):
        assert not path.is_symlink() and (path.is_dir() or path.is_file())
        assert path.stat().st_mode & 0o7777 == (0o755 if path.is_dir() else 0o644), path
    assert (flexwatt.data / "in/a.txt").read_text() == "input\n"


@pytest.mark.parametrize("case", RESOURCES + PROCESSES + WIRE + ANSWERS + LITTER, ids=lambda case: case.name)
def test_the_verdict_is_right_and_neighbours_finish(flexwatt, functions, scripted, case):
    run, record = run_beside_neighbours(flexwatt, case, functions, scripted)
    check_verdict(flexwatt, case, run, record)
    check_neighbours(flexwatt, run)
    check_storage(flexwatt, run)


def test_a_log_that_is_flooded_stays_small(flexwatt, functions, scripted):
    case = next(case for case in RESOURCES if case.name == "floods_its_log")
    run, _ = run_beside_neighbours(flexwatt, case, functions, scripted)
    log = flexwatt.store.parent / "logs" / run["run"] / "hostile-0.1.log"
    assert 3 << 20 < log.stat().st_size < 5 << 20
    assert log.read_text().rstrip().splitlines()[-1].startswith("REPORT ")


def test_another_workers_runtime_api_answers_nobody_else(flexwatt, functions, scripted):
    case = Case("intruder", "ok", outputs=ANSWER, code="""
        answer = {"reached": 0, "answered": []}
        for slot in range(1, 64):
            host = f"127.77.0.{slot}"
            if host == HOST:
                continue
            other = socket.socket()
            other.settimeout(2)
            if attempt(other.connect, (host, int(PORT))) != "done":
                continue
            answer["reached"] += 1
            attempt(other.sendall, f"GET {BASE}/invocation/next HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n".encode())
            try:
                if other.recv(1):
                    answer["answered"].append(host)
            except OSError:
                pass
    """)
    run, record = run_beside_neighbours(flexwatt, case, functions, scripted)
    assert record["status"] == "ok"
    answer = json.loads(published(flexwatt, run, "hostile")["answer.json"])
    assert answer["reached"] >= 1, "its neighbours were up"
    assert answer["answered"] == []
    check_neighbours(flexwatt, run)


@pytest.mark.parametrize("network", ["none", "host"])
def test_network_none_reaches_only_its_host(flexwatt, functions, scripted, network):
    with socket.create_server(("127.0.0.1", 0)) as service:
        service.setblocking(False)
        port = service.getsockname()[1]
        case = Case("caller", "ok", outputs=ANSWER, options={"network": network}, code=f"""
            answer = {{"service": attempt(socket.create_connection, ("127.0.0.1", {port}), 2),
                      "outside": attempt(socket.create_connection, ("192.0.2.1", 80), 0.2),
                      "interfaces": [name for _, name in socket.if_nameindex()],
                      "host": api.call("POST", "/flexwatt/1/progress", b'{{"done": 1, "total": 2}}')[0]}}
        """)
        run, _ = run_beside_neighbours(flexwatt, case, functions, scripted)
        answer = json.loads(published(flexwatt, run, "hostile")["answer.json"])
        assert answer["host"] in (200, 202, 204)
        if network == "host":
            assert answer["service"] == "done"
            service.accept()[0].close()
        else:
            assert answer["service"] == "ECONNREFUSED" and answer["outside"] == "ENETUNREACH"
            assert answer["interfaces"] == ["lo"]
            with pytest.raises(BlockingIOError):
                service.accept()


def test_what_a_function_prints_cannot_steer_the_terminal(flexwatt, scripted):
    code = 'os.write(1, "\\x1b[2J\\x1b]0;owned\\x07 red \\x9b31m grün\\n".encode() + bytes([0xff, 10]))\nsys.exit(1)'
    flexwatt.workflow(json.dumps({"name": "escape", "storage": "./data", "stages": {"print": {
        "function": {"package": scripted}, "memory": 512, "retries": 0, "params": {"code": code}}}}))
    done = flexwatt("run", "workflow.yaml", status=1)
    assert "  | ?[2J?]0;owned? red ?31m grün\n  | ?\n" in done.stderr
    assert not set(done.stdout + done.stderr) & set(map(chr, [*range(9), *range(11, 32), *range(127, 160)]))


def test_a_flood_of_progress_does_not_hold_the_run_up(flexwatt, functions, scripted):
    case = Case("progress", "ok", outputs=ANSWER, code="""
        for i in range(2000):
            status = api.call("POST", "/flexwatt/1/progress", json.dumps({"done": i, "total": 2, "note": "x" * 4000}).encode())[0]
            assert status < 500
        for body in (b"", b"{", b"[]", b'{"done": "x"}', b'{"done": 1e999}', b'{"done": -1, "total": -1, "note": "\\\\u001b[31m"}'):
            assert api.call("POST", "/flexwatt/1/progress", body)[0] < 500
    """, options={"memory": 1769})
    run, record = run_beside_neighbours(flexwatt, case, functions, scripted)
    check_verdict(flexwatt, case, run, record)
    check_neighbours(flexwatt, run)
