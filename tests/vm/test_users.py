# SPDX-License-Identifier: Apache-2.0
"""A normal user: what cannot be enforced is said, what was delegated is used, and everything runs."""
import json
import subprocess

from guest_support import CGROUPS, AsUser, delegate, remove_group, wait_until
from test_limits import CHAIN, HEAD


def test_without_delegation_it_runs_and_says_what_is_not_enforced(undelegated):
    undelegated.workflow(CHAIN)
    done = undelegated("run", "workflow.yaml")
    notes = [line.strip() for line in done.stdout.splitlines() if line.strip().startswith("note: ")]
    print("\n".join(notes))
    assert any("memory" in note and "CPU" in note for note in notes), done.stdout
    assert len(notes) == len(set(notes))
    records = undelegated.records(done.stdout.split(" run ")[1].split()[0])
    assert [record["status"] for record in records] == ["ok"] * 7
    for record in records:
        assert "limits_not_enforced" in record["flags"].split()
        assert record["throttled_ms"] is None, "nobody counted it: null, not 0"
        assert record["cpu_user_ms"] is not None


def test_without_delegation_a_timeout_ends_the_whole_tree(undelegated):
    undelegated.workflow(HEAD + """
      deaf: {handler: hang, workers: 1, timeout: 2, params: {ignore_term: true}}
      daemon: {handler: daemonise, workers: 1}
    """)
    found = {record["stage"]: record["status"] for record in
             undelegated.records(undelegated.json("run", "workflow.yaml", status=1)["run"])}
    assert found == {"deaf": "timeout", "daemon": "ok"}


def test_others_in_the_delegated_group_are_left_where_they_are(home):
    group = delegate(CGROUPS / "delegated")
    flexwatt = AsUser(home, group)
    other = subprocess.Popen(["sleep", "1000"], preexec_fn=flexwatt.become_user)
    try:
        flexwatt.workflow(CHAIN)
        done = flexwatt("run", "workflow.yaml")
        assert "note: no memory limit, CPU quota, limit of processes: other processes are in this control group" in done.stdout
        records = flexwatt.records(done.stdout.split(" run ")[1].split()[0])
        assert {record["status"] for record in records} == {"ok"}
        assert all("limits_not_enforced" in record["flags"].split() for record in records)
        assert str(other.pid) in (group / "cgroup.procs").read_text().split()
    finally:
        other.kill()
        other.wait()
        remove_group(group)


def test_two_engines_share_a_delegated_group(delegated):
    delegated.workflow(HEAD + """
      made: {handler: make, workers: 2, outputs: {out: {suffix: .txt}}, params: {pause_ms: 1500}}
    """)
    first = delegated.start("run", "workflow.yaml", "--json")
    wait_until((delegated.group / "flexwatt" / "engine").exists)
    second = delegated.json("run", "workflow.yaml")["run"]
    out, err = first.communicate(timeout=60)
    assert first.returncode == 0, err
    for run in (json.loads(out)["run"], second):
        assert [record["status"] for record in delegated.records(run)] == ["ok", "ok"]
        assert not [record for record in delegated.records(run) if "limits_not_enforced" in (record["flags"] or "")]
