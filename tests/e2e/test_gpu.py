# SPDX-License-Identifier: Apache-2.0
"""GPUs by NVIDIA's library, played by one of ours: what monitors says of it, and the joules of a command that uses one."""
import json
import subprocess
import sys

import pytest

from conftest import BINARY, BUILD, DEADLINE_S

pytestmark = pytest.mark.alone

# 40 W at all times, counted in steps of 20 ms.
STEADY = "gpus 1\ngpu0.name Stand-in\ngpu0.steady 40 20\ngpu0.instant 40000\n"
# The command tells the driver that it uses half of the GPU, for two seconds.
WORK = """
import os, pathlib, time
state = pathlib.Path(os.environ["NVML_STAND_IN"])
text = state.read_text()
state.write_text(text + f"gpu0.process {os.getpid()} 50\\n")
time.sleep(2)
state.write_text(text)
"""


@pytest.fixture
def gpu(flexwatt):
    """Writes what the driver says."""
    state = flexwatt.directory / "nvml"
    flexwatt.env["FLEXWATT_NVML"] = str(BUILD / "tests/tools/nvml-stand-in.so")
    flexwatt.env["NVML_STAND_IN"] = str(state)
    state.write_text(STEADY)
    return state


def monitor(flexwatt):
    return next(each for each in flexwatt.json("monitors")["monitors"] if each["monitor"] == "nvml")


def measured(flexwatt, *arguments):
    path = flexwatt.directory / "report.json"
    done = subprocess.run([str(BINARY), "measure", "--json", "--output", str(path), *arguments], env=flexwatt.env,
                          cwd=flexwatt.directory, capture_output=True, text=True, timeout=DEADLINE_S)
    assert done.returncode == 0, done.stderr
    report = json.loads(path.read_text())
    return report, next((energy for energy in report["energy"] if energy["source"] == "nvml"), None)


def test_monitors_names_each_gpu_and_how_it_is_shared(flexwatt, gpu):
    told = monitor(flexwatt)
    assert told["works"]
    assert told["detail"] == "gpu-0 Stand-in: a counter, shared by the use of its processes"


@pytest.mark.parametrize("state, said, hint", [
    ("init 18\n", "different versions", "restart the machine"),
    ("init 9\n", "not loaded", "modprobe nvidia"),
    ("gpus 0\n", "has no GPU", "NVIDIA_VISIBLE_DEVICES"),
])
def test_monitors_says_why_the_driver_does_not_work(flexwatt, gpu, state, said, hint):
    gpu.write_text(state)
    told = monitor(flexwatt)
    assert not told["works"] and said in told["detail"] and hint in told["hint"]


def test_a_command_that_uses_a_gpu_has_its_joules_and_one_that_does_not_has_none(flexwatt, gpu):
    report, energy = measured(flexwatt, "--", sys.executable, "-c", WORK)
    seconds = report["figures"]["wall_ms"]["mean"] / 1000
    assert energy["domain"] == "gpu" and energy["flags"].startswith("measured")
    assert 0 < energy["joules"]["mean"] <= 40 * seconds * 1.1
    assert energy["idle_j"] == 0 and energy["low"] <= energy["joules"]["mean"]
    if energy["high"] is None:  # a moment of it could not be read
        assert "gap" in energy["flags"].split()
    else:
        assert energy["joules"]["mean"] <= energy["high"]
    _, energy = measured(flexwatt, "--", "sleep", "1")
    assert energy["joules"]["mean"] == 0


def test_the_whole_system_has_all_of_its_gpus(flexwatt, gpu):
    report, energy = measured(flexwatt, "--system", "1s")
    seconds = report["figures"]["wall_ms"]["mean"] / 1000
    assert energy["joules"]["mean"] == pytest.approx(40 * seconds, rel=0.1)


def test_a_gpu_that_is_lost_stops_no_run(flexwatt, gpu):
    lost = "import os, pathlib; pathlib.Path(os.environ['NVML_STAND_IN']).write_text('gpus 1\\ngpu0.code 15\\n')"
    report, energy = measured(flexwatt, "--", sys.executable, "-c", lost)
    assert report["figures"]["wall_ms"]["mean"] > 0
    assert energy is None or "gap" in energy["flags"]
