#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# A worker that does what its event says, well or badly: {"do": NAME, "attempts": DIRECTORY}.
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time

HOST, PORT = os.environ["AWS_LAMBDA_RUNTIME_API"].split(":")
BASE = "/2018-06-01/runtime/"
connection = http.client.HTTPConnection(HOST, int(PORT))


def call(method, path, body=None):
    connection.request(method, path, body)
    response = connection.getresponse()
    return response.status, response.headers, response.read()


def answer(request, value):
    return call("POST", f"{BASE}invocation/{request}/response", json.dumps(value))[0]


def raw(data):
    other = socket.create_connection((HOST, int(PORT)))
    other.sendall(data)
    return other


def act(do, request, event):
    if do == "echo":
        answer(request, event)
    elif do == "environment":
        answer(request, dict(os.environ))
    elif do == "print":
        print("to stdout", flush=True)
        print("to stderr", file=sys.stderr, flush=True)
        answer(request, None)
    elif do == "error":
        call("POST", f"{BASE}invocation/{request}/error", json.dumps({"errorType": "Oops", "errorMessage": "it broke"}))
    elif do == "exit":
        os._exit(7)
    elif do == "exit 0":
        os._exit(0)
    elif do == "abort":
        os.kill(os.getpid(), signal.SIGSEGV)
    elif do == "be killed":
        os.kill(os.getpid(), signal.SIGKILL)
    elif do == "hang":
        time.sleep(1000)
    elif do == "hang, deaf to SIGTERM":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(1000)
    elif do == "answer, then exit":
        answer(request, "kept")
        os._exit(5)
    elif do == "answer, then hang":
        answer(request, "kept")
        time.sleep(1000)
    elif do == "answer twice":
        answer(request, "first")
        print("second answer:", answer(request, "second"), flush=True)
    elif do == "answer 7 MB":
        print("answered:", answer(request, "x" * (7 << 20)), flush=True)
    elif do == "answer another":
        print("answered:", answer("00000000-0000-4000-8000-000000000000", "wrong"), flush=True)
        answer(request, "right")
    elif do == "ask before answering":
        print("next:", call("GET", BASE + "invocation/next")[0], flush=True)
        answer(request, "late")
    elif do == "cut the answer off":
        head = f"POST {BASE}invocation/{request}/response HTTP/1.1\r\nContent-Length: 1000\r\n\r\nhalf"
        raw(head.encode()).close()
        os._exit(1)
    elif do == "post garbage":
        raw(b"\x00\xff\x16\x03 garbage \r\n\r\n" * 100)
        for _ in range(200):
            raw(b"G")
        answer(request, "alive")
    elif do == "flood":
        block = b"".join(b"line %07d of a flood of lines\n" % i for i in range(10000))
        for _ in range(40):
            os.write(1, block)
        os.write(1, b"the last line\n")
        answer(request, None)
    elif do == "flood forever":
        while True:
            os.write(1, b"x" * 65536)
    elif do == "run out of memory":
        open(event["attempts"] + "/oom", "w").close()
        os.kill(os.getpid(), signal.SIGKILL)
    elif do == "lose a child to memory, fail":
        open(event["attempts"] + "/oom", "w").close()
        act("error", request, event)
    elif do == "lose a child to memory, succeed":
        open(event["attempts"] + "/oom", "w").close()
        answer(request, "fine")
    elif do == "eat memory":
        hoard = bytearray(600 << 20)
        hoard[::4096] = b"x" * len(hoard[::4096])
        answer(request, len(hoard))
    elif do == "eat memory in a child":
        child = subprocess.run([sys.executable, "-c", "x = bytearray(600 << 20); x[::4096] = b'x' * len(x[::4096])"])
        if child.returncode:
            act("error", request, event)
        else:
            answer(request, "survived")
    elif do == "daemonise and exit":
        subprocess.Popen(["sleep", "1000"], start_new_session=True)
        os._exit(1)
    elif do == "ask another's host":
        host, port = event["argument"].split(":")
        try:
            stranger = http.client.HTTPConnection(host, int(port), timeout=10)
            stranger.request("GET", BASE + "invocation/next")
            answer(request, "served %d" % stranger.getresponse().status)
        except (OSError, http.client.HTTPException):
            answer(request, "refused")
    elif do == "progress":
        call("POST", "/flexwatt/1/progress", json.dumps({"done": 1, "total": 2, "note": "half"}))
        answer(request, None)


mode = os.environ.get("INIT_MODE")
if mode == "exit":
    print("cannot start", flush=True)
    sys.exit(3)
if mode == "hang":
    time.sleep(1000)
if mode == "error":
    call("POST", BASE + "init/error", json.dumps({"errorType": "Runtime.NoSuchModule", "errorMessage": "no module"}))
    sys.exit(1)
if mode == "print":
    print("while starting", flush=True)
while True:
    _, headers, body = call("GET", BASE + "invocation/next")
    happening = json.loads(body)
    act(happening["do"], headers["Lambda-Runtime-Aws-Request-Id"], happening)
