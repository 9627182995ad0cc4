# SPDX-License-Identifier: Apache-2.0
"""Counters of powercap in files that a thread advances by the machine's own work."""
import os
import threading
import time

import pytest

IDLE_W, CPU_W = 20.0, 15.0


def busy_s():
    with open("/proc/stat") as stat:
        user, nice, system, _, _, irq, softirq, *_ = map(int, stat.readline().split()[1:])
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")


class Powercap(threading.Thread):
    """One package and its memory below a directory that stands for /; a thread advances them by the machine's work."""

    def __init__(self, root, range_uj=262143328850):
        super().__init__(daemon=True)
        self.zone = root / "sys/devices/virtual/powercap/intel-rapl/intel-rapl:0"
        self.dram = self.zone / "intel-rapl:0:0"
        self.range_uj, self.offset_uj = range_uj, range_uj - 2_000_000
        self.done, self.joules, self.stuck, self.spoilt = threading.Event(), 0.0, False, None
        links = root / "sys/class/powercap"
        links.mkdir(parents=True)
        for zone, name in ((self.zone, "package-0"), (self.dram, "dram")):
            zone.mkdir(parents=True)
            (zone / "name").write_text(name + "\n")
            (zone / "max_energy_range_uj").write_text(f"{range_uj}\n")
            (links / zone.name).symlink_to(os.path.relpath(zone, links))
        self.show()

    def show(self):
        spoilt = self.spoilt  # another thread sets it
        if spoilt is not None:
            for zone in (self.zone, self.dram):
                (zone / "energy_uj").write_text(spoilt)
            return
        for zone, factor in ((self.zone, 1), (self.dram, 0.1)):
            with open(zone / "energy_uj", "r+" if (zone / "energy_uj").exists() else "w") as file:
                file.write(f"{(self.offset_uj + int(self.joules * factor * 1e6)) % self.range_uj:<20}\n")

    def run(self):
        began, work = time.monotonic(), busy_s()
        while not self.done.wait(0.002):
            self.joules = IDLE_W * (time.monotonic() - began) + CPU_W * (busy_s() - work)
            if not self.stuck:
                self.show()


@pytest.fixture
def powercap(tmp_path):
    thread = Powercap(tmp_path / "host")
    thread.start()
    yield thread
    thread.done.set()
    thread.join(10)
