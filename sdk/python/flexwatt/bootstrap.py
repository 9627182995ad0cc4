# SPDX-License-Identifier: Apache-2.0
"""Starts a Python handler: a runtime client of AWS Lambda that asks for its first event as soon as the handler is imported.

    python3 -S bootstrap.py [style=stage|event] [client=DIRECTORY] [executable=… prefix=…] [site=DIRECTORY] MODULE.FUNCTION

What a start does not need is not loaded: the interpreter is started without site-packages, which come in when the first import is
not found without them; JSON, tracebacks and StageContext are imported while the host answers. `client` is where AWS's awslambdaric
lies: then that runs the handler, and this only gives it the environment of its interpreter.
"""
import os
import sys

import _socket

NEXT = "/2018-06-01/runtime/invocation/next"
CONTEXTS = ("StageContext", "StorageContext", "IOManager")  # what FlexExecutor called it over the years


class Host:
    """A kept connection to the Runtime API, for one thread at a time."""

    def __init__(self, address):
        host, _, port = address.partition(":")
        self.address = (host, int(port or 80))
        self.name = address
        self.socket = self.reader = None

    def open(self):
        self.close()
        self.socket = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)
        self.socket.connect(self.address)
        self.socket.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_NODELAY, 1)
        self.reader = open(self.socket.fileno(), "rb", closefd=False)

    def close(self):
        if self.socket:
            self.reader.close()
            self.socket.close()
        self.socket = self.reader = None

    def send(self, method, path, body=b"", headers=""):
        head = f"{method} {path} HTTP/1.1\r\nHost: {self.name}\r\nContent-Length: {len(body)}\r\n{headers}\r\n".encode()
        if not self.socket:
            self.open()
        try:
            if len(body) < 65536:
                self.socket.sendall(head + body)
            else:
                self.socket.sendall(head)
                self.socket.sendall(body)
        except (BrokenPipeError, ConnectionResetError):
            pass  # a host that refuses what is too large says so before it has read it all

    def send_head(self, path):
        """Of an answer whose length is not known; chunks and trailers follow."""
        if not self.socket:
            self.open()
        self.socket.sendall(
            f"POST {path} HTTP/1.1\r\nHost: {self.name}\r\nContent-Type: application/octet-stream\r\n"
            "Transfer-Encoding: chunked\r\nLambda-Runtime-Function-Response-Mode: streaming\r\n"
            "Trailer: Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body\r\n\r\n".encode())

    def receive(self):
        """Status, headers by their names in small letters, body."""
        line = self.reader.readline()
        if not line:
            raise ConnectionResetError("the host closed the connection")
        headers = {}
        while True:
            name, _, value = self.reader.readline().decode("latin-1").partition(":")
            if not name.strip():
                break
            headers[name.lower()] = value.strip()
        if headers.get("transfer-encoding", "").lower() == "chunked":
            body = self.read_chunks()
        else:
            body = self.reader.read(int(headers.get("content-length", 0)))
        if headers.get("connection", "").lower() == "close":
            self.close()
        return int(line.split()[1]), headers, body

    def read_chunks(self):
        pieces = []
        while True:
            size = int(self.reader.readline().split(b";")[0], 16)
            if size == 0:
                break
            pieces.append(self.reader.read(size))
            self.reader.readline()
        while self.reader.readline().strip():
            continue
        return b"".join(pieces)

    def call(self, method, path, body=b"", headers=""):
        try:
            self.send(method, path, body, headers)
            return self.receive()
        except OSError:
            self.close()
            raise


def runtime_spec(name):
    """Of a package that lies beside this file's: it belongs to the host, whatever else is installed."""
    return sys.modules["_frozen_importlib_external"].PathFinder.find_spec(name, [os.path.dirname(os.path.dirname(__file__))])


class Site:
    """The interpreter's environment (site-packages, .pth files, sitecustomize), loaded when something needs it."""

    def __init__(self, options):
        self.options = options
        self.loaded = False

    def load(self):
        if self.loaded:
            return False
        self.loaded = True
        if "prefix" in self.options:  # before site looks: it finds pyvenv.cfg by these
            sys.executable = self.options["executable"]
            sys.prefix = sys.exec_prefix = self.options["prefix"]
        import site
        site.main()
        for directory in filter(None, [self.options.get("site"), self.options.get("client")]):
            if directory not in sys.path:
                sys.path.append(directory)
        return True


