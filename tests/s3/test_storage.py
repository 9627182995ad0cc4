# SPDX-License-Identifier: Apache-2.0
"""A bucket as storage, on real servers: the contract of every storage, whole runs, wrong keys, kills at every event."""
import collections
import json
import os
import re
import shutil
import socket
import subprocess
import time

import pytest

import e2e
from conftest import BUILD, KEYS, S3, SOURCE
from kills import kill_at, last_event, visible
from s3_faults import Fault

COPY = """
    name: copy
    storage: {storage}
    defaults: {{memory: 256, timeout: 60, retries: 1}}
    stages:
      copy: {{function: {{command: [cp, "{{input.rows}}", "{{output.copies}}"], per: object}}, workers: 2,
              inputs: {{rows: {{keys: "rows/*"}}}}, outputs: {{copies: {{suffix: .txt}}}}}}
      join: {{function: {{command: [sh, -c, 'cat "$@" >{{output.all}}', sh, "{{input.copies}}"]}}, workers: 1,
              inputs: {{copies: copy.copies}}, outputs: {{all: {{}}}}}}
"""
ROWS = {"rows/a.txt": "first\n", "rows/b c+d%.txt": "second\n", "rows/ü.txt": "third\n"}


class OnBucket(e2e.Flexwatt):
    """flexwatt as a user runs it, its storage a bucket."""

    def __init__(self, directory, server, bucket):
        super().__init__(directory)
        self.env = {name: value for name, value in self.env.items() if not name.startswith("AWS_")}
        self.env |= {"AWS_ACCESS_KEY_ID": KEYS[0], "AWS_SECRET_ACCESS_KEY": KEYS[1], "HOME": str(directory)}
        self.storage = f"s3://{bucket}/some/where?endpoint={server.url}&region=us-east-1"
        self.s3 = S3(server.url, bucket, self.directory)

    def put(self, key, content):
        self.s3.write("content", content if isinstance(content, bytes) else content.encode())
        self.s3("put", f"some/where/{key}", "content")

    def keys(self, prefix=""):
        return [key.removeprefix("some/where/") for key in self.s3.keys(f"some/where/{prefix}")]

    def outputs(self, run):
        top = f"runs/{run}/"
        return {key.removeprefix(top): self.s3("cat", f"some/where/{key}") for key in self.keys(top) if key != f"{top}.run"}

    def nothing_is_left(self):
        assert self.s3.uploads() == [], "uploads were left open"
        scratch = self.store.parent / "scratch"
        assert not scratch.exists() or list(scratch.iterdir()) == [], "what was staged in stayed"


@pytest.fixture
def flexwatt(tmp_path, server, bucket):
    return OnBucket(tmp_path, server, bucket)


@pytest.fixture
def rows(flexwatt):
    for key, text in ROWS.items():
        flexwatt.put(key, text)
    flexwatt.workflow(COPY.format(storage=flexwatt.storage))


