# SPDX-License-Identifier: Apache-2.0
"""Inputs that are cut into ranges: every byte, line and record is read once, by one task, and nothing is copied."""
import base64
import csv
import io
import json
import os
import random
import re
import signal
import sqlite3
import time

import pytest

from conftest import events_of, kill, query, run_ids, wait_until

# What the task was given, and the bytes of it.
TELL = """
import base64
answer = [{**item, "text": base64.b64encode(open(item["path"], "rb").read()[item["offset"]:][:item["length"]]).decode()
           if "offset" in item else None} for item in event["inputs"]["rows"]]
"""


def cut(flexwatt, scripted, range_keys, workers, keys="in/*", status=0):
    """What each task was given, in the order of tasks."""
    flexwatt.workflow(f"""
        name: cut
        storage: ./data
        function: {{package: {scripted}}}
        defaults: {{memory: 128, retries: 0}}
        stages:
          read:
            workers: {workers}
            inputs: {{rows: {{keys: "{keys}", {range_keys}}}}}
            outputs: {{out: {{}}}}
            params: {{code: {json.dumps(TELL)}}}
    """)
    run = flexwatt.json("run", "workflow.yaml", status=status)["run"]
    outputs = flexwatt.outputs(run)
    tasks = sorted(outputs, key=lambda key: int(key.split("/")[1].split(".")[0]))
    return [json.loads(outputs[task]) for task in tasks]


def put(flexwatt, name, content):
    path = flexwatt.data / "in" / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    return path


def text_of(item):
    return base64.b64decode(item["text"])


def rows_of(data, delimiter=","):
    """What Python's own reader makes of bytes; blank lines are no rows."""
    text = io.StringIO(data.decode("utf-8-sig"), newline="")
    return [row for row in csv.reader(text, delimiter=delimiter) if row]


def random_table(seed, records, delimiter=","):
    """Cells with everything that makes CSV hard, as a writer and as careless hands make them."""
    chance = random.Random(seed)
    cells = ["", "1", "-2.5", "name", "ünï €", '"a, b; c"', '"two\nlines"', '"crlf\r\nin"', '"say ""hi"""', '""', '""""',
             '5" pipe', 'a"b"c', ' "x"', '"a"tail', "x" * 3000, '"' + "y\n" * 2000 + '"', '"\n"']
    end = chance.choice(["\n", "\r\n"])
    lines = [delimiter.join(chance.choices(cells, weights=[9] * 15 + [1, 1, 9], k=chance.randint(1, 5)))
             for _ in range(records)]
    return (end.join(lines) + chance.choice(["", end])).encode()


def test_bytes_are_cut_into_equal_ranges_over_several_objects(flexwatt, scripted):
    put(flexwatt, "a", bytes(100)), put(flexwatt, "b", b""), put(flexwatt, "c", bytes(57))
    tasks = cut(flexwatt, scripted, "range: bytes", 4)
    pieces = [[(item["uri"][-1], item["offset"], item["length"]) for item in task] for task in tasks]
    assert pieces == [[("a", 0, 39)], [("a", 39, 39)], [("a", 78, 22), ("c", 0, 17)], [("c", 17, 40)]]
    assert tasks[2][1]["bytes"] == 57 and "header" not in tasks[2][1]
    planned, = [event for event in events_of(flexwatt) if event["event"] == "planned"]
    assert planned["ranges"][2] == [2, 0, 78, 22]


def test_seconds_are_parts_of_every_object(flexwatt, scripted):
    put(flexwatt, "a", b"1"), put(flexwatt, "b", b"22")
    tasks = cut(flexwatt, scripted, "range: seconds", 3)
    assert [[(item["uri"][-1], item["part"], item["parts"]) for item in task] for task in tasks] == [
        [("a", part, 3), ("b", part, 3)] for part in range(3)]
    assert "offset" not in tasks[0][0]


