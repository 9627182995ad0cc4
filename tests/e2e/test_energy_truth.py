# SPDX-License-Identifier: Apache-2.0
"""Joules of records against a machine whose energy is known (tests/tools/simulator), for functions of many kinds.

How much of the power is idle floor, a reader can only learn where the machine is idle at times, and a machine that runs tests
may never be. So what is judged here is what load cannot excuse: given the floor that the reader itself applied, each
invocation has what its CPU time cost, and the interval holds the truth.
"""
import os
import shutil
import subprocess
import sys

import pytest
from conftest import BUILD, counted, events_of, meanwhile, wait_until
from energy_machine import known_machine

pytestmark = pytest.mark.alone

FLOOR_W, CORE_W, DRAM_FLOOR_W, DRAM_CORE_W = 10, 20, 1, 2
CPUS = os.cpu_count()
LONG_MS = 100
MIX = """
    name: mix
    storage: ./data
    function: {package: ./loads}
    defaults: {timeout: 60, retries: 0, memory: 884}
    stages:
      busy:      {handler: work, workers: 3, memory: 1769, params: {mark: busy, cpu_ms: 300}}
      throttled: {handler: work, workers: 3, memory: 128, params: {mark: throttled, cpu_ms: 30}}
      bursts:    {handler: work, workers: 20, params: {mark: bursts, cpu_ms: 10, rest_ms: 10}}
      sleepers:  {handler: work, workers: 3, memory: 256, params: {mark: sleepers, rest_ms: 300}}
      turns:     {handler: work, workers: 3, params: {mark: turns, cpu_ms: 10, rest_ms: 20, rounds: 10}}
      children:  {handler: children, workers: 2, params: {mark: children, count: 20, cpu_ms: 8}}
"""
TURNS = """
    name: turns
    storage: ./data
    function: {package: ./loads}
    defaults: {timeout: 60, retries: 0, memory: 884}
    stages:
      turns: {handler: work, workers: 16, params: {mark: turns, cpu_ms: 10, rest_ms: 10, rounds: 15}}
"""


@pytest.fixture
def loads(flexwatt):
    (flexwatt.directory / "loads").mkdir()
    shutil.copy(BUILD / "tests/tools/test-loads", flexwatt.directory / "loads/bootstrap")


def trouble(flexwatt, machine, during):
    """Each command as soon as so many invocations of the run have ended."""
    for count, command in during:
        wait_until(lambda: counted("ended", count)(events_of(flexwatt)))
        assert machine(command)


@pytest.fixture
def judged(flexwatt, loads):
    """Runs a workflow on the known machine and returns what is true of each of its invocations."""
    def run(workflow=MIX, during=(), **options):
        flexwatt.workflow(workflow)
        options = {"floor": FLOOR_W, "core": CORE_W, "dram_floor": DRAM_FLOOR_W, "dram_core": DRAM_CORE_W, **options}
        with known_machine(flexwatt.directory / "machine", **options) as machine:
            with meanwhile(trouble, flexwatt, machine, during):
                told = flexwatt.json("run", "workflow.yaml", "--counters-root", machine.root)
        records = flexwatt.records(told["run"])
        invocations = machine.truth.invocations(records)
        assert len(invocations) == len(records)
        for one in invocations:
            one.late_j = (0.002 + machine.truth.summary["latest_ns"] / 1e9) * (FLOOR_W + CORE_W * CPUS)
        return invocations
    return run


def applied_floor_w(invocation, figure):
    """What the reader took for the floor, from what it booked as idle."""
    return figure["idle_j"] / invocation.idle_j(1, CPUS)


def expected_j(invocation, figure, core_w=CORE_W, floor_w=FLOOR_W):
    return invocation.dynamic_j * core_w / CORE_W + (floor_w - applied_floor_w(invocation, figure)) * invocation.share_s


def check_dynamic(invocations, within=0.06):
    """Each invocation, but for what the counter was late at worst: of that a reader cannot know."""
    for invocation in invocations:
        figure = invocation.figure()
        assert figure["dynamic_j"] == pytest.approx(expected_j(invocation, figure), rel=within, abs=invocation.late_j), invocation.record


def check_intervals(invocations):
    held = 0
    for invocation in invocations:
        figure = invocation.figure()
        true_j = invocation.dynamic_j + invocation.idle_j(FLOOR_W, CPUS)
        assert 0 <= figure["low"] <= figure["joules"] <= figure["high"]
        held += figure["low"] - invocation.late_j <= true_j <= figure["high"] + invocation.late_j
    assert held >= 0.9 * len(invocations)


def test_each_invocation_of_a_mix_has_what_its_cpu_time_cost(judged):
    invocations = judged()
    check_dynamic([one for one in invocations if one.record["duration_ms"] >= LONG_MS])
    check_dynamic([one for one in invocations if one.record["duration_ms"] < LONG_MS], within=0.2)
    check_intervals(invocations)


