# SPDX-License-Identifier: Apache-2.0
"""flexwatt runs: what is kept, what it takes, and how it goes."""
import re
import time

import pytest

from conftest import kill, query, run_ids, wait_until

WORKFLOW = """
    name: keep
    storage: ./data
    function: {package: ./functions}
    stages: {make: {handler: make, workers: 2, memory: 128, outputs: {out: {suffix: .txt}}, params: {pause_ms: 0}}}
"""


@pytest.fixture
def three(flexwatt, functions):
    flexwatt.workflow(WORKFLOW)
    return [flexwatt.json("run", "workflow.yaml")["run"] for _ in range(3)]


def assert_gone(flexwatt, run):
    assert run not in run_ids(flexwatt)
    for table, in query(flexwatt, "select name from sqlite_schema where type = 'table'"):
        assert run not in str(query(flexwatt, f"select * from {table}")), table
    assert not (flexwatt.store.parent / "logs" / run).exists()
    assert not (flexwatt.data / "runs" / run).exists()


def test_nothing_yet(flexwatt):
    assert flexwatt("runs").stdout == "no runs yet\n" and flexwatt.json("runs") == []
    assert not flexwatt.store.exists()


def test_the_list_is_newest_first_and_shows_kept_disk(flexwatt, three):
    lines = flexwatt("runs").stdout.splitlines()
    assert lines[0].split() == ["run", "workflow", "state", "started", "makespan", "energy", "cost", "carbon", "disk"]
    for line, run in zip(lines[1:], reversed(three)):
        assert re.fullmatch(rf"  {run}  keep      ok     \d{{4}}-\d\d-\d\d \d\d:\d\d +[\d.]+ m?s +[\d.]+ [mµ]?J m +\$[\d.]+ +"
                            r"[\d.]+ [µm]g +[\d.]+ k?B", line), line
    listed = flexwatt.json("runs")
    assert [run["run"] for run in listed] == three[::-1]
    assert all(run["disk_bytes"] > 0 and run["totals"]["modelled"] for run in listed)
    (flexwatt.data / "runs" / three[0] / "big").write_bytes(b"x" * 5_000_000)
    assert flexwatt.json("runs")[2]["disk_bytes"] >= listed[2]["disk_bytes"] + 5_000_000
    assert " 5." in flexwatt("runs").stdout.splitlines()[3].split("g ")[-1]


def test_rm_takes_rows_logs_attempts_and_outputs(flexwatt, three):
    tails = [run.rsplit("-", 1)[1] for run in three]
    assert flexwatt("runs", "rm", tails[0], tails[2]).stdout == f"removed {three[0]}\nremoved {three[2]}\n"
    for run in (three[0], three[2]):
        assert_gone(flexwatt, run)
    assert flexwatt.json("show", three[1])["state"] == "ok" and len(flexwatt.outputs(three[1])) == 2
    assert "no run" in flexwatt("runs", "rm", three[0], status=2).stderr


def test_rm_works_when_the_storage_is_gone(flexwatt, three):
    flexwatt.data.rename(flexwatt.directory / "elsewhere")
    assert re.search(r" –$", flexwatt("runs").stdout.splitlines()[1]), "disk that cannot be known"
    flexwatt("runs", "rm", three[0])
    assert sorted(run_ids(flexwatt)) == sorted(three[1:])


def test_rm_takes_an_interrupted_run_and_its_orphans(flexwatt, functions):
    flexwatt.workflow(WORKFLOW.replace("pause_ms: 0", "pause_ms: 60000"))
    process = flexwatt.start("run", "workflow.yaml")
    wait_until(lambda: query(flexwatt, "select 1 from event where text like '%\"started\"%'"))
    kill(process)
    process.communicate()
    run, = run_ids(flexwatt)
    assert list((flexwatt.data / "runs" / run / ".attempts").iterdir())
    flexwatt("runs", "rm", run)
    assert_gone(flexwatt, run)


def test_prune_keeps_the_newest(flexwatt, three):
    assert flexwatt("runs", "prune", "--keep", 1).stdout == "removed 2 of 3 runs\n"
    assert run_ids(flexwatt) == three[2:]
    for run in three[:2]:
        assert_gone(flexwatt, run)


def test_prune_by_age(flexwatt, three):
    assert flexwatt("runs", "prune", "--older", "1h").stdout == "removed 0 of 3 runs\n"
    began = min(run["wall_ms"] for run in flexwatt.json("runs"))
    wait_until(lambda: time.time() * 1000 > began + 1100)
    removed = flexwatt("runs", "prune", "--older", "1s").stdout
    assert re.fullmatch(r"removed [123] of 3 runs\n", removed) and three[0] not in run_ids(flexwatt)


@pytest.mark.parametrize("arguments, message", [
    (["prune"], "say which runs may go"), (["prune", "--keep", 1, "--older", "1d"], "say which runs may go"),
    (["prune", "--older", "soon"], "'soon' is not an age"), (["rm"], "RUN is missing"), (["drop"], "unknown word 'drop'"),
    (["--keep", 3], "go with prune"),
])
def test_wrong_usage_is_told_and_removes_nothing(flexwatt, three, arguments, message):
    refused = flexwatt("runs", *arguments, status=2)
    assert message in refused.stderr and sorted(run_ids(flexwatt)) == sorted(three)
