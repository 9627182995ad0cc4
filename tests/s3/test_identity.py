# SPDX-License-Identifier: Apache-2.0
"""Who we are and whom we speak to: session tokens that a server checks, TLS, and payloads that are signed where others could change them."""
import contextlib
import datetime
import hashlib
import http.client
import os
import re
import socket
import subprocess
import time

import pytest
from conftest import KEYS, S3, s3_server
from s3_faults import Fault, FaultProxy, signature_fields
from test_faults import Container
from test_storage import COPY, flexwatt  # noqa: F401: a fixture
from test_verbs import content

PARTS = content(12 << 20)


def session_of(server):
    """Keys and token of a session, by MinIO's security token service."""
    body, host = b"Action=AssumeRole&Version=2011-06-15&DurationSeconds=3600", f"127.0.0.1:{server.port}"
    fields = signature_fields("POST", host, "/", (), KEYS, datetime.datetime.now(datetime.timezone.utc), payload=hashlib.sha256(body).hexdigest(),
                              more=[("content-type", "application/x-www-form-urlencoded")], service="sts")
    connection = http.client.HTTPConnection(host, timeout=30)
    connection.request("POST", "/", body, fields)
    text = connection.getresponse().read().decode()
    connection.close()
    return [re.search(f"<{name}>(.*?)</{name}>", text)[1] for name in ("AccessKeyId", "SecretAccessKey", "SessionToken")]


@pytest.mark.parametrize("server", ["minio"], indirect=True)
def test_session_tokens_are_signed_and_wrong_ones_are_said_to_be(s3, server):
    names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
    s3.env |= dict(zip(names, session_of(server)))
    s3.write("in", PARTS)
    s3("put", "sp ace/+", "in", part=5 << 20)
    assert s3("cat", "sp ace/+") == PARTS and s3.keys() == ["sp ace/+"]
    s3.env["AWS_SESSION_TOKEN"] = s3.env["AWS_SESSION_TOKEN"][:-3] + "abc"
    s3("ls", status=3)
    assert "InvalidTokenId" in s3.error and "fetch new credentials" in s3.error
    s3("head-bucket", status=3)
    assert "the server answers 403" in s3.error


def test_a_session_that_ends_in_a_run_is_renewed(flexwatt, server):
    """When an object is fetched and when one is published; the container gives another token each time."""
    flexwatt.put("rows/a", "first\n")
    with FaultProxy(server.url, keys=KEYS) as proxy, Container([f"token{i}" for i in range(100)]) as container:
        flexwatt.workflow(COPY.format(storage=flexwatt.storage.replace(server.url, proxy.url)))
        del flexwatt.env["AWS_ACCESS_KEY_ID"], flexwatt.env["AWS_SECRET_ACCESS_KEY"]
        flexwatt.env["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = container.url
        proxy.faults += [Fault("status", status=400, code="ExpiredToken", method="GET", path="rows/a"),
                         Fault("status", status=400, code="ExpiredToken", method="PUT", path="/copies/")]
        run = flexwatt.json("run", "workflow.yaml")
        for method, path in (("GET", "rows/a"), ("PUT", "/copies/")):
            refused, taken = [seen.headers["x-amz-security-token"] for seen in proxy.requests(method, path)]
            assert refused != taken
    assert run["state"] == "ok" and flexwatt.outputs(run["run"])["join/0.1/all/0000-000"] == b"first\n"


@contextlib.contextmanager
def versitygw_at(programs, directory, host, *options):
    """A server with a bucket, on an address of its own."""
    port = s3_server.free_port()
    (directory / "data/bucket").mkdir(parents=True)
    with open(directory / "log", "wb") as log:
        process = subprocess.Popen([programs / "versitygw", "--port", f"{host}:{port}", "--region", "us-east-1", *options, "posix", directory / "data"],
                                   env=dict(os.environ, ROOT_ACCESS_KEY=KEYS[0], ROOT_SECRET_KEY=KEYS[1]), stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 30
        while True:
            try:
                socket.create_connection((host, port), 1).close()
                break
            except OSError:
                assert process.poll() is None and time.monotonic() < deadline, (directory / "log").read_text()
                time.sleep(0.05)  # between looks; the deadline is above
        yield port
    finally:
        process.kill()
        process.wait()


def both_ways(s3):
    s3.write("in", PARTS)
    s3("put", "large", "in", part=5 << 20)
    s3("put-text", "small", "hello")
    assert s3("cat", "large") == PARTS and s3("cat", "small") == b"hello"


def test_a_server_is_known_by_its_certificate(programs, tmp_path):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", tmp_path / "key.pem", "-out", tmp_path / "cert.pem",
                    "-days", "1", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"], check=True, capture_output=True)
    with versitygw_at(programs, tmp_path, "127.0.0.1", "--cert", tmp_path / "cert.pem", "--key", tmp_path / "key.pem") as port:
        s3 = S3(f"https://localhost:{port}", "bucket", tmp_path)
        s3("ls", status=3, attempts=1)
        assert "certificate" in s3.error
        s3.env["AWS_CA_BUNDLE"] = "~/cert.pem"
        both_ways(s3)
        s3.url = f"https://127.0.0.1:{port}"  # not a name of that certificate
        s3("ls", status=3, attempts=1)
        assert "subject name" in s3.error, s3.error


def address_of_its_own():
    """One of this machine that is not its loopback; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return None
        return probe.getsockname()[0]


def test_what_crosses_a_network_in_the_clear_is_signed(programs, tmp_path):
    """A server checks the sum of the payload, which stands in the signature."""
    host = address_of_its_own()
    if not host or host.startswith("127."):
        pytest.skip("this machine has no address but its loopback")
    with versitygw_at(programs, tmp_path, host) as port:
        both_ways(S3(f"http://{host}:{port}", "bucket", tmp_path))
        seen = sums_sent(tmp_path, host)
    assert seen == [hashlib.sha256(b"hello").hexdigest()]
    assert sums_sent(tmp_path, "127.0.0.1") == ["UNSIGNED-PAYLOAD"]


def sums_sent(directory, host):
    """What one put says of its payload, by a listener of ours."""
    with socket.create_server((host, 0)) as listener:
        listener.settimeout(30)
        s3 = S3(f"http://{host}:{listener.getsockname()[1]}", "bucket", directory)
        process = subprocess.Popen(s3.command("put-text", "small", "hello", attempts=1), env=s3.env, cwd=directory, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
        connection, _ = listener.accept()
        connection.settimeout(30)
        head = b""
        while b"\r\n\r\n" not in head:
            piece = connection.recv(65536)
            assert piece, head
            head += piece
        connection.close()
        process.wait(60)
    return re.findall(r"(?i)x-amz-content-sha256: (\S+)", head.decode("latin-1"))
