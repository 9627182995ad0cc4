# SPDX-License-Identifier: Apache-2.0
"""The examples of docs/functions.md run as the page says, from a copy of their directories."""
import gzip
import io
import json
import re
import shutil
import sqlite3
import subprocess
import tarfile

import pytest

from conftest import BUILD, SOURCE, tool

EXAMPLES = SOURCE / "examples/functions"


@pytest.fixture
def example(flexwatt):
    """Copies an example here; its storage is the directory ./data."""
    def copy(name):
        shutil.copytree(EXAMPLES / name, flexwatt.directory, dirs_exist_ok=True)
    return copy


def results(flexwatt, run):
    """What each task returned, by stage, from the run's log of events."""
    with sqlite3.connect(f"file:{flexwatt.store}?mode=ro", uri=True) as store:
        events = [json.loads(text) for text, in store.execute("select text from event where run = ?", [run["run"]])]
    names = [stage["stage"] for stage in run["stages"]]
    return {names[event["stage"]]: event["result"] for event in events if event["event"] == "ended" and "result" in event}


def documented(word):
    """The line of docs/functions.md with this word, from a code block without a language; without its comment."""
    text = (SOURCE / "docs/functions.md").read_text()
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.S | re.M)
    line, = [line for language, block in blocks for line in block.splitlines() if word in line and not language]
    return line.split("  #")[0].strip()


def pkg_config_path(flexwatt):
    """The SDK as pkg-config knows it after `make install`, but of this build."""
    return str(flexwatt.write("pkgconfig/flexwatt-function.pc", f"""\
        Name: flexwatt-function
        Description: the SDK of this build
        Version: 0
        Cflags: -I{SOURCE}/include
        Libs: -L{BUILD}/src/function -lflexwatt-function-plain
    """).parent)


@pytest.mark.parametrize("static", [False, True], ids=["dynamic", "static"])
def test_the_c_example_is_compiled_and_runs_as_documented(flexwatt, example, static):
    example("c")
    command = documented("cc -O2") + (" -static" if static else "")
    tool("pkg-config")
    (flexwatt.directory / "package").mkdir()
    subprocess.run(["sh", "-ec", command], check=True, cwd=flexwatt.directory, timeout=60,
                   env={**flexwatt.env, "PKG_CONFIG_PATH": pkg_config_path(flexwatt)})
    run = flexwatt.json(*documented("flexwatt run workflow.yaml").split()[1:])
    assert [stage["ok"] for stage in run["stages"]] == [4, 1]
    assert flexwatt.records(run["run"], "sum/0")[0]["metrics"] == {"primes": 78498}
    assert sum(int(text) for text in flexwatt.outputs(run["run"]).values()) == 78498


def test_the_command_example_compresses_and_packs(flexwatt, example):
    example("command")
    texts = {f"{i}.txt": f"text {i}\n" * 1000 for i in range(5)}
    for name, text in texts.items():
        flexwatt.write(f"data/texts/{name}", text)
    for text in (flexwatt.data / "texts").glob("[a-z]*.txt"):
        text.unlink()
    run = flexwatt.json("run", "workflow.yaml")["run"]
    archive, = [data for key, data in flexwatt.outputs(run).items() if key.startswith("pack/")]
    with tarfile.open(fileobj=io.BytesIO(archive)) as members:
        unpacked = [gzip.decompress(members.extractfile(member).read()).decode() for member in members.getmembers()]
    assert sorted(unpacked) == sorted(texts.values())


@pytest.mark.parametrize("name", ["command", "shell", "c"])
def test_the_examples_bring_all_that_they_need(flexwatt, name):
    """A copy of what is in the repository, without what runs and compilers left there."""
    flexwatt.data.rmdir()
    shutil.copytree(EXAMPLES / name, flexwatt.directory, dirs_exist_ok=True, ignore=shutil.ignore_patterns("runs", "package" if name == "c" else ""))
    if name == "c":
        (flexwatt.directory / "package").mkdir()
        subprocess.run(["sh", "-ec", documented("cc -O2")], check=True, cwd=flexwatt.directory, timeout=60,
                       env={**flexwatt.env, "PKG_CONFIG_PATH": pkg_config_path(flexwatt)})
    run = flexwatt.json("run", "workflow.yaml")
    assert run["state"] == "ok" and all(stage["ok"] == stage["tasks"] > 0 for stage in run["stages"])
    ignored = (EXAMPLES / ".gitignore").read_text().split()
    assert ignored == ["/c/package/", "/*/data/runs/"], "the data is in the repository"


