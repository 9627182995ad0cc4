"""The ML application against Python: components against numpy's eigh, training against the same LightGBM, workers side by side.

Interleaved repetitions. Components and one model's training are timed inside the process, on one thread: start, imports and reading
apart, on both sides.
"""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import threading

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests/tools"))
from invoke import Function, event  # noqa: E402
from results import result  # noqa: E402

AREA = "apps"
PACKAGES = ["numpy==2.2.6", "lightgbm==4.7.0"]
QUIET = {"OMP_WAIT_POLICY": "PASSIVE", "OPENBLAS_NUM_THREADS": "2"}  # as the application's workflow has it
MODELS = 4


def cpu_s(command, threads=1):
    """Of the work alone, as the program itself tells it."""
    environment = {**os.environ, **QUIET, "OPENBLAS_NUM_THREADS": str(threads)}
    done = subprocess.run(list(map(str, command)), check=True, stdout=subprocess.PIPE, text=True, env=environment, timeout=600)
    return json.loads(done.stdout.splitlines()[-1])["cpu_s"]


class Application:
    """The package with LightGBM, digits, and their components, in a directory of its own."""

    def __init__(self, build, directory):
        self.tool, self.directory = build / "examples/ml/ml-tool", pathlib.Path(directory)
        self.package = self.directory / "functions"
        shutil.copytree(build / "examples/ml/functions", self.package)
        subprocess.run([ROOT / "scripts/lightgbm", self.package], check=True)
        subprocess.run([ROOT / "examples/ml/make-data", "--directory", self.directory], check=True,
                       env={**os.environ, "FLEXWATT_BUILD": str(build)})
        self.digits = self.directory / "train.tsv"
        request = event("pca", ("digits", [self.digits]), "components", self.directory / "components", ".npy")
        request["outputs"]["vectors"] = {"directory": str(self.directory / "vectors"), "suffix": ".npy"}
        for output in request["outputs"]:
            (self.directory / output).mkdir()
        with self.function("pca") as function:
            function(request)
        self.components, = (self.directory / "components").glob("*.npy")

    def function(self, handler):
        return Function(self.package / "bootstrap", handler, {
            **QUIET, "LAMBDA_TASK_ROOT": str(self.package), "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "3538"})

    def train(self, workers):
        """CPU seconds of all workers of a stage, each with two threads, side by side."""
        used = []

        def work(task):
            with tempfile.TemporaryDirectory() as models:
                request = event("train", ("components", [self.components]), "models", models, params={"models": MODELS}, task=task)
                with self.function("train") as function:
                    function({**request, "workers": workers})
                used.append(function.cpu_seconds)

        threads = [threading.Thread(target=work, args=(task,)) for task in range(workers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(used) == workers, "a worker failed"
        return sum(used)


def compared(application, python, repetitions):
    ours, theirs = {"pca": [], "train": []}, {"pca": [], "train": []}
    peer = ROOT / "bench/ml_python.py"
    for _ in range(repetitions):
        for _ in range(3):  # each takes a fraction of a second
            ours["pca"].append(cpu_s([application.tool, "pca", application.digits, 100, 1]))
            theirs["pca"].append(cpu_s([python, peer, "pca", application.digits, 100, 1]))
        ours["train"].append(cpu_s([application.tool, "train", application.components, application.package / "lib_lightgbm.so",
                                    5000, 1, 1]))
        theirs["train"].append(cpu_s([python, peer, "train", application.components, 5000, 1, 1]))
    return ours, theirs


def bench(build, repetitions):
    build, repetitions = pathlib.Path(build).resolve(), repetitions or 3
    python = subprocess.run([ROOT / "scripts/venv", "ml", *PACKAGES], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    with tempfile.TemporaryDirectory() as directory:
        application = Application(build, directory)
        ours, theirs = compared(application, python, repetitions)
        pairs = [(application.train(2), application.train(1)) for _ in range(repetitions)]
    yield result(AREA, "ML: 100 components of 6000 digits, against numpy's eigh", "s of CPU", ours["pca"], floor=theirs["pca"], at_most=1)
    yield result(AREA, "ML: training of a model, against the same LightGBM from Python", "s of CPU", ours["train"],
                 floor=theirs["train"], at_most=1.05)
    yield result(AREA, "ML: two workers with two models each, against one with four", "s of CPU", [mine for mine, _ in pairs],
                 floor=[its for _, its in pairs], at_most=1.15)
