# SPDX-License-Identifier: Apache-2.0
"""StageContext: what a stage's function gets in Python, as FlexExecutor has it, and what flexwatt adds.

Inputs are local files, outputs are files that the function writes where next_output_path() says; the host publishes them when the
function returns. Time in get_input_paths() and in the iterators of inputs is `read`, within writing() `write`, the rest `compute`.
"""
from __future__ import annotations

import _thread
import errno
import io
import itertools
import json
import math
import os
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, BinaryIO, NoReturn

_PROGRESS_INTERVAL_S = 0.1
_MISSING: Any = object()


class FunctionError(Exception):
    """Fails the invocation with an error type of its own: FunctionError("Video.Corrupt", "clip.mp4: no video stream")."""

    def __init__(self, error_type: str, message: str) -> None:
        super().__init__(message)
        self.error_type = error_type


class _Range(io.RawIOBase):
    """The bytes of a range, behind the header line that it was cut from. A file that ends before its range does is an error."""

    def __init__(self, uri: str, path: str, offset: int, length: int | None, before: bytes) -> None:
        self._uri, self._offset = uri, offset
        self._before = before
        self._left = math.inf if length is None else length
        self._file = open(path, "rb", buffering=0)
        self._file.seek(offset)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        if self._before:
            count = min(len(view), len(self._before))
            view[:count] = self._before[:count]
            self._before = self._before[count:]
            return count
        wanted = int(min(len(view), self._left))
        taken = (self._file.readinto(view[:wanted]) or 0) if wanted else 0
        if wanted and not taken and self._left < math.inf:
            raise _too_short(self._uri, os.fstat(self._file.fileno()).st_size, self._left)
        self._left -= taken
        return taken

    def close(self) -> None:
        self._file.close()
        super().close()


def _too_short(uri: str, end: int, missing: float) -> FunctionError:
    return FunctionError("Function.Read", f"{uri} ends at byte {end}, {missing:.0f} bytes before its range: it was changed after it was cut")


class InputObject:
    """An object of an input, or a range of one."""

    def __init__(self, context: StageContext, item: dict[str, Any], name: str, index: int) -> None:
        self._context = context
        self._path: str | None = item.get("path")
        self._cut: str | None = None
        self._staged = self._path is not None
        self.name = name
        self.index = index  #: position in the input's list, from 0
        self.uri: str = item.get("uri") or item.get("path", "")
        self.bytes: int | None = item.get("bytes")  #: of the whole object
        self.offset: int = item.get("offset", 0)
        self.length: int | None = item.get("length")  #: of the range; None: to the end
        self.is_range = "offset" in item or "length" in item
        self.header: str | None = item.get("header")  #: of the table that the range was cut from, without its newline
        self.part: int | None = item.get("part")  #: of `parts`, where a stage cuts by seconds
        self.parts: int | None = item.get("parts")

    def __repr__(self) -> str:
        span = f", bytes {self.offset}+{self.length}" if self.is_range else ""
        return f"InputObject({self.uri}{span})"

    def _stage_in(self) -> str:
        if not self._staged:
            asked = {"uri": self.uri, "offset": self.offset, "length": -1 if self.length is None else self.length}
            reply = self._context._ask("POST", "/flexwatt/1/stage-in", asked)
            self._path, self._staged = reply["path"], True
            self.offset = reply.get("offset", self.offset)
            length = reply.get("length", -1)
            self.length = length if length >= 0 else self.length
        assert self._path is not None
        return self._path

    @property
    def whole_path(self) -> str:
        """The local file that holds the object; a range of it lies at `offset` and is `length` long. Read only."""
        with self._context._reading:
            return self._stage_in()

    @property
    def path(self) -> str:
        """A local file of exactly this object's bytes, of a range with its header line before them. Read only.

        A range is copied into /tmp when this is first asked for; open() needs no copy.
        """
        with self._context._reading:
            path = self._stage_in()
            before = self._before()
            if not self.is_range or (not before and self._is_all_of(path)):
                return path
            if self._cut is None:
                self._cut = self._copy(path, before)
            return self._cut

    def _is_all_of(self, path: str) -> bool:
        return self.offset == 0 and (self.length is None or self.length == os.stat(path).st_size)

    def _before(self) -> bytes:
        return f"{self.header}\n".encode() if self.header is not None else b""

    def _copy(self, path: str, before: bytes) -> str:
        base = os.path.basename(path).encode("utf-8", "replace")[-150:].decode("utf-8", "ignore")  # its ending says what it is
        cut = self._context._scratch_file(f"{self.name}-{self.index:03d}-{base}")
        try:
            with open(cut, "wb") as file, open(path, "rb") as source:
                file.write(before)
                source.seek(self.offset)
                left = math.inf if self.length is None else self.length
                while left > 0:
                    block = source.read(int(min(left, 1 << 20)))
                    if not block and left < math.inf:
                        raise _too_short(self.uri, source.tell(), left)
                    if not block:
                        break
                    file.write(block)
                    left -= len(block)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise FunctionError("Function.StageIn", f"{self.uri}: cut the range: {error}") from error
            raise FunctionError("Function.StageIn", f"{self.uri}: the range does not fit into /tmp: {error} (give the stage more tmp, "
                                                    "or read the range by open())") from error
        return cut

    def open(self) -> BinaryIO:
        """A binary file of the object's bytes, of a range with its header line before them, without a copy."""
        with self._context._reading:
            return io.BufferedReader(_Range(self.uri, self._stage_in(), self.offset, self.length, self._before()), 1 << 16)

    def __iter__(self) -> Iterator[bytes]:
        """The lines, as open() has them."""
        with self.open() as file:
            yield from file


