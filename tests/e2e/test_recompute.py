# SPDX-License-Identifier: Apache-2.0
"""flexwatt recompute: the energy of a run comes again from its stored readings, and what differs is told figure by figure."""
import json
import os
import sqlite3
import struct

import pytest
from conftest import events_of, kill, wait_until
from energy_machine import WORKFLOW
from powercap import powercap


@pytest.fixture
def done(flexwatt, functions, powercap):
    """A run with counters that has ended."""
    flexwatt.workflow(WORKFLOW)
    return flexwatt.json("run", "workflow.yaml", "--counters-root", flexwatt.directory / "host")["run"]


def database(flexwatt):
    return sqlite3.connect(flexwatt.env["FLEXWATT_STORE"])


def test_the_same_version_gives_every_figure_again_and_says_so(flexwatt, done):
    before = flexwatt.records(done)
    told = flexwatt.json("recompute", done)
    assert told["changes"] == [] and told["invocations"] == 4 and told["figures"] == 8
    assert told["method"] == told["method_before"] == "ledger/3"
    assert not told["cut_short"] and told["without_readings"] == 0 and not told["stored"]
    books = flexwatt.json("show", done)["energy"]
    assert books == {**books, **told["energy"]}
    assert "nothing changed" in flexwatt("recompute", done).stdout
    assert flexwatt.records(done) == before


def spoil(flexwatt):
    """As another version would have left it: 10 % more in each package's figure."""
    name = "select id from name n where n.run = energy_data.run and n.text"
    with database(flexwatt) as store:
        store.execute("update energy_data set joules = joules * 1.1, dynamic_j = dynamic_j * 1.1"
                      f" where domain in ({name} = 'package') and method in ({name} like '%ledger/%')")


def test_what_a_new_version_changes_is_told_old_and_new_and_stored(flexwatt, done):
    true = flexwatt.records(done)
    grams = flexwatt.json("show", done)["total"]
    spoil(flexwatt)
    spoilt = flexwatt.records(done)
    assert spoilt != true
    dry = flexwatt.json("recompute", done, "--dry-run")
    assert flexwatt.records(done) == spoilt and not dry["stored"]
    assert len(dry["changes"]) == 4
    for change in dry["changes"]:
        assert change["domain"] == "package" and change["old"]["joules"] == pytest.approx(1.1 * change["new"]["joules"])
    printed = flexwatt("recompute", done, "--dry-run").stdout
    assert "-9.09 %" in printed and "nothing was stored" in printed and "dynamic_j" in printed
    told = flexwatt.json("recompute", done)
    assert told["stored"] and told["changes"] == dry["changes"]
    assert flexwatt.records(done) == true
    assert flexwatt.json("show", done)["total"] == grams
    assert flexwatt.json("recompute", done)["changes"] == []


def test_a_run_begins_with_the_floor_of_the_latest_one_on_this_machine_and_its_readings_say_so(flexwatt, done, powercap):
    floor_w, half_w = 19.0625, 0.25
    with database(flexwatt) as store:
        totals = json.loads(store.execute("select totals from run").fetchone()[0])
        for domain in totals["energy"]["domains"]:
            domain.update(floor_w=floor_w, floor_half_w=half_w, floor_basis="quiet", floor_age_s=60.0)
        store.execute("update run set totals = ?", (json.dumps(totals),))
    again = flexwatt.json("run", "workflow.yaml", "--counters-root", flexwatt.directory / "host")["run"]
    elsewhere = flexwatt.directory / "elsewhere"
    elsewhere.symlink_to(flexwatt.directory / "host")
    other = flexwatt.json("run", "workflow.yaml", "--counters-root", elsewhere)["run"]
    with database(flexwatt) as store:
        first = {run: bytes(blob) for run, blob in store.execute("select run, readings from reading where ordinal = 1")}
    inherited = struct.pack("<dd", floor_w, half_w)
    assert inherited in first[again] and inherited not in first[done] and inherited not in first[other]
    assert flexwatt.json("recompute", again)["changes"] == []


def test_rows_of_other_methods_stay(flexwatt, done):
    spoil(flexwatt)
    flexwatt("recompute", done)
    for record in flexwatt.records(done):
        assert [row["source"] for row in record["energy"] if "modelled" in row["flags"]]


def test_a_run_without_counters_has_nothing_to_recompute(flexwatt, functions):
    flexwatt.workflow(WORKFLOW)
    run = flexwatt.json("run", "workflow.yaml", "--counters-root", flexwatt.directory)["run"]
    failed = flexwatt("recompute", run, status=2)
    assert "no stored readings" in failed.stderr and "flexwatt monitors" in failed.stderr
    assert "no run 'nowhere'" in flexwatt("recompute", "nowhere", status=2).stderr
    flexwatt("recompute", status=2)


@pytest.mark.parametrize("damage", ["substr(readings, 1, length(readings) - 1)", "x'48ff'", "x'00'", "'text'", "zeroblob(1000)"])
def test_damaged_readings_are_refused_and_nothing_is_stored(flexwatt, done, damage):
    spoil(flexwatt)
    before = flexwatt.records(done)
    with database(flexwatt) as store:
        store.execute(f"update reading_data set readings = cast({damage} as blob) where ordinal = 1")
    assert "damaged" in flexwatt("recompute", done, status=2).stderr
    assert flexwatt.records(done) == before


def test_a_run_that_has_not_ended_is_refused(flexwatt, done):
    with database(flexwatt) as store:
        start = open(f"/proc/{os.getpid()}/stat").read().rsplit(")", 1)[1].split()[19]
        boot = open("/proc/sys/kernel/random/boot_id").read().strip()
        store.execute("update run set state = 'running', pid = ?, pid_start = ?, boot_id = ?", (os.getpid(), int(start), boot))
    assert "still running" in flexwatt("recompute", done, status=2).stderr
    with database(flexwatt) as store:
        store.execute("update run set state = 'ok'")


def test_a_run_that_was_killed_and_taken_up_has_the_readings_of_both_engines(flexwatt, functions, powercap):
    """What the killed engine read in its last second is lost; everything else comes again."""
    flexwatt.workflow(WORKFLOW.replace("handler: burn, workers: 4, params: {cpu_ms: 300}",
                                       "handler: make, workers: 16, outputs: {out: {}}, params: {pause_ms: 400}"))
    root = flexwatt.directory / "host"
    process = flexwatt.start("run", "workflow.yaml", "--counters-root", root)
    try:
        wait_until(lambda: sum(event["event"] == "ended" for event in events_of(flexwatt)) >= 8)
    finally:
        kill(process)
        process.communicate()
    with database(flexwatt) as store:
        run, = store.execute("select run from run").fetchone()
    flexwatt("run", "--resume", run, "--counters-root", root)
    told = flexwatt.json("recompute", run)
    measured = [record for record in flexwatt.records(run) if any("measured" in row["flags"] for row in record["energy"])]
    assert told["changes"] == [] and told["invocations"] >= 8
    assert told["invocations"] + told["without_readings"] >= len(measured) > 0
    with database(flexwatt) as store:
        heads = [blob for blob, in store.execute("select readings from reading") if bytes(blob).startswith(b"H")]
    assert len(heads) == 2