@pytest.mark.parametrize("workers", [1, 2, 7, 40])
def test_every_line_is_in_one_range(flexwatt, scripted, workers):
    texts = {"a": b"one\ntwo\r\n\nthree", "b": b"", "c": b"\n" * 9, "d": b"x" * 5000 + b"\nlast", "e": b"no newline"}
    for name, text in texts.items():
        put(flexwatt, name, text)
    tasks = cut(flexwatt, scripted, "range: lines", workers)
    assert 1 <= len(tasks) <= workers and all(tasks)
    whole = {name: b"" for name in texts}
    for task in tasks:
        for item in task:
            name, text = item["uri"][-1], text_of(item)
            assert item["offset"] == len(whole[name]) and item["length"] == len(text) > 0
            whole[name] += text
            assert whole[name].endswith(b"\n") or whole[name] == texts[name], "a line was cut"
    assert whole == texts


@pytest.mark.parametrize("seed", range(4))
def test_every_record_of_csv_is_read_once_as_by_a_single_reader(flexwatt, scripted, seed):
    delimiter, workers = [",", ";", "\t", "|"][seed], [5, 2, 23, 8][seed]
    mark = b"\xef\xbb\xbf" if seed % 2 else b""
    header = delimiter.join(["id", '"a, name"', "größe"]).encode() + b"\n"
    texts = {f"{n}.csv": mark + header + random_table(100 * seed + n, records, delimiter)
             for n, records in enumerate([300, 0, 1, 1000])}
    for name, text in texts.items():
        put(flexwatt, name, text)
    said = {"\t": "'\\t'"}.get(delimiter, f"'{delimiter}'")
    tasks = cut(flexwatt, scripted, f"range: csv, delimiter: {said}", workers, keys="in/*.csv")
    assert 1 <= len(tasks) <= workers
    items = [item for task in tasks for item in task]
    assert {item["header"] for item in items} == {header.decode().rstrip("\n")}
    for name, text in texts.items():
        found = [row for item in items if item["uri"].endswith(name) for row in rows_of(text_of(item), delimiter)]
        assert found == rows_of(text, delimiter)[1:]


def test_csv_without_header_gives_every_record(flexwatt, scripted):
    put(flexwatt, "a.csv", b"1,2\n3,4\n"), put(flexwatt, "b.csv", b'"5\n",6')
    tasks = cut(flexwatt, scripted, "range: csv, header: false", 3)
    assert [text_of(item) for task in tasks for item in task] == [b"1,2\n", b"3,4\n", b'"5\n",6']
    assert all("header" not in item for task in tasks for item in task)


def test_there_are_no_more_tasks_than_records(flexwatt, scripted):
    put(flexwatt, "a.csv", b"h\n1\n2\n3\n")
    assert len(cut(flexwatt, scripted, "range: csv", 50)) == 3


def test_ranges_of_another_stages_objects(flexwatt, functions, scripted):
    flexwatt.workflow(f"""
        name: chain
        storage: ./data
        defaults: {{memory: 128, retries: 0}}
        stages:
          make: {{function: {{package: {functions}}}, workers: 3, params: {{count: 2}}, outputs: {{out: {{suffix: .txt}}}}}}
          read:
            function: {{package: {scripted}}}
            workers: 4
            inputs: {{rows: {{from: make.out, range: lines}}}}
            outputs: {{out: {{}}}}
            params: {{code: {json.dumps(TELL)}}}
    """)
    run = flexwatt.json("run", "workflow.yaml")["run"]
    outputs = flexwatt.outputs(run)
    texts = [text_of(item) for key in sorted(outputs) if key.startswith("read/") for item in json.loads(outputs[key])]
    assert b"".join(texts) == b"".join(outputs[key] for key in sorted(outputs) if key.startswith("make/"))