def test_noise_outside_flexwatt_is_nobodys_energy(judged):
    noise = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(CPUS)]
    try:
        invocations = judged()
    finally:
        for process in noise:
            process.kill()
            process.wait()
    check_dynamic([one for one in invocations if one.record["duration_ms"] >= LONG_MS])
    check_intervals(invocations)


def test_who_sleeps_uses_nothing_but_its_part_of_the_idle_floor(judged):
    invocations = judged("""
        name: idle
        storage: ./data
        function: {package: ./loads}
        defaults: {timeout: 60, retries: 0, memory: 884}
        stages:
          sleeper: {handler: work, workers: 1, params: {mark: sleeper, rest_ms: 1000}}
          worker:  {handler: work, workers: 1, memory: 1769, params: {mark: worker, cpu_ms: 500}}
    """)
    figures = {one.record["stage"]: one.figure() for one in invocations}
    assert figures["sleeper"]["dynamic_j"] < 0.02 * figures["worker"]["dynamic_j"]
    assert figures["sleeper"]["idle_j"] > 0


def test_memory_has_a_figure_of_its_own(judged):
    for invocation in judged(TURNS):
        package, memory = invocation.figure(), invocation.figure("dram")
        assert 0 <= memory["low"] <= memory["joules"] <= memory["high"]
        assert memory["joules"] < package["joules"]


def test_of_several_packages_everyone_has_what_they_cost_together(judged):
    """Each with its own counter and floor; whoever runs on one of them uses nothing of the other."""
    invocations = [one for one in judged(packages=2, floor=FLOOR_W / 2) if one.record["duration_ms"] >= LONG_MS]
    check_dynamic(invocations, within=0.1)
    check_intervals(invocations)


@pytest.mark.parametrize("options", [{"bits": 22, "start_uj": 240_000_000}, {"update_us": 5000}], ids=["wraps", "slow-counter"])
def test_counters_that_are_harder_to_read_change_nothing(judged, options):
    """A counter of 256 joules goes round within the run."""
    invocations = [one for one in judged(**options) if one.record["duration_ms"] >= LONG_MS]
    assert any("wrap" in one.figure()["flags"].split() for one in invocations) == ("bits" in options)
    check_dynamic(invocations, within=0.1)
    check_intervals(invocations)


def test_where_the_frequency_changes_work_has_several_prices(judged):
    """Work beside a change, in the same slice, is paid at the mean of both: its interval knows."""
    invocations = [one for one in judged(frequency=["0:1", "1:0.5", "2:2"]) if one.record["duration_ms"] >= LONG_MS]
    check_intervals(invocations)


def whole(invocations):
    return [one for one in invocations if one.figure() and not {"gap", "reset"} & set(one.figure()["flags"].split())]


@pytest.mark.parametrize("during, flag", [
    ([(6, "reset intel-rapl:0")], "reset"),
    ([(5, "stick intel-rapl:0"), (9, "free intel-rapl:0")], "gap"),
    ([(5, "garble intel-rapl:0"), (9, "mend intel-rapl:0")], "gap"),
    ([(5, "vanish intel-rapl:0"), (9, "restore intel-rapl:0")], "gap"),
], ids=["reset", "stuck", "garbled", "vanished"])
def test_trouble_with_the_counter_is_told_and_spoils_nothing_else(judged, during, flag):
    """What is touched by it says so, and its interval holds the truth; everyone else's joules are as right as ever."""
    invocations = judged(TURNS, during)
    touched = [one for one in invocations if one.figure() and flag in one.figure()["flags"].split()]
    assert touched or len(whole(invocations)) < len(invocations)
    check_dynamic(whole(invocations), within=0.1)
    check_intervals([one for one in invocations if one.figure()])
    for one in invocations:
        assert one.record["status"] == "ok" and (figure := one.figure() or {"dynamic_j": 1, "idle_j": 0})
        assert figure["dynamic_j"] > 0 and figure["idle_j"] >= 0


def test_without_its_packages_what_memory_used_is_no_figure_of_the_machine(judged, flexwatt):
    """The package's counter alone fails: measured joules of memory stand there, and the model stands in for the machine."""
    invocations = judged(TURNS, [(1, "garble intel-rapl:0")])
    alone = [one.record for one in invocations if not one.figure() and one.figure("dram")]
    assert alone
    for record in alone:
        grams = record["grid_gco2e_per_kwh"] * record["pue"] / 3.6e6
        model_j = sum(row["joules"] for row in record["energy"] if row["source"] == "model" and row["domain"] in ("package", "dram"))
        assert record["operational_gco2e"] == pytest.approx(model_j * grams, rel=1e-6)


@pytest.mark.parametrize("options", [{"unit_nj": 15_258_789}, {"jitter_us": 900}], ids=["coarse", "jitter"])
def test_a_counter_of_large_steps_or_uneven_updates_is_known_for_it(judged, options):
    """Steps of 15 mJ as psys of some servers has, or updates whose times nobody knows: the interval says what that costs."""
    invocations = judged(TURNS, **options)
    check_dynamic(invocations, within=0.1)
    check_intervals(invocations)
