# SPDX-License-Identifier: Apache-2.0
"""StageContext of sdk/python by itself: ranges, objects without a path, producers still at work, progress; against a host of ours."""
import concurrent.futures
import contextlib
import functools
import http.server
import json
import multiprocessing
import os
import pickle
import sys
import threading

import pytest

from conftest import SOURCE

sys.path.insert(0, str(SOURCE / "sdk/python"))
from flexwatt import FunctionError, StageContext  # noqa: E402
from flexwatt.bootstrap import Host, takes_context  # noqa: E402

TABLE = "a,b\r\n1,2\n3,4\n5,6\n"


class Answers(http.server.BaseHTTPRequestHandler):
    """What the server's `answers` say, by path; `asked` keeps what came."""

    protocol_version = "HTTP/1.1"

    def answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.asked.append((self.path, json.loads(body or b"null")))
        status, reply = self.server.answers.get(self.path, (202, {"status": "OK"}))
        reply = json.dumps(reply(self.server.asked[-1][1]) if callable(reply) else reply).encode()
        self.send_response(status)
        if self.path.endswith("chunks"):
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for byte in reply:
                self.wfile.write(b"1;x=y\r\n" + bytes([byte]) + b"\r\n")
            self.wfile.write(b"0\r\nTrailer: 1\r\n\r\n")
            return
        self.send_header("Content-Length", str(len(reply)))
        self.end_headers()
        self.wfile.write(reply)

    do_GET = do_POST = answer

    def log_message(self, *_):
        pass


@pytest.fixture
def host():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    server.answers, server.asked, server.daemon_threads = {}, [], True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def context(host, tmp_path):
    """Makes contexts with this input; each is closed at the end."""
    with contextlib.ExitStack() as stack:
        def make(objects, **event):
            made = StageContext({"flexwatt": 1, "task": 3, "workers": 8, "inputs": {"table": objects},
                                 "outputs": {"out": {"directory": str(tmp_path / "out"), "suffix": ".o"}}, **event},
                                None, "127.0.0.1:%d" % host.server_port)
            stack.callback(made._close)
            return made
        (tmp_path / "out").mkdir()
        yield make


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "table.csv"
    path.write_bytes(TABLE.encode())
    return {"uri": f"file:{path}", "path": str(path), "bytes": len(TABLE)}


def test_a_range_is_a_file_of_its_bytes_behind_the_header(context, table):
    made = context([{**table, "offset": 9, "length": 4, "header": "a,b\r"}, {**table, "offset": 9, "length": 4}])
    first, second = made.get_input_paths("table")
    with open(first, "rb") as one, open(second, "rb") as other:
        assert one.read() == b"a,b\r\n3,4\n" and other.read() == b"3,4\n"
    assert first.startswith("/tmp/") and made.get_input_paths("table") == [first, second], "it is cut once"
    assert made.is_dynamic_chunker("table")
    made._close()
    assert not os.path.exists(os.path.dirname(first)), "nothing is left of it"


@pytest.mark.parametrize("span", [{}, {"offset": 0, "length": len(TABLE)}, {"offset": 0}])
def test_a_whole_object_is_never_copied(context, table, span):
    made = context([{**table, **span}])
    assert made.get_input_paths("table") == [table["path"]]


def test_a_range_is_read_without_a_copy(context, table):
    made = context([{**table, "offset": 5, "length": 8, "header": "a,b"}])
    item, = made.inputs("table")
    with item.open() as file:
        assert file.read(2) == b"a," and file.read() == b"b\n1,2\n3,4\n" and file.read() == b""
    assert list(item) == [b"a,b\n", b"1,2\n", b"3,4\n"]
    assert (item.offset, item.length, item.whole_path, item.index) == (5, 8, table["path"], 0)
    assert not os.path.exists(made._scratch)


def test_every_cut_of_a_table_reads_as_its_bytes(context, table):
    for offset in range(len(TABLE)):
        for length in range(len(TABLE) - offset + 1):
            item, = context([{**table, "offset": offset, "length": length}]).inputs("table")
            assert item.open().read() == TABLE.encode()[offset:offset + length]


@pytest.mark.parametrize("read", [lambda item: item.path, lambda item: item.open().read(), list])
def test_a_file_that_ends_before_its_range_is_an_error(context, table, read):
    """It was made shorter after it was cut: what is missing is not the end of the data."""
    item, = context([{**table, "offset": 9, "length": 20, "header": "a,b"}]).inputs("table")
    with pytest.raises(FunctionError, match=rf"table.csv ends at byte {len(TABLE)}, {20 + 9 - len(TABLE)} bytes before its range") as failed:
        read(item)
    assert failed.value.error_type == "Function.Read"


