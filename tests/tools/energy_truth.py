# SPDX-License-Identifier: Apache-2.0
"""The counter simulator (tests/tools/simulator) for tests and benchmarks, and what is true by it.

    with Machine(build, directory, floor=10, core=20) as machine:
        ... readers take machine.root for "/" ...
    machine.truth.dynamic_j(tree, from_ns, to_ns)
"""
import bisect
import collections
import itertools
import json
import pathlib
import subprocess


class Machine:
    """A running simulator. Options are those of its command line: core=20 is --core 20; lists give one option each."""

    def __init__(self, build, directory, **options):
        self.root, self.options = pathlib.Path(directory).resolve(), options
        self.program = pathlib.Path(build) / "tests/tools/energy-simulator"
        self.truth = self.process = None

    def __enter__(self):
        words = [str(self.program), "--root", str(self.root)]
        for name, value in self.options.items():
            for one in value if isinstance(value, list) else [value]:
                words += [f"--{name.replace('_', '-')}", str(one)]
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if self.process.stdout.readline() != "ready\n":
            raise RuntimeError(f"energy-simulator: {self.process.communicate()[1].strip()}")
        return self

    def __call__(self, command):
        """One command; False where the simulator refuses it."""
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline() == "ok\n"

    def __exit__(self, *_):
        _, errors = self.process.communicate()
        if self.process.returncode != 0:
            raise RuntimeError(f"energy-simulator: {errors.strip()}")
        self.truth = Truth(self.root / "truth")

    def zone(self, entry="intel-rapl:0"):
        """The directory of a zone as readers find it."""
        return self.root / "sys/class/powercap" / entry


class Stretches:
    """When a tree was on one CPU, in order: joules and seconds between any two times."""

    def __init__(self, lines):
        self.begins = [begin for begin, _, _ in lines]
        self.lines = lines
        self.joules = list(itertools.accumulate(((end - begin) * watts / 1e9 for begin, end, watts in lines), initial=0.0))
        self.seconds = list(itertools.accumulate(((end - begin) / 1e9 for begin, end, _ in lines), initial=0.0))

    def until(self, at):
        number = bisect.bisect_right(self.begins, at)
        if number == 0:
            return 0.0, 0.0
        begin, end, watts = self.lines[number - 1]
        beyond = max(0, end - at) / 1e9
        return self.joules[number] - beyond * watts, self.seconds[number] - beyond


class Truth:
    """What the simulator wrote beside its counters; times are CLOCK_MONOTONIC in nanoseconds."""

    def __init__(self, directory):
        directory = pathlib.Path(directory)
        self.summary = json.loads((directory / "summary").read_text())
        self.tree_names = {tree["number"]: name for name, tree in self.summary["trees"].items()}
        lines = collections.defaultdict(list)
        for line in (directory / "ran").read_text().splitlines():
            tree, cpu, begin, end, watts = line.split()
            lines[int(tree), int(cpu)].append((int(begin), int(end), float(watts)))
        self.stretches = collections.defaultdict(list)
        for (tree, _), of_cpu in lines.items():
            self.stretches[tree].append(Stretches(of_cpu))
        self.names = {}  # a name: the tree that took it first, and when
        for line in (directory / "names").read_text().splitlines():
            tree, at, name = line.split(maxsplit=2)
            self.names.setdefault(name, (int(tree), int(at)))

    def _between(self, tree, begin, end, which):
        return sum(stretches.until(end)[which] - stretches.until(begin)[which] for stretches in self.stretches[tree])

    def dynamic_j(self, tree, begin, end):
        return self._between(tree, begin, end, 0)

    def cpu_s(self, tree, begin, end):
        return self._between(tree, begin, end, 1)

    def invocations(self, records):
        """(record, true dynamic joules, true CPU seconds) of each record of one run whose function took the name MARK.TASK;
        its stage is the mark. A record's times count from the run's start, which is what the earliest name tells."""
        marked = [(record, *self.names[f"{record['stage']}.{record['task']}"]) for record in records
                  if f"{record['stage']}.{record['task']}" in self.names]
        origin = min(at - record["started_ms"] * 1e6 for record, _, at in marked)
        for record, tree, _ in marked:
            begin = origin + record["started_ms"] * 1e6
            end = begin + record["duration_ms"] * 1e6
            yield record, self.dynamic_j(tree, begin, end), self.cpu_s(tree, begin, end)
