# SPDX-License-Identifier: Apache-2.0
"""When the machine does not play along: one clear error, exit status 3, nothing half-visible, and the run can be taken up."""
import contextlib
import os
import pathlib
import re
import resource
import shutil
import sqlite3
import subprocess
import tempfile

import pytest

from conftest import BINARY, events_of, query, run_ids, wait_until

STEPS = """
    name: steps
    storage: ./data
    function: {package: ./functions}
    defaults: {memory: 256, timeout: 60}
    stages:
      first: {handler: make, workers: 4, outputs: {out: {suffix: .txt}}, params: {count: 2, pause_ms: 100}}
      second: {handler: copy, workers: auto, inputs: {in: first.out}, outputs: {out: {suffix: .txt}}}
"""


def errors(done):
    return [line for line in done.stderr.splitlines() if line.startswith("error: ")]


@pytest.fixture
def small_disk():
    """Mounts a small disk where a test wants it."""
    mounted = []

    def mount(path, options):
        if os.geteuid() != 0:
            pytest.skip("mounting a small disk needs root")
        path.mkdir(parents=True, exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "small-disk", str(path)], check=True)
        mounted.append(path)

    yield mount
    for path in mounted:
        wait_until(lambda path=path: subprocess.run(["umount", str(path)]).returncode == 0)


def test_a_full_storage_stops_the_run_which_then_goes_on(flexwatt, functions, small_disk):
    small_disk(flexwatt.data, "size=256k")
    flexwatt.workflow(STEPS)
    ballast = flexwatt.data / "ballast"
    ballast.write_bytes(b"x" * (256 - 24) * 1024)
    done = flexwatt("run", "workflow.yaml", status=3)
    run, = run_ids(flexwatt)
    tail = run.rsplit("-", 1)[1]
    assert len(errors(done)) == 1
    assert re.search(rf"run {run}: storage file:{flexwatt.data}: no space is left for the outputs of \w+/\d+", done.stderr)
    assert f"  hint: make room, then: flexwatt run --resume {tail}" in done.stderr
    assert flexwatt.json("show", run)["state"] == "interrupted"
    # The log decides what is committed, records follow it: all that is committed is there, and no attempt is half there.
    committed = {key for event in events_of(flexwatt) if event["event"] == "ended" and event["status"] == "ok"
                 for key, *_ in event["objects"]}
    visible = {f"runs/{run}/{key}" for key in flexwatt.outputs(run) if not key.startswith(".attempts")}
    assert committed <= visible
    attempts = [key.split("/")[2:4] for key in visible]
    assert all(attempts.count(attempt) == (2 if attempt[0] == "first" else 1) for attempt in attempts)
    ballast.unlink()
    assert flexwatt.json("run", "--resume", run)["state"] == "ok"
    assert len(flexwatt.outputs(run)) == 16
    shutil.rmtree(flexwatt.data / "runs")


def fill(directory):
    """Takes the room that a disk has left."""
    with open(directory / "ballast", "wb", buffering=0) as ballast:
        for piece in (1 << 20, 1 << 12):
            with contextlib.suppress(OSError):
                while True:
                    ballast.write(b"x" * piece)


def test_a_full_disk_below_the_store_stops_the_run_which_then_goes_on(flexwatt, functions, small_disk):
    disk = flexwatt.directory / "small"
    flexwatt.store = disk / "flexwatt.db"
    flexwatt.env["FLEXWATT_STORE"] = str(flexwatt.store)
    flexwatt.workflow(STEPS.replace("workers: 4", "workers: 60"))
    small_disk(disk, "size=16m")
    running = flexwatt.start("run", "workflow.yaml", "--workers", 60)
    try:
        wait_until(lambda: any(event["event"] == "ended" for event in events_of(flexwatt)))
        fill(disk)
        told = running.communicate(timeout=60)[1]
    finally:
        running.kill()
        running.communicate()
    assert running.returncode == 3, told
    assert len(re.findall("^error: ", told, re.MULTILINE)) == 1 and re.search(r"store .*flexwatt.db: .*(full|space)", told)
    (disk / "ballast").unlink()
    run, = run_ids(flexwatt)
    assert flexwatt.json("show", run)["state"] == "interrupted"
    assert flexwatt.json("run", "--resume", run)["state"] == "ok"
    assert len(set(flexwatt.outputs(run).values())) == 120


