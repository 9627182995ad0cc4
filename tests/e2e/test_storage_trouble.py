# SPDX-License-Identifier: Apache-2.0
"""What is wrong with a storage is named once, with what a person can do about it."""
import http.server
import os
import socket
import threading

import pytest

from test_terminal import on_terminal

READS = """
    name: reads
    storage: ./data
    defaults: {memory: 128, retries: 0}
    stages:
      read: {function: {command: [cat, "{input.lists}"]}, workers: 1, inputs: {lists: {keys: "tables/*"}}}
"""


@pytest.fixture
def reads(flexwatt):
    flexwatt.write("data/tables/a.csv", "1\n")
    flexwatt.workflow(READS)
    return flexwatt


@pytest.mark.parametrize("target, reason, hint", [
    ("{elsewhere}/b.csv", "object tables/b.csv is a link that leaves the storage", "hint: copy it into "),
    ("nothing.csv", "object tables/b.csv is a link to what cannot be read: No such file or directory", "hint: remove the link, or mend it"),
])
def test_a_link_that_cannot_be_followed_is_named_once(reads, target, reason, hint):
    reads.write("elsewhere/b.csv", "2\n")
    (reads.data / "tables/b.csv").symlink_to(target.format(elsewhere=reads.directory / "elsewhere"))
    refused = reads("run", "workflow.yaml", status=3).stderr
    assert f"error: stage 'read': input 'lists': list tables/* in {reads.data}: {reason}\n" in refused
    assert hint in refused and refused.count("list tables") == 1
    assert reads.json("runs") == []


def test_a_link_inside_the_storage_is_the_file(reads):
    (reads.data / "tables/b.csv").symlink_to("a.csv")
    assert reads.json("run", "workflow.yaml")["state"] == "ok"


def test_a_name_that_is_no_text_is_shown(reads):
    os.rename(reads.data / "tables/a.csv", os.fsencode(reads.data) + b"/tables/caf\xe9.csv")
    refused = reads("run", "workflow.yaml", status=3).stderr
    assert "the name of object tables/caf\\xE9.csv is not UTF-8" in refused and "hint: rename the file" in refused


@pytest.mark.skipif(os.geteuid() != 0, reason="workers have a uid of their own only where the engine is root")
def test_a_file_that_functions_may_not_read_comes_with_the_remedy(reads):
    (reads.data / "tables/a.csv").chmod(0o600)
    refused = reads("run", "workflow.yaml", status=1).stderr
    assert "Permission denied" in refused
    assert f"  hint: functions run as another user; chmod -R o+rX {reads.data} lets them read the files there\n" in refused


KEYS = {"AWS_ACCESS_KEY_ID": "someone", "AWS_SECRET_ACCESS_KEY": "something", "AWS_REGION": "us-east-1"}


def refused_bucket(flexwatt, endpoint, **variables):
    for name in ("http_proxy", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY"):
        flexwatt.env.pop(name, None)
    flexwatt.env.update(KEYS, **variables)
    return flexwatt("run", "workflow.yaml", "--storage", f"s3://bucket?endpoint={endpoint}", status=3).stderr


def test_a_proxy_that_fails_is_named_by_its_variable(reads):
    refused = refused_bucket(reads, "http://127.0.0.1:9", http_proxy="http://127.0.0.1:1")
    assert "hint: it went through the proxy that http_proxy names: unset it, or go around it with no_proxy=127.0.0.1\n" in refused
    refused = refused_bucket(reads, "http://127.0.0.1:9", http_proxy="gopher://127.0.0.1:1")
    assert "the proxy that http_proxy names" in refused
    refused = refused_bucket(reads, "http://127.0.0.1:9", http_proxy="http://127.0.0.1:1", no_proxy="127.0.0.1")
    assert "proxy" not in refused and "hint: is the endpoint http://127.0.0.1:9 right" in refused


class Site(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    page = b"<!DOCTYPE html>\n<html><body>welcome</body></html>\n"

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(self.page)))
        self.end_headers()
        self.wfile.write(self.page)

    do_HEAD = do_GET

    def log_message(self, *arguments):
        pass


@pytest.mark.parametrize("page", [Site.page, b"<html><body>welcome</body></html>"])
def test_a_web_site_is_told_from_an_s3_server(reads, page):
    handler = type("Handler", (Site,), {"page": page})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        refused = refused_bucket(reads, f"http://127.0.0.1:{server.server_port}")
        server.shutdown()
    assert f"hint: a web site is there, no S3 server: is the endpoint http://127.0.0.1:{server.server_port} right?" in refused


def test_a_server_that_is_waited_for_is_named_on_a_terminal(reads):
    """It accepts and says nothing; after some seconds the person knows for whom, and goes."""
    reads.env.update(KEYS)
    server = socket.create_server(("127.0.0.1", 0))
    endpoint = f"http://127.0.0.1:{server.getsockname()[1]}"
    reads.env["FLEXWATT_STORAGE"] = f"s3://bucket?endpoint={endpoint}"

    def accept_and_hang_up():
        taken = []
        server.settimeout(8)
        try:
            while True:
                taken.append(server.accept()[0])
        except OSError:
            for connection in [server, *taken]:
                connection.close()
    accepting = threading.Thread(target=accept_and_hang_up)
    accepting.start()
    written, status = on_terminal(reads, "run", "workflow.yaml")
    accepting.join()
    assert status == 3 and f"waiting for an answer of s3://bucket?endpoint={endpoint}\r\n".encode() in written
