# SPDX-License-Identifier: Apache-2.0
"""A proxy in front of an S3 server that makes faults on request, and the signature that a test needs to ask for itself.

    with FaultProxy("http://127.0.0.1:9000") as proxy:
        proxy.faults.append(Fault("status", status=503, code="SlowDown", field=("Retry-After", "1"), method="GET", times=2))

Each fault is made for the first `times` requests that match it; `proxy.seen` has every request in order. Signatures stay valid,
because the Host field is handed on as it came.
"""
import collections
import dataclasses
import datetime
import email.utils
import hashlib
import hmac
import http.client
import http.server
import random
import re
import threading
import time
import urllib.parse

EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()
Seen = collections.namedtuple("Seen", "method path headers body_bytes at fault status")


def signature_fields(method, host, path, query, keys, now, region="us-east-1", payload=EMPTY_SHA256, more=(), service="s3"):
    """Fields that sign a request (SigV4); `query` is a list of pairs, `path` is encoded."""
    stamp = now.strftime("%Y%m%dT%H%M%SZ")
    fields = dict(more, host=host) | {"x-amz-date": stamp, "x-amz-content-sha256": payload}
    names = ";".join(sorted(fields))
    encoded = sorted((urllib.parse.quote(name, safe="-_.~"), urllib.parse.quote(value, safe="-_.~")) for name, value in query)
    canonical = "\n".join([method, path, "&".join(f"{name}={value}" for name, value in encoded),
                           *(f"{name}:{fields[name].strip()}" for name in sorted(fields)), "", names, payload])
    scope = f"{stamp[:8]}/{region}/{service}/aws4_request"
    text = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = ("AWS4" + keys[1]).encode()
    for word in scope.split("/"):
        key = hmac.new(key, word.encode(), hashlib.sha256).digest()
    signed = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
    fields["authorization"] = f"AWS4-HMAC-SHA256 Credential={keys[0]}/{scope}, SignedHeaders={names}, Signature={signed}"
    return fields


@dataclasses.dataclass
class Fault:
    """kind: status, cut (the answer's body after `after` bytes), cut_request (the connection, after the request's head), stall (the
    answer's body after `after` bytes, for `seconds`), slow (the answer's body at `after` bytes a piece, `seconds` between), short
    (a whole answer that is `after` bytes too short), flip (a byte of the answer's body), flip_request (a byte of the request's body),
    hide (200 whose body is the error), lose (the request is carried out, its answer is not given), silent (neither, for
    `seconds`)."""
    kind: str
    method: str = ""
    path: str = ""       # a part of path and query
    times: int = 1
    skip: int = 0        # matching requests that are let through first
    after: int = 0
    seconds: float = 0
    status: int = 500
    code: str = "InternalError"
    field: tuple = ()
    more: str = ""       # inside the error document
    then: object = None  # is called when a body is cut, before the client hears of it

    def matches(self, method, path):
        return (not self.method or self.method == method) and self.path in path


class RandomFaults:
    """Faults for a share of all requests, at places that the seed draws: the same request, counted among its like, meets the same one
    in every run. Each third of a kind is let through: what is tried again has an end."""

    def __init__(self, seed, share):
        self.seed, self.share = seed, share
        self.counted, self.made = collections.Counter(), collections.Counter()

    def draw(self, method, path, headers):
        like = re.sub(r"^/[^/?]+", "", re.sub(r"runs(/|%2F)[^/%&]+", "runs/*", re.sub(r"(uploadId|continuation-token)=[^&]*", r"\1=*", path)))
        count = self.counted[method, like]
        self.counted[method, like] += 1
        chance = random.Random(f"{self.seed} {method} {like} {count}")
        if count % 3 == 2 or chance.random() >= self.share:
            return None
        fault = chance.choice(self.kinds(method, headers))
        self.made[fault.kind if fault.kind != "status" else fault.code] += 1
        return dataclasses.replace(fault)

    @staticmethod
    def kinds(method, headers):
        refusals = [Fault("status", status=500), Fault("status", status=503, code="SlowDown", field=("Retry-After", "0"))]
        if method != "GET":
            lost = [] if method == "HEAD" else [Fault("lose")]
            return refusals + lost + {"PUT": [Fault("flip_request")], "POST": [Fault("hide")]}.get(method, []) + [Fault("cut_request")]
        answers = [Fault("slow", after=1 << 16, seconds=0.02), Fault("cut", after=20), Fault("short", after=1)]
        # Of a piece of an object S3 tells no checksum: nobody could find what is wrong in it.
        return refusals + answers + ([] if "Range" in headers else [Fault("flip")])


