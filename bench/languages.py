"""Benchmarks of functions in other languages: how long a Python worker takes from its process to its first request for an event."""
import json
import os
import pathlib
import socket
import subprocess
import tempfile
import time

from results import result

AREA = "languages"
PYTHON = "/usr/bin/python3"
STARTS = 40
SOURCE = pathlib.Path(__file__).resolve().parents[1]


def compiled_bootstrap(build, directory):
    """As flexwatt itself prepares it for this interpreter: found in its state after a run."""
    (directory / "code").mkdir()
    (directory / "code/app.py").write_text("def handler(event, context):\n    pass\n")
    (directory / "workflow.yaml").write_text(json.dumps({"name": "start", "storage": "./data", "stages": {"only": {
        "function": {"python": {"path": "./code", "interpreter": PYTHON}, "handler": "app.handler"}, "payload": {}}}}))
    (directory / "data").mkdir()
    environment = {**os.environ, "FLEXWATT_STORE": str(directory / "state/flexwatt.db"), "FLEXWATT_DATA": str(SOURCE / "data")}
    subprocess.run([build.resolve() / "src/cli/flexwatt", "run", "workflow.yaml"], cwd=directory, env=environment, check=True,
                   stdout=subprocess.DEVNULL, timeout=60)
    bootstrap, = (directory / "state/python").glob("*/flexwatt/bootstrap.pyc")
    return bootstrap


class Host:
    """Accepts a client and reads what it asks."""

    def __init__(self, root):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.settimeout(30)
        self.environment = {"AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{self.listener.getsockname()[1]}", "LAMBDA_TASK_ROOT": str(root),
                            "PATH": "/usr/bin:/bin", "_HANDLER": "app.handler"}

    def start_ms(self, *command):
        """From the start of the process until its first request for an event is here."""
        began = time.perf_counter()
        process = subprocess.Popen(command, env=self.environment, cwd=self.environment["LAMBDA_TASK_ROOT"],
                                   stderr=subprocess.DEVNULL)
        client = None
        try:
            client, _ = self.listener.accept()
            asked = client.recv(4096)
            taken = time.perf_counter() - began
            assert asked.startswith(b"GET /2018-06-01/runtime/invocation/next "), asked
        finally:
            process.kill()
            process.wait()
            if client:
                client.close()
        return 1000 * taken


def floor_ms():
    began = time.perf_counter()
    subprocess.run([PYTHON, "-I", "-S", "-c", "pass"], env={}, check=True)
    return 1000 * (time.perf_counter() - began)


def bench(build, repetitions):
    with tempfile.TemporaryDirectory() as name:
        directory = pathlib.Path(name)
        bootstrap = compiled_bootstrap(build, directory)
        host = Host(directory / "code")
        pairs = [(host.start_ms(PYTHON, "-S", str(bootstrap), "app.handler"), floor_ms()) for _ in range(STARTS)]
        yield result(AREA, "Python: process to first GET next, an empty handler", "ms", [mine for mine, _ in pairs],
                     floor=[its for _, its in pairs], at_most=1.5)
        if repetitions == 1:
            return
        client = subprocess.run([SOURCE / "scripts/venv", "awslambdaric", "awslambdaric==4.2.2"], stdout=subprocess.PIPE, text=True,
                                check=True, timeout=300).stdout.strip()
        pairs = [(host.start_ms(PYTHON, "-S", str(bootstrap), "app.handler"),
                  host.start_ms(client, "-m", "awslambdaric", "app.handler")) for _ in range(STARTS // 2)]
        yield result(AREA, "the same, against AWS's awslambdaric", "ms", [mine for mine, _ in pairs], peer=[its for _, its in pairs])
