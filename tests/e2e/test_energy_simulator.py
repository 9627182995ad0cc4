# SPDX-License-Identifier: Apache-2.0
"""The counter simulator that other tests believe: its counters are its model applied to the CPU time that processes truly had."""
import os
import subprocess
import sys

import pytest
from conftest import BUILD, SOURCE, wait_until

sys.path.insert(0, str(SOURCE / "tests/tools"))
from energy_truth import Machine  # noqa: E402

pytestmark = pytest.mark.alone

UNIT_UJ = 61.035
BURN = "import time\nwhile time.process_time() < 0.3: pass"


@pytest.fixture
def machine(tmp_path):
    def make(**options):
        return Machine(BUILD, tmp_path / "machine", **options)
    probe = subprocess.run([BUILD / "tests/tools/energy-simulator", "--root", tmp_path / "probe"], stdin=subprocess.DEVNULL,
                           capture_output=True, text=True, timeout=60)
    if probe.returncode == 3:
        pytest.skip(f"switches of CPUs cannot be seen here: {probe.stderr.strip()}")
    return make


def shown_uj(zone):
    return int((zone / "energy_uj").read_text())


def run_watched(machine, command):
    """CPU seconds of a shell that the machine knew before it began, and of all its children, by the kernel's own sums."""
    process = subprocess.Popen(["/bin/sh", "-c", f"read go; {command}; true"], stdin=subprocess.PIPE)
    assert machine(f"watch {process.pid} watched")
    process.stdin.close()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = status
    return usage.ru_utime + usage.ru_stime


def test_counters_are_floor_and_cpu_time_to_the_unit(machine):
    with machine(floor=10, core=20, dram_floor=1, dram_core=2, start_uj=5000000) as made:
        run_watched(made, f'{sys.executable} -c "{BURN}"')
    told, package = made.truth.summary, made.truth.summary["packages"][0]
    seconds = (told["end_ns"] - told["begin_ns"]) / 1e9
    busy_s = told["rest"]["cpu_s"] + sum(tree["cpu_s"] for tree in told["trees"].values())
    assert package["floor_j"] == pytest.approx(10 * seconds, rel=1e-6)
    assert package["dynamic_j"] == pytest.approx(20 * busy_s, rel=1e-6)
    assert 0.3 <= busy_s <= seconds * os.cpu_count() * 1.001
    first = 5000000 // UNIT_UJ * UNIT_UJ
    assert shown_uj(made.zone()) - first == pytest.approx(1e6 * (package["floor_j"] + package["dynamic_j"]), abs=2 * UNIT_UJ)
    assert shown_uj(made.zone("intel-rapl:0:0")) - first == pytest.approx(1e6 * (seconds + 2 * busy_s), abs=2 * UNIT_UJ)


def test_a_tree_has_the_cpu_time_of_its_children_that_are_gone(machine):
    with machine(core=20) as made:
        used_s = run_watched(made, f'for i in 1 2 3; do {sys.executable} -c "{BURN}"; done')
    tree = made.truth.summary["trees"]["watched"]
    assert tree["cpu_s"] == pytest.approx(used_s, rel=0.02, abs=0.005)
    assert tree["dynamic_j"] == pytest.approx(20 * tree["cpu_s"], rel=1e-6)
    told = made.truth.summary
    assert made.truth.cpu_s(tree["number"], told["begin_ns"], told["end_ns"]) == pytest.approx(tree["cpu_s"], abs=1e-6)
    assert made.truth.cpu_s(tree["number"], told["begin_ns"], told["begin_ns"]) == 0


def test_trees_that_take_turns_on_a_cpu_are_told_apart(machine):
    with machine() as made:
        shells = [subprocess.Popen(["/bin/sh", "-c", f'read go; {sys.executable} -c "{BURN}"; true'], stdin=subprocess.PIPE)
                  for _ in range(2 * os.cpu_count())]
        assert all(made(f"watch {shell.pid} shell-{number}") for number, shell in enumerate(shells))
        for shell in shells:
            shell.stdin.close()
        used = []
        for shell in shells:
            _, shell.returncode, usage = os.wait4(shell.pid, 0)
            used.append(usage.ru_utime + usage.ru_stime)
    for number, used_s in enumerate(used):
        assert made.truth.summary["trees"][f"shell-{number}"]["cpu_s"] == pytest.approx(used_s, rel=0.01, abs=0.003)


def test_busy_cpus_use_more_from_a_step_of_frequency_on(machine):
    with machine(core=10, frequency=["0.0:1", "0.2:3"]) as made:
        run_watched(made, f'for i in 1 2; do {sys.executable} -c "{BURN}"; done')
    tree = made.truth.summary["trees"]["watched"]
    middle = made.truth.summary["begin_ns"] + 200_000_000
    before = made.truth.cpu_s(tree["number"], 0, middle)
    assert 0 < before < tree["cpu_s"]
    assert tree["dynamic_j"] == pytest.approx(10 * before + 30 * (tree["cpu_s"] - before), rel=1e-5)


def test_a_counter_goes_round_at_the_end_of_its_range(machine):
    with machine(floor=200, bits=20, start_uj=63_000_000) as made:  # 64 J: a wrap every third of a second
        highest = int((made.zone() / "max_energy_range_uj").read_text())
        seen, wraps = [0], 0

        def went_round_twice():
            nonlocal wraps
            seen.append(shown_uj(made.zone()))
            wraps += seen[-1] < seen[-2]
            return wraps == 2
        wait_until(went_round_twice)
    package = made.truth.summary["packages"][0]
    assert max(seen) <= highest
    total = 63_000_000 + package["floor_j"] * 1e6 + package["dynamic_j"] * 1e6
    assert shown_uj(made.zone()) == pytest.approx(total % (highest + UNIT_UJ), abs=4 * UNIT_UJ)


def test_readers_that_keep_the_file_open_read_whole_rising_numbers(machine):
    with machine(core=20) as made:
        counter = os.open(made.zone() / "energy_uj", os.O_RDONLY)
        last, moves = 0, 0
        while moves < 100:
            text = os.pread(counter, 64, 0)
            assert text.endswith(b"\n")
            now = int(text)
            assert now >= last
            moves += now > last
            last = now
        os.close(counter)


def test_zones_misbehave_on_request(machine):
    with machine(start_uj=1_000_000_000) as made:
        zone = made.zone()
        counter = os.open(zone / "energy_uj", os.O_RDONLY)
        assert made("stick intel-rapl:0")
        stuck = shown_uj(zone)
        before = shown_uj(made.zone("intel-rapl:0:0"))
        wait_until(lambda: shown_uj(made.zone("intel-rapl:0:0")) > before + 10 * UNIT_UJ)
        assert shown_uj(zone) == stuck
        assert made("free intel-rapl:0")
        wait_until(lambda: shown_uj(zone) > stuck)
        assert made("garble intel-rapl:0") and not (zone / "energy_uj").read_text().strip().isdigit()
        assert made("mend intel-rapl:0") and made("reset intel-rapl:0")
        assert shown_uj(zone) < 100_000_000
        assert made("vanish intel-rapl:0")
        assert os.pread(counter, 64, 0) == b"" and not (zone / "energy_uj").exists()
        assert made("restore intel-rapl:0") and shown_uj(zone) > 0
        assert made("forbid intel-rapl:0") and (zone / "energy_uj").stat().st_mode & 0o777 == 0
        assert made("allow intel-rapl:0")
        assert not made("melt intel-rapl:0") and not made("reset intel-rapl:7")
        os.close(counter)
