"""Benchmarks of the way of one invocation: warm, cold, in chains, ten thousand of them, and of the engine alone."""
import itertools
import json
import os
import statistics
import time

from product import Product
from results import result
from watch import Watch

AREA = "engine"
PINGS = 5000
WARM_TASKS = 1000
COLD_STARTS = 60
COLD_STAGES = 25
MANY_TASKS = 10000
ALL_CPUS = os.sched_getaffinity(0)
ONE_CPU = {max(ALL_CPUS)}
ALONE_MB = min(10240, 1769 * len(ALL_CPUS))  # a task of this size runs by itself
HALF_MB = ALONE_MB // 2


def end_ms(record):
    return record["started_ms"] + record["duration_ms"]


class Placement:
    """Where engine and worker run, and the floor's two sides likewise."""

    def __init__(self, name, cpus=None, apart=None):
        self.name, self.cpus, self.apart = name, cpus, apart

    def floor_us(self, product):
        return float(product.tool("ping_pong", PINGS, *(self.apart or ()), cpus=self.cpus))

    def records(self, product):
        """The worker is there, and is moved where it belongs, before the invocations that count."""
        process = product.start([f"first: {{handler: pause, workers: 1, memory: {ALONE_MB}, params: {{ms: 300}}}}",
                                 f"noop: {{handler: noop, workers: {WARM_TASKS}, memory: {ALONE_MB}, after: [first]}}"], self.cpus)
        if self.apart:
            product.part(process, *self.apart)
        return [record for record in product.finish(process)[1] if record["stage"] == "noop"]


ONE_CORE = Placement("one core", cpus=ONE_CPU)
FREE = Placement("free")
TWO_CORES = Placement("two cores", apart=sorted(ALL_CPUS)[:2])
GOALS = {"one core": (2.5, 5), "two cores": (1.5, 3.5)}


def warm_once(product, placement):
    """Microseconds, each a median: round trip of the floor, event written to answer read, from one event to the next."""
    before, records, after = placement.floor_us(product), placement.records(product), placement.floor_us(product)
    cycles = [later["started_ms"] - earlier["started_ms"] for earlier, later in itertools.pairwise(records)]
    return (before + after) / 2, 1000 * statistics.median(record["response_ms"] for record in records), 1000 * statistics.median(cycles)


def warm(product, repetitions):
    """Free: the goals are those of the placement that the kernel chose for the floor."""
    floors = {}
    for placement in (ONE_CORE, TWO_CORES, FREE) if len(ALL_CPUS) > 1 else (ONE_CORE,):
        floor, response, cycle = zip(*(warm_once(product, placement) for _ in range(repetitions)), strict=True)
        floors[placement.name] = statistics.median(floor)
        nearest = min(GOALS.keys() & floors.keys(), key=lambda name: abs(floors[name] - floors[placement.name]))
        title = placement.name if placement.name == nearest else f"{placement.name} ({nearest})"
        response_goal, cycle_goal = GOALS[nearest]
        yield result(AREA, f"warm no-op, {title}: event written → answer read", "µs", response, floor, at_most=response_goal)
        yield result(AREA, f"warm no-op, {title}: full cycle with record and log", "µs", cycle, floor, at_most=cycle_goal)


def runtime_alone(product, repetitions):
    """Where the cycle goes: the same without engine, store, record and energy."""
    for place, cpus in (("one core", ONE_CPU), ("free", None)):
        rows = [json.loads(product.tool("runtime_warm", product.package, WARM_TASKS, cpus=cpus)) for _ in range(repetitions)]
        yield result(AREA, f"warm no-op, {place}: cycle of the runtime alone", "µs", [row["cycle_us"] for row in rows],
                     [row["ping_pong_us"] for row in rows])


