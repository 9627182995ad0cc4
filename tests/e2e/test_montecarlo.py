# SPDX-License-Identifier: Apache-2.0
"""The Monte Carlo application: its generators against the published definition, its result, its bad parameters."""
import json
import math
import shutil
import struct
import subprocess

import pytest

from conftest import BUILD, SOURCE
from terminal import Terminal

EXAMPLE = BUILD / "examples/montecarlo"
LANES = 16
BITS = (1 << 64) - 1


def tool(*arguments):
    done = subprocess.run([EXAMPLE / "montecarlo-tool", *map(str, arguments)], capture_output=True, text=True, timeout=60)
    if "has no" in done.stderr:
        pytest.skip(done.stderr.strip())
    assert done.returncode == 0, done.stderr
    return int(done.stdout.split()[0])


def rotated(value, bits):
    return (value << bits | value >> (64 - bits)) & BITS


def step(state):
    """xoshiro256** as its authors define it: (number, next state)."""
    a, b, c, d = state
    number = rotated(b * 5 & BITS, 7) * 9 & BITS
    shifted = b << 17 & BITS
    c ^= a
    d ^= b
    b ^= c
    a ^= d
    return number, (a, b, c ^ shifted, rotated(d, 45))


def seeded(seed):
    state = []
    for _ in range(4):
        seed = (seed + 0x9E3779B97F4A7C15) & BITS
        mixed = (seed ^ seed >> 30) * 0xBF58476D1CE4E5B9 & BITS
        mixed = (mixed ^ mixed >> 27) * 0x94D049BB133111EB & BITS
        state.append(mixed ^ mixed >> 31)
    return tuple(state)


class Ahead:
    """2^power steps at once, as a matrix of bits: a step is linear."""

    def __init__(self, power):
        columns = [self.joined(step(self.parted(1 << bit))[1]) for bit in range(256)]
        for _ in range(power):
            columns = [self.apply(columns, column) for column in columns]
        self.columns = columns

    @staticmethod
    def joined(state):
        return sum(word << 64 * i for i, word in enumerate(state))

    @staticmethod
    def parted(bits):
        return tuple(bits >> 64 * i & BITS for i in range(4))

    @staticmethod
    def apply(columns, bits):
        result = 0
        while bits:
            lowest = bits & -bits
            result ^= columns[lowest.bit_length() - 1]
            bits ^= lowest
        return result

    def __call__(self, state):
        return self.parted(self.apply(self.columns, self.joined(state)))


def rounded(value):
    return struct.unpack("f", struct.pack("f", value))[0]


def halves(number):
    return struct.unpack("<ii", struct.pack("<Q", number))


def count_inside(states, count):
    """How many of `count` points lie inside, in plain Python with every product and sum rounded to float."""
    inside = 0
    for done in range(0, count, 2 * LANES):
        points = []
        for lane, state in enumerate(states):
            first, state = step(state)
            second, states[lane] = step(state)
            points += zip(halves(first), halves(second))
        for x, y in points[:count - done]:
            x, y = rounded(x), rounded(y)
            inside += rounded(rounded(x * x) + rounded(y * y)) < 2.0 ** 62
    return inside


@pytest.mark.parametrize("seed, worker, count", [(42, 0, 6400), (42, 3, 6400), (7, 1, 1017), (0, 0, 1), (2**64 - 1, 2, 31)])
def test_streams_of_workers_are_those_of_the_published_generator(seed, worker, count):
    lane_ahead, worker_ahead = AHEAD
    state = seeded(seed)
    for _ in range(worker):
        state = worker_ahead(state)
    states = []
    for _ in range(LANES):
        states.append(state)
        state = lane_ahead(state)
    assert tool("inside", seed, worker, count) == count_inside(states, count)


AHEAD = Ahead(128), Ahead(192)


@pytest.mark.parametrize("instructions", ["avx2", "avx512"])
def test_every_instruction_set_counts_the_same_points(instructions):
    for worker in range(3):
        assert tool(instructions, 42, worker, 3_333_333) == tool("base", 42, worker, 3_333_333)


