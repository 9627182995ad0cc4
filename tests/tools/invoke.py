"""A Runtime API host for one function process: hands out events, takes answers, tells what the process used.

It measures nothing but rusage and isolates nothing: for tests and benchmarks of functions by themselves.
"""
import http.server
import json
import os
import queue
import subprocess
import threading


class Failure(Exception):
    def __init__(self, document):
        super().__init__(document["errorMessage"])
        self.type = document["errorType"]


class Function:
    """with Function("dir/bootstrap", "sharpen") as function: answer = function(event)"""

    def __init__(self, program, handler, environment=None, cpus=None):
        self.events, self.answers = queue.Queue(), queue.Queue()
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        address = f"127.0.0.1:{self.server.server_address[1]}"
        command = [str(program)] if isinstance(program, (str, os.PathLike)) else [str(word) for word in program]
        if cpus is not None:
            command = ["taskset", "-c", cpus, *command]
        self.process = subprocess.Popen(
            command, env={**os.environ, **(environment or {}), "AWS_LAMBDA_RUNTIME_API": address, "_HANDLER": handler},
            stderr=subprocess.PIPE)
        self.log, self.progress = b"", []
        self.usage = self.peak_mb = None

    def _handler(self):
        function = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def handle_one_request(self):
                try:
                    super().handle_one_request()
                except ConnectionError:  # the function was ended
                    self.close_connection = True

            def do_GET(self):
                event = function.events.get()
                if event is None:
                    self.close_connection = True
                    return
                self._reply(200, json.dumps(event).encode(), {"Lambda-Runtime-Aws-Request-Id": "1"})

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                self._reply(202, b"{}")
                if "/progress" in self.path:
                    function.progress.append(json.loads(body))
                else:
                    function.answers.put((self.path.rsplit("/", 1)[1], json.loads(body)))

            def _reply(self, status, body, headers=None):
                self.send_response(status)
                for name, value in (headers or {}).items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *arguments):
                pass

        return Handler

    def __call__(self, event, timeout=600):
        self.events.put(event)
        kind, document = self.answers.get(timeout=timeout)
        if kind == "error":
            raise Failure(document)
        return document

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        with open(f"/proc/{self.process.pid}/status") as status:
            self.peak_mb = next((int(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM")), None)
        self.process.kill()
        self.log = self.process.stderr.read()
        _, _, self.usage = os.wait4(self.process.pid, 0)
        self.process.returncode = 0
        self.process.stderr.close()
        self.events.put(None)
        self.server.shutdown()
        self.server.server_close()

    @property
    def cpu_seconds(self):
        return self.usage.ru_utime + self.usage.ru_stime


def event(handler, inputs, output, directory, suffix="", params=None, task=0):
    """A version 1 event with one input list and one output."""
    name, paths = inputs
    return {
        "flexwatt": 1, "run": "r", "stage": handler, "handler": handler, "task": task, "workers": 1, "attempt": 1,
        "inputs": {name: [{"uri": f"file:{path}", "path": str(path), "bytes": os.path.getsize(path)} for path in paths]},
        "outputs": {output: {"directory": str(directory), "suffix": suffix}}, "params": params or {}}
