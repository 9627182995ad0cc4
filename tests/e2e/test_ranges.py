# SPDX-License-Identifier: Apache-2.0
"""Inputs that are cut into ranges: every byte, line and record is read once, by one task, and nothing is copied."""
import json

from conftest import events_of

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
