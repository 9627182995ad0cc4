# SPDX-License-Identifier: Apache-2.0
"""What the tests of S3 share: MinIO and versitygw (scripts/s3-servers) started on free ports, buckets, our verbs in a shell."""
import importlib.util
import itertools
import json
import os
import pathlib
import subprocess
import sys

import pytest

SOURCE = pathlib.Path(__file__).resolve().parents[2]
BUILD = (SOURCE / os.environ.get("FLEXWATT_BUILD", "build/test")).resolve()
CLIENT = BUILD / "tests/tools/s3-client"
DEADLINE_S = 120
sys.path.insert(0, str(SOURCE / "tests/tools"))
import s3_server  # noqa: E402
from s3_faults import FaultProxy  # noqa: E402
from s3_server import KEYS, Server  # noqa: E402

_spec = importlib.util.spec_from_file_location("e2e", SOURCE / "tests/e2e/conftest.py")
e2e = sys.modules["e2e"] = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(e2e)

numbers = itertools.count(1)


@pytest.fixture(scope="session")
def programs():
    return s3_server.programs()


@pytest.fixture(scope="session")
def minio(programs, tmp_path_factory):
    with Server("minio", programs / "minio", tmp_path_factory.mktemp("minio")) as server:
        yield server


@pytest.fixture(scope="session")
def versitygw(programs, tmp_path_factory):
    with Server("versitygw", programs / "versitygw", tmp_path_factory.mktemp("versitygw")) as server:
        yield server


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
