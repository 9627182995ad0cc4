# SPDX-License-Identifier: Apache-2.0
"""What the tests in the guest share: users, delegated control groups, and the check that nothing stays behind."""
import os
import pathlib
import shutil
import time

import pytest

from conftest import FUNCTIONS, Flexwatt, flexwatt, functions, nothing_stays_behind  # noqa: F401 - fixtures

CGROUPS = pathlib.Path("/sys/fs/cgroup")
USER = 1000
CONTROLLERS = "+cpu +memory +pids"


class AsUser(Flexwatt):
    """The program as a normal user starts it, in a control group of the test's choice."""

    def __init__(self, directory, group):
        super().__init__(directory)
        self.group = group
        self.env["HOME"] = "/home/user"

    def options(self):
        for path in [self.directory, *self.directory.rglob("*")]:
            os.chown(path, USER, USER)
        return {"preexec_fn": self.become_user}

    def become_user(self):
        # Where an engine has handed the controllers down the group itself may hold nobody.
        aside = self.group / "flexwatt" / "engine"
        ((aside if aside.exists() else self.group) / "cgroup.procs").write_text("0")
        os.setgroups([])
        os.setresgid(USER, USER, USER)
        os.setresuid(USER, USER, USER)

    def __call__(self, *arguments, **options):
        return super().__call__(*arguments, **self.options(), **options)

    def start(self, *arguments, **options):
        return super().start(*arguments, **self.options(), **options)


def remove_group(group):
    (group / "cgroup.kill").write_text("1")
    deadline = time.monotonic() + 10
    while group.exists():
        for directory, _, _ in os.walk(group, topdown=False):
            try:
                os.rmdir(directory)
            except OSError as reason:
                assert time.monotonic() < deadline, f"{directory}: {reason}: {processes_in(group)}"


def processes_in(group):
    return [int(pid) for path in group.rglob("cgroup.procs") for pid in path.read_text().split()]


def delegate(group):
    """Hands a group to the user, as systemd does for a scope with Delegate=yes."""
    group.mkdir(parents=True)
    for path in [group, *(group / name for name in ("cgroup.procs", "cgroup.subtree_control", "cgroup.threads"))]:
        os.chown(path, USER, USER)
    return group


@pytest.fixture
def home(request):
    directory = pathlib.Path("/home/user") / request.node.name.translate(str.maketrans("[]", "--"))
    directory.mkdir(parents=True)
    (directory / "functions").mkdir()
    shutil.copy(FUNCTIONS, directory / "functions" / "bootstrap")
    yield directory
    shutil.rmtree(directory)


@pytest.fixture
def delegated(home):
    """flexwatt as a user whose control group is delegated to that user."""
    group = delegate(CGROUPS / "delegated")
    yield AsUser(home, group)
    left = {path.name for path in group.glob("*/*") if path.is_dir()}, processes_in(group)
    remove_group(group)
    assert left in [({"engine"}, []), (set(), [])]


@pytest.fixture
def undelegated(home):
    """flexwatt as a user whose control group belongs to root."""
    group = CGROUPS / "undelegated"
    group.mkdir()
    yield AsUser(home, group)
    remove_group(group)


def user_processes():
    """Every process but the kernel's own threads, by what it was started as."""
    found = {}
    for path in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            command = (path / "cmdline").read_bytes()
        except OSError:
            continue
        if command:
            found[int(path.name)] = command.replace(b"\0", b" ").decode(errors="replace")
    return found


def loop_devices():
    return {str(path) for path in pathlib.Path("/sys/block").glob("loop*/loop")}


@pytest.fixture(autouse=True)
def no_process_stays_behind():
    before, loops = user_processes(), loop_devices()
    yield
    deadline = time.monotonic() + 10
    while (left := {pid: command for pid, command in user_processes().items() if pid not in before} or
           loop_devices() - loops):
        assert time.monotonic() < deadline, f"stayed behind: {left}"
        time.sleep(0.05)


def wait_until(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.05)
    return value
