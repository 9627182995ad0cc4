# SPDX-License-Identifier: Apache-2.0
"""The meter inside the workers of another framework: a Lithops map on this machine (PyPI lithops), each call with its joules."""
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/e2e"))
from test_meter import environment, installed, library  # noqa: E402,F401

DEADLINE_S = 120
CALL = re.compile(r"call (\d): sum ([\d.]+), ([\d.]+) s, ([\d.]+) J \(([\d.]+) to ([\d.]+)\) by (\S+)")


@pytest.fixture(scope="module")
def interpreter():
    return subprocess.run([ROOT / "scripts/venv", "lithops", "lithops==3.6.1"], stdout=subprocess.PIPE, text=True, check=True,
                          timeout=300).stdout.strip()


def kill_all_of(name):
    """Lithops leaves a process that cleans up, and others where it hangs: all that have our name in their environment."""
    for path in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if f"USER={name}\0".encode() in (path / "environ").read_bytes():
                os.kill(int(path.name), signal.SIGKILL)
        except OSError:
            continue


@pytest.fixture
def lithops(tmp_path, environment, interpreter):  # noqa: F811
    """Runs a script as a user of its own name, whose files in /tmp are apart from everyone's."""
    name = f"flexwatt-test-{os.getpid()}"
    environment = {**environment, "USER": name, "HOME": str(tmp_path)}

    def run(script):
        process = subprocess.Popen([interpreter, script], env=environment, cwd=tmp_path, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True)
        try:
            output, errors = process.communicate(timeout=DEADLINE_S)
        except subprocess.TimeoutExpired:
            kill_all_of(name)
            output, errors = process.communicate()
            pytest.fail(f"no end within {DEADLINE_S} s\n{output}\n{errors}")
        assert process.returncode == 0, errors
        return output
    yield run
    kill_all_of(name)
    shutil.rmtree(f"/tmp/lithops-{name}", ignore_errors=True)


def test_each_call_of_a_map_has_its_own_joules(lithops):
    calls = [match.groups() for match in CALL.finditer(lithops(ROOT / "examples/meter/lithops_meter.py"))]
    assert [int(call[0]) for call in calls] == [0, 1]
    assert [float(call[1]) for call in calls] == [pytest.approx(sum(1 / i for i in range(1, n)), abs=1e-3) for n in (2_000_000, 4_000_000)]
    for _, _, seconds, joules, low, high, source in calls:
        assert 0 < float(seconds) < DEADLINE_S and 0 < float(low) <= float(joules) <= float(high) and source
    assert float(calls[0][2]) < float(calls[1][2]), "twice the work takes longer"