def test_a_locked_store_is_told(flexwatt, functions):
    flexwatt.workflow(STEPS)
    flexwatt("run", "workflow.yaml")
    with sqlite3.connect(flexwatt.store, isolation_level=None) as other:
        other.execute("begin immediate")
        done = flexwatt("run", "workflow.yaml", status=3)
        other.execute("rollback")
    assert len(errors(done)) == 1 and "hint: another flexwatt has been writing for 10 s" in done.stderr
    assert len(run_ids(flexwatt)) == 1


EVERY_COMMAND = (["run", "workflow.yaml"], ["runs"], ["show", "abc"], ["run", "--resume", "abc"], ["runs", "rm", "abc"],
                 ["runs", "prune", "--keep", "1"])


def assert_refused(done, message, hint):
    assert done.stdout == "" and len(errors(done)) == 1
    assert message in errors(done)[0] and f"\n  hint: {hint}" in done.stderr


@pytest.mark.parametrize("make", [
    lambda path: path.write_bytes(b"this is no database" * 100),
    lambda path: path.write_bytes(b"x"),
    lambda path: sqlite3.connect(path).execute("create table t(x)").connection.commit(),
])
def test_a_file_that_is_no_store_is_left_alone(flexwatt, functions, make):
    flexwatt.workflow(STEPS)
    flexwatt.store.parent.mkdir()
    make(flexwatt.store)
    before = flexwatt.store.read_bytes()
    for arguments in EVERY_COMMAND:
        assert_refused(flexwatt(*arguments, status=3), f"store {flexwatt.store}: is not a flexwatt store",
                       "move the file away, or name another place with FLEXWATT_STORE=PATH")
    assert flexwatt.store.read_bytes() == before


def test_a_store_of_a_newer_flexwatt_is_refused(flexwatt, functions):
    flexwatt.workflow(STEPS)
    flexwatt("run", "workflow.yaml")
    with sqlite3.connect(flexwatt.store) as store:
        store.execute("pragma user_version = 9999")
    for arguments in EVERY_COMMAND:
        assert_refused(flexwatt(*arguments, status=3), "is of version 9999, from a newer flexwatt",
                       "use that flexwatt, or another store with FLEXWATT_STORE=PATH")


