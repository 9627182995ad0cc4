# SPDX-License-Identifier: Apache-2.0
"""POST /flexwatt/1/stage-in: a function gets the objects of its own event as local files, and no others."""
import json

BOOTSTRAP = """\
    #!/usr/bin/python3
    import http.client, json, os
    host = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
    def call(method, path, body=None):
        host.request(method, path, body=body if body is None else json.dumps(body))
        answer = host.getresponse()
        return answer, json.loads(answer.read() or b"null")
    while True:
        head, event = call("GET", "/2018-06-01/runtime/invocation/next")
        mine = event["inputs"]["rows"][0]
        asked = [{"uri": mine["uri"]}, {"uri": mine["uri"], "offset": 1, "length": 2}, {"uri": mine["uri"], "offset": 99},
                 {"uri": mine["uri"][:-1] + ("b" if mine["uri"][-1] == "a" else "a")}, {"uri": "file:/etc/passwd"}]
        found = []
        for question in asked:
            answer, body = call("POST", "/flexwatt/1/stage-in", question)
            found.append([answer.status, body])
        request = head.headers["Lambda-Runtime-Aws-Request-Id"]
        with open(event["outputs"]["found"]["directory"] + "/found.json", "w") as file:
            json.dump(found, file)
        call("POST", f"/2018-06-01/runtime/invocation/{request}/response", {"outputs": {"found": ["found.json"]}})
"""


def test_only_objects_of_its_own_event_are_given_out(flexwatt):
    flexwatt.write("data/rows/a", "abcdef")
    flexwatt.write("data/rows/b", "ghijkl")
    flexwatt.package("functions", BOOTSTRAP)
    flexwatt.workflow("""
        name: staged
        storage: ./data
        stages:
          read: {function: {package: ./functions}, workers: 2, inputs: {rows: {keys: "rows/*"}}, outputs: {found: {}}}
    """)
    run = flexwatt.json("run", "workflow.yaml")
    outputs = flexwatt.outputs(run["run"])
    for task, name in enumerate("ab"):
        whole, part, beyond, *refused = json.loads(outputs[f"read/{task}.1/found/found.json"])
        path = str(flexwatt.data / "rows" / name)
        assert whole == [200, {"path": path, "offset": 0, "length": 6}], "a local file is never copied"
        assert part == [200, {"path": path, "offset": 1, "length": 2}]
        assert beyond[0] == 400 and beyond[1]["errorType"] == "Storage.InvalidRange"
        assert "6 bytes, none at 99" in beyond[1]["errorMessage"]
        for status, document in refused:
            assert status == 403 and document["errorType"] == "Storage.NotPermitted"
