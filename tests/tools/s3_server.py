# SPDX-License-Identifier: Apache-2.0
"""Real S3 servers that check signatures (scripts/s3-servers), each on a free port with its data in a directory of its own."""
import datetime
import hashlib
import http.client
import os
import pathlib
import socket
import subprocess
import time
import urllib.parse

from s3_faults import signature_fields

SOURCE = pathlib.Path(__file__).resolve().parents[2]
KEYS = ("flexwatt-test", "a-secret-of-tests")


def programs():
    """The directory with the servers, which are built when they are not there."""
    return pathlib.Path(subprocess.run([SOURCE / "scripts/s3-servers"], stdout=subprocess.PIPE, text=True, check=True,
                                       timeout=1800).stdout.strip())


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """with Server("minio", programs() / "minio", directory) as server: server.url"""

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

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def wait(self):
        deadline = time.monotonic() + 30
        while True:
            try:
                if self.ask("GET", "/") == 200:
                    return
            except OSError:
                pass
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise RuntimeError(f"{self.name} does not start: {self.log.name}")
            time.sleep(0.05)  # between looks; the deadline is above

    def ask(self, method, path, query=(), body=b"", fields=()):
        """The status of a request; `query` and `fields` are lists of pairs."""
        host = f"127.0.0.1:{self.port}"
        connection = http.client.HTTPConnection(host, timeout=30)
        try:
            connection.request(method, path + ("?" + urllib.parse.urlencode(query) if query else ""), body=body, headers=signature_fields(
                method, host, path, query, KEYS, datetime.datetime.now(datetime.timezone.utc), payload=hashlib.sha256(body).hexdigest(), more=fields))
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
