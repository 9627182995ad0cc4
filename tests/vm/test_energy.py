# SPDX-License-Identifier: Apache-2.0
"""Joules of records on another kernel, with cgroup v2 alone, where nothing else runs: BPF tells whose work it was, and the
machine is idle at times, so that its floor can be known."""
import statistics

import pytest
from test_energy_truth import CPUS, FLOOR_W, LONG_MS, MIX, check_intervals, judged, loads  # noqa: F401 - fixtures

QUIET = "      quiet:     {handler: work, workers: 1, memory: 442, params: {mark: quiet, rest_ms: 3000}}\n"


@pytest.fixture
def after_quiet():
    """The mix, after a time in which the machine has nothing to do."""
    head, stages = MIX.split("    stages:\n")
    return head + "    stages:\n" + QUIET + stages.replace("{handler:", "{after: [quiet], handler:")


def error(told, true):
    return abs(told - true) / true


def test_bpf_tells_whose_joules_they_are(judged, after_quiet):  # noqa: F811
    """Each within its interval; half of them within five percent, though an emulated CPU may stand still at any moment."""
    invocations = judged(after_quiet, update_us=2000)
    long = [one for one in invocations if one.record["duration_ms"] >= LONG_MS]
    working = [one for one in long if one.dynamic_j > 0.5]
    for one in invocations:
        assert one.figure()["source"] == "ebpf+rapl" and one.figure()["method"].endswith(" ebpf")
    assert len(working) >= 8
    assert statistics.median(error(one.figure()["dynamic_j"], one.dynamic_j) for one in working) < 0.05
    assert statistics.median(error(one.figure()["idle_j"], one.idle_j(FLOOR_W, CPUS)) for one in long) < 0.05
    check_intervals(invocations)