def test_only_a_full_tmp_is_told_as_one(context, table, monkeypatch, tmp_path):
    item, = context([{**table, "offset": 5, "length": 4}]).inputs("table")
    monkeypatch.setattr(item._context, "_scratch", str(tmp_path / "file"))
    (tmp_path / "file").mkdir()
    (tmp_path / "file" / "table-000-table.csv").mkdir()
    with pytest.raises(FunctionError, match="cut the range: .*Is a directory"):
        item.path


def test_what_a_function_leaves_in_the_scratch_directory_is_no_failure(context, table):
    made = context([{**table, "offset": 5, "length": 4, "header": "a,b"}])
    first, = made.get_input_paths("table")
    os.mkdir(first + ".d")
    made._close()
    assert not os.path.exists(os.path.dirname(first))


def test_a_long_name_is_cut_and_its_ending_kept(context, tmp_path):
    path = tmp_path / ("ä" * 100 + "x" * 50 + ".csv")
    path.write_text(TABLE)
    cut, = context([{"uri": "long", "path": str(path), "offset": 5, "length": 4}]).get_input_paths("table")
    assert open(cut).read() == "1,2\n" and cut.endswith("x.csv")


def test_threads_get_paths_of_their_own(context):
    made = context([])
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            paths = list(pool.map(lambda _: made.next_output_path("out"), range(20000)))
    finally:
        sys.setswitchinterval(interval)
    assert len(set(paths)) == 20000


def test_parts_of_seconds_are_told_and_the_object_stays_whole(context, table):
    made = context([{**table, "part": 2, "parts": 5}])
    item, = made.inputs("table")
    assert (item.part, item.parts, item.path) == (2, 5, table["path"]) and made.is_dynamic_chunker("table")
    assert not context([table]).is_dynamic_chunker("table")


def test_an_object_without_a_path_is_staged_in_when_its_turn_comes(context, host, table):
    host.answers["/flexwatt/1/stage-in"] = 200, lambda asked: {"path": table["path"], "offset": asked["offset"], "length": asked["length"]}
    made = context([{"uri": "s3://b/table.csv", "bytes": len(TABLE)}, {"uri": "s3://b/table.csv", "offset": 5, "length": 4, "header": "a,b"}])
    objects = made.inputs("table")
    whole = next(objects)
    assert host.asked == [], "nothing is fetched before it is wanted"
    assert whole.path == table["path"] and whole.length is None
    assert whole.open().read() == TABLE.encode()
    assert [line for item in objects for line in item] == [b"a,b\n", b"1,2\n"]
    assert host.asked == [("/flexwatt/1/stage-in", {"uri": "s3://b/table.csv", "offset": 0, "length": -1}),
                          ("/flexwatt/1/stage-in", {"uri": "s3://b/table.csv", "offset": 5, "length": 4})]
    assert made._reading.seconds > 0


def test_a_range_that_was_staged_in_alone_is_its_own_file(context, host, tmp_path):
    """Only its bytes were fetched: the file begins with them."""
    (tmp_path / "piece").write_bytes(b"1,2\n")
    host.answers["/flexwatt/1/stage-in"] = 200, {"path": str(tmp_path / "piece"), "offset": 0, "length": 4}
    assert context([{"uri": "s3://b/t", "offset": 900, "length": 4}]).get_input_paths("table") == [str(tmp_path / "piece")]


def test_what_cannot_be_staged_in_fails_with_the_hosts_words(context, host):
    host.answers["/flexwatt/1/stage-in"] = 502, {"errorType": "Storage.AccessDenied", "errorMessage": "s3://b/t: AccessDenied"}
    with pytest.raises(FunctionError, match="s3://b/t: AccessDenied") as failed:
        context([{"uri": "s3://b/t"}]).get_input_paths("table")
    assert failed.value.error_type == "Storage.AccessDenied"


def test_producers_still_at_work_are_waited_for_after_what_is_ready(context, host, table):
    host.answers["/flexwatt/1/future/t1"] = 200, {"objects": [{**table, "uri": "second"}, {**table, "uri": "third"}]}
    made = context([{"future": "t1"}, {**table, "uri": "first"}])
    objects = made.inputs("table")
    assert next(objects).uri == "first" and host.asked == []
    assert [item.uri for item in objects] == ["second", "third"]
    assert [item.uri for item in made.inputs("table")] == ["first", "second", "third"]


