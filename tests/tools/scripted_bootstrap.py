#!/usr/bin/python3 -IS
# SPDX-License-Identifier: Apache-2.0
# A Lambda runtime of a few lines whose function is the Python text in the event's params.code: for tests that try what a
# function must not be able to do, on the wire or from inside its sandbox. The text sees `event`, `output` and `api`.
# FUNCTION_INIT is run before the first event is asked for. The value of `answer` is written as JSON to the output "out".
import ctypes
import errno
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time

HOST, PORT = os.environ["AWS_LAMBDA_RUNTIME_API"].split(":")
BASE = "/2018-06-01/runtime"


class Api:
    """The Runtime API on plain sockets, well behaved or not."""

    def __init__(self):
        self.connection = None
        self.request_id = None
        self.answered = False

    def connect(self):
        return socket.create_connection((HOST, int(PORT)))

    def call(self, method, path, body=b"", headers=()):
        """Status, headers in lower case, body."""
        self.connection = self.connection or self.connect()
        head = [f"{method} {path} HTTP/1.1", f"Host: {HOST}", f"Content-Length: {len(body)}", *headers, "", ""]
        self.connection.sendall("\r\n".join(head).encode() + body)
        return self.read(self.connection)

    def read(self, connection):
        data = b""
        while b"\r\n\r\n" not in data:
            piece = connection.recv(65536)
            if not piece:
                raise ConnectionError("closed by the host")
            data += piece
        head, data = data.split(b"\r\n\r\n", 1)
        status, *lines = head.decode("latin-1").split("\r\n")
        fields = {name.lower(): value.strip() for name, value in (line.split(":", 1) for line in lines)}
        while len(data) < int(fields.get("content-length", 0)):
            data += connection.recv(65536)
        return int(status.split()[1]), fields, data

    def next(self):
        status, fields, body = self.call("GET", f"{BASE}/invocation/next")
        if status != 200:
            sys.exit(f"GET next: {status} {body.decode()}")
        self.request_id, self.answered = fields["lambda-runtime-aws-request-id"], False
        return json.loads(body)

    def path(self, what):
        return f"{BASE}/invocation/{self.request_id}/{what}"

    def post(self, body, what="response", headers=()):
        """Posts bytes, text or JSON as the answer; the status."""
        self.answered = True
        if not isinstance(body, (bytes, str)):
            body = json.dumps(body)
        return self.call("POST", self.path(what), body.encode() if isinstance(body, str) else body, headers)[0]


def attempt(function, *arguments, **options):
    """What became of it: "done", or the name of the error."""
    try:
        function(*arguments, **options)
        return "done"
    except OSError as error:
        return errno.errorcode.get(error.errno, str(error))


def system_call(name_or_number, *arguments):
    """The same for a call of libc by its name, or a system call by its number."""
    libc = ctypes.CDLL(None, use_errno=True)
    if isinstance(name_or_number, int):
        result = libc.syscall(ctypes.c_long(name_or_number), *[ctypes.c_long(value) for value in arguments])
    else:
        result = getattr(libc, name_or_number)(*arguments)
    return errno.errorcode[ctypes.get_errno()] if result < 0 else "done"


def perform(api, event):
    output = (event.get("outputs") or {}).get("out", {}).get("directory")
    names = {**globals(), "api": api, "event": event, "output": output, "answer": None}
    exec(event["params"]["code"], names)
    if api.answered:
        return
    if not output:
        api.post({})
        return
    with open(f"{output}/answer.json", "w", encoding="utf-8") as file:
        json.dump(names["answer"], file)
    api.post({"outputs": {"out": ["answer.json"]}})


def main():
    api = Api()
    exec(os.environ.get("FUNCTION_INIT", ""), {**globals(), "api": api})
    while True:
        perform(api, api.next())


main()
