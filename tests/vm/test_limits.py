# SPDX-License-Identifier: Apache-2.0
"""Limits on cgroup v2: they bite, they are told from the kernel's own events, and nothing stays behind. Each test runs as
root and as a user with a delegated control group."""
import time

import pytest

from guest_support import CGROUPS, processes_in, wait_until

HEAD = """
    name: limits
    storage: ./data
    function: {package: ./functions}
    defaults: {memory: 128, timeout: 60, retries: 0}
    stages:
"""
CHAIN = HEAD + """
      first: {handler: make, workers: 2, outputs: {out: {suffix: .txt}}, params: {count: 2}}
      second: {handler: copy, workers: auto, inputs: {in: first.out}, outputs: {out: {suffix: .txt}}}
      third: {handler: copy, workers: 1, inputs: {in: second.out}, outputs: {out: {suffix: .txt}}}
"""


@pytest.fixture(params=["root", "delegated"])
def limited(request):
    if request.param == "delegated":
        return request.getfixturevalue("delegated")
    flexwatt = request.getfixturevalue("flexwatt")
    request.getfixturevalue("functions")
    return flexwatt


def is_root(flexwatt):
    return not hasattr(flexwatt, "group")


def test_a_chain_is_measured_by_its_control_groups(limited):
    limited.workflow(CHAIN)
    done = limited("run", "workflow.yaml")
    records = limited.records(done.stdout.split(" run ")[1].split()[0])
    assert [record["status"] for record in records] == ["ok"] * 7
    for record in records:
        assert record["cpu_user_ms"] + record["cpu_system_ms"] > 0
        flags = (record["flags"] or "").split()
        assert "limits_not_enforced" not in flags and "throttled_unknown" not in flags
        assert record["throttled_ms"] >= 0, "v2 tells it with the CPU time"
        # A reading that this slow machine could not afford is left out and flagged, never 0; a long one is always read.
        assert (record["memory_peak_mb"] is None) == ("memory_unsampled" in flags)
        assert record["memory_peak_mb"] is not None or record["duration_ms"] < 50
        if record["memory_peak_mb"] is not None:
            assert 0.1 < record["memory_peak_mb"] <= record["memory_peak_high_mb"] <= 128
    for word in ("memory limit", "CPU quota", "processes", "control group"):
        assert f"no {word}" not in done.stdout
    assert is_root(limited) == ("note:" not in done.stdout), done.stdout


def test_out_of_memory_in_itself_and_in_a_child_is_told_from_a_crash(limited):
    limited.workflow(HEAD + """
      eat: {handler: eat, workers: 1, timeout: 110, params: {mb: 400}}
      feed: {handler: eat, workers: 1, timeout: 110, params: {mb: 400, child: true, wait: true}}
      die: {handler: die, workers: 1, params: {how: abort}}
      fit: {handler: eat, workers: 1, timeout: 110, params: {mb: 60, pause_ms: 60}}
    """)
    records = limited.records(limited.json("run", "workflow.yaml", status=1)["run"])
    found = {record["stage"]: record for record in records}
    print([(record["stage"], record["duration_ms"], record["cpu_system_ms"]) for record in records])
    assert {stage: record["status"] for stage, record in found.items()} == {
        "eat": "out_of_memory", "feed": "out_of_memory", "die": "function_error", "fit": "ok"}
    assert found["eat"]["error_type"] == found["feed"]["error_type"] == "Runtime.OutOfMemory"
    assert found["die"]["exit"] == 128 + 6
    assert 60 <= found["fit"]["memory_peak_mb"] <= found["fit"]["memory_peak_high_mb"] <= 128
    assert found["eat"]["memory_peak_mb"] is None and "memory_unsampled" in found["eat"]["flags"].split()


