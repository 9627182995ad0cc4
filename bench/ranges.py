"""Benchmarks of planning ranges: the pass over CSV against `wc -l` on the same bytes in the page cache, on one core."""
import os
import pathlib
import resource
import subprocess
import tempfile

from results import result

AREA = "ranges"
SIZE = 512 << 20
PARTS = 100
TABLES = {
    "few quotes": b"1234567,2026-11-21 09:45:12,4711.25,Frankfurt,0.000123,x,,42\n" * 20
                  + b'1234568,2026-11-21 09:45:13,17.5,"Frankfurt, Main",0.5,x,,43\n',
    "every cell quoted": b'"1234567","2026-11-21","4711.25","Frankfurt, ""Main""","two\nlines","x"\n' * 16,
}


def make(path, rows):
    with open(path, "wb") as file:
        file.write(b"a,b,c,d,e,f,g,h\n")
        block = rows * (1 + (1 << 20) // len(rows))
        while file.tell() < SIZE:
            file.write(block)
    return path.stat().st_size


def cpu_s_of(command):
    """CPU seconds of a command that runs on one core, the last one."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL,
                   preexec_fn=lambda: os.sched_setaffinity(0, {max(os.sched_getaffinity(0))}))
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def planner_s(build, directory, name, kind):
    """CPU seconds of the plan alone, without the program's start."""
    done = subprocess.run([build / "bench/plan_ranges", directory, name, kind, str(PARTS)], check=True, capture_output=True,
                          text=True, preexec_fn=lambda: os.sched_setaffinity(0, {max(os.sched_getaffinity(0))}))
    return float(done.stdout)


def bench(build, repetitions=None):
    with tempfile.TemporaryDirectory(dir=build.resolve()) as directory:
        path = pathlib.Path(directory) / "table.csv"
        for name, rows in TABLES.items():
            size = make(path, rows)
            planner, wc = [], []
            cpu_s_of(["cat", path])  # into the page cache
            for _ in range(repetitions or 5):
                planner.append(size / planner_s(build, directory, path.name, "csv") / 1e9)
                wc.append(size / cpu_s_of(["wc", "-l", path]) / 1e9)
            yield result(AREA, f"plan of csv, {name}, against wc -l", "GB/s", planner, floor=wc, at_least=1, of_ratio=False)
        lines = [planner_s(build, directory, path.name, "lines") * 1000 for _ in range(repetitions or 5)]
        yield result(AREA, f"plan of lines, {PARTS} cuts", "ms", lines)
