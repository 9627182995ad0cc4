# SPDX-License-Identifier: Apache-2.0
"""What a record says was measured is the invocation's own: read at its end, or null and flagged."""
import os

import pytest

pytestmark = pytest.mark.alone

HEAD = """
    name: measured
    storage: ./data
    function: {package: ./functions}
    defaults: {memory: 128, timeout: 30, retries: 0}
    stages:
"""
COUNTERS = ("faults_minor", "faults_major", "switches_voluntary", "switches_involuntary", "throttled_ms")


def records_of(flexwatt, stages, status=0):
    flexwatt.workflow(HEAD + stages)
    return flexwatt.records(flexwatt.json("run", "workflow.yaml", status=status)["run"])


def test_an_invocation_of_50_ms_has_its_counters_and_its_peak_always(flexwatt, functions):
    records = records_of(flexwatt, """
      many: {handler: make, workers: 40, outputs: {out: {suffix: .txt}}, params: {pause_ms: 60}}
      burn: {handler: burn, workers: 1, after: [many], params: {cpu_ms: 100}}
    """)
    assert len(records) == 41
    for record in records:
        assert record["duration_ms"] >= 50
        for counter in COUNTERS:
            assert record[counter] is not None, (counter, record)
        assert 0.1 < record["memory_peak_mb"] <= record["memory_peak_high_mb"]
        assert record["flags"] is None or "unsampled" not in record["flags"]
    assert records[-1]["throttled_ms"] > 0  # how much, depends on who else wants the CPU


def test_memory_that_is_held_at_the_end_is_the_peak(flexwatt, functions):
    record, = records_of(flexwatt, "      eat: {handler: eat, workers: 1, memory: 512, params: {mb: 60}}")
    assert 60 <= record["memory_peak_mb"] < 80


def test_a_worker_that_is_gone_has_a_bound_and_no_peak(flexwatt, functions):
    record, = records_of(flexwatt, "      eat: {handler: eat, workers: 1, params: {mb: 400}}", status=1)
    assert record["status"] == "out_of_memory"
    assert record["memory_peak_mb"] is None and record["memory_average_mb"] is None
    assert "memory_unsampled" in record["flags"].split()
    assert record["memory_peak_high_mb"] == pytest.approx(128, abs=4)


def test_a_worker_that_is_ended_for_its_timeout_was_sampled_before(flexwatt, functions):
    record, = records_of(flexwatt, "      hang: {handler: hang, workers: 1, timeout: 1}", status=1)
    assert record["status"] == "timeout"
    assert 0.1 < record["memory_peak_mb"] <= record["memory_peak_high_mb"]


def test_a_task_larger_than_the_machine_is_charged_the_making_of_the_cpus_that_it_has(flexwatt, functions):
    records = records_of(flexwatt, """
      one: {handler: noop, workers: 1, memory: 1769}
      large: {handler: noop, workers: 1, memory: 10240, after: [one]}
    """)
    one, large = ({**record, "rate": record["embodied_gco2e"] / record["duration_ms"]} for record in records)
    cpus = min(6, len(os.sched_getaffinity(0)))
    assert one["cpus_visible"] == min(2, cpus) and large["cpus_visible"] == cpus
    assert large["rate"] / one["rate"] == pytest.approx(min(10240 / 1769, cpus), rel=1e-6)
