# SPDX-License-Identifier: Apache-2.0
"""Our verbs against a proxy that makes faults in front of the real servers: what can be tried again is, what cannot is said."""
import http.server
import json
import threading
import time

import pytest
from conftest import KEYS, S3
from s3_faults import Fault, FaultProxy
from test_verbs import content

PART = 5 << 20


@pytest.fixture
def stored(s3):
    """An object of a few parts, and its bytes."""
    whole = content(3 * PART + 4321)
    s3.write("in", whole)
    s3("put", "stored", "in", part=PART)
    return whole


def test_a_server_that_stumbles_is_asked_again(proxy, faulty, stored):
    proxy.faults += [Fault("status", status=status, code=code, method="GET")
                     for status, code in ((500, "InternalError"), (502, "BadGateway"), (503, "ServiceUnavailable"), (429, "TooManyRequests"))]
    told = faulty("get", "stored", "out")
    assert faulty.read("out") == stored and told["retries"] == 4


def test_a_server_that_never_recovers_is_given_up(proxy, faulty):
    proxy.faults.append(Fault("status", status=500, times=99))
    faulty("head-bucket", status=3, attempts=3)
    assert len(proxy.requests()) == 3
    faulty("ls", status=3, attempts=2)
    assert "the server answers 500 InternalError: made by the test (tried 2 times)" in faulty.error


def test_a_refusal_is_not_tried_again(proxy, faulty):
    proxy.faults.append(Fault("status", status=403, code="AccessDenied", times=99))
    faulty("ls", status=3)
    assert len(proxy.requests()) == 1
    assert "AccessDenied" in faulty.error and "s3:ListBucket" in faulty.error


@pytest.mark.parametrize("verb", ["head", "get", "put"])
def test_slow_down_waits_at_least_as_long_as_the_server_says(proxy, faulty, stored, verb):
    proxy.faults.append(Fault("status", status=503, code="SlowDown", field=("Retry-After", "1")))
    faulty(*{"head": ("head", "stored"), "get": ("get", "stored", "out"), "put": ("put", "new", "in")}[verb])
    first, second = [seen.at for seen in proxy.requests()][:2]
    assert 1.0 <= second - first < 10


def test_a_date_in_retry_after_is_waited_for(proxy, faulty, stored):
    when = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 5))
    proxy.faults.append(Fault("status", status=503, code="SlowDown", field=("Retry-After", when)))
    faulty("head", "stored")
    first, second = [seen.at for seen in proxy.requests()][:2]
    assert 0.9 <= second - first < 10


def test_pauses_grow_and_are_drawn_at_random(proxy, faulty):
    proxy.faults.append(Fault("status", status=500, times=99))
    pauses = []
    for _ in range(4):
        faulty("head-bucket", status=3, attempts=5)
        at = [seen.at for seen in proxy.requests()][-5:]
        pauses.append([later - earlier for earlier, later in zip(at, at[1:])])
    assert all(pause < 0.1 * 2 ** i + 1 for one in pauses for i, pause in enumerate(one)), pauses
    assert max(one[3] for one in pauses) > 0.1, pauses  # four draws from 0 to 0.8 s
    assert len({round(pause, 3) for one in pauses for pause in one}) > 8, pauses