def test_a_burning_function_gets_its_share_of_a_cpu(limited):
    limited.workflow(HEAD + """
      slow: {handler: burn, workers: 1, memory: 256, params: {cpu_ms: 700}}
      after: {handler: burn, workers: 1, memory: 1769, after: [slow], params: {cpu_ms: 700}}
    """)
    records = {r["stage"]: r for r in limited.records(limited.json("run", "workflow.yaml")["run"])}
    share = {stage: (r["cpu_user_ms"] + r["cpu_system_ms"]) / r["duration_ms"] for stage, r in records.items()}
    print("share of a CPU:", share)
    # The limit is never passed; how far a busy machine lets it be reached is that machine's affair.
    assert 0.5 * 256 / 1769 < share["slow"] < 1.15 * 256 / 1769, "0.145 of a CPU"
    assert share["after"] > 2.5 * share["slow"], "a whole CPU, as far as this machine has it"
    print("throttled:", records["slow"]["throttled_ms"], "ms of", records["slow"]["duration_ms"])
    assert records["slow"]["throttled_ms"] > 0.5 * records["slow"]["duration_ms"]
    for record in records.values():
        assert record["faults_minor"] is not None and record["switches_voluntary"] is not None


def test_a_fork_bomb_ends_at_its_limit_and_its_neighbour_goes_on(limited):
    limited.workflow(HEAD + """
      bomb: {handler: fork_bomb, workers: 1, memory: 1024, timeout: 12}
      calm: {handler: make, workers: 1, outputs: {out: {suffix: .txt}}, params: {pause_ms: 1000}}
    """)
    run = limited.json("run", "workflow.yaml", status=1, timeout=100)["run"]
    found = {record["stage"]: record for record in limited.records(run)}
    # Whether it meets the limit of processes or its timeout first is a matter of this machine's speed.
    assert found["bomb"]["status"] in ("function_error", "timeout")
    assert found["calm"]["status"] == "ok"


def test_a_timeout_ends_the_whole_tree(limited):
    limited.workflow(HEAD + """
      deaf: {handler: hang, workers: 1, timeout: 2, params: {ignore_term: true}}
      daemon: {handler: daemonise, workers: 1}
    """)
    began = time.monotonic()
    run = limited.json("run", "workflow.yaml", status=1)["run"]
    assert time.monotonic() - began < 30
    found = {record["stage"]: record for record in limited.records(run)}
    assert found["deaf"]["status"] == "timeout" and found["daemon"]["status"] == "ok"
    assert "Task timed out after 2.00 seconds" in found["deaf"]["error_message"]


def test_tmp_is_bounded_and_no_memory(flexwatt, functions):
    flexwatt.workflow(HEAD + """
      fill: {handler: fill_tmp, workers: 1, memory: 1024, timeout: 110}
    """)
    record, = flexwatt.records(flexwatt.json("run", "workflow.yaml", status=1)["run"])
    assert record["error_type"] == "Tmp.Full" and "No space left on device after 51" in record["error_message"]


def test_orphans_of_a_killed_engine_are_ended_by_resume(limited):
    limited.workflow(HEAD + """
      made: {handler: make, workers: 2, outputs: {out: {suffix: .txt}}}
      held: {handler: copy, workers: 2, inputs: {in: made.out}, outputs: {out: {suffix: .txt}}, params: {pause_ms: 4000}}
    """)
    engine = limited.start("run", "workflow.yaml")
    parent = CGROUPS / ("flexwatt" if is_root(limited) else "delegated/flexwatt")
    wait_until(lambda: len(list(limited.data.glob("runs/*/.attempts/*/held-*"))) == 2)
    assert len(list(parent.glob("fw-*"))) >= 2 and len(processes_in(parent)) >= 4
    engine.kill()
    engine.wait(timeout=10)
    assert list(parent.glob("fw-*")), "a killed engine removes nothing"
    run = limited.json("runs")[0]["run"]
    resumed = limited.json("run", "--resume", run)
    assert resumed["state"] == "ok"
    assert not list(parent.glob("fw-*"))
    outputs = limited.outputs(run)
    assert sorted(outputs[key] for key in outputs if key.startswith("held/")) == [b"0/0\n", b"1/0\n"]
    assert not (limited.data / "runs" / run / ".attempts").exists()
