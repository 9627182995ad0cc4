# SPDX-License-Identifier: Apache-2.0
"""A normal user whose manager gives scopes: the engine is moved into one of its own, in which limits are enforced. The
manager is a stand-in that does with the request what systemd does: the group, its owner, the process."""
import subprocess
import threading

import pytest

from guest_support import CGROUPS, USER, delegate, processes_in, remove_group, wait_until
from test_limits import CHAIN, HEAD

CONTROLLERS = "+cpu +memory +pids"
SLICE = CGROUPS / f"user.slice/user-{USER}.slice/user@{USER}.service/app.slice"
BUSCTL = """#!/bin/sh
for word in "$@"; do echo "$word"; done >"$MANAGER/asked.new"
mv "$MANAGER/asked.new" "$MANAGER/asked"
until [ -e "$MANAGER/answer" ]; do sleep 0.05; done
status=$(cat "$MANAGER/answer")
rm "$MANAGER/answer"
exit "$status"
"""


class Manager(threading.Thread):
    """What the user's manager and process 1 do together, for every request."""

    def __init__(self, directory, refuses):
        super().__init__(daemon=True)
        self.directory, self.refuses, self.requests, self.stopped = directory, refuses, [], False

    def run(self):
        asked = self.directory / "asked"
        while not self.stopped:
            try:
                wait_until(lambda: self.stopped or asked.exists(), seconds=500)
            except AssertionError:
                return
            if not self.stopped:
                self.requests.append(asked.read_text().splitlines())
                asked.unlink()
                answer = self.directory / "answer.new"
                answer.write_text("1" if self.refuses else "0")
                if not self.refuses:
                    self.give(self.requests[-1])
                answer.rename(self.directory / "answer")

    @staticmethod
    def give(request):
        scope = delegate(SLICE / request[request.index("ssa(sv)a(sa(sv))") + 1])
        (scope / "cgroup.procs").write_text(request[request.index("au") + 2])


@pytest.fixture
def managed(undelegated, request):
    """flexwatt as a user in a group that belongs to root, with a manager."""
    directory = undelegated.directory / "manager"
    (directory / "bin").mkdir(parents=True)
    (directory / "bin" / "busctl").write_text(BUSCTL)
    (directory / "bin" / "busctl").chmod(0o755)
    (directory / "bus").touch()
    undelegated.env.update(MANAGER=str(directory), XDG_RUNTIME_DIR=str(directory),
                           PATH=f"{directory / 'bin'}:{undelegated.env['PATH']}")
    SLICE.mkdir(parents=True)
    for group in reversed([SLICE, *SLICE.parents][:4]):
        (group / "cgroup.subtree_control").write_text(CONTROLLERS)
    undelegated.manager = Manager(directory, getattr(request, "param", "gives") == "refuses")
    undelegated.manager.start()
    yield undelegated
    undelegated.manager.stopped = True
    undelegated.manager.join(timeout=10)
    remove_group(CGROUPS / "user.slice")


def scopes():
    return sorted(SLICE.glob("flexwatt-*.scope"))


def run_of(done):
    return done.stdout.split(" run ")[1].split()[0]


def assert_limited(flexwatt, run):
    records = flexwatt.records(run)
    assert {record["status"] for record in records} == {"ok"}
    assert not [record for record in records if "limits_not_enforced" in (record["flags"] or "").split()]
    assert all(0 <= record["throttled_ms"] for record in records), "counted by the control group"


def test_the_engine_gets_a_scope_of_its_own_and_enforces_limits(managed):
    managed.workflow(CHAIN)
    done = managed("run", "workflow.yaml")
    for word in ("memory limit", "CPU quota", "processes", "control group"):
        assert f"no {word}" not in done.stdout
    assert_limited(managed, run_of(done))
    request, = managed.manager.requests
    assert request[:2] == ["--user", "--timeout=5"]
    assert " ".join(request[2:7]) == ("call org.freedesktop.systemd1 /org/freedesktop/systemd1 "
                                      "org.freedesktop.systemd1.Manager StartTransientUnit")
    properties = " ".join(request[request.index("fail") + 1:])
    assert "PIDs au 1 " in properties and "Delegate b true" in properties and "Slice s app.slice" in properties
    scope, = scopes()
    assert processes_in(scope) == [], "nothing of the run is left in it"


def test_others_in_the_session_stay_where_they_are(managed):
    other = subprocess.Popen(["sleep", "1000"], **managed.options())
    try:
        managed.workflow(CHAIN)
        assert_limited(managed, run_of(managed("run", "workflow.yaml")))
        assert str(other.pid) in (managed.group / "cgroup.procs").read_text().split()
    finally:
        other.kill()
        other.wait()


@pytest.mark.parametrize("managed", ["refuses"], indirect=True)
def test_where_the_manager_refuses_it_runs_and_says_what_is_not_enforced(managed):
    managed.workflow(CHAIN)
    done = managed("run", "workflow.yaml")
    assert len(managed.manager.requests) == 1 and not scopes()
    assert "memory" in done.stdout.partition("note: ")[2]
    assert all("limits_not_enforced" in record["flags"].split() for record in managed.records(run_of(done)))


def test_what_a_killed_engine_left_in_its_scope_is_ended_by_resume(managed):
    managed.workflow(HEAD + """
      made: {handler: make, workers: 2, outputs: {out: {suffix: .txt}}}
      held: {handler: copy, workers: 2, inputs: {in: made.out}, outputs: {out: {suffix: .txt}}, params: {pause_ms: 3000}}
    """)
    engine = managed.start("run", "workflow.yaml")
    wait_until(lambda: len(list(managed.data.glob("runs/*/.attempts/*/held-*"))) == 2)
    engine.kill()
    engine.wait(timeout=10)
    first, = scopes()
    assert list(first.glob("flexwatt/fw-*")), "a killed engine removes nothing"
    run = managed.json("runs")[0]["run"]
    assert managed.json("run", "--resume", run)["state"] == "ok"
    assert len(scopes()) == 2, "the engine that resumed has its own"
    assert not [group for scope in scopes() for group in scope.glob("flexwatt/fw-*")]


def test_commands_that_run_nothing_ask_for_no_scope(managed):
    managed.workflow(CHAIN)
    managed("check", "workflow.yaml")
    managed("runs")
    assert managed.manager.requests == []