@pytest.fixture
def application(flexwatt):
    shutil.copy(SOURCE / "examples/montecarlo/workflow.yaml", flexwatt.directory)
    shutil.copytree(EXAMPLE / "functions", flexwatt.directory / "functions")
    return flexwatt


def estimate_of(flexwatt, run):
    text, = [data for key, data in flexwatt.outputs(run["run"]).items() if "/estimate/" in key and key.startswith("combine/")]
    return json.loads(text)


def test_pi_is_found_within_its_own_standard_error_and_is_in_the_record(application):
    run = application.json("run", "workflow.yaml")
    found = estimate_of(application, run)
    assert found["points"] == 100_000_000
    assert found["standard_error"] == pytest.approx(math.sqrt(math.pi * (4 - math.pi) / 1e8), rel=1e-3)
    assert found["error"] == pytest.approx(abs(found["pi"] - math.pi), abs=1e-8)
    assert found["error"] < 4 * found["standard_error"]
    record, = application.records(run["run"], "combine/0")
    assert record["metrics"]["pi"] == pytest.approx(found["pi"], abs=1e-8)
    assert record["metrics"]["pi_error"] == pytest.approx(found["error"], abs=1e-8)
    assert [record["units"] for record in application.records(run["run"], "estimate/0")] == [25_000_000]


def test_the_remainder_goes_to_the_first_workers_and_the_sum_to_all(application):
    run = application.json("run", "workflow.yaml", "--set", "stages.estimate.params.points=1003")
    shares = [json.loads(data)["points"] for key, data in sorted(application.outputs(run["run"]).items()) if "/shares/" in key]
    assert shares == [251, 251, 251, 250]
    found = estimate_of(application, run)
    assert found["points"] == 1003
    assert found["inside"] == sum(tool("inside", 42, worker, points) for worker, points in enumerate(shares))


@pytest.mark.parametrize("points_per_iteration", [1, 37, 1000, 10**9])
def test_the_length_of_the_iterations_does_not_choose_the_points(application, points_per_iteration):
    run = application.json("run", "workflow.yaml", "--set", "stages.estimate.params.points=10003", "--set",
                           f"stages.estimate.params.points_per_iteration={points_per_iteration}")
    shares = [json.loads(data) for key, data in sorted(application.outputs(run["run"]).items()) if "/shares/" in key]
    assert [share["inside"] for share in shares] == [tool("inside", 42, worker, share["points"]) for worker, share in enumerate(shares)]


def test_the_estimate_is_told_while_it_is_made(application):
    terminal = Terminal(application, "run", "workflow.yaml", "--set", "stages.estimate.params.points=4000000000")
    terminal.until(r"π = 3\.14\d+ after [\d,]+ points, [\d.]+ s")
    assert terminal.end() == 0


@pytest.mark.parametrize("setting", ["points=0", "points=-5", "points_per_iteration=0", "points=many"])
def test_a_bad_parameter_fails_the_task_and_is_named(application, setting):
    run = application.json("run", "workflow.yaml", "--set", f"stages.estimate.params.{setting}", "--set", "defaults.retries=0",
                           status=1)
    assert run["state"] == "failed"
    failed = [record for record in application.records(run["run"], "estimate/0") if record["status"] != "ok"]
    assert setting.split("=")[0] in failed[0]["error_message"]


def test_a_share_that_is_none_is_named(application):
    (application.data / "shares").mkdir()
    (application.data / "shares/bad.json").write_text('{"points": 3, "inside": 4}')
    application.workflow("""
        name: combine
        storage: ./data
        function: {package: ./functions}
        stages:
          combine: {inputs: {shares: {keys: "shares/*.json"}}, outputs: {estimate: {suffix: .json}}, retries: 0}
    """)
    run = application.json("run", "workflow.yaml", status=1)
    record, = application.records(run["run"], "combine/0")
    assert record["error_type"] == "MonteCarlo.Corrupt" and "bad.json" in record["error_message"]