@pytest.mark.parametrize("verb", ["get", "cat"])
def test_an_answer_that_is_cut_is_taken_up_where_it_ended(proxy, faulty, stored, verb):
    proxy.faults += [Fault("cut", method="GET", after=1 << 20), Fault("cut", method="GET", after=(1 << 20) + 77)]
    if verb == "cat":
        assert faulty("cat", "stored") == stored
        ranges = [seen.headers.get("Range") for seen in proxy.requests("GET")]
        assert ranges == [None, f"bytes={1 << 20}-{len(stored) - 1}", f"bytes={(2 << 20) + 77}-{len(stored) - 1}"]
    else:
        faulty("get", "stored", "out", part=PART)
        assert faulty.read("out") == stored
        starts = [int(seen.headers["Range"].split("=")[1].split("-")[0]) for seen in proxy.requests("GET") if seen.headers.get("Range")]
        assert sum(start % PART != 0 for start in starts) == 2 and {start // PART for start in starts} >= {1, 2, 3}, starts


def test_many_cuts_are_survived_as_long_as_each_leads_somewhere(proxy, faulty, stored):
    proxy.faults.append(Fault("cut", method="GET", after=1 << 20, times=10))
    assert faulty("cat", "stored", attempts=3) == stored


def test_a_connection_that_is_cut_all_the_time_is_given_up(proxy, faulty, stored):
    """Each attempt leads on by a little: not for ever."""
    proxy.faults.append(Fault("cut", method="GET", after=70000, times=999))
    faulty("cat", "stored", attempts=2, status=3)
    assert 16 < len(proxy.requests("GET")) < 30


def test_a_request_that_is_cut_is_sent_again(proxy, faulty, stored):
    proxy.faults += [Fault("cut_request", method="PUT", path="partNumber=2"), Fault("cut_request", method="POST", path="uploadId"),
                     Fault("cut_request", method="POST", path="uploads")]
    faulty("put", "again", "in", part=PART)
    assert faulty("cat", "again") == stored
    assert faulty.uploads() == []


def test_a_stalled_connection_is_given_up_and_taken_up(proxy, faulty, stored):
    proxy.faults.append(Fault("stall", method="GET", after=100000, seconds=60))
    began = time.monotonic()
    assert faulty("cat", "stored", idle=1000) == stored
    assert time.monotonic() - began < 30


def test_a_slow_connection_is_not_given_up(proxy, faulty, s3):
    s3.write("in", content(200))
    s3("put", "small", "in")
    proxy.faults.append(Fault("slow", method="GET", after=40, seconds=0.5))
    assert faulty("cat", "small", idle=1500) == content(200)
    assert len(proxy.requests("GET")) == 1


def test_an_answer_that_is_too_short_is_completed(proxy, faulty, stored):
    proxy.faults.append(Fault("short", method="GET", path="stored", after=1000, skip=1))
    faulty("get", "stored", "out", part=PART, parallel=1)
    assert faulty.read("out") == stored


def test_a_whole_answer_that_is_too_short_is_no_success(proxy, faulty, s3):
    """Its head says the same wrong length: only the checksum of the whole can tell."""
    s3.write("in", content(100000))
    s3("put", "small", "in")
    proxy.faults.append(Fault("short", method="GET", after=1000))
    faulty("get", "small", "out")
    assert faulty.read("out") == content(100000)
    proxy.faults.append(Fault("short", method="GET", after=1000, times=99))
    faulty("get", "small", "out", status=3)
    assert "checksum" in faulty.error


def test_a_wrong_byte_on_its_way_down_is_found_and_fetched_again(proxy, faulty, stored, s3):
    proxy.faults.append(Fault("flip", method="GET"))
    faulty("get", "stored", "out", part=PART)
    assert faulty.read("out") == stored
    assert len(proxy.requests("GET")) == 8
    s3.write("small", content(1000))
    s3("put", "small", "small")
    proxy.faults.append(Fault("flip", method="GET"))
    faulty("get", "small", "out")
    assert faulty.read("out") == content(1000)


def test_a_wrong_byte_that_was_given_to_a_sink_is_an_error(proxy, faulty, stored):
    proxy.faults.append(Fault("flip", method="GET"))
    faulty("cat", "stored", status=3)
    assert "what came has another checksum than the object" in faulty.error


def test_a_wrong_byte_on_its_way_up_is_refused_and_sent_again(proxy, faulty, stored, s3):
    proxy.faults += [Fault("flip_request", method="PUT", path="partNumber=2"), Fault("flip_request", method="PUT", path="one")]
    told = faulty("put", "up", "in", part=PART)
    assert told["retries"] == 1
    assert faulty("cat", "up") == stored
    s3.write("small", b"twice")
    assert faulty("put", "one", "small")["retries"] == 1
    assert faulty("cat", "one") == b"twice"


def test_an_error_behind_200_is_an_error(proxy, faulty, stored):
    proxy.faults.append(Fault("hide", method="POST", path="uploadId"))
    assert faulty("put", "hidden", "in", part=PART)["retries"] == 1
    assert faulty("cat", "hidden") == stored
    proxy.faults.append(Fault("hide", method="POST", path="uploadId", times=99))
    faulty("put", "never", "in", part=PART, attempts=2, status=3)
    assert "the server answers 200 InternalError" in faulty.error
    faulty("head", "never", status=3)
    assert faulty.uploads() == []


def test_a_completion_whose_answer_was_lost_is_found_done(proxy, faulty, stored):
    proxy.faults.append(Fault("lose", method="POST", path="uploadId"))
    faulty("put", "lost", "in", part=PART)
    assert faulty("cat", "lost") == stored


def test_what_may_not_exist_is_ours_when_only_the_answer_was_lost(proxy, faulty, stored):
    for path, words, options in (("single", ("put", "single", "in", "if-absent"), {}), ("uploadId", ("put", "parts", "in", "if-absent"), {"part": PART})):
        proxy.faults.append(Fault("lose", method="PUT" if path == "single" else "POST", path=path))
        faulty(*words, **options)
        assert faulty("cat", words[1]) == stored


def test_what_another_has_is_not_ours_though_it_is_the_same(proxy, faulty, s3):
    """A server that is busy has done nothing; and of an empty object nobody can tell whose it is."""
    s3("put-text", "taken", "claim")
    s3.write("claim", b"claim")
    proxy.faults.append(Fault("status", status=503, code="SlowDown", method="PUT"))
    faulty("put", "taken", "claim", "if-absent", status=3)
    assert "PreconditionFailed" in faulty.error
    s3.write("empty", b"")
    proxy.faults.append(Fault("lose", method="PUT"))
    faulty("put", "nothing", "empty", "if-absent", status=3)
    assert "PreconditionFailed" in faulty.error


def test_an_upload_whose_beginning_was_lost_is_aborted(proxy, faulty, stored):
    proxy.faults.append(Fault("lose", method="POST", path="uploads"))
    faulty("put", "begun/twice", "in", part=PART)
    assert faulty("cat", "begun/twice") == stored
    assert faulty("uploads", "begun/twice").get("items", []) == []
    proxy.faults += [Fault("lose", method="POST", path="uploads"), Fault("status", method="POST", path="uploads", status=503, code="SlowDown",
                                                                     field=("Retry-After", "60"))]
    faulty("put", "begun/once", "in", part=PART, cancel=2000)
    assert faulty("uploads", "begun/once").get("items", []) == []


def test_an_upload_that_fails_is_aborted(proxy, faulty, stored):
    proxy.faults.append(Fault("status", status=403, code="AccessDenied", method="PUT", path="partNumber=3", times=99))
    faulty("put", "refused", "in", part=PART, status=3)
    deadline = time.monotonic() + 10
    while not proxy.requests("DELETE") and time.monotonic() < deadline:
        time.sleep(0.01)  # the deadline is above
    assert faulty.uploads() == []
    faulty("head", "refused", status=3)


def test_a_skewed_clock_is_corrected_by_the_servers(server, bucket, tmp_path):
    for ahead in (7200, -7200):
        with FaultProxy(server.url, keys=KEYS) as proxy:
            proxy.clock_s = ahead
            s3 = S3(proxy.url, bucket, tmp_path)
            s3.write("in", b"tick")
            assert s3("put", "clock", "in")["retries"] == 1
            assert s3("head", "clock")["retries"] == 1  # a refusal of HEAD has no body to say why
            assert s3("put-many", "many", 20)["retries"] <= 8, "the correction holds for what follows"


class Container:
    """The endpoint that a container is given: a token after the other."""

    def __init__(self, tokens):
        container = self
        self.tokens, self.asked, self.expires = list(tokens), 0, "2099-01-01T00:00:00Z"

        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def do_GET(self):
                container.asked += 1
                token = container.tokens[min(container.asked, len(container.tokens)) - 1]
                body = json.dumps({"AccessKeyId": KEYS[0], "SecretAccessKey": KEYS[1], "Token": token, "Expiration": container.expires})
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body.encode())

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/keys"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