def cold(product, _):
    lists = json.loads(product.tool("cold", product.package, COLD_STARTS, "/usr/bin/bwrap"))
    yield result(AREA, "cold start, nothing prepared", "ms", lists["cold"], lists["spawn"], at_most=2.5)
    yield result(AREA, "… of it, the caller's thread is held", "ms", lists["blocked"], lists["spawn"])
    yield result(AREA, "cold start, groups made beforehand", "ms", lists["prepared"], lists["spawn"], at_most=2)
    yield result(AREA, "cold start against bwrap --unshare-all", "ms", lists["cold"], peer=lists["bwrap"], at_least=2)
    yield result(AREA, "teardown of a sandbox", "ms", lists["teardown"], lists["spawn"])


def cold_in_a_run(product, repetitions):
    """As the record has it: with Runtime API, log stream, attempt directory and metering. Each stage needs a worker of its own."""
    stages = [f"s{i}: {{handler: noop, workers: 1, memory: {128 + i}{f', after: [s{i - 1}]' if i else ''}}}"
              for i in range(COLD_STAGES)]
    values, floors = [], []
    for _ in range(repetitions):
        _, records = product.run(stages)
        lists = json.loads(product.tool("cold", product.package, 5, "/usr/bin/bwrap"))
        values.append(statistics.median(record["cold_start_ms"] for record in records[1:]))
        floors.append(statistics.median(lists["spawn"]))
    yield result(AREA, "cold start as a run records it", "ms", values, floors)


def chain(product, repetitions):
    stages = [f"s{i}: {{handler: noop, workers: 1, memory: 1769{f', after: [s{i - 1}]' if i else ''}}}" for i in range(8)]
    values, floors = [], []
    for _ in range(repetitions):
        floors.append(4 * float(product.tool("ping_pong", PINGS)) / 1000)
        _, records = product.run(stages)
        values.append(end_ms(records[7]) - end_ms(records[3]))
    yield result(AREA, "chain of four warm no-op stages", "ms", values, floors, at_most=5, of_ratio=False)


def barrier(product, repetitions):
    stages = ["a: {handler: pause, workers: 1, memory: 128, params: {ms: 100}}",
              "b: {handler: pause, workers: 1, memory: 128, params: {ms: 3000}}",
              "c: {handler: pause, workers: 1, memory: 128, params: {ms: 3000}, after: [a]}"]
    makespans = [product.run(stages)[0]["makespan_ms"] / 1000 for _ in range(repetitions)]
    yield result(AREA, "barrier test: a(0.1 s) → c(3 s) beside b(3 s)", "s", makespans, [3.1] * repetitions, at_most=1.01)


def many(product, _):
    process = product.start([f"noop: {{handler: noop, workers: {MANY_TASKS}, memory: {HALF_MB}}}"])
    watch = Watch(process.pid, product.store)
    while process.poll() is None:
        watch.sample()
        time.sleep(0.02)
    _, records = product.finish(process)
    seconds = (max(map(end_ms, records)) - records[0]["started_ms"]) / 1000
    yield result(AREA, f"{MANY_TASKS:,} no-op tasks through {len({record['worker'] for record in records})} workers", "tasks/s",
                 [len(records) / seconds])
    yield result(AREA, "… resident memory of the engine", "MB", [watch.peak_mb()], at_most=30)
    for what, growth in watch.growth().items():
        yield result(AREA, f"… growth of {what}", "count", [growth], at_most=0)


def alone(product, repetitions):
    rows = [json.loads(product.tool("engine_alone")) for _ in range(repetitions)]
    for name in rows[0]:
        title = f"engine alone, 1,000,000 tasks, {name.replace('_', ' ')}"
        yield result(AREA, title, "tasks/s", [row[name]["tasks_per_second"] for row in rows], at_least=500000)
        yield result(AREA, title, "bytes/task", [row[name]["bytes_per_task"] for row in rows], at_most=200)


def bench(build, repetitions):
    repetitions = repetitions or 5
    with Product(build) as product:
        for part in (warm, runtime_alone, cold, cold_in_a_run, chain):
            yield from part(product, repetitions)
        yield from barrier(product, min(repetitions, 3))
        yield from many(product, 1)
        yield from alone(product, min(repetitions, 3))