def test_the_contract_of_every_storage_holds_for_a_bucket(flexwatt, server, bucket):
    env = dict(flexwatt.env, FLEXWATT_TEST_STORAGE=f"s3://{bucket}?endpoint={server.url}")
    done = subprocess.run([BUILD / "tests/unit/test_storage_contract"], env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert flexwatt.s3.keys() == [] and flexwatt.s3.uploads() == []


def test_a_run_reads_and_writes_the_bucket_and_leaves_nothing_else(flexwatt, rows):
    done = flexwatt("run", "workflow.yaml")
    run, = re.findall(r"run (\S+) ·", done.stdout)
    place = flexwatt.storage.split("?")[0]
    assert f"outputs in {place}/runs/{run}\n" in done.stdout
    outputs = flexwatt.outputs(run)
    assert sorted(outputs[f"copy/{key}"] for key in ("0.1/copies/0000-000.txt", "0.1/copies/0000-001.txt",
                                                      "1.1/copies/0001-000.txt")) == sorted(t.encode() for t in ROWS.values())
    assert outputs["join/0.1/all/0000-000"] == b"first\nthird\nsecond\n"
    assert len(outputs) == 4
    flexwatt.nothing_is_left()
    records = flexwatt.records(run)
    assert all(record["read_ms"] > 0 for record in records if record["stage"] == "copy"), "staging in is reading"


def test_the_same_workflow_gives_the_same_on_a_directory_and_on_a_bucket(flexwatt, rows):
    on_bucket = flexwatt.json("run", "workflow.yaml")
    for key, text in ROWS.items():
        flexwatt.write(f"data/{key}", text)
    on_disk = flexwatt.json("run", "workflow.yaml", "--storage", flexwatt.data)
    assert flexwatt.outputs(on_bucket["run"]) == e2e.Flexwatt.outputs(flexwatt, on_disk["run"])


def test_runs_of_a_bucket_are_shown_listed_and_removed(flexwatt, rows):
    first, second, third = (flexwatt.json("run", "workflow.yaml")["run"] for _ in range(3))
    assert flexwatt.json("show", first)["storage"] == flexwatt.storage
    listed = {run["run"]: run for run in flexwatt.json("runs")}
    assert listed[first]["disk_bytes"] > 0
    flexwatt("runs", "rm", first)
    assert flexwatt.outputs(first) == {} and len(flexwatt.outputs(second)) == 4
    flexwatt("runs", "prune", "--keep", 1)
    assert {key.split("/")[1] for key in flexwatt.keys("runs/")} == {third}


def test_runs_are_listed_when_their_server_is_gone(flexwatt, rows):
    run = flexwatt.json("run", "workflow.yaml")["run"]
    flexwatt.env |= {"AWS_SECRET_ACCESS_KEY": "wrong"}
    listed, = flexwatt.json("runs")
    assert listed["run"] == run and listed["disk_bytes"] is None
    assert "secret key" in flexwatt("runs", "rm", run, status=3).stderr
    assert [listed["run"] for listed in flexwatt.json("runs")] == [run], "it can be removed when the server is back"


@pytest.mark.parametrize("wrong, reason, hint", [
    ({"AWS_SECRET_ACCESS_KEY": "wrong"}, "the server answers 403", "secret key"),
    ({"AWS_ACCESS_KEY_ID": "NOBODY"}, "the server answers 40", "access key"),
    ({"AWS_ACCESS_KEY_ID": ""}, "AWS credentials", "AWS_ACCESS_KEY_ID"),
])
def test_wrong_credentials_end_it_before_any_task(flexwatt, rows, wrong, reason, hint):
    flexwatt.env |= wrong
    refused_at_once(flexwatt, "run", "workflow.yaml", reason=reason, hint=hint)


def test_a_missing_bucket_ends_it_before_any_task(flexwatt, rows):
    refused_at_once(flexwatt, "run", "workflow.yaml", "--set", "storage.bucket=nobody-made-this", reason="nobody-made-this", hint="bucket")


def test_a_server_that_is_not_there_ends_it_before_any_task(flexwatt, rows):
    refused_at_once(flexwatt, "run", "workflow.yaml", "--set", "storage.endpoint=http://127.0.0.1:9", reason="127.0.0.1:9", hint="endpoint")


def refused_at_once(flexwatt, *arguments, reason, hint):
    done = flexwatt(*arguments, status=3, timeout=60)
    assert done.stdout == "" and done.stderr.startswith("error: open storage s3://") and done.stderr.count("error:") == 1
    assert reason in done.stderr and hint in done.stderr.split("hint:")[1], done.stderr
    assert "a-secret-of-tests" not in done.stderr
    assert flexwatt.keys("runs/") == [] and e2e.query(flexwatt, "select count(*) from run") in ([], [(0,)])


def test_parts_of_the_storage_come_from_the_environment(flexwatt, rows, bucket):
    flexwatt.workflow(COPY.format(storage="s3://another/place"))
    with_parts = dict(re.findall(r"(\w+)=([^&]+)", flexwatt.storage))
    flexwatt.env |= {"FLEXWATT_STORAGE_BUCKET": bucket, "FLEXWATT_STORAGE_PREFIX": "some/where",
                     "FLEXWATT_STORAGE_ENDPOINT": with_parts["endpoint"], "FLEXWATT_STORAGE_REGION": "us-east-1"}
    assert flexwatt.json("run", "workflow.yaml")["storage"] == flexwatt.storage


def test_functions_see_no_credentials_and_what_is_staged_is_read_only(flexwatt, rows):
    flexwatt.workflow("""
        name: spy
        storage: %s
        stages:
          spy:
            function: {command: [sh, -c, 'env >{output.env}; echo changed >>{input.rows} || echo refused >>{output.env}; ls -l {input.rows} >>{output.env}']}
            inputs: {rows: {keys: "rows/a.txt"}}
            outputs: {env: {}}
    """ % flexwatt.storage)
    run = flexwatt.json("run", "workflow.yaml")
    found, = flexwatt.outputs(run["run"]).values()
    assert b"refused" in found and b"AWS_SECRET" not in found and KEYS[1].encode() not in found
    assert flexwatt.s3("cat", "some/where/rows/a.txt") == b"first\n"


AHEAD = """\
    #!/usr/bin/python3
    import http.client, json, os, time
    host = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
    def call(method, path, body=None):
        host.request(method, path, body=body if body is None else json.dumps(body))
        answer = host.getresponse()
        return answer, json.loads(answer.read() or b"null")
    while True:
        head, event = call("GET", "/2018-06-01/runtime/invocation/next")
        rows = event["inputs"]["rows"]
        assert not any("path" in row for row in rows)
        answer, first = call("POST", "/flexwatt/1/stage-in", {"uri": rows[0]["uri"], "offset": 1, "length": 2})
        assert open(first["path"]).read()[first["offset"]:][:first["length"]] == "ir", first
        answer, first = call("POST", "/flexwatt/1/stage-in", {"uri": rows[0]["uri"]})
        place, until = os.path.dirname(os.path.dirname(first["path"])), time.monotonic() + 20
        while len(os.listdir(place)) < 6 and time.monotonic() < until:
            os.sched_yield()
        answer, refused = call("POST", "/flexwatt/1/stage-in", {"uri": rows[0]["uri"].replace("/rows/", "/other/")})
        with open(event["outputs"]["found"]["directory"] + "/found.json", "w") as file:
            json.dump([len(os.listdir(place)), answer.status, refused["errorType"]], file)
        request = head.headers["Lambda-Runtime-Aws-Request-Id"]
        call("POST", f"/2018-06-01/runtime/invocation/{request}/response", {"outputs": {"found": ["found.json"]}})
"""


def test_what_comes_next_is_fetched_while_the_function_works(flexwatt):
    """The range, the first object, four ahead: the other five are not asked for yet."""
    for number in range(10):
        flexwatt.put(f"rows/{number}", "first")
    flexwatt.put("other/0", "not an input")
    flexwatt.package("functions", AHEAD)
    flexwatt.workflow("""
        name: ahead
        storage: %s
        stages:
          read: {function: {package: ./functions}, workers: 1, inputs: {rows: {keys: "rows/*"}}, outputs: {found: {}}}
    """ % flexwatt.storage)
    run = flexwatt.json("run", "workflow.yaml")
    found, = flexwatt.outputs(run["run"]).values()
    assert json.loads(found) == [6, 403, "Storage.NotPermitted"]
    flexwatt.nothing_is_left()


def run_while(flexwatt, change, retries):
    """The record of the one task that fails when its object changes before it is read. One task at a time: the first waits until the
    object of the second has changed."""
    flexwatt.workflow("""
        name: late
        storage: %s
        defaults: {memory: 3538, timeout: 60, retries: %d}
        stages:
          read: {function: {command: [bash, -c, 'read -r line <>/dev/tcp/127.0.0.1/$1; cat $2 >{output.out}', bash, "{param.port}",
                                      "{input.rows}"]}, workers: 3,
                 inputs: {rows: {keys: "rows/*"}}, outputs: {out: {}}}
    """ % (flexwatt.storage, retries))
    with socket.create_server(("127.0.0.1", 0)) as gate:
        gate.settimeout(60)
        process = flexwatt.start("run", "workflow.yaml", "--json", "--set", f"stages.read.params.port={gate.getsockname()[1]}")
        first, _ = gate.accept()
        change("rows/b c+d%.txt")
        for number in range(2):
            first.sendall(b"go\n")
            first.close()
            if number == 0:
                first, _ = gate.accept()
        out, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    run = json.loads(out)
    failed, = [record for record in flexwatt.records(run["run"]) if record["status"] != "ok"]
    assert len(flexwatt.outputs(run["run"])) == 2
    flexwatt.nothing_is_left()
    return failed


def test_an_object_that_disappears_fails_its_task_alone(flexwatt, rows):
    failed = run_while(flexwatt, lambda key: flexwatt.s3("delete", f"some/where/{key}"), retries=0)
    assert failed["error_type"] == "Storage.NotFound" and "rows/b c+d%.txt" in failed["error_message"]


@pytest.mark.parametrize("content", ["another\n" * 1000, "SECOND\n", ""], ids=["larger", "as-large", "empty"])
def test_an_object_that_is_replaced_fails_its_task_alone(flexwatt, rows, content):
    """And once: another attempt could not get what was listed."""
    failed = run_while(flexwatt, lambda key: flexwatt.put(key, content), retries=3)
    assert failed["error_type"] == "Storage.Changed" and failed["attempt"] == 1
    assert "object rows/b c+d%.txt changed while the run read it" in failed["error_message"]


def test_an_object_that_is_replaced_while_it_is_fetched_fails_its_task(flexwatt, server, proxy):
    """Its first bytes are of the one, the rest would be of the other."""
    flexwatt.put("rows/a", b"a" * 300000)
    proxy.faults.append(Fault("cut", method="GET", path="rows/a", after=100000, then=lambda: flexwatt.put("rows/a", b"b" * 300000)))
    flexwatt.workflow(COPY.format(storage=flexwatt.storage.replace(server.url, proxy.url)))
    told = flexwatt("run", "workflow.yaml", status=1).stderr
    assert "Storage.Changed" in told and "object rows/a changed while the run read it" in told
    asked = proxy.requests("GET", "rows/a")
    assert len(asked) == 2 and len({seen.headers["If-Match"] for seen in asked}) == 1
    flexwatt.nothing_is_left()


def test_a_table_is_cut_and_read_as_it_was_listed(flexwatt, server, proxy):
    """It is replaced while the plan passes over it, which ends the run, or when the plan stands, which fails its tasks."""
    flexwatt.put("rows/table.csv", b"number\n" + b"1\n" * 50000)
    flexwatt.workflow("""
        name: cut
        storage: %s
        defaults: {retries: 0}
        stages:
          read: {function: {command: [cp, "{input.rows}", "{output.out}"], per: object}, workers: 2,
                 inputs: {rows: {keys: "rows/*", range: csv}}, outputs: {out: {}}}
    """ % flexwatt.storage.replace(server.url, proxy.url))
    other = b"number\n" + b"2\n" * 50000
    proxy.faults.append(Fault("cut", method="GET", path="table.csv", after=1000, then=lambda: flexwatt.put("rows/table.csv", other)))
    assert "object rows/table.csv changed while the run read it" in flexwatt("run", "workflow.yaml", status=3).stderr
    proxy.faults.append(Fault("cut", method="GET", path="table.csv", after=1000, skip=2, then=lambda: flexwatt.put("rows/table.csv", b"n\n")))
    told = flexwatt("run", "workflow.yaml", status=1).stderr
    assert "Storage.Changed" in told and "object rows/table.csv changed while the run read it" in told
    assert [item for item in proxy.requests("GET", "table.csv") if not item.headers.get("If-Match")] == []
    flexwatt.nothing_is_left()


CUT = """
    name: cut
    storage: %s
    defaults: {memory: 256, timeout: 60, retries: 0}
    stages:
      %s
      read: {function: {command: [cp, "{input.rows}", "{output.out}"], per: object}, workers: 2,
             inputs: {rows: {keys: "table.csv", range: csv}}, outputs: {out: {}}}
"""


@pytest.mark.parametrize("method, status, code, reason", [
    ("HEAD", 404, "NoSuchKey", "404"), ("GET", 403, "AccessDenied", "AccessDenied")])
def test_a_table_that_cannot_be_read_ends_the_run_before_any_task(flexwatt, server, proxy, method, status, code, reason):
    flexwatt.put("table.csv", b"a,b\n" + b"1,2\n" * 100)
    flexwatt.workflow(CUT % (flexwatt.storage.replace(server.url, proxy.url), ""))
    proxy.faults.append(Fault("status", method=method, path="/table.csv", status=status, code=code, times=99))
    told = flexwatt("run", "workflow.yaml", status=3).stderr
    assert told.count("error:") == 1 and "table.csv" in told and reason in told
    assert not any(event["event"] == "started" for event in e2e.events_of(flexwatt))
    assert [key for key in flexwatt.keys("runs/") if not key.endswith("/.run")] == []
    flexwatt.nothing_is_left()


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
@pytest.mark.parametrize("server", ["minio"], indirect=True)
def test_an_engine_that_must_stop_while_it_plans_frees_the_plan(flexwatt, server, proxy):
    """A task fills the disk while the table is on its way. What stayed would be a leak, with an exit status of its own."""
    flexwatt.put("table.csv", b"a,b\n" + b"1,2\n" * 100)
    flexwatt.workflow(CUT % (flexwatt.storage.replace(server.url, proxy.url), """fill:
        function: {command: [bash, -c, 'read -r line <>/dev/tcp/127.0.0.1/$1; cat /dev/zero >{output.zeros}', bash, "{param.port}"]}
        workers: 1
        outputs: {zeros: {}}"""))
    proxy.faults.append(Fault("stall", method="GET", path="/table.csv", after=100, seconds=60))
    disk = flexwatt.directory / "disk"
    disk.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as gate:
        gate.settimeout(60)
        process = subprocess.Popen(
            ["unshare", "-m", "sh", "-c", 'mount -t tmpfs -o size=24m tmpfs "$1" && exec "$2" run workflow.yaml --set "$3"', "sh", disk,
             e2e.BINARY, f"stages.fill.params.port={gate.getsockname()[1]}"],
            env={**flexwatt.env, "FLEXWATT_STORE": str(disk / "s.db")}, cwd=flexwatt.directory, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            filling, _ = gate.accept()
            e2e.wait_until(lambda: proxy.requests("GET", "/table.csv"))
            filling.close()
            _, told = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 3, told
    assert "scratch: no space is left here" in told and "fill/0" in told and "LeakSanitizer" not in told


# ---- kills ----

SMALL = """
    name: small
    storage: %s
    defaults: {memory: 512, timeout: 60, retries: 2}
    stages:
      first: {function: {command: [sh, -c, 'sleep 0.03; cat "$1" >"$2"', sh, "{input.rows}", "{output.out}"], per: object}, workers: 2,
              inputs: {rows: {keys: "rows/*"}}, outputs: {out: {suffix: .txt}}}
      second: {function: {command: [sh, -c, 'sleep 0.02; tr a-z A-Z <"$1" >"$2"', sh, "{input.in}", "{output.out}"], per: object}, workers: auto,
               inputs: {in: first.out}, outputs: {out: {suffix: .txt}}}
      third: {function: {command: [sh, -c, 'cat "$@" >{output.out}', sh, "{input.in}"]}, workers: 1,
              inputs: {in: second.out}, outputs: {out: {}}}
"""


def take_up(flexwatt, expected):
    run, = e2e.run_ids(flexwatt)
    if flexwatt.json("show", run)["state"] != "ok":  # else the kill came after the last word
        assert flexwatt.json("run", "--resume", run)["state"] == "ok"
    commits = collections.Counter((event["stage"], event["task"]) for event in e2e.events_of(flexwatt)
                                  if event["event"] == "ended" and event["status"] == "ok")
    assert set(commits.values()) == {1}, "a task was committed twice"
    assert visible(flexwatt, run) == expected
    assert flexwatt.s3.uploads() == []
    flexwatt("runs", "rm", run)
    assert flexwatt.keys("runs/") == []
    flexwatt.nothing_is_left()


def first_run(flexwatt):
    run = flexwatt.json("run", "workflow.yaml")["run"]
    expected, total = visible(flexwatt, run), last_event(flexwatt)
    flexwatt("runs", "rm", run)
    return expected, total


@pytest.mark.parametrize("server", ["versitygw"], indirect=True)
def test_a_kill_at_every_event_of_a_small_run(flexwatt, rows):
    flexwatt.workflow(SMALL % flexwatt.storage)
    expected, total = first_run(flexwatt)
    assert len(expected) == 3 + 3 + 1
    reached = set()
    for sequence in range(1, total + 1):
        reached.add(kill_at(flexwatt, sequence))
        take_up(flexwatt, expected)
    assert len(reached) >= total // 2, f"kills came at {sorted(reached)} of {total} events"


def test_an_upload_that_a_kill_leaves_open_is_aborted(flexwatt, rows):
    """One in parts is under way when the engine dies: its sizes are those of real outputs."""
    flexwatt.workflow("""
        name: large
        storage: %s
        defaults: {retries: 0}
        stages:
          make: {function: {command: [sh, -c, 'head -c 200000000 /dev/urandom >{output.large}']}, workers: 1, outputs: {large: {}}}
    """ % flexwatt.storage)
    process = flexwatt.start("run", "workflow.yaml")
    deadline = time.monotonic() + 120
    while not flexwatt.s3.uploads():
        assert time.monotonic() < deadline and process.poll() is None, "no upload in parts was seen"
    e2e.kill(process)
    process.communicate()
    assert flexwatt.s3.uploads(), "the kill left no upload open: nothing was shown"
    run, = e2e.run_ids(flexwatt)
    assert flexwatt.json("run", "--resume", run)["state"] == "ok"
    flexwatt.nothing_is_left()
    key, = [key for key in flexwatt.keys(f"runs/{run}/") if not key.endswith("/.run")]
    assert flexwatt.s3("head", f"some/where/{key}")["object_bytes"] == 200000000


# ---- the video application ----

@pytest.fixture(scope="session")
def videos(tmp_path_factory):
    if not shutil.which("ffmpeg") or not (BUILD / "examples/video/functions").is_dir():
        pytest.skip("the video example is not built here, or ffmpeg is missing")
    directory = tmp_path_factory.mktemp("videos")
    subprocess.run([SOURCE / "examples/video/make-data", "--size", "160x90", "--directory", directory], check=True, timeout=300)
    return directory


@pytest.fixture
def application(flexwatt, videos):
    shutil.copytree(BUILD / "examples/video/functions", flexwatt.directory / "functions")
    (flexwatt.data / "videos").mkdir()
    for name in ("moving", "short"):
        shutil.copy(videos / f"{name}.mp4", flexwatt.data / "videos")
        flexwatt.put(f"videos/{name}.mp4", (videos / f"{name}.mp4").read_bytes())
    # One thread: with more, libx264 does not always write the same bytes.
    text = (SOURCE / "examples/video/workflow.yaml").read_text().replace("chunk_seconds: 10", "chunk_seconds: 10, threads: 1")
    assert "threads: 1" in text
    flexwatt.workflow(text)
    return text


def test_the_video_application_moves_to_a_bucket_by_one_line(flexwatt, application):
    on_disk = flexwatt.json("run", "workflow.yaml")
    expected = e2e.Flexwatt.outputs(flexwatt, on_disk["run"])
    flexwatt.workflow(re.sub(r"(?m)^storage: .*$", f"storage: {flexwatt.storage}", application))
    on_bucket = flexwatt.json("run", "workflow.yaml")
    assert on_bucket["storage"] == flexwatt.storage and on_bucket["state"] == "ok"
    outputs = flexwatt.outputs(on_bucket["run"])
    assert outputs == expected and len(outputs) == 4 * 4
    flexwatt.nothing_is_left()


@pytest.mark.parametrize("server", ["minio"], indirect=True)
def test_kills_of_the_video_application_on_a_bucket(flexwatt, application):
    """At some events; FLEXWATT_KILL_EVERY_EVENT=1 takes each."""
    flexwatt.workflow(re.sub(r"(?m)^storage: .*$", f"storage: {flexwatt.storage}", application))
    expected, total = first_run(flexwatt)
    every = os.environ.get("FLEXWATT_KILL_EVERY_EVENT")
    for sequence in range(1, total + 1) if every else sorted({total // 3, total // 2, total - 2}):
        kill_at(flexwatt, sequence)
        take_up(flexwatt, expected)
