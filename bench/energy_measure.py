"""What `flexwatt measure` adds to a command of 10 ms: within the measured interval, and before and after it."""
import json
import pathlib
import subprocess
import tempfile

from results import result

AREA = "energy"
COMMAND = ["sleep", "0.01"]


def spawned_ms(build, *command):
    """From fork to the end of the command, by a program that does nothing else."""
    return float(subprocess.run([build / "bench/spawn", *command], check=True, stdout=subprocess.PIPE, text=True, timeout=60).stdout)


def bench(build, full):
    within, around, plain = [], [], []
    with tempfile.TemporaryDirectory(prefix="flexwatt-bench-") as directory:
        report = pathlib.Path(directory) / "report.json"
        for _ in range(100 if full and full > 1 else 30):
            plain.append(spawned_ms(build, *COMMAND))
            whole_ms = spawned_ms(build, build / "src/cli/flexwatt", "measure", "--json", "--output", report, "--", *COMMAND)
            within.append(json.loads(report.read_text("utf-8"))["figures"]["wall_ms"]["mean"])
            around.append(whole_ms - within[-1])
    yield result(AREA, "measure of a 10 ms command: measured less fork + exec", "ms",
                 [mine - its for mine, its in zip(within, plain, strict=True)], at_most=1)
    yield result(AREA, "measure: start-up and teardown", "ms", around, at_most=100)
