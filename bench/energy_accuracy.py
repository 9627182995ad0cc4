"""Joules of invocations against a machine whose energy is known to the joule (tests/tools/simulator): a mix of functions, with
work outside flexwatt beside them. What is true comes from perf's records of every switch, which flexwatt does not read."""
import contextlib
import os
import pathlib
import statistics
import subprocess
import sys

from product import Product
from results import result

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tests/tools"))
from energy_truth import Machine  # noqa: E402

AREA = "energy"
FLOOR_W, CORE_W, STEP_J = 10, 20, 61.035e-6
CPUS = os.cpu_count()
LONG_MS = 100
# The first is over before the others begin: its worker stays, and is the one that is warm and idle.
MIX = ["idle:      {handler: work, workers: 1, memory: 442, params: {mark: idle, rest_ms: 2000}}"] + [
    f"{name}: {{handler: {handler}, workers: {workers}, memory: {memory}, after: [idle], params: {{mark: {name}, {params}}}}}"
    for name, handler, workers, memory, params in [
        ("busy", "work", 3, 1769, "cpu_ms: 300"), ("throttled", "work", 3, 128, "cpu_ms: 30"),
        ("bursts", "work", 40, 884, "cpu_ms: 20"), ("sleepers", "work", 3, 256, "rest_ms: 300"),
        ("turns", "work", 3, 884, "cpu_ms: 10, rest_ms: 20, rounds: 10"), ("children", "children", 3, 884, "count: 20, cpu_ms: 8")]]
# Works half of its time outside flexwatt; its pauses let the machine be idle.
NOISE = """
import time
while True:
    until = time.thread_time() + 0.25
    while time.thread_time() < until:
        pass
    time.sleep(0.25)
"""


@contextlib.contextmanager
def noise():
    process = subprocess.Popen([sys.executable, "-c", NOISE])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def run_mix(build):
    """The invocations with what is true of them, and the books of the run."""
    with Product(build, "tests/tools/test-loads") as product:
        with Machine(build, product.directory / "machine", floor=FLOOR_W, core=CORE_W) as machine, noise():
            product.finish(product.start(MIX, options=["--counters-root", machine.root]))
        books = next(domain for domain in product.show()["energy"]["domains"] if domain["domain"] == "package")
        return machine.truth.invocations(product.show("--logs")), books


def percent(told, true):
    return 100 * abs(told - true) / true


def true_joules(invocation):
    return invocation.dynamic_j + invocation.idle_j(FLOOR_W, CPUS)


def judge(invocations, books):
    """The figures of one run of the mix."""
    told = [(one, one.figure()) for one in invocations]
    working = [(one, figure) for one, figure in told if one.record["stage"] not in ("idle", "sleepers")]
    errors = {one.record["duration_ms"] >= LONG_MS: [] for one, _ in working}
    for one, figure in working:
        errors[one.record["duration_ms"] >= LONG_MS].append(percent(figure["dynamic_j"], one.dynamic_j))
    resting = [1000 * abs(figure["dynamic_j"] - one.dynamic_j) for one, figure in told if one.record["stage"] == "sleepers"]
    long = [(one, figure) for one, figure in told if one.record["duration_ms"] >= LONG_MS]
    return {
        "median": statistics.median(errors[True]), "worst": max(errors[True]),
        "short": statistics.median(errors.get(False) or errors[True]), "sleepers": max(resting),
        "idle": statistics.median(percent(figure["idle_j"], one.idle_j(FLOOR_W, CPUS)) for one, figure in long),
        "floor": percent(books["floor_w"], FLOOR_W), "residual": abs(books["residual_j"]) / STEP_J,
        "held": 100 * statistics.mean(figure["low"] <= true_joules(one) <= figure["high"] for one, figure in told),
        "width": statistics.median(50 * (figure["high"] - figure["low"]) / figure["joules"] for one, figure in long)}


LINES = [
    ("median", "dynamic joules of an invocation ≥ 100 ms: error, median", "%", {"at_most": 2}),
    ("worst", "dynamic joules of an invocation ≥ 100 ms: error, worst", "%", {"at_most": 5}),
    ("short", "dynamic joules of an invocation of 20 ms of work: error, median", "%", {}),
    ("sleepers", "dynamic joules of one that sleeps 0.3 s: error, worst", "mJ", {}),
    ("idle", "idle joules against floor × reserved part: error, median", "%", {"at_most": 5}),
    ("floor", "idle floor that was found: error", "%", {"at_most": 5}),
    ("residual", "measured less all that was handed out", "steps of the counter", {"at_most": 1}),
    ("held", "95 % intervals that hold the truth", "%", {"at_least": 95}),
    ("width", "half-width of the interval, ≥ 100 ms, median", "%", {"at_most": 5}),
]


def bench(build, repetitions):
    build = pathlib.Path(build).resolve()
    try:
        rows = [judge(*run_mix(build)) for _ in range(repetitions or 3)]
    except RuntimeError as error:
        if "switches of CPU" not in str(error):
            raise
        print(f"  energy: switches of CPUs cannot be seen here: {error}", file=sys.stderr)
        return
    for key, name, unit, goal in LINES:
        yield result(AREA, name, unit, [row[key] for row in rows], **goal)
