"""S3, 512 MB up and down: our verbs against `aws s3 cp` and against raw curls side by side, with the same server in turn.

The floor of the speed is the lesser of twice aws's and 0.9 of the best of one to eight curls: what a machine whose server, disk
and memory are shared by both sides allows at all.
"""
import datetime
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

import results

TOP = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TOP / "tests/tools"))
from s3_faults import EMPTY_SHA256, signature_fields  # noqa: E402
from s3_server import KEYS, Server, programs  # noqa: E402

SIZE = 512 << 20
CURLS = (1, 2, 4, 8)
AWSCLI = "awscli==1.46.3"
BUCKET = "bench"


def timed(commands, env=None):
    """Runs them side by side: wall seconds, CPU seconds, what the last one printed."""
    os.sync()  # what was written before is nobody's time of these
    began = time.monotonic()
    running = [subprocess.Popen(list(map(str, command)), env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) for command in commands]
    cpu = 0
    for process in running:
        printed = process.stdout.read()
        process.stdout.close()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            raise RuntimeError(f"{process.args[0]} ended with {process.returncode}")
        cpu += usage.ru_utime + usage.ru_stime
    return time.monotonic() - began, cpu, printed


class Bench:
    def __init__(self, build, server, directory):
        self.server, self.directory = server, directory
        self.client = [build / "tests/tools/s3-client", f"--endpoint={server.url}", f"--bucket={BUCKET}"]
        python = subprocess.run([TOP / "scripts/venv", "awscli", AWSCLI], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
        self.aws = [python, pathlib.Path(python).parent / "aws", "--endpoint-url", server.url, "--only-show-errors", "s3", "cp"]
        self.env = dict(os.environ, AWS_ACCESS_KEY_ID=KEYS[0], AWS_SECRET_ACCESS_KEY=KEYS[1], AWS_DEFAULT_REGION="us-east-1", HOME=str(directory))
        self.file = directory / "in"
        with open(self.file, "wb") as file:
            block = os.urandom(1 << 20)
            for _ in range(SIZE >> 20):
                file.write(block)

    def curl(self, method, key, more=(), options=()):
        path = f"/{BUCKET}/{key}"
        fields = signature_fields(method, f"127.0.0.1:{self.server.port}", path, (), KEYS, datetime.datetime.now(datetime.timezone.utc),
                                  payload="UNSIGNED-PAYLOAD" if method == "PUT" else EMPTY_SHA256, more=more)
        return ["curl", "-sSf", "-X", method, *(word for name, value in fields.items() if name != "host" for word in ("-H", f"{name}: {value}")),
                *options, self.server.url + path]

    def curls_up(self, count):
        return [self.curl("PUT", f"curl-{count}-{i}", options=("-H", "Expect:", "-T", self.directory / f"piece-{count}")) for i in range(count)]

    def curls_down(self, count):
        step = SIZE // count
        return [self.curl("GET", "object", {"range": f"bytes={i * step}-{(i + 1) * step - 1}"}, ("-o", self.directory / f"out-{i}"))
                for i in range(count)]

    def best_curls(self, way):
        best = None
        for count in CURLS:
            if way == "up":
                os.truncate(shutil.copy(self.file, self.directory / f"piece-{count}"), SIZE // count)
            took = timed(self.curls_up(count) if way == "up" else self.curls_down(count))[0]
            best = min(best or took, took)
            self.clean("piece-*", "out-*")
            for i in range(count if way == "up" else 0):
                self.server.ask("DELETE", f"/{BUCKET}/curl-{count}-{i}")
        return best

    def clean(self, *patterns):
        for pattern in patterns:
            for path in self.directory.glob(pattern):
                path.unlink()

    def ours(self, way):
        words = ("put", "object", self.file) if way == "up" else ("get", "object", self.directory / "out")
        told = timed([[*self.client, *words]], self.env)
        if way == "down" and subprocess.run(["cmp", self.file, self.directory / "out"]).returncode != 0:
            raise RuntimeError("what came down is not what went up")
        self.clean("out")
        return told

    def theirs(self, way):
        words = (self.file, f"s3://{BUCKET}/aws") if way == "up" else (f"s3://{BUCKET}/object", self.directory / "out")
        told = timed([[*self.aws, *words]], self.env)
        self.clean("out")
        self.server.ask("DELETE", f"/{BUCKET}/aws")
        return told

    def rows(self, way, repetitions):
        speed, goal, aws_speed, curl_speed, cpu, aws_cpu, peak = [], [], [], [], [], [], []
        megabytes = SIZE / 1e6
        for _ in range(repetitions):
            ours, theirs, curls = self.ours(way), self.theirs(way), self.best_curls(way)
            speed.append(megabytes / ours[0])
            aws_speed.append(megabytes / theirs[0])
            curl_speed.append(megabytes / curls)
            goal.append(min(2 * aws_speed[-1], 0.9 * curl_speed[-1]))
            cpu.append(ours[1])
            aws_cpu.append(theirs[1])
            peak.append(json.loads(ours[2])["peak_kb"] / 1024)
        name = f"512 MB {way}"
        yield results.result("s3", f"{name}: lesser of 2 × aws, 0.9 × curls", "MB/s", speed, floor=goal, at_least=1)
        yield results.result("s3", f"{name}: aws s3 cp alone", "MB/s", aws_speed)
        yield results.result("s3", f"{name}: best of {', '.join(map(str, CURLS))} curls", "MB/s", curl_speed)
        yield results.result("s3", f"{name}: CPU against aws", "s", cpu, peer=aws_cpu, at_least=3)
        yield results.result("s3", f"{name}: peak memory", "MB", peak, at_most=64, of_ratio=False)


def bench(build, repetitions=None):
    build = pathlib.Path(build).resolve()
    with tempfile.TemporaryDirectory(prefix="flexwatt-s3-", dir="/var/tmp") as name:
        directory = pathlib.Path(name)
        with Server("minio", programs() / "minio", directory / "minio") as server:
            if server.ask("PUT", f"/{BUCKET}") != 200:
                raise RuntimeError("the server makes no bucket")
            made = Bench(build, server, directory)
            for way in ("up", "down"):
                yield from made.rows(way, repetitions or 3)