class First:
    """Asked before every import: what must be there when these are."""

    def __init__(self, site):
        self.site = site
        self.logs = "client" not in site.options  # AWS's client brings its own handler

    def find_spec(self, name, path=None, target=None):
        if name == "flexwatt":
            return runtime_spec(name)
        if name == "logging" and self.logs:
            return self.with_our_handler(name)
        if name in ("importlib.metadata", "pkgutil", "pkg_resources", "runpy"):
            self.site.load()
        return None

    def with_our_handler(self, name):
        spec = sys.modules["_frozen_importlib_external"].PathFinder.find_spec(name)
        original = spec.loader.exec_module

        def exec_module(module):
            original(module)
            from flexwatt import _logging
            _logging.install(module)
        spec.loader.exec_module = exec_module
        return spec


class Last:
    """Asked for what nobody found."""

    def __init__(self, site):
        self.site = site

    def find_spec(self, name, path=None, target=None):
        if path is None and self.site.load():
            spec = sys.modules["_frozen_importlib_external"].PathFinder.find_spec(name)
            if spec:
                return spec
        if name.partition(".")[0] == "flexecutor":
            from flexwatt import _flexecutor
            return _flexecutor.find_spec(name)
        return None


def prepare(options):
    site = Site(options)
    root = os.environ.get("LAMBDA_TASK_ROOT") or os.getcwd()
    sys.path[0:1] = [root, *filter(None, os.environ.get("PYTHONPATH", "").split(":"))]
    sys.path[:] = dict.fromkeys(sys.path)
    sys.meta_path.insert(0, First(site))
    sys.meta_path.append(Last(site))
    import builtins
    builtins.exit = builtins.quit = sys.exit  # as with site
    return site


def run_client(site, handler):
    """AWS's own client, with the environment that its interpreter would have by itself."""
    site.load()
    sys.argv = ["awslambdaric", handler]
    import runpy
    runpy.run_module("awslambdaric", run_name="__main__", alter_sys=True)


def load(handler):
    module, _, name = handler.rpartition(".")
    if not module:
        from flexwatt import _runtime
        raise _runtime.Fault("Runtime.MalformedHandlerName", f"Bad handler '{handler}': it is not MODULE.FUNCTION")
    module = module.replace("/", ".")
    __import__(module)
    found = sys.modules[module]
    try:
        return getattr(found, name)
    except AttributeError:
        from flexwatt import _runtime
        raise _runtime.Fault("Runtime.HandlerNotFound", f"Handler '{name}' missing on module '{module}'") from None


def takes_context(function):
    """Whether the annotation of the first argument says StageContext, as a class or as text."""
    try:
        annotations = {name: said for name, said in function.__annotations__.items() if name != "return"}
        code = function.__code__
        first = code.co_varnames[0] if code.co_argcount else next(iter(annotations))  # a decorator's: what it wraps
        annotation = annotations[first]
    except Exception:  # none, or one that cannot be evaluated
        return False
    name = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", "")
    return name.rpartition(".")[2] in CONTEXTS


def read_options(arguments):
    return dict(setting.split("=", 1) for setting in arguments[1:-1])


def main(arguments):
    handler = arguments[-1]
    options = read_options(arguments)
    site = prepare(options)
    if "client" in options:
        return run_client(site, handler)
    sys.stdout.reconfigure(line_buffering=True, errors="backslashreplace")
    host = Host(os.environ["AWS_LAMBDA_RUNTIME_API"])
    try:
        function = load(handler)
    except Exception as error:
        from flexwatt import _runtime
        return _runtime.report_init(host, handler, error)
    host.send("GET", NEXT)
    from flexwatt import _runtime
    staged = options.get("style") == "stage" or ("style" not in options and takes_context(function))
    return _runtime.serve(host, function, staged, NEXT)


if __name__ == "__main__":
    sys.exit(main(sys.argv))
if __name__ == "__mp_main__":  # a process that multiprocessing spawned
    prepare(read_options(sys.argv))