def test_keys_that_are_over_are_refused_and_no_more_are_asked_for(server, bucket, tmp_path):
    with Container(["one"]) as container:
        container.expires = "2020-01-01T00:00:00Z"
        s3 = S3(server.url, bucket, tmp_path)
        del s3.env["AWS_ACCESS_KEY_ID"], s3.env["AWS_SECRET_ACCESS_KEY"]
        s3.env["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = container.url
        s3("head-bucket", status=3)
        assert "gives keys that ended at 2020-01-01T00:00:00" in s3.error and "clock" in s3.error
        assert container.asked == 3


def test_a_session_that_has_ended_is_renewed(server, bucket, tmp_path):
    with FaultProxy(server.url, keys=KEYS) as proxy, Container(["old", "new"]) as container:
        proxy.token = "new"
        s3 = S3(proxy.url, bucket, tmp_path)
        del s3.env["AWS_ACCESS_KEY_ID"], s3.env["AWS_SECRET_ACCESS_KEY"]
        s3.env["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = container.url
        s3.write("in", b"renewed")
        assert s3("put", "key", "in")["retries"] == 1
        container.asked = 0
        assert s3("put-many", "many/", 30)["retries"] <= 8
        assert container.asked == 2, "those that were refused together are served by one renewal"
        container.asked, container.tokens = 0, ["old"]
        s3("head-bucket", status=3)
        assert container.asked == 2
        s3("ls", status=3)
        assert "ExpiredToken" in s3.error and "fetch new credentials" in s3.error


def test_the_region_that_a_server_names_is_told(proxy, faulty):
    proxy.faults.append(Fault("status", status=400, code="AuthorizationHeaderMalformed", more="<Region>eu-central-1</Region>"))
    faulty("ls", status=2)
    assert "the bucket is in region eu-central-1" in faulty.error


def test_a_page_that_is_no_listing_is_asked_for_again(proxy, faulty, stored):
    proxy.faults.append(Fault("flip", method="GET", path="list-type"))
    assert faulty.keys() == ["stored"]
    proxy.faults.append(Fault("cut", method="GET", path="list-type", after=30))
    assert faulty.keys() == ["stored"]


def test_an_object_that_is_replaced_while_it_is_read_is_a_conflict(proxy, faulty, stored, s3):
    s3.write("other", stored[::-1])
    proxy.faults.append(Fault("cut", method="GET", after=1000, skip=1, then=lambda: s3("put", "stored", "other", part=PART)))
    faulty("get", "stored", "out", part=PART, parallel=1, status=3)
    assert "PreconditionFailed" in faulty.error or "replaced while it was being read" in faulty.error
