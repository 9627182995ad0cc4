# SPDX-License-Identifier: Apache-2.0
"""Servers that answer what no server should: it is found, and nothing goes wrong with it."""
import http.server
import threading
import urllib.parse

import e2e
import pytest
from conftest import S3
from test_storage import COPY

KEY = "<Contents><Key>{}</Key><Size>1</Size></Contents>"


class Fake:
    """answer(handler, query) gives (status, text, fields) for each request, or None when it has answered itself; what is put is taken."""

    def __init__(self, answer):
        fake = self
        self.asked = []

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_any(self):
                query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.path).query, keep_blank_values=True))
                fake.asked.append((self.command, self.path))
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                told = answer(self, query)
                if not told:
                    self.close_connection = True
                    return
                status, text, fields = told
                body = text.encode()
                self.send_response(status)
                for field in fields:
                    self.send_header(*field)
                if not any(name == "Transfer-Encoding" for name, _ in fields):
                    self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                try:
                    self.wfile.write(body if self.command != "HEAD" else b"")
                except OSError:
                    pass  # the client has heard enough

            do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = do_any

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def client(tmp_path):
    return lambda fake: S3(fake.url, "fake", tmp_path)


def listing(inside, next_token=""):
    more = f"<IsTruncated>true</IsTruncated><NextContinuationToken>{next_token}</NextContinuationToken>" if next_token else ""
    return f"<ListBucketResult>{more}{inside}</ListBucketResult>"


@pytest.mark.parametrize("inside", [KEY.format("x"), KEY.format("some/where/rows"), "<CommonPrefixes><Prefix>y/</Prefix></CommonPrefixes>"])
def test_a_listing_of_other_keys_ends_a_run(tmp_path, inside):
    """A run of a bucket that lists what is shorter than the prefix that was asked for."""
    def answer(_, query):
        strange = "list-type" in query and "rows" in query["prefix"]
        return 200, listing(inside if strange else "") if "list-type" in query else "", [("ETag", '"e"')]

    with Fake(answer) as fake:
        flexwatt = e2e.Flexwatt(tmp_path)
        flexwatt.env |= {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "HOME": str(tmp_path)}
        flexwatt.workflow(COPY.format(storage=f"s3://fake/some/where?endpoint={fake.url}&region=us-east-1"))
        told = flexwatt("run", "workflow.yaml", status=3, timeout=60).stderr
    assert "the server lists keys that were not asked for" in told


@pytest.mark.parametrize("tokens", [{"": "a", "a": "a"}, {"": "a", "a": "b", "b": "a"}, {"": "a", "a": "b", "b": "c", "c": "d", "d": "b"}])
def test_a_listing_that_leads_round_ends(client, tokens):
    with Fake(lambda _, query: (200, listing(KEY.format("k"), tokens[query.get("continuation-token", "")]), [])) as fake:
        s3 = client(fake)
        s3("ls", status=3)
        assert "the server says that there is more, but not where" in s3.error and len(fake.asked) < 30


def test_a_listing_of_ever_more_empty_pages_ends(client):
    with Fake(lambda _, query: (200, listing("", "n" + str(int(query.get("continuation-token", "n0")[1:]) + 1)), [])) as fake:
        client(fake)("ls", status=3)
        assert len(fake.asked) == 200


def test_an_object_without_a_size_is_an_error(client):
    with Fake(lambda *_: (200, "", [("Transfer-Encoding", "chunked")])) as fake:
        s3 = client(fake)
        s3("head", "key", status=3, attempts=2)
        assert "does not say how large the object is" in s3.error and len(fake.asked) == 2


def test_the_words_of_a_server_stay_one_short_line(client):
    words = "<Error><Code>Bad\u009b31m\nerror: second</Code><Message>" + "\u4f60" * 5000 + "</Message></Error>"
    with Fake(lambda *_: (403, words, [])) as fake:
        s3 = client(fake)
        s3("ls", status=3)
    first, *rest = s3.error.splitlines()
    assert "the server answers 403 Bad 31m error: second: " + "\u4f60" * 90 in first and first.endswith("...") and len(first) < 500
    assert not any(line.startswith("error:") for line in rest) and "\u009b" not in s3.error


def test_a_refusal_is_not_read_for_ever(client):
    """Eight megabytes of it: what it says is in front, or it says nothing."""
    with Fake(lambda *_: (403, "<Error>" + " " * (8 << 20) + "<Code>TooLate</Code></Error>", [])) as fake:
        s3 = client(fake)
        s3("ls", status=3)
        assert "the server answers 403" in s3.error and "TooLate" not in s3.error and len(fake.asked) == 1


def test_who_is_told_to_stay_away_for_an_hour_gives_up_and_says_so(client):
    with Fake(lambda *_: (503, "<Error><Code>SlowDown</Code></Error>", [("Retry-After", "3600")])) as fake:
        s3 = client(fake)
        s3("ls", status=3)
        assert len(fake.asked) == 1 and "left alone for 3600 s" in s3.error


def test_a_bucket_that_is_new_is_said_to_be(client):
    with Fake(lambda *_: (307, "<Error><Code>TemporaryRedirect</Code></Error>", [("x-amz-bucket-region", "us-east-1")])) as fake:
        s3 = client(fake)
        s3("ls", status=3, attempts=2)
        assert "the bucket is new, or is being moved" in s3.error and "say so" not in s3.error and len(fake.asked) == 2


def test_a_server_that_drips_is_given_up(client):
    """A byte at a time, so that the connection is never idle."""
    def answer(handler, _):
        handler.send_response(200)
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        try:
            for _ in range(1000):
                handler.wfile.write(b" ")
                threading.Event().wait(0.2)  # what is tested
        except OSError:
            pass  # the client has left: what is tested

    with Fake(answer) as fake:
        s3 = client(fake)
        s3("ls", status=3, attempts=2, control=1000)
        assert "tried 2 times" in s3.error and len(fake.asked) == 2
        s3("get", "key", "out", 0, 1000, status=3, attempts=2, control=1000)
        assert "tried 2 times" in s3.error and len(fake.asked) == 4