BROKEN = {
    "quote": (b'h,i\n1,"2\n3,4\n', "object in/a.csv: the quote at byte 6 is not closed before the end"),
    "nul": (b"h\n1\n\0\n", "object in/a.csv: byte 4 is NUL: this is no CSV"),
    "return": (b'\xef\xbb\xbfh,"a\r",i\r1,2,3\n4,5,6\n',
               "object in/a.csv: byte 11 is a carriage return within the header"),
    "header": ("größe\n1\n".encode("latin-1"), "object in/a.csv: its header is not UTF-8"),
    "giant": (b"x" * 70_000 + b"\n1\n", "object in/a.csv: the header does not end within 65536 bytes"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_what_is_no_csv_fails_its_stage_alone(flexwatt, functions, what):
    text, message = BROKEN[what]
    put(flexwatt, "a.csv", text)
    flexwatt.workflow(f"""
        name: broken
        storage: ./data
        function: {{package: {functions}}}
        stages:
          other: {{handler: make, outputs: {{out: {{}}}}}}
          after: {{handler: noop, inputs: {{in: other.out}}}}
          read: {{handler: noop, workers: 4, inputs: {{rows: {{keys: "in/*.csv", range: csv}}}}, outputs: {{out: {{}}}}}}
          below: {{handler: noop, inputs: {{in: read.out}}}}
    """)
    done = flexwatt("run", "workflow.yaml", status=1)
    assert f"failed: stage 'read': input 'rows': {message} (" in done.stderr
    states = dict(query(flexwatt, "select stage, status from stage"))
    assert states == {"other": "ok", "after": "ok", "read": "function_error", "below": "skipped"}
    run, = run_ids(flexwatt)
    put(flexwatt, "a.csv", b"h\n1\n2\n")
    flexwatt("run", "--resume", run)
    assert dict(query(flexwatt, "select stage, status from stage"))["below"] == "ok"


def test_objects_without_a_record_are_refused_before_anything_starts(flexwatt, functions):
    put(flexwatt, "a.csv", b"h,i\n"), put(flexwatt, "b.csv", b"")
    flexwatt.workflow(f"""
        name: empty
        storage: ./data
        function: {{package: {functions}}}
        stages:
          read: {{handler: noop, workers: 4, inputs: {{rows: {{keys: "in/*.csv", range: csv}}}}}}
    """)
    done = flexwatt("run", "workflow.yaml", status=2)
    assert "stage 'read': input 'rows': the objects that match 'in/*.csv' are empty" in done.stderr
    assert "workflow.yaml:6:" in done.stderr and "header: false" in done.stderr
    assert run_ids(flexwatt) == []


AGAIN = """
    name: again
    storage: ./data
    function: {package: %s}
    stages:
      read:
        workers: 4
        retries: 2
        inputs: {rows: {keys: "in/*.csv", range: %s}}
        outputs: {out: {}}
        params: {code: %s}
      below: {inputs: {all: read.out}, workers: 1, params: {code: "pass"}}
"""
# Tasks fail until the file is there, those of `which` alone.
UNTIL = "import os\nassert os.path.exists({path!r}) or event['task'] not in {which}, 'not yet'\n"


def again(flexwatt, scripted, which, kind="csv"):
    code = UNTIL.format(path=str(flexwatt.data / "go"), which=which) + TELL
    flexwatt.workflow(AGAIN % (scripted, kind, json.dumps(code)))
    done = flexwatt("run", "workflow.yaml", status=1)
    assert "not yet" in done.stderr
    (flexwatt.data / "go").touch()
    return run_ids(flexwatt)[0]


def rows_that_were_read(flexwatt, run):
    outputs = flexwatt.outputs(run)
    tasks = sorted((key for key in outputs if key.startswith("read/")), key=lambda key: int(key.split("/")[1].split(".")[0]))
    return [row for task in tasks for item in json.loads(outputs[task]) for row in rows_of(text_of(item))]


def plans(flexwatt):
    return [event for event in events_of(flexwatt) if event["event"] == "planned"]


TABLE = b"h\n" + b"".join(b"%d\n" % n for n in range(1000))


def test_the_hint_for_a_missing_record_is_of_its_own_input(flexwatt, functions):
    """Another stage's plan comes later and finds records."""
    put(flexwatt, "a.csv", b"h,i\n")
    (flexwatt.data / "other").mkdir()
    (flexwatt.data / "other/b.csv").write_bytes(b"h,i\n" + b"1,2\n" * 1000)
    flexwatt.workflow(f"""
        name: empty
        storage: ./data
        function: {{package: {functions}}}
        stages:
          read: {{handler: noop, workers: 4, inputs: {{rows: {{keys: "in/*.csv", range: csv}}}}}}
          more: {{handler: noop, workers: 4, inputs: {{rows: {{keys: "other/*.csv", range: csv}}}}}}
    """)
    done = flexwatt("run", "workflow.yaml", status=2)
    assert "the objects that match 'in/*.csv' are empty" in done.stderr and "header: false" in done.stderr
    assert "mend the glob" not in done.stderr and "workflow.yaml:6:" in done.stderr


def test_a_resumed_run_keeps_its_cuts(flexwatt, scripted):
    """The plan is in the log, and with it which version of the objects it is of."""
    path = put(flexwatt, "a.csv", TABLE)
    run = again(flexwatt, scripted, [2])
    put(flexwatt, "b.csv", b"h\nmore\n")  # was not there when the objects were listed
    flexwatt("run", "--resume", run)
    version, = plans(flexwatt)[0]["versions"]
    assert len(plans(flexwatt)) == 1 and f".{len(TABLE)}." in version and f"{path.stat().st_mtime_ns % 10**9:09}" in version
    assert rows_that_were_read(flexwatt, run) == [[str(n)] for n in range(1000)]


@pytest.mark.parametrize("kind", ["csv", "lines", "bytes"])
def test_an_object_that_was_mended_before_anything_was_committed_is_cut_again(flexwatt, scripted, kind):
    put(flexwatt, "a.csv", TABLE)
    run = again(flexwatt, scripted, [0, 1, 2, 3], kind)
    mended = TABLE.replace(b"\n500\n", b"\n5\n") + b"more\n"
    put(flexwatt, "a.csv", mended)
    flexwatt("run", "--resume", run)
    assert [event["event"] for event in events_of(flexwatt)].count("recut") == 1 and len(plans(flexwatt)) == 2
    outputs = flexwatt.outputs(run)
    assert all(re.match(r"read/\d+\.4/", key) for key in outputs), "attempts count on"
    text = b"".join(text_of(item) for key in sorted(outputs) for item in json.loads(outputs[key]))
    assert text == (mended if kind != "csv" else mended[2:])
    flexwatt("run", "--resume", run, "--from", "below")  # what is replayed is what was
    assert len(plans(flexwatt)) == 2


@pytest.mark.parametrize("change", ["shorter", "longer", "same length", "gone"])
def test_an_object_that_was_mended_after_tasks_were_committed_is_refused_with_the_way_out(flexwatt, scripted, change):
    path = put(flexwatt, "a.csv", TABLE)
    run = again(flexwatt, scripted, [2])
    before = events_of(flexwatt)
    mended = TABLE.replace(b"\n500\n", {"shorter": b"\n5\n", "longer": b"\n50000\n"}.get(change, b"\n5oo\n"))
    put(flexwatt, "a.csv", mended)
    if change == "gone":
        path.unlink()
    done = flexwatt("run", "--resume", run, status=2)
    assert ("cannot resume: stage 'read': object in/a.csv has changed since it was cut into ranges, and 3 of its 4 tasks are "
            "committed") in done.stderr
    assert "accept it with --from read" in done.stderr and events_of(flexwatt) == before
    put(flexwatt, "a.csv", mended)
    flexwatt("run", "--resume", run, "--from", "read")
    assert rows_that_were_read(flexwatt, run) == rows_of(mended)[1:]


def test_what_only_committed_tasks_have_read_may_change(flexwatt, scripted):
    put(flexwatt, "a.csv", TABLE), put(flexwatt, "b.csv", TABLE)
    run = again(flexwatt, scripted, [3])
    put(flexwatt, "a.csv", b"h\n")
    flexwatt("run", "--resume", run)
    assert rows_that_were_read(flexwatt, run) == [[str(n)] for n in range(1000)] * 2


def test_a_log_without_versions_is_still_replayed(flexwatt, scripted):
    """Older runs have none: of their objects only the size is compared."""
    put(flexwatt, "a.csv", TABLE)
    run = again(flexwatt, scripted, [2])
    with sqlite3.connect(flexwatt.store) as store:
        store.execute("update event_data set text = json_remove(text, '$.versions') where text like '%\"planned\"%'")
    assert "versions" not in plans(flexwatt)[0]
    put(flexwatt, "a.csv", TABLE + b"more\n")
    flexwatt("run", "--resume", run, status=2)
    put(flexwatt, "a.csv", TABLE)
    flexwatt("run", "--resume", run)
    assert rows_that_were_read(flexwatt, run) == [[str(n)] for n in range(1000)]


def test_an_object_that_changes_while_tasks_run_fails_those_that_read_it(flexwatt, scripted):
    """Neither what comes after the change nor what was read during it is committed, and nothing is tried again."""
    put(flexwatt, "a.csv", TABLE)
    code = TELL + f"""
import os, time
while not os.path.exists({str(flexwatt.data / 'go')!r}):
    time.sleep(0.01)
"""
    flexwatt.workflow(AGAIN % (scripted, "csv", json.dumps(code)))
    process = flexwatt.start("run", "workflow.yaml", "--set", "stages.read.workers=1")
    wait_until(lambda: any(event["event"] == "started" for event in events_of(flexwatt)))
    put(flexwatt, "a.csv", TABLE.replace(b"500", b"5oo"))
    (flexwatt.data / "go").touch()
    _, errors = process.communicate(timeout=60)
    run, = run_ids(flexwatt)
    assert process.returncode == 1 and "Storage.Changed" in errors
    assert f"object in/a.csv has changed since it was cut into ranges (flexwatt run --resume {run}" in errors
    assert [record["attempt"] for record in flexwatt.records(run)] == [1]
    flexwatt("run", "--resume", run)
    assert ["5oo"] in rows_that_were_read(flexwatt, run)


def test_a_large_table_is_passed_over_once(flexwatt, scripted):
    """What was found is kept below the state directory; another number of workers needs no second pass."""
    path = put(flexwatt, "a.csv", b"h,i\n" + b'12,"a, b"\n' * 600_000)
    os.utime(path, (1_700_000_000, 1_700_000_000))
    flexwatt.workflow(f"""
        name: large
        storage: ./data
        function: {{package: {scripted}}}
        stages:
          read:
            workers: 3
            inputs: {{rows: {{keys: "in/*.csv", range: csv}}}}
            params: {{code: "pass"}}
    """)
    flexwatt("run", "workflow.yaml")
    kept, = (flexwatt.store.parent / "ranges").iterdir()
    before = kept.stat()
    index = json.loads(kept.read_text())
    assert index["header"] == "h,i" and index["data"] == 4 and re.fullmatch("[0-3]{22}", index["states"])
    flexwatt("run", "workflow.yaml", "--workers", 7)
    assert kept.stat().st_mtime_ns == before.st_mtime_ns
    planned = [event["ranges"] for event in events_of(flexwatt) if event["event"] == "planned"]
    assert sorted(len(ranges) for ranges in planned) == [3, 7]
    assert all((row[2] - 4) % 10 == 0 and row[3] % 10 == 0 for ranges in planned for row in ranges)


def cells_of(data):
    """The other way round: what the function `cells` wrote."""
    rows, at = [], 0
    while at < len(data):
        row = []
        while data[at:at + 1] != b";":
            length, _, rest = data[at:].partition(b":")
            row.append(rest[:int(length)].decode())
            at += len(length) + 1 + int(length) + 1
        rows.append(row)
        at += 1
    return rows


@pytest.mark.parametrize("workers", [1, 6])
def test_the_c_sdk_reads_the_records_that_python_reads(flexwatt, functions, workers):
    table = b"a,b,c\n" + random_table(11, 400)
    put(flexwatt, "a.csv", table)
    flexwatt.workflow(f"""
        name: cells
        storage: ./data
        function: {{package: {functions}}}
        defaults: {{memory: 128, retries: 0}}
        stages:
          cells: {{workers: {workers}, inputs: {{rows: {{keys: "in/*.csv", range: csv}}}}, outputs: {{out: {{}}}}}}
    """)
    run = flexwatt.json("run", "workflow.yaml")["run"]
    outputs = flexwatt.outputs(run)
    tasks = sorted(outputs, key=lambda key: int(key.split("/")[1].split(".")[0]))
    assert [row for task in tasks for row in cells_of(outputs[task])] == rows_of(table)[1:]
    records = flexwatt.records(run)
    assert sum(record["bytes_in"] for record in records) == len(table) - len(b"a,b,c\n")


SUM = """
    name: sum
    storage: ./data
    function: {package: %s}
    stages:
      sum: {workers: 3, retries: 0, inputs: {rows: {keys: "in/*.csv", range: csv}}, params: {column: "%s"}}
"""


def test_a_bad_cell_fails_its_task_alone_and_is_named(flexwatt, functions):
    rows = [b"%d,name" % n for n in range(300)]
    rows[150] = b"15o,name"
    put(flexwatt, "a.csv", b"x,y\n" + b"\n".join(rows))
    flexwatt.workflow(SUM % (functions, "x"))
    done = flexwatt("run", "workflow.yaml", status=1)
    place = len(b"x,y\n" + b"\n".join(rows[:150])) + 1
    assert f"in/a.csv: the record at byte {place}: column 'x': '15o' is not a number" in done.stderr
    assert query(flexwatt, "select ok, failed from stage") == [(2, 1)]


def test_a_missing_column_beside_a_giant_one_is_named(flexwatt, functions):
    put(flexwatt, "a.csv", b"x" * 2000 + b",y\n1,2\n")
    flexwatt.workflow(SUM % (functions, "z"))
    done = flexwatt("run", "workflow.yaml", status=1)
    assert "in/a.csv has no column 'z'; its columns are ..." in done.stderr and "(null)" not in done.stderr


def test_a_missing_column_is_named_with_those_that_there_are(flexwatt, functions):
    put(flexwatt, "a.csv", b"x,y\n1,2\n")
    flexwatt.workflow(SUM % (functions, "z"))
    done = flexwatt("run", "workflow.yaml", status=1)
    assert "in/a.csv has no column 'z'; its columns are x, y" in done.stderr


COMMAND = """
    name: command
    storage: ./data
    defaults: {memory: 128, retries: 0%s}
    stages:
      show:
        workers: %d
        function: {command: [sh, -c, 'for f; do echo "$f"; done >"$0.names"; cat "$@" >"$0.text"; ls /tmp >"$0.tmp"',
                             "{output.out}", "{input.rows}"]}
        inputs: {rows: {keys: "in/*", %s}}
        outputs: {out: {}}
"""


def test_a_command_gets_files_that_hold_its_ranges(flexwatt):
    put(flexwatt, "a.txt", b"1\n2\n3\n4\n5\n6\n"), put(flexwatt, "b.txt", b"7\n8\n")
    flexwatt.workflow(COMMAND % ("", 2, "range: lines"))
    outputs = flexwatt.outputs(flexwatt.json("run", "workflow.yaml")["run"])
    texts = [outputs[key] for key in sorted(outputs) if key.endswith(".text")]
    names = [outputs[key].decode().split() for key in sorted(outputs) if key.endswith(".names")]
    assert texts == [b"1\n2\n3\n4\n", b"5\n6\n7\n8\n"]
    assert names[0][0].startswith("/tmp/ranges-") and names[0][0].endswith("/0-a.txt")
    assert names[1][1] == str(flexwatt.data / "in/b.txt"), "a whole object needs no copy"


def test_a_commands_range_of_csv_begins_with_its_header(flexwatt):
    put(flexwatt, "a.csv", b"h,i\r\n" + b"".join(b"%d,x\r\n" % n for n in range(8)))
    flexwatt.workflow(COMMAND % ("", 4, "range: csv"))
    outputs = flexwatt.outputs(flexwatt.json("run", "workflow.yaml")["run"])
    texts = [outputs[key] for key in sorted(outputs) if key.endswith(".text")]
    assert texts == [b"h,i\n%d,x\r\n%d,x\r\n" % (n, n + 1) for n in range(0, 8, 2)]


def test_one_worker_of_a_command_gets_the_object_itself(flexwatt):
    path = put(flexwatt, "a.csv", b"\xef\xbb\xbfh,i\r\n1,2\n")
    flexwatt.workflow(COMMAND % ("", 1, "range: csv"))
    outputs = flexwatt.outputs(flexwatt.json("run", "workflow.yaml")["run"])
    assert [outputs[key] for key in outputs if key.endswith(".names")] == [f"{path}\n".encode()]


@pytest.mark.parametrize("table", [b"n\n1\n2\n", b"h\n1\n2\n3\n", b"\xef\xbb\xbfn\r\n1\n2\n3\n"])
@pytest.mark.parametrize("workers", [1, 2, 3])
def test_a_command_sees_short_records_once(flexwatt, table, workers):
    """The last range is behind header and mark by as little as a line's end may have, and is not the whole table."""
    put(flexwatt, "a.csv", table)
    flexwatt.workflow(COMMAND % ("", workers, "range: csv"))
    outputs = flexwatt.outputs(flexwatt.json("run", "workflow.yaml")["run"])
    texts = [outputs[key] for key in sorted(outputs) if key.endswith(".text")]
    header = rows_of(table)[0]
    assert all(rows_of(text)[0] == header for text in texts)
    assert [row for text in texts for row in rows_of(text)[1:]] == rows_of(table)[1:]


def test_a_command_gets_objects_of_one_name_and_of_long_ones(flexwatt):
    """Both begin alike, as tables do; a name may have all that a file system takes."""
    long = "ü" * 120 + ".csv"
    for name, row in {"2023/x.csv": b"1", "2024/x.csv": b"2", f"2025/{long}": b"3"}.items():
        (flexwatt.data / "in" / name).parent.mkdir(parents=True)
        put(flexwatt, name, b"n\n" + b"%s0\n" % row * 20)
    flexwatt.workflow((COMMAND % ("", 2, "range: lines")).replace("in/*", "in/*/*"))
    outputs = flexwatt.outputs(flexwatt.json("run", "workflow.yaml")["run"])
    texts = [outputs[key] for key in sorted(outputs) if key.endswith(".text")]
    assert b"".join(texts) == b"".join(b"n\n" + b"%d0\n" % n * 20 for n in (1, 2, 3))
    names = [name for key in sorted(outputs) if key.endswith(".names") for name in outputs[key].decode().split()]
    assert names[0].endswith("/2023/x.csv") and names[-1].endswith(".csv") and len(names) == 4


def test_cuts_of_a_command_do_not_stay_in_its_worker(flexwatt):
    """The worker is warm for the next task, and its /tmp is small."""
    put(flexwatt, "a.bin", os.urandom(40 << 20))
    flexwatt.workflow(COMMAND % (", tmp: 16", 4, "range: bytes"))
    flexwatt.json("run", "workflow.yaml", "--memory", 10240)
    flexwatt.workflow(COMMAND % (", tmp: 16", 2, "range: bytes"))
    done = flexwatt("run", "workflow.yaml", status=1)
    assert "/tmp has no room for a range of 20971520 bytes" in done.stderr


ENDLESS = """
    name: endless
    storage: ./data
    function: {package: %s}
    stages:
      read: {handler: noop, workers: 2, inputs: {rows: {keys: "in/*", range: lines}}}
"""


def endless_line(flexwatt):
    """A line of a terabyte that takes no disk: its end is looked for until somebody has enough of it."""
    put(flexwatt, "a.txt", b"")
    os.truncate(flexwatt.data / "in/a.txt", 1 << 40)


def is_planning(flexwatt):
    return any(event["event"] == "listed" for event in events_of(flexwatt))


def test_a_run_is_cancelled_while_it_plans(flexwatt, functions):
    endless_line(flexwatt)
    flexwatt.workflow(ENDLESS % functions)
    process = flexwatt.start("run", "workflow.yaml")
    wait_until(lambda: is_planning(flexwatt))
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 130 and time.monotonic() - began < 10


def test_an_engine_that_is_killed_while_it_plans_plans_again(flexwatt, functions):
    endless_line(flexwatt)
    flexwatt.workflow(ENDLESS % functions)
    process = flexwatt.start("run", "workflow.yaml")
    wait_until(lambda: is_planning(flexwatt))
    kill(process)
    process.communicate()
    put(flexwatt, "a.txt", b"1\n2\n3\n4\n")
    run, = run_ids(flexwatt)
    flexwatt("run", "--resume", run)
    assert [event["ranges"] for event in events_of(flexwatt) if event["event"] == "planned"] == [[[0, 0, 0, 4], [1, 0, 4, 4]]]
