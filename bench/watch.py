"""What a run holds while it runs: descriptors, processes, control groups, mounts; and its peak memory."""
import contextlib
import glob
import os
import sqlite3
import statistics


def lines_of(path):
    try:
        with open(path, encoding="utf-8") as file:
            return file.read().splitlines()
    except OSError:
        return []


def name_of(pid):
    return next(iter(lines_of(f"/proc/{pid}/comm")), None)


def descendants(pid):
    found = [pid]
    for parent in found:
        found += [int(child) for path in glob.glob(f"/proc/{parent}/task/*/children")
                  for line in lines_of(path) for child in line.split()]
    return found[1:]


class Watch:
    """Samples of one process; growth is by how much the median of the last third exceeds that of the first, once its workers stand."""

    def __init__(self, pid, store):
        self.pid, self.store, self.run = pid, store, None
        self.hierarchies = ["/sys/fs/cgroup"]
        self.samples, self.memory_kb = [], 0

    def groups(self):
        if not self.run:
            self.run = self.find_run()
        if not self.run:
            return 0
        return sum(len(glob.glob(f"{top}/**/fw-{self.run}-*", recursive=True)) for top in self.hierarchies)

    def find_run(self):
        with contextlib.suppress(sqlite3.Error), contextlib.closing(sqlite3.connect(f"file:{self.store}?mode=ro", uri=True)) as store:
            return (store.execute("SELECT run FROM run").fetchone() or [None])[0]

    def sample(self):
        try:
            descriptors = len(os.listdir(f"/proc/{self.pid}/fd"))
        except OSError:
            return
        self.memory_kb = max([self.memory_kb] + [int(line.split()[1]) for line in lines_of(f"/proc/{self.pid}/status")
                                                 if line.startswith("VmHWM")])
        self.samples.append({"descriptors": descriptors, "processes": len(descendants(self.pid)), "control groups": self.groups(),
                             "mounts": len(lines_of(f"/proc/{self.pid}/mountinfo"))})

    def peak_mb(self):
        return self.memory_kb / 1024

    def growth(self):
        settled = self.samples[len(self.samples) // 10:-max(1, len(self.samples) // 20)]
        third = len(settled) // 3
        if third < 5:
            raise RuntimeError(f"the run was over after {len(self.samples)} samples: too few to see growth")
        return {what: statistics.median(sample[what] for sample in settled[-third:]) -
                statistics.median(sample[what] for sample in settled[:third]) for what in settled[0]}