class _Phase:
    """Adds up the time within `with` blocks of one phase; blocks within blocks count once."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._depth = 0
        self._since = 0.0

    def __enter__(self) -> _Phase:
        self._depth += 1
        if self._depth == 1:
            self._since = time.perf_counter()
        return self

    def __exit__(self, *exception: object) -> None:
        self._depth -= 1
        if self._depth == 0:
            self.seconds += time.perf_counter() - self._since


class StageContext:
    """One invocation of a stage's function. Threads may share it; child processes may be handed it, to read inputs and write outputs."""

    def __init__(self, event: dict[str, Any], context: Any, host: str) -> None:
        self.event = event  #: as it came
        self.run: str = event.get("run", "")
        self.stage: str = event.get("stage", "")
        self.attempt: int = event.get("attempt", 1)  #: from 1
        self.worker_id: int = event.get("task", 0)  #: index of this task in its stage, from 0
        self.num_workers: int = event.get("workers", 1)
        self.params: dict[str, Any] = event.get("params") or {}
        self.request_id: str = getattr(context, "aws_request_id", "")
        self._inputs: dict[str, Any] = event.get("inputs") or {}
        self._outputs: dict[str, Any] = event.get("outputs") or {}
        self._deadline_ms: int = getattr(context, "_deadline_ms", 0)
        self._objects: dict[str, list[InputObject]] = {}
        self._names: dict[str, list[str]] = {name: [] for name in self._outputs}
        self._metrics: dict[str, float] = {}
        self._units: float | None = None
        self._reading, self._writing = _Phase(), _Phase()
        self._since = time.perf_counter()
        self._pid = os.getpid()
        self._scratch = f"/tmp/flexwatt-{self._pid}-{self.request_id or self.worker_id}"
        self._address = host
        self._connect()

    def _connect(self) -> None:
        self._host: Any = None
        self._host_pid = 0
        self._lock = _thread.allocate_lock()
        self._numbers = {name: itertools.count(len(names)) for name, names in self._names.items()}  # each is given to one thread
        self._told = 0.0

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name not in ("_host", "_lock", "_numbers")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._connect()

    def __repr__(self) -> str:
        return f"StageContext(stage {self.stage!r}, worker {self.worker_id} of {self.num_workers}, inputs {sorted(self._inputs)}, " \
               f"outputs {sorted(self._outputs)})"

    # ---- as FlexExecutor has it ----

    def get_input_paths(self, input_id: str) -> list[str]:
        """Local files of this worker's objects. A range is a file of exactly its bytes, behind its table's header line."""
        with self._reading:
            return [item.path for item in self.inputs(input_id)]

    def get_param(self, key: str, default: Any = _MISSING) -> Any:
        """A parameter of the stage; KeyError when there is none and no default."""
        if key in self.params:
            return self.params[key]
        if default is _MISSING:
            raise KeyError(f"the stage has no parameter {key!r}, only {sorted(self.params)}")
        return default

    def next_output_path(self, output_id: str, suffix: str | None = None) -> str:
        """A fresh path for an output object; the function writes it before it returns."""
        output = self._output(output_id)
        number = next(self._numbers[output_id])
        name = f"{self.worker_id:04d}-{self._child()}{number:03d}{output.get('suffix', '') if suffix is None else suffix}"
        self._names[output_id].append(name)
        return os.path.join(output["directory"], name)

    def is_dynamic_chunker(self, input_id: str) -> bool:
        """Whether this worker's objects are ranges that were cut without rewriting the data."""
        return any(item.is_range or item.parts is not None for item in self.inputs(input_id))

    input_paths = get_input_paths  # as older versions of FlexExecutor have it

    # ---- what flexwatt adds ----

    def inputs(self, input_id: str) -> Iterator[InputObject]:
        """This worker's objects, those that are ready first; waits for producers that are still at work after them."""
        if input_id not in self._inputs:
            raise FunctionError("Function.Input", f"the stage has no input {input_id!r}, only {sorted(self._inputs)}")
        known = self._objects.get(input_id)
        if known is not None:
            yield from known
            return
        found: list[InputObject] = []
        items = self._items(self._inputs[input_id])
        while True:
            with self._reading:
                item = next(items, None)
            if item is None:
                break
            found.append(InputObject(self, item, input_id, len(found)))
            yield found[-1]
        self._objects[input_id] = found

    def _items(self, listed: Any) -> Iterator[dict[str, Any]]:
        waiting = []
        for item in self._read_manifest(listed) if isinstance(listed, dict) else listed:
            if "future" in item:
                waiting.append(item["future"])
            else:
                yield item
        for token in waiting:
            yield from self._ask("GET", f"/flexwatt/1/future/{token}")["objects"]

    @staticmethod
    def _read_manifest(listed: dict[str, Any]) -> Iterator[dict[str, Any]]:
        with open(listed["manifest"], "rb") as file:
            for line in file:
                if line.strip():
                    yield json.loads(line)

    def output_directory(self, output_id: str) -> str:
        """For programs that choose names themselves: declare each with add_output()."""
        directory: str = self._output(output_id)["directory"]
        return directory

    def add_output(self, output_id: str, name: str) -> str:
        """Declares a file of the output's directory by its name; its path."""
        directory = self.output_directory(output_id)
        if not name or "/" in name or name in (".", ".."):
            raise FunctionError("Function.Output", f"output {output_id!r}: {name!r} is no name for an object")
        self._names[output_id].append(name)
        return os.path.join(directory, name)

    def write_output(self, output_id: str, data: bytes | str, suffix: str | None = None) -> str:
        """Writes a whole output object, timed as write; its path."""
        with self._writing:
            path = self.next_output_path(output_id, suffix)
            with open(path, "wb") as file:
                file.write(data.encode() if isinstance(data, str) else data)
            return path

    def writing(self) -> _Phase:
        """`with ctx.writing():` time that counts as write."""
        return self._writing

    def reading(self) -> _Phase:
        """`with ctx.reading():` time that counts as read."""
        return self._reading

    def progress(self, done: float, total: float = 0, note: str | None = None) -> None:
        """Shown live; cheap to call often: at most ten a second are sent, and the last step (done = total)."""
        if not (math.isfinite(done) and math.isfinite(total)) or not self._lock.acquire(False):
            return  # another thread is telling just now
        try:
            now = time.monotonic()
            if now - self._told < _PROGRESS_INTERVAL_S and not 0 < total <= done:
                return
            self._told = now
            told: dict[str, Any] = {"done": done, "total": total}
            if note is not None:
                told["note"] = note
            self._connection().call("POST", "/flexwatt/1/progress", json.dumps(told).encode())
        except OSError:
            pass  # nobody hears it: the work is the same
        finally:
            self._lock.release()

    def units(self, count: float) -> None:
        """Adds to what the function counts as its work: frames, rows, points."""
        self._units = (self._units or 0) + count

    def metric(self, name: str, value: float) -> None:
        """A quality or other figure that goes into the record."""
        if not math.isfinite(value):
            raise FunctionError("Function.Metric", f"metric {name!r} is not a finite number")
        self._metrics[name] = float(value)

    def fail(self, error_type: str, message: str) -> NoReturn:
        """Fails the invocation: raises FunctionError."""
        raise FunctionError(error_type, message)

    def get_remaining_time_in_millis(self) -> int:
        return max(self._deadline_ms - int(time.time() * 1000), 0)

    # ---- for the bootstrap ----

    def _output(self, output_id: str) -> dict[str, Any]:
        if output_id not in self._outputs:
            raise FunctionError("Function.Output", f"the stage has no output {output_id!r}, only {sorted(self._outputs)}")
        output: dict[str, Any] = self._outputs[output_id]
        return output

    def _connection(self) -> Any:
        if self._host is None or self._host_pid != os.getpid():  # a child must not use its parent's
            import sys
            self._host, self._host_pid = getattr(sys.modules["__main__"], "Host", None), os.getpid()
            if self._host is None:
                from .bootstrap import Host
                self._host = Host
            self._host = self._host(self._address)
        return self._host

    def _ask(self, method: str, path: str, body: object = None) -> Any:
        with self._lock:
            status, _, reply = self._connection().call(method, path, json.dumps(body).encode() if body is not None else b"")
        try:
            answer = json.loads(reply)
        except ValueError:
            answer = None
        if status == 200 and answer is not None:
            return answer
        told = answer if isinstance(answer, dict) else {}
        raise FunctionError(told.get("errorType", "Function.StageIn"), f"{path}: {told.get('errorMessage', f'status {status}')}")

    def _scratch_file(self, name: str) -> str:
        os.makedirs(self._scratch, exist_ok=True)
        return os.path.join(self._scratch, self._child() + name)

    def _child(self) -> str:
        """Before the names of what a child process writes."""
        return "" if os.getpid() == self._pid else f"p{os.getpid()}-"

    def _written(self, output_id: str) -> list[str]:
        """Names in the order that they were given out, then those of child processes, whose lists are gone with them."""
        directory = self._outputs[output_id]["directory"]
        names = list(dict.fromkeys(self._names[output_id]))
        for name in names:
            if not os.path.lexists(os.path.join(directory, name)):
                raise FunctionError("Function.Output", f"output {output_id!r}: {name} was asked for and not written")
        prefix = f"{self.worker_id:04d}-p"
        return names + sorted(name for name in os.listdir(directory) if name.startswith(prefix) and name not in names)

    def _answer(self, result: object) -> dict[str, Any]:
        seconds = time.perf_counter() - self._since
        read, write = self._reading.seconds, self._writing.seconds
        answer: dict[str, Any] = {
            "outputs": {name: self._written(name) for name in self._outputs},
            "phases": {"read_ms": round(read * 1e3, 3), "compute_ms": round(max(seconds - read - write, 0) * 1e3, 3),
                       "write_ms": round(write * 1e3, 3)}}
        if self._units is not None:
            answer["units"] = _number(self._units)
        if self._metrics:
            answer["metrics"] = self._metrics
        if result is not None:
            try:
                answer["result"] = json.loads(json.dumps(result, allow_nan=False, default=_number))
            except (TypeError, ValueError) as error:
                print(f"[WARN] what the function returned is no JSON and is left out of its record: {error}")
        return answer

    def _close(self) -> None:
        if self._host is not None:
            self._host.close()
        if os.path.isdir(self._scratch):
            import shutil
            shutil.rmtree(self._scratch, ignore_errors=True)  # a range's copies; what cannot go is no failure of the function


def _number(value: Any) -> Any:
    """A number of another library (numpy's, for one) as Python's own."""
    for convert in ("item", "tolist"):
        try:
            return getattr(value, convert)()
        except (AttributeError, ValueError):
            continue
    if isinstance(value, (int, float)):
        return value
    raise TypeError(f"{type(value).__name__} is not JSON")