def test_a_damaged_store_is_told(flexwatt, functions):
    flexwatt.workflow(STEPS)
    flexwatt("run", "workflow.yaml")
    with sqlite3.connect(flexwatt.store) as store:
        store.execute("pragma wal_checkpoint(truncate)")
    with open(flexwatt.store, "r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (flexwatt.store.stat().st_size - 4096))
    for arguments in EVERY_COMMAND:
        assert_refused(flexwatt(*arguments, status=3), "damaged", "move it away; `sqlite3 FILE .recover`")


def test_a_directory_in_place_of_the_store_is_told(flexwatt, functions):
    flexwatt.workflow(STEPS)
    flexwatt.store.mkdir(parents=True)
    for arguments in EVERY_COMMAND:
        assert_refused(flexwatt(*arguments, status=3), "is a directory, not a file",
                       "FLEXWATT_STORE=PATH names another place")


@pytest.mark.parametrize("closed", ["file", "directory"])
def test_a_store_that_may_not_be_read_is_told(flexwatt, functions, closed):
    flexwatt.workflow(STEPS)
    flexwatt("run", "workflow.yaml")
    options = {}
    if os.geteuid() == 0:  # who may everything: another user asks, who may come as far as the store
        options = {"user": 65534, "group": 65534, "extra_groups": []}
        for directory in (flexwatt.store.parent, *flexwatt.store.parent.parents[:4]):
            if directory.is_relative_to(tempfile.gettempdir()) and directory != pathlib.Path(tempfile.gettempdir()):
                directory.chmod(0o755)
    path = flexwatt.store if closed == "file" else flexwatt.store.parent
    path.chmod(0)
    try:
        for arguments in EVERY_COMMAND:
            assert_refused(flexwatt(*arguments, status=3, **options), f"store {flexwatt.store}: ", "")
    finally:
        path.chmod(0o700)


@pytest.mark.parametrize("what", ["storage", "state"])
def test_a_directory_that_cannot_be_written_is_told_before_anything_starts(flexwatt, functions, small_disk, what):
    flexwatt.workflow(STEPS)
    path = flexwatt.data if what == "storage" else flexwatt.store.parent
    small_disk(path, "ro")
    done = flexwatt("run", "workflow.yaml", status=3)
    assert len(errors(done)) == 1 and str(path) in done.stderr and "hint:" in done.stderr
    assert not query(flexwatt, "select 1 from run")


def test_a_store_below_a_file_is_told(flexwatt, functions):
    flexwatt.workflow(STEPS)
    flexwatt.env["FLEXWATT_STORE"] = str(flexwatt.directory / "workflow.yaml" / "flexwatt.db")
    done = flexwatt("run", "workflow.yaml", status=3)
    assert len(errors(done)) == 1 and "workflow.yaml/flexwatt.db" in done.stderr


@pytest.fixture
def normal_user(flexwatt):
    """Runs commands as a user who may not make control groups."""
    if os.geteuid() != 0:
        return flexwatt
    opened = [directory for directory in (flexwatt.directory, *list(flexwatt.directory.parents)[:3])
              if directory.is_relative_to(tempfile.gettempdir()) and directory != pathlib.Path(tempfile.gettempdir())]
    for directory in opened:
        directory.chmod(0o755)
    flexwatt.store.parent.mkdir()
    for directory in (flexwatt.data, flexwatt.store.parent):
        os.chown(directory, 65534, 65534)

    def as_user(*arguments, **options):
        return flexwatt(*arguments, user=65534, group=65534, extra_groups=[], **options)
    yield as_user
    for path in (*flexwatt.data.rglob("*"), *flexwatt.store.parent.rglob("*"), flexwatt.data, flexwatt.store.parent):
        os.lchown(path, 0, 0)


def test_what_is_not_enforced_is_told_once(flexwatt, normal_user):
    flexwatt.workflow("""
        name: plain
        storage: ./data
        stages: {say: {function: {command: [echo, hi]}, memory: 128}}
    """)
    done = normal_user("run", "workflow.yaml")
    notes = [line.removeprefix("  note: ") for line in done.stdout.splitlines() if line.startswith("  note: ")]
    if not notes:
        pytest.skip("here everything can be enforced for a normal user")
    assert len(notes) == len(set(notes))
    assert sum("number of processes" in note for note in notes) <= 1
    things = "thing is" if len(notes) == 1 else "things are"
    assert done.stderr.count("warning: ") == 1
    assert f"warning: {len(notes)} {things} not enforced here: the summary says which\n" in done.stderr
    told = normal_user("run", "workflow.yaml", "--json").stderr
    assert [line for line in told.splitlines() if "warning" in line] == [f"warning: {note}" for note in notes]


def limited(flexwatt, which, most):
    """The end of a run that began under this limit; on what terms a process may raise it again is told by capabilities."""
    if int(re.search(r"CapEff:\s*(\w+)", pathlib.Path("/proc/self/status").read_text())[1], 16) >> 24 & 1:
        pytest.skip("CAP_SYS_RESOURCE raises every limit again")
    return subprocess.run([str(BINARY), "run", "workflow.yaml"], env=flexwatt.env, cwd=flexwatt.directory, timeout=60,
                          capture_output=True, text=True, preexec_fn=lambda: resource.setrlimit(which, (most, most)))


@pytest.mark.parametrize("most", [20, 64, 1023])
def test_too_few_files_are_told_before_anything_starts(flexwatt, functions, most):
    flexwatt.workflow(STEPS)
    done = limited(flexwatt, resource.RLIMIT_NOFILE, most)
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr == (f"error: only {most} files may be open at once here, and a run needs 1024\n"
                           "  hint: raise the hard limit of open files: `ulimit -Hn` shows it\n")


def test_a_limit_of_file_sizes_is_an_error_and_no_death(flexwatt, functions):
    flexwatt.workflow(STEPS)
    done = limited(flexwatt, resource.RLIMIT_FSIZE, 4096)
    assert done.returncode == 3 and len(errors(done)) == 1
