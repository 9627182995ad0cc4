# SPDX-License-Identifier: Apache-2.0
"""Whole runs behind a proxy that makes faults at random places: they end as undisturbed ones do, and leave nothing behind."""
import re

import pytest

import e2e
from kills import visible
from s3_faults import Fault, FaultProxy, RandomFaults
from test_storage import COPY, application, first_run, flexwatt, videos  # noqa: F401: fixtures

EVERYTHING = """
    name: everything
    storage: %s
    defaults: {memory: 256, timeout: 60, retries: 0}
    stages:
      copy: {function: {command: [cp, "{input.rows}", "{output.copies}"], per: object}, workers: 3,
             inputs: {rows: {keys: "rows/*"}}, outputs: {copies: {suffix: .txt}}}
      count: {function: {command: [sh, -c, 'wc -l <"$1" >"$2"', sh, "{input.table}", "{output.counts}"], per: object}, workers: 3,
              inputs: {table: {keys: "table.csv", range: csv}}, outputs: {counts: {}}}
      large: {function: {command: [sh, -c, 'yes flexwatt | head -c 34000000 >{output.large}']}, workers: 1, outputs: {large: {}}}
      join: {function: {command: [sh, -c, 'cat "$@" >{output.all}', sh, "{input.copies}"]}, workers: 1,
             inputs: {copies: copy.copies}, outputs: {all: {}}}
"""
KINDS = {"slow", "cut", "InternalError", "SlowDown", "short", "flip", "flip_request", "cut_request", "hide", "lose"}

SEEDS = {"minio": 134, "versitygw": 362}  # with which each kind comes


def behind_faults(flexwatt, server, seed, share=0.4):
    """A run of the workflow with another endpoint, and its removal: what it left in between, and the faults that were made."""
    faults = RandomFaults(seed, share)
    with FaultProxy(server.url, random_faults=faults) as proxy:
        run = flexwatt.json("run", "workflow.yaml", "--set", f"storage.endpoint={proxy.url}")["run"]
        flexwatt.nothing_is_left()
        found = visible(flexwatt, run)
        commits = [(event["stage"], event["task"]) for event in e2e.events_of(flexwatt)
                   if event["event"] == "ended" and event["status"] == "ok"]
        assert len(commits) == len(set(commits)), "a task was committed twice"
        flexwatt("runs", "rm", run)
    assert flexwatt.keys("runs/") == []
    return found, faults.made


def test_a_run_behind_a_server_with_faults_gives_the_same(flexwatt, server):
    for number in range(12):
        flexwatt.put(f"rows/{number}", f"row {number}\n" * 1000)
    flexwatt.put("table.csv", b"a,b\n" + b'1,"two\nlines"\n' * 30000)
    flexwatt.workflow(EVERYTHING % flexwatt.storage)
    expected, _ = first_run(flexwatt)
    assert len(expected) == 12 + 3 + 1 + 1
    found, made = behind_faults(flexwatt, server, SEEDS[server.name])
    assert found == expected
    assert made.keys() == KINDS and sum(made.values()) >= 20, made


def test_a_byte_that_was_changed_on_its_way_reaches_no_task(flexwatt, server, proxy):
    """Of a whole object the server tells the checksum; it is fetched again."""
    flexwatt.put("rows/a", "first\n" * 1000)
    flexwatt.workflow(COPY.format(storage=flexwatt.storage.replace(server.url, proxy.url)))
    proxy.faults.append(Fault("flip", method="GET", path="rows/a"))
    run = flexwatt.json("run", "workflow.yaml")["run"]
    assert len(proxy.requests("GET", "rows/a")) == 2
    assert flexwatt.outputs(run)["join/0.1/all/0000-000"] == b"first\n" * 1000


@pytest.mark.parametrize("server", ["minio"], indirect=True)
def test_the_video_application_behind_a_server_with_faults_gives_the_same(flexwatt, server, application):
    flexwatt.workflow(re.sub(r"(?m)^storage: .*$", f"storage: {flexwatt.storage}", application))
    expected, _ = first_run(flexwatt)
    found, made = behind_faults(flexwatt, server, seed=7)
    assert found == expected and sum(made.values()) >= 20
