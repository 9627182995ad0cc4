# SPDX-License-Identifier: Apache-2.0
"""Energy counters that advance while a run takes place: every record has joules of them, what is handed out and what is left
is what was measured, and trouble with a counter is told and stops nothing."""
import json
import os
import threading

import pytest
from energy_machine import WORKFLOW
from powercap import CPU_W, IDLE_W, powercap

pytestmark = pytest.mark.alone


def run(flexwatt, *options, workflow=WORKFLOW, status=0):
    flexwatt.workflow(workflow)
    return flexwatt.json("run", "workflow.yaml", "--counters-root", flexwatt.directory / "host", *options, status=status)["run"]


def rows(record, domain="package"):
    return [row for row in record["energy"] if row["flags"].startswith("measured") and row["domain"] == domain]


def test_a_run_with_counters_has_measured_joules_beside_the_model(flexwatt, functions, powercap):
    records = flexwatt.records(run(flexwatt))
    assert len(records) == 4
    for record in records:
        package, = rows(record)
        memory, = rows(record, "dram")
        assert package["source"] in ("rapl", "ebpf+rapl") and " ledger/" in package["method"]
        assert 0 <= package["low"] <= package["joules"] <= package["high"]
        assert package["joules"] == pytest.approx(package["dynamic_j"] + package["idle_j"])
        assert memory["joules"] > 0
        seconds = record["duration_ms"] / 1000
        assert package["joules"] < (IDLE_W + os.cpu_count() * CPU_W) * seconds * 1.3
        cpu_s = (record["cpu_user_ms"] + record["cpu_system_ms"]) / 1000
        if cpu_s > 0.1:  # how much of the power is idle, no quiet moment may have told
            assert 0.5 * CPU_W * cpu_s < package["dynamic_j"] < (CPU_W + IDLE_W) * cpu_s * 1.5, package
        modelled = [row for row in record["energy"] if row["source"] == "model"]
        assert modelled and all(row["flags"].startswith("modelled") for row in modelled)
        assert record["operational_gco2e"] == pytest.approx(
            (package["joules"] + memory["joules"]) / 3.6e6 * record["grid_gco2e_per_kwh"] * record["pue"])


def test_what_is_handed_out_and_what_is_left_is_what_was_measured(flexwatt, functions, powercap):
    flexwatt.workflow(WORKFLOW)
    done = flexwatt("run", "workflow.yaml", "--counters-root", flexwatt.directory / "host", "--json")
    summary = json.loads(done.stdout)
    books = flexwatt.json("show", summary["run"])["energy"]
    assert books == summary["energy"] and books["work"] in ("ebpf", "cgroup")
    assert {domain["domain"] for domain in books["domains"]} == {"package", "dram"}
    for domain in books["domains"]:
        parts = sum(domain[part] for part in ("workers_dynamic_j", "workers_idle_j", "system_dynamic_j", "system_idle_j"))
        assert parts == pytest.approx(domain["measured_j"], rel=1e-9) and abs(domain["residual_j"]) < 1e-6
        assert min(domain[part] for part in ("workers_dynamic_j", "workers_idle_j", "system_idle_j")) >= 0
        figures = [row for record in flexwatt.records(summary["run"]) for row in rows(record, domain["domain"])]
        assert sum(row["dynamic_j"] for row in figures) <= domain["workers_dynamic_j"] * 1.001 + 1e-6
        # Between the edges of invocations nothing of the reservation is theirs, and inside nothing is missing.
        assert sum(row["idle_j"] for row in figures) == pytest.approx(domain["workers_idle_j"], rel=0.05, abs=0.05)
    assert abs(books["residual_j"]) < 1e-6
    assert "not read whole" not in flexwatt("show", summary["run"]).stdout
    told = flexwatt("show", summary["run"], "--energy").stdout
    assert "package-0 measured" in told and "idle rest" in told and "residual" in told


