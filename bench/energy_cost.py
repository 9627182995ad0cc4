"""What reading energy costs in CPU time, in place: with pauses in between, as it is done, and beside CodeCarbon."""
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile

from results import result

TOP = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TOP / "tests/tools"))
from energy_truth import Machine  # noqa: E402

AREA = "energy"
WORKERS = [1, 10, 100]
SAMPLES, PAUSE_MS, IDLE_WORKERS = 150, 10, 10
BUDGET = 0.005  # of a CPU


def sample(build, *arguments):
    return json.loads(subprocess.run([build / "bench/energy_sample", *map(str, arguments)], check=True, stdout=subprocess.PIPE,
                                     text=True, timeout=120).stdout)


def codecarbon(python):
    done = subprocess.run([python, TOP / "bench/codecarbon_sample.py", str(SAMPLES), str(PAUSE_MS)], check=True, timeout=120,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    return statistics.median(json.loads(done.stdout))


def bench(build, repetitions):
    build, repetitions = pathlib.Path(build).resolve(), repetitions or 3
    python = subprocess.run([TOP / "scripts/venv", "codecarbon", "codecarbon==3.3.2"], check=True, stdout=subprocess.PIPE,
                            text=True).stdout.strip()
    with tempfile.TemporaryDirectory(prefix="flexwatt-bench-") as directory, Machine(build, f"{directory}/machine") as machine:
        ticks, peers = {workers: [] for workers in WORKERS}, []
        for _ in range(repetitions):
            for workers in WORKERS:
                ticks[workers].append(statistics.median(sample(build, "ticks", machine.root, workers, SAMPLES, PAUSE_MS)["tick_us"]))
            peers.append(codecarbon(python))
        idle = [sample(build, "run", machine.root, IDLE_WORKERS, 5, 0) for _ in range(repetitions)]
        active = {workers: [sample(build, "run", machine.root, workers, 3, 1) for _ in range(repetitions)] for workers in WORKERS}
    yield result(AREA, "a sample with 1 worker, beside CodeCarbon", "µs", ticks[1], peer=peers, at_least=10)
    for workers in WORKERS:
        yield result(AREA, f"a sample with {workers} worker{'s' if workers > 1 else ''}", "µs", ticks[workers], at_most=30 + 3 * workers)
        yield result(AREA, f"… the rate that the budget allows, {workers} at work", "Hz",
                     [BUDGET * 1e6 / used for used in ticks[workers]])
        yield result(AREA, f"… the rate of the first 3 s, {workers} at work", "Hz",
                     [row["ticks"] / row["seconds"] for row in active[workers]], at_least=3)
    yield result(AREA, f"idle at 1 Hz with {IDLE_WORKERS} workers", "% of a CPU",
                 [row["thread_ns"] / row["seconds"] / 1e7 for row in idle], at_most=0.05)
