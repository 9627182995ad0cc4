# SPDX-License-Identifier: Apache-2.0
"""What the end-to-end tests share: the real binary, a store and a storage of their own, workflows written on the spot."""
import concurrent.futures
import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import sqlite3
import subprocess
import textwrap
import time

import pytest

SOURCE = pathlib.Path(__file__).resolve().parents[2]
BUILD = (SOURCE / os.environ.get("FLEXWATT_BUILD", "build/test")).resolve()
BINARY = BUILD / "src" / "cli" / "flexwatt"
DEADLINE_S = 120

# Whatever started pytest may have left signals ignored (nohup, a shell's background), and programs inherit that.
for ignored in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM):
    if signal.getsignal(ignored) == signal.SIG_IGN:
        signal.signal(ignored, signal.default_int_handler if ignored == signal.SIGINT else signal.SIG_DFL)


def pytest_configure(config):
    config.addinivalue_line("markers", "alone: measures time, CPU, energy or rates, or what all of this machine share: nothing may run beside it")


def pytest_collection_modifyitems(items):
    """What is compared with a simulated machine is measured on a real one, which others may disturb for a moment."""
    for item in items:
        used = set(getattr(item, "fixturenames", ()))
        if {"judged", "counters", "machine", "gpu"} & used:
            item.add_marker(pytest.mark.flaky(reruns=2))
        if {"judged", "counters", "machine", "gpu", "powercap"} & used:
            item.add_marker(pytest.mark.alone)


class Flexwatt:
    """The real program as a user runs it, in a directory of its own."""

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.store = self.directory / "state" / "flexwatt.db"
        self.data = self.directory / "data"
        self.data.mkdir(parents=True, exist_ok=True)
        self.env = dict(
            os.environ,
            FLEXWATT_STORE=str(self.store),
            FLEXWATT_DATA=str(SOURCE / "data"),
            FLEXWATT_LIBEXEC=str(BUILD / "src" / "function"),
            ASAN_OPTIONS="detect_leaks=1:exitcode=99",
            UBSAN_OPTIONS="halt_on_error=1:exitcode=99",
            LC_ALL="C.UTF-8",
        )
        self.env.pop("NO_COLOR", None)

    def __call__(self, *arguments, status=0, timeout=DEADLINE_S, **options):
        """Runs to the end and checks the exit status (None: that the run ended, whatever became of its tasks)."""
        done = subprocess.run(
            [str(BINARY), *map(str, arguments)], env=self.env, cwd=self.directory, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=timeout, **options)
        assert done.returncode == status or (status is None and done.returncode in (0, 1)), f"exit status {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def start(self, *arguments, **options):
        return subprocess.Popen(
            [str(BINARY), *map(str, arguments)], env=self.env, cwd=self.directory, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)

    def json(self, *arguments, status=0, **options):
        return json.loads(self(*arguments, "--json", status=status, **options).stdout)

    def records(self, run, task=None):
        return self.json("show", run, *(["--task", task] if task else ["--logs"]))

    def write(self, path, text, mode=0o644):
        target = self.directory / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(textwrap.dedent(text))
        target.chmod(mode)
        return target

    def package(self, name, bootstrap):
        """A package whose bootstrap is this script."""
        self.write(f"{name}/bootstrap", bootstrap, 0o755)
        return f"./{name}"

    def workflow(self, text, name="workflow.yaml"):
        return self.write(name, text)

    def outputs(self, run):
        """Every published object of a run and its bytes."""
        root = self.data / "runs" / run
        return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


@pytest.fixture
def flexwatt(tmp_path):
    made = Flexwatt(tmp_path)
    yield made
    for run, in query(made, "select run from run where state = 'running'"):
        made("runs", "rm", run)  # what a killed engine left and no test took up


def cgroups_of_ours():
    """Control groups that flexwatt made and that are still there."""
    found = set()
    for top in ["/sys/fs/cgroup", *pathlib.Path("/sys/fs/cgroup").glob("*/")]:
        try:
            found |= {str(group) for group in pathlib.Path(top, "flexwatt").iterdir() if group.name.startswith("fw-")}
        except OSError:
            continue  # none here, or the run of another test has just taken its own away
    return found


def runs_below(directory):
    """Ids of the runs that a test made, also of those that were refused or removed since: their groups bear them."""
    return {part for path in directory.rglob("*") for part in [path.name] if re.fullmatch(r"\d{8}-\d{6}-\w{3}", part)}


def loop_devices_below(directory):
    """Block devices whose file lies, or lay, below a directory: they hold the private /tmp of sandboxes."""
    found = set()
    for path in pathlib.Path("/sys/block").glob("loop*/loop/backing_file"):
        try:
            if path.read_text().startswith(str(directory)):
                found.add(path.parts[3])
        except OSError:
            continue  # detached in this moment
    return found


@pytest.fixture(autouse=True)
def nothing_stays_behind(tmp_path):
    """After every test: of its runs no group (so no process), mount, block device or file of a worker's uid is left. Other
    runs on this machine are others' affair."""
    before = cgroups_of_ours()
    yield
    runs = runs_below(tmp_path)
    left = {group for group in cgroups_of_ours() - before if any(f"/fw-{run}-" in group for run in runs)}
    assert not left, f"control groups stayed behind: {left}"
    assert str(tmp_path) not in pathlib.Path("/proc/self/mountinfo").read_text(), "mounts stayed behind"
    assert not loop_devices_below(tmp_path), "loop devices stayed behind"
    strangers = [path for path in tmp_path.rglob("*") if path.lstat().st_uid != os.geteuid()]
    assert not strangers, f"files of workers stayed behind: {strangers[:5]}"


def tool(name):
    """A program that a test needs; setup installs it."""
    found = shutil.which(name)
    assert found, f"{name} is missing: scripts/setup test installs it"
    return found


def kill(process):
    process.send_signal(signal.SIGKILL)
    process.wait(timeout=10)


FUNCTIONS = BUILD / "tests" / "tools" / "test-functions"


@pytest.fixture
def functions(flexwatt):
    """A package with the test functions (tests/tools/functions.c); its name in a workflow file."""
    package = flexwatt.directory / "functions"
    package.mkdir()
    shutil.copy(FUNCTIONS, package / "bootstrap")
    return "./functions"


@pytest.fixture
def scripted(flexwatt):
    """A package whose function is the Python text in params.code (tests/tools/scripted_bootstrap.py)."""
    package = flexwatt.directory / "scripted"
    package.mkdir()
    shutil.copy(SOURCE / "tests/tools/scripted_bootstrap.py", package / "bootstrap")
    return "./scripted"


def query(flexwatt, sql):
    """What a second process sees in the store; nothing while it is not there yet."""
    try:
        with contextlib.closing(sqlite3.connect(f"file:{flexwatt.store}?mode=ro", uri=True)) as store:
            return store.execute(sql).fetchall()
    except sqlite3.DatabaseError:
        return []


def events_of(flexwatt):
    """The event log of the only run."""
    return [json.loads(text) for text, in query(flexwatt, "select text from event order by seq")]


def counted(kind, count):
    """Whether a log holds so many events of a kind, "started" or "ended"."""
    return lambda events: sum(event["event"] == kind for event in events) >= count


def run_ids(flexwatt):
    return [run for run, in query(flexwatt, "select run from run")]


def wait_until(condition, seconds=DEADLINE_S):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.01)


@contextlib.contextmanager
def meanwhile(action, *arguments):
    """Does something beside what is within; its failure is the test's."""
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        done = pool.submit(action, *arguments)
        yield
        done.result()
