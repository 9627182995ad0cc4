# SPDX-License-Identifier: Apache-2.0
"""What the tests of S3 share: MinIO and versitygw (scripts/s3-servers) started on free ports, buckets, our verbs in a shell."""
import datetime
import http.client
import itertools
import json
import os
import pathlib
import socket
import subprocess
import sys
import time
import urllib.parse

import pytest

SOURCE = pathlib.Path(__file__).resolve().parents[2]
BUILD = (SOURCE / os.environ.get("FLEXWATT_BUILD", "build/test")).resolve()
CLIENT = BUILD / "tests/tools/s3-client"
DEADLINE_S = 120
KEYS = ("flexwatt-test", "a-secret-of-tests")
sys.path.insert(0, str(SOURCE / "tests/tools"))
from s3_faults import FaultProxy, signature_fields  # noqa: E402

numbers = itertools.count(1)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """A real S3 server that checks signatures, with its data below a directory of its own."""

    def __init__(self, name, program, directory):
        self.name = name
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        data = directory / "data"
        data.mkdir(parents=True)
        address = f"127.0.0.1:{self.port}"
        if name == "minio":
            command = [program, "server", "--address", address, data]
            more = {"MINIO_ROOT_USER": KEYS[0], "MINIO_ROOT_PASSWORD": KEYS[1], "MINIO_BROWSER": "off", "MINIO_UPDATE": "off",
                    "MINIO_DOMAIN": "localhost"}
        else:
            command = [program, "--port", address, "--region", "us-east-1", "--virtual-domain", f"localhost:{self.port}", "posix", data]
            more = {"ROOT_ACCESS_KEY": KEYS[0], "ROOT_SECRET_KEY": KEYS[1]}
        self.log = open(directory / "log", "wb")
        self.process = subprocess.Popen(list(map(str, command)), env=dict(os.environ, HOME=str(directory), **more),
                                        stdin=subprocess.DEVNULL, stdout=self.log, stderr=subprocess.STDOUT)
        self.wait()

    def wait(self):
        deadline = time.monotonic() + 30
        while True:
            try:
                if self.ask("GET", "/") == 200:
                    return
            except OSError:
                pass
            assert self.process.poll() is None and time.monotonic() < deadline, f"{self.name} does not start: {self.log.name}"
            time.sleep(0.05)  # between looks; the deadline is above

    def ask(self, method, path, query=()):
        host = f"127.0.0.1:{self.port}"
        connection = http.client.HTTPConnection(host, timeout=30)
        try:
            connection.request(method, path + ("?" + urllib.parse.urlencode(query) if query else ""), headers=signature_fields(
                method, host, path, query, KEYS, datetime.datetime.now(datetime.timezone.utc)))
            answer = connection.getresponse()
            answer.read()
            return answer.status
        finally:
            connection.close()

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()


@pytest.fixture(scope="session")
def programs():
    return pathlib.Path(subprocess.run([SOURCE / "scripts/s3-servers"], stdout=subprocess.PIPE, text=True, check=True,
                                       timeout=1800).stdout.strip())


@pytest.fixture(scope="session")
def minio(programs, tmp_path_factory):
    server = Server("minio", programs / "minio", tmp_path_factory.mktemp("minio"))
    yield server
    server.stop()


@pytest.fixture(scope="session")
def versitygw(programs, tmp_path_factory):
    server = Server("versitygw", programs / "versitygw", tmp_path_factory.mktemp("versitygw"))
    yield server
    server.stop()


@pytest.fixture(params=["minio", "versitygw"])
def server(request):
    return request.getfixturevalue(request.param)


@pytest.fixture
def bucket(server):
    name = f"test-{os.getpid()}-{next(numbers)}"
    assert server.ask("PUT", f"/{name}") == 200
    return name


@pytest.fixture
def proxy(server):
    with FaultProxy(server.url) as made:
        yield made


class S3:
    """Our verbs on one bucket: s3("get", "key", "file") is what s3-client told; `status` is the exit status that is expected."""

    def __init__(self, url, bucket, directory):
        self.url, self.bucket, self.directory = url, bucket, directory
        self.env = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        self.env |= {"AWS_ACCESS_KEY_ID": KEYS[0], "AWS_SECRET_ACCESS_KEY": KEYS[1], "HOME": str(directory),
                     "ASAN_OPTIONS": "detect_leaks=1:exitcode=99:quarantine_size_mb=1", "UBSAN_OPTIONS": "halt_on_error=1:exitcode=99"}
        self.error = ""

    def command(self, *words, **options):
        options = {"endpoint": self.url, "bucket": self.bucket, **options}
        flags = [f"--{name}={value}" for name, value in options.items()]
        return [str(CLIENT), *flags, *map(str, words)]

    def __call__(self, *words, status=0, **options):
        done = subprocess.run(self.command(*words, **options), env=self.env, cwd=self.directory, stdin=subprocess.DEVNULL,
                              capture_output=True, timeout=DEADLINE_S)
        self.error = done.stderr.decode()
        assert done.returncode == status, f"exit status {done.returncode}\n{done.stdout!r}\n{self.error}"
        if words[0] == "cat":
            return done.stdout
        return json.loads(done.stdout) if done.stdout else None

    def keys(self, *words):
        return [item["key"] for item in self("ls", *words).get("items", [])]

    def uploads(self):
        return [item["key"] for item in self("uploads").get("items", [])]

    def write(self, name, content):
        (self.directory / name).write_bytes(content)
        return name

    def read(self, name):
        return (self.directory / name).read_bytes()


@pytest.fixture
def s3(server, bucket, tmp_path):
    return S3(server.url, bucket, tmp_path)


@pytest.fixture
def faulty(proxy, bucket, tmp_path):
    """The same through the proxy."""
    return S3(proxy.url, bucket, tmp_path)