def test_threads_of_one_core_are_weighted_on_request(flexwatt, functions, powercap):
    records = flexwatt.records(run(flexwatt, "--smt-weight", "0.5"))
    for record in records:
        method = rows(record)[0]["method"]
        assert method.endswith(" ebpf+smt") or "ebpf" not in method
    for wrong in ("2", "-1", "much"):
        failed = flexwatt("run", "workflow.yaml", "--smt-weight", wrong, status=2)
        assert "--smt-weight" in failed.stderr and "0.5" in failed.stderr


def test_monitors_read_the_counters_of_the_directory_that_is_given(flexwatt, powercap):
    rapl = {m["monitor"]: m for m in flexwatt.json("monitors", "--counters-root", flexwatt.directory / "host")["monitors"]}["rapl"]
    assert rapl["works"] and "1 x package" in rapl["detail"]
    flexwatt.env["FLEXWATT_COUNTERS_ROOT"] = str(flexwatt.directory / "host")
    assert {m["monitor"]: m for m in flexwatt.json("monitors")["monitors"]}["rapl"]["works"]


def test_a_counters_root_that_is_not_there_is_refused_before_anything_starts(flexwatt, functions):
    flexwatt.workflow(WORKFLOW)
    failed = flexwatt("run", "workflow.yaml", "--counters-root", "nowhere", status=3)
    assert "--counters-root" in failed.stderr and "nowhere" in failed.stderr


def run_with(flexwatt, powercap, text):
    """A run of 1.5 s of which the counters show `text` for a third, from its middle on. Every figure is checked."""
    timers = [threading.Timer(at, setattr, (powercap, "spoilt", now)) for at, now in ((0.8, text), (1.3, None))]
    for timer in timers:
        timer.start()
    records = flexwatt.records(run(flexwatt, workflow=WORKFLOW.replace("handler: burn", "handler: make, outputs: {out: {}}")
                                   .replace("cpu_ms: 300", "pause_ms: 1500").replace("workers: 4", "workers: 2")))
    for timer in timers:
        timer.join()
    for record in records:
        assert record["status"] == "ok"
        package, = rows(record)
        assert 0 <= package["low"] <= package["joules"] <= package["high"] and package["joules"] > 0 and package["idle_j"] > 0
        assert package["dynamic_j"] >= 0 and "ok" not in package["flags"].split()
    return records, flexwatt("show", records[0]["run"]).stdout


def test_a_malformed_value_during_a_run_is_told_with_its_reason(flexwatt, functions, powercap):
    records, shown = run_with(flexwatt, powercap, "gibberish\n")
    assert all("gap" in rows(record)[0]["flags"] for record in records)
    assert "package-0 was not read whole (gap, what it showed was no number)" in shown


def test_an_empty_read_during_a_run_is_told_with_its_reason(flexwatt, functions, powercap):
    records, shown = run_with(flexwatt, powercap, "")
    assert all("gap" in rows(record)[0]["flags"] for record in records)
    assert "what it showed was no number" in shown


def test_a_short_read_during_a_run_is_a_reset_and_no_zero(flexwatt, functions, powercap):
    """The first digits of the value alone: it seems to have begun anew, and what that may hide is told."""
    records, shown = run_with(flexwatt, powercap, "2601")
    assert all("reset" in rows(record)[0]["flags"] for record in records)
    assert "package-0 was not read whole (" in shown and "reset" in shown


def test_mistake_17_zones_that_vanish_during_a_run_stop_nothing(flexwatt, functions, powercap):
    """The thread ends and takes its files along: what was not measured has no measured figure, and the model stands in."""
    vanish = threading.Timer(0.8, lambda: (powercap.done.set(), powercap.join(), (powercap.zone / "energy_uj").unlink()))
    vanish.start()
    records = flexwatt.records(run(flexwatt, workflow=WORKFLOW.replace("handler: burn", "handler: make, outputs: {out: {}}").replace("cpu_ms: 300", "pause_ms: 1500")))
    vanish.join()
    for record in records:
        assert record["status"] == "ok" and record["operational_gco2e"] > 0
        for row in rows(record):
            assert row["joules"] > 0 and row["low"] >= 0
    assert any(not rows(record) for record in records)
    assert "package-0 was not read whole (" in flexwatt("show", records[0]["run"]).stdout