def test_a_command_that_fails_is_told_with_its_own_words(flexwatt):
    flexwatt.write("data/a.txt", "text\n")
    flexwatt.workflow("""
        name: commands
        storage: ./data
        defaults: {memory: 128, retries: 0, on_failure: continue}
        stages:
          status: {function: {command: [sh, -c, "echo no such luck >&2; exit 7"]}}
          absent: {function: {command: [no-such-program]}}
          killed: {function: {command: [sh, -c, "kill -SEGV $$"]}}
    """)
    run = flexwatt.json("run", "workflow.yaml", status=1)["run"]
    records = {record["stage"]: record for record in flexwatt.records(run)}
    assert {name: record["error_type"] for name, record in records.items()} == {
        "status": "Command.ExitStatus", "absent": "Command.NotFound", "killed": "Command.Signal"}
    assert "7" in records["status"]["error_message"] and "no such luck" in records["status"]["error_message"]
    assert "no-such-program" in records["absent"]["error_message"]


def test_the_shell_example_answers_and_hands_its_result_on(flexwatt, example):
    example("shell")
    tool("curl")
    run = flexwatt.json("run", "workflow.yaml")
    assert results(flexwatt, run) == {
        "hello": {"greeting": "hello, world"}, "again": {"greeting": "hello, hello, world"}}


def test_the_shell_example_reports_its_error(flexwatt, example):
    example("shell")
    run = flexwatt.json("run", "workflow.yaml", "--set", "stages.hello.payload.name=", status=1)["run"]
    record, = flexwatt.records(run, "hello/0")
    assert (record["error_type"], record["error_message"]) == ("Hello.NoName", "the payload has no name")


def test_a_zip_is_a_package(flexwatt, example):
    example("shell")
    shutil.make_archive(str(flexwatt.directory / "zipped"), "zip", flexwatt.directory / "package")
    shutil.rmtree(flexwatt.directory / "package")
    run = flexwatt.json("run", "workflow.yaml", "--set", "function.package=./zipped.zip")
    assert results(flexwatt, run)["hello"] == {"greeting": "hello, world"}


def test_what_a_c_function_prints_is_in_the_log_of_its_own_invocation(flexwatt, functions):
    """stdout is no terminal in a worker: stdio would keep the text for a later invocation, or lose it in a crash."""
    flexwatt.workflow("""
        name: prints
        storage: ./data
        function: {package: ./functions, handler: prints}
        defaults: {memory: 128, retries: 0, on_failure: continue}
        stages:
          whole: {workers: 2}
          crash: {params: {crash: true}}
    """)
    run = flexwatt.json("run", "workflow.yaml", status=1)["run"]
    logs = {(record["stage"], record["task"]): record["log"] for record in flexwatt.records(run)}
    for task in 0, 1:
        assert f"\na line of task {task}\nhalf a line\nEND RequestId: " in logs["whole", task]
    assert "\na line of task 0\n" in logs["crash", 0]


def test_an_installation_whose_prefix_was_moved_finds_its_parts(flexwatt):
    moved = flexwatt.directory / "moved"
    for built, installed in {"cli/flexwatt": "bin", "function/flexwatt-command": "libexec/flexwatt"}.items():
        (moved / installed).mkdir(parents=True)
        shutil.copy(BUILD / "src" / built, moved / installed)
    shutil.copytree(SOURCE / "data", moved / "share/flexwatt")
    flexwatt.workflow("""
        name: moved
        storage: ./data
        stages: {only: {function: {command: ["true"]}}}
    """)
    for part in "FLEXWATT_LIBEXEC", "FLEXWATT_DATA":
        del flexwatt.env[part]
    subprocess.run([moved / "bin/flexwatt", "run", "workflow.yaml"], check=True, cwd=flexwatt.directory, env=flexwatt.env,
                   stdout=subprocess.DEVNULL, timeout=60)


def test_phases_longer_than_their_invocation_are_not_taken(flexwatt):
    tool("curl")
    flexwatt.package("boasts", """#!/bin/sh
        api="http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation"
        while curl -sS --fail -D /tmp/headers -o /dev/null "$api/next"; do
            id=$(sed -n 's/^Lambda-Runtime-Aws-Request-Id: *//Ip' /tmp/headers | tr -d '\\r')
            curl -sS --fail -d '{"phases": {"read_ms": 1, "compute_ms": 3600000}, "units": 7}' "$api/$id/response"
        done
    """)
    flexwatt.workflow("""
        name: boasts
        storage: ./data
        stages: {only: {function: {package: ./boasts}}}
    """)
    run = flexwatt.json("run", "workflow.yaml")["run"]
    record, = flexwatt.records(run)
    assert (record["read_ms"], record["compute_ms"], record["units"]) == (None, None, 7)