class FaultProxy:
    def __init__(self, upstream, keys=None, random_faults=None):
        self.upstream = urllib.parse.urlsplit(upstream)
        self.keys = keys          # with them, requests are signed anew: the clock below is believed
        self.clock_s = None       # what this server takes for the time, as seconds ahead of the true one
        self.token = None         # the one session token that is good
        self.faults, self.seen = [], []
        self.random_faults = random_faults
        self.lock = threading.Lock()
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def requests(self, method="", path=""):
        with self.lock:
            return [seen for seen in self.seen if (not method or seen.method == method) and path in seen.path]

    def _take_fault(self, method, path, headers):
        with self.lock:
            for fault in self.faults:
                if fault.times > 0 and fault.matches(method, path):
                    if fault.skip > 0:
                        fault.skip -= 1
                        continue
                    fault.times -= 1
                    return fault
            return self.random_faults.draw(method, path, headers) if self.random_faults else None

    def _note(self, *values):
        with self.lock:
            self.seen.append(Seen(*values))

    def _handler(proxy):  # noqa: N805: `self` is the request's
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = 1 << 16

            def log_message(self, *_):
                pass

            def date_time_string(self, timestamp=None):
                return email.utils.formatdate((timestamp or time.time()) + (proxy.clock_s or 0), usegmt=True)

            def refuse(self, status, code, field=(), more=""):
                body = f"<Error><Code>{code}</Code><Message>made by the test</Message>{more}</Error>".encode()
                self.send_response(status)
                if field:
                    self.send_header(*field)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            def hang_up(self):
                self.wfile.flush()
                self.close_connection = True
                self.connection.shutdown(2)

            def date_is_wrong(self):
                if proxy.clock_s is None:
                    return False
                stamp = datetime.datetime.strptime(self.headers["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=datetime.timezone.utc)
                return abs(stamp.timestamp() - time.time() - proxy.clock_s) > 900

            def handle_any(self):
                fault = proxy._take_fault(self.command, self.path, self.headers)
                kind = fault.kind if fault else ""
                if kind == "silent":
                    proxy._note(self.command, self.path, self.headers, 0, time.monotonic(), kind, 0)
                    self.rfile.read(int(self.headers.get("Content-Length") or 0))
                    self.stall(fault.seconds)
                    self.close_connection = True
                    return
                if kind == "cut_request":
                    proxy._note(self.command, self.path, self.headers, 0, time.monotonic(), kind, 0)
                    self.hang_up()
                    return
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                status = None
                if self.date_is_wrong():
                    status = 403
                    self.refuse(403, "RequestTimeTooSkewed")
                elif proxy.token is not None and self.headers.get("x-amz-security-token") != proxy.token:
                    status = 400
                    self.refuse(400, "ExpiredToken")
                elif kind == "status":
                    status = fault.status
                    self.refuse(fault.status, fault.code, fault.field, fault.more)
                elif kind == "hide":
                    status = 200
                    self.refuse(200, fault.code)
                proxy._note(self.command, self.path, self.headers, len(body), time.monotonic(), kind, status)
                if status is None:
                    self.pass_on(fault, kind, body)

            do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = handle_any

            def fields_to_pass(self):
                fields = [(name, value) for name, value in self.headers.items() if name.lower() not in ("connection",)]
                if not proxy.keys:
                    return fields
                parts = urllib.parse.urlsplit(self.path)
                kept = {name.lower(): value for name, value in fields
                        if name.lower().startswith("x-amz-") and name.lower() not in ("x-amz-date", "x-amz-security-token")
                        or name.lower() in ("range", "if-match", "if-none-match")}
                payload = kept.pop("x-amz-content-sha256")
                return list(signature_fields(
                    self.command, self.headers["Host"], parts.path, urllib.parse.parse_qsl(parts.query, keep_blank_values=True),
                    proxy.keys, datetime.datetime.now(datetime.timezone.utc), payload=payload, more=kept).items()) + [
                        ("Content-Length", self.headers.get("Content-Length") or "0")]

            def pass_on(self, fault, kind, body):
                if kind == "flip_request" and body:
                    body = body[:-1] + bytes([body[-1] ^ 1])
                server = http.client.HTTPConnection(proxy.upstream.hostname, proxy.upstream.port, timeout=60)
                server.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
                for name, value in self.fields_to_pass():
                    server.putheader(name, value)
                try:
                    server.endheaders(body or None)
                except OSError:
                    pass  # it has refused before it had read all: its answer is there
                answer = server.getresponse()
                if kind == "lose":
                    answer.read()
                    self.hang_up()
                else:
                    self.give_back(answer, fault, kind)
                server.close()

            def give_back(self, answer, fault, kind):
                length = int(answer.getheader("Content-Length") or 0)
                chunked = answer.getheader("Content-Length") is None and self.command != "HEAD"
                content = answer.read() if chunked else None
                self.send_response(answer.status)
                for name, value in answer.getheaders():
                    if name.lower() not in ("content-length", "transfer-encoding", "date", "connection"):
                        self.send_header(name, value)
                if chunked:
                    length = len(content)
                sent = max(0, length - fault.after) if kind == "short" else length
                self.send_header("Content-Length", str(sent))
                self.end_headers()
                if self.command == "HEAD":
                    return
                self.give_body(content, answer, fault, kind, sent)

            def give_body(self, content, answer, fault, kind, length):
                done = 0
                while done < length:
                    size = min(1 << 16, length - done)
                    if kind in ("cut", "stall") and done < fault.after:
                        size = min(size, fault.after - done)
                    if kind == "slow":
                        size = min(size, fault.after)
                    piece = content[done:done + size] if content is not None else answer.read(size)
                    if kind == "flip" and done == 0 and piece:
                        piece = bytes([piece[0] ^ 1]) + piece[1:]
                    try:
                        self.wfile.write(piece)
                        done += len(piece)
                        if kind in ("cut", "stall") and done >= fault.after:
                            self.wfile.flush()
                            if kind == "cut":
                                if fault.then:
                                    fault.then()
                                self.hang_up()
                                return
                            kind = self.stall(fault.seconds)
                        if kind == "slow":
                            self.wfile.flush()
                            time.sleep(fault.seconds)  # what the fault is
                    except OSError:
                        self.close_connection = True  # the client has left: what is tested, or its own right
                        return

            def stall(self, seconds):
                """Until the client gives up, at most so long."""
                self.connection.settimeout(seconds)
                try:
                    self.connection.recv(1)
                except TimeoutError:
                    pass
                self.connection.settimeout(None)
                return ""

        return Handler
