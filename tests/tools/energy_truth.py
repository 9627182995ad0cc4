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
        self.packages = collections.defaultdict(lambda: ([], []))  # times, and dynamic joules until then
        for line in (directory / "packages").read_text().splitlines():
            at, package, _, joules = line.split()
            times, dynamic = self.packages[int(package)]
            times.append(int(at))
            dynamic.append(float(joules))
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

    def machine_j(self, begin, end):
        """Dynamic joules of all that ran, on all packages."""
        def until(times, dynamic, at):
            number = min(max(bisect.bisect_right(times, at), 1), len(times) - 1)
            slope = (dynamic[number] - dynamic[number - 1]) / (times[number] - times[number - 1])
            return dynamic[number] + slope * (at - times[number])
        return sum(until(*package, end) - until(*package, begin) for package in self.packages.values())

    def share_s(self, tree, begin, end, step=20_000_000):
        """Seconds of the whole machine's work that were this tree's: the sum of its shares. What a reader who takes W watts of the
        idle floor for work books to it in excess is W times that."""
        edges = [*range(int(begin), int(end), step), int(end)]
        total = 0.0
        for first, last in itertools.pairwise(edges):
            machine = self.machine_j(first, last)
            total += min(self.dynamic_j(tree, first, last) / machine, 1) * (last - first) / 1e9 if machine > 0 else 0
        return total

    def invocations(self, records):
        """An Invocation for each record of one run whose function took the name MARK.TASK; its stage is the mark. A record's times
        count from the run's start, which is what the name that came soonest tells."""
        marked = [(record, *self.names[f"{record['stage']}.{record['task']}"]) for record in records
                  if f"{record['stage']}.{record['task']}" in self.names]
        origin = min(at - record["started_ms"] * 1e6 for record, _, at in marked)
        return [Invocation(self, record, tree, origin + record["started_ms"] * 1e6) for record, tree, _ in marked]


class Invocation:
    """What is true of one invocation."""

    def __init__(self, truth, record, tree, begin):
        self.record, self.begin, self.end = record, begin, begin + record["duration_ms"] * 1e6
        self.dynamic_j = truth.dynamic_j(tree, self.begin, self.end)
        self.cpu_s = truth.cpu_s(tree, self.begin, self.end)
        self.share_s = truth.share_s(tree, self.begin, self.end)

    def idle_j(self, floor_w, cpus):
        """By the rule: the floor is shared by reserved CPUs."""
        return floor_w * self.record["duration_ms"] / 1e3 * min(self.record["vcpus"], cpus) / cpus

    def figure(self, domain="package"):
        """The measured one of the record."""
        return next((row for row in self.record["energy"] or [] if row["domain"] == domain and "measured" in row["flags"].split()), None)
