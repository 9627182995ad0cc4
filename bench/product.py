"""Runs the built flexwatt in a directory of its own and reads what it recorded."""
import contextlib
import json
import os
import pathlib
import shutil
import sqlite3
import subprocess
import tempfile
import time

from watch import descendants, name_of


def on_cpus(cpus):
    """For subprocess' preexec_fn."""
    return (lambda: os.sched_setaffinity(0, cpus)) if cpus else None


class Product:
    """A directory with a package of one function, a storage and a store. Use as a context manager."""

    def __init__(self, build, function="bench/noop"):
        self.build = pathlib.Path(build).resolve()
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="flexwatt-bench-"))
        self.directory.chmod(0o755)
        self.store, self.runs = None, 0
        self.package = self.directory / "package"
        self.package.mkdir()
        (self.directory / "data").mkdir()
        shutil.copy(self.build / function, self.package / "bootstrap")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.directory, ignore_errors=True)

    def tool(self, name, *arguments, cpus=None):
        """Standard output of one of bench's own programs."""
        return subprocess.run([self.build / "bench" / name, *map(str, arguments)], check=True, stdout=subprocess.PIPE,
                              text=True, preexec_fn=on_cpus(cpus)).stdout

    def start(self, stages, cpus=None, options=()):
        """Starts a run of these stages (YAML, one line each)."""
        text = "\n".join(["name: bench", "storage: ./data", "function: {package: ./package}", "stages:"] +
                         [f"  {stage}" for stage in stages])
        (self.directory / "workflow.yaml").write_text(text + "\n", encoding="utf-8")
        self.store = self.directory / f"{self.runs}.db"  # nothing is deleted before the end: that would slow what follows
        self.runs += 1
        with open(self.directory / "stderr", "w", encoding="utf-8") as errors:
            return subprocess.Popen([self.build / "src/cli/flexwatt", "run", "workflow.yaml", *map(str, options)], cwd=self.directory,
                                    env=self.environment(), stdout=subprocess.DEVNULL, stderr=errors, preexec_fn=on_cpus(cpus))

    def environment(self):
        return {**os.environ, "FLEXWATT_STORE": str(self.store)}

    def show(self, *arguments):
        """What `flexwatt show` tells of the latest run."""
        run = self.records()[0]["run"]
        return json.loads(subprocess.run([self.build / "src/cli/flexwatt", "show", run, "--json", *arguments], cwd=self.directory,
                                         env=self.environment(), check=True, stdout=subprocess.PIPE, text=True).stdout)

    def part(self, process, engine_cpu, worker_cpu):
        """Puts the engine's threads on one CPU and its first worker on another."""
        for _ in range(1000):
            workers = [pid for pid in descendants(process.pid) if name_of(pid) == "bootstrap"]
            if workers:
                break
            time.sleep(0.002)
        else:
            raise RuntimeError("no worker came up within two seconds")
        os.sched_setaffinity(workers[0], {worker_cpu})
        for thread in os.listdir(f"/proc/{process.pid}/task"):
            os.sched_setaffinity(int(thread), {engine_cpu})

    def finish(self, process):
        if process.wait() != 0:
            raise RuntimeError(f"flexwatt run ended with {process.returncode}: {(self.directory / 'stderr').read_text('utf-8')}")
        return self.records()

    def run(self, stages, cpus=None):
        """The run's row and the records of its invocations, in the order of their start."""
        return self.finish(self.start(stages, cpus))

    def records(self):
        with contextlib.closing(sqlite3.connect(self.store)) as store:
            store.row_factory = sqlite3.Row
            records = [dict(row) for row in store.execute("SELECT * FROM invocation ORDER BY started_ms")]
            return dict(store.execute("SELECT * FROM run").fetchone()), records