def test_a_manifest_is_a_file_with_an_object_a_line(context, table, tmp_path):
    (tmp_path / "list").write_text("".join(json.dumps({**table, "uri": str(number)}) + "\n" for number in range(3)))
    made = context({"manifest": str(tmp_path / "list"), "count": 3, "sha256": ""})
    assert [item.uri for item in made.inputs("table")] == ["0", "1", "2"]


def test_progress_is_told_at_most_ten_times_a_second_and_at_the_end(context, host):
    made = context([])
    for step in range(2000):
        made.progress(step, 2000, "at work")
    made.progress(2000, 2000)
    told = [body for path, body in host.asked if path == "/flexwatt/1/progress"]
    assert told[0] == {"done": 0, "total": 2000, "note": "at work"} and told[-1] == {"done": 2000, "total": 2000}
    assert len(told) < 50
    made.progress(float("nan"))
    assert len([path for path, _ in host.asked if path == "/flexwatt/1/progress"]) == len(told)


def write_one(made):
    with open(made.next_output_path("out"), "w") as file:
        file.write("child")
    made.progress(1, 1)


def cut_all(made):
    made.get_input_paths("table")


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_ranges_that_child_processes_cut_are_removed_with_the_parents(context, table, method):
    made = context([{**table, "offset": 5, "length": 4, "header": "a,b"}])
    process = multiprocessing.get_context(method).Process(target=cut_all, args=(made,))
    process.start()
    process.join(30)
    assert process.exitcode == 0 and os.listdir(made._scratch) == [f"p{process.pid}-table-000-table.csv"]
    made._close()
    assert not os.path.exists(made._scratch)


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_context_goes_with_child_processes(context, host, method):
    made = context([])
    made.progress(0, 1)
    process = multiprocessing.get_context(method).Process(target=write_one, args=(made,))
    process.start()
    process.join(30)
    assert process.exitcode == 0
    name, = made._answer(None)["outputs"]["out"]
    assert name == f"0003-p{process.pid}-000.o"
    assert ("/flexwatt/1/progress", {"done": 1, "total": 1}) in host.asked


def test_a_pickled_context_is_whole(context, table):
    made = pickle.loads(pickle.dumps(context([table], params={"k": 1})))
    assert made.get_param("k") == 1 and made.get_input_paths("table") == [table["path"]]


def test_answers_hold_numbers_of_other_libraries(context):
    class Scalar:
        def item(self):
            return 0.5
    made = context([])
    made.units(Scalar().item())
    made.metric("accuracy", 0.81)
    answer = made._answer({"accuracy": Scalar()})
    assert answer["result"] == {"accuracy": 0.5} and answer["units"] == 0.5 and answer["metrics"] == {"accuracy": 0.81}
    with pytest.raises(FunctionError, match="is not a finite number"):
        made.metric("loss", float("inf"))


@pytest.mark.parametrize("name", ["", "a/b", ".", ".."])
def test_names_that_would_leave_the_directory_are_refused(context, name):
    with pytest.raises(FunctionError, match="is no name for an object"):
        context([]).add_output("out", name)


def test_a_host_may_answer_in_chunks(host):
    host.answers["/chunks"] = 200, {"text": "x" * 50}
    client = Host("127.0.0.1:%d" % host.server_port)
    for _ in range(2):
        status, _, body = client.call("GET", "/chunks")
        assert status == 200 and json.loads(body) == {"text": "x" * 50}
    client.close()


def test_the_first_annotation_decides_how_a_handler_is_called():
    def staged(ctx: StageContext) -> None: ...
    def text(ctx: "flexecutor.StageContext"): ...  # noqa: F821
    def older(io: "IOManager"): ...  # noqa: F821
    def plain(event, context): ...
    def typed(event: dict, context: StageContext): ...
    def second(event, context: StageContext): ...
    def returning(event, context) -> StageContext: ...
    def nothing(): ...

    @functools.wraps(staged)
    def decorated(*arguments, **named): ...
    assert [handler.__name__ for handler in (staged, text, older, plain, typed, second, returning, nothing) if takes_context(handler)] == [
        "staged", "text", "older"]
    assert takes_context(decorated)
