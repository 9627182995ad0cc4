# SPDX-License-Identifier: Apache-2.0
"""What a function can reach of the directories in which its attempts are written."""
import json
import os

import pytest

# A runtime client in a few lines: tries what a hostile function would try with the directories around its own.
PROBE = """\
    #!/usr/bin/env python3
    import json, os, urllib.request
    base = "http://" + os.environ["AWS_LAMBDA_RUNTIME_API"] + "/2018-06-01/runtime/invocation/"

    def said(call):
        try:
            call()
            return "done"
        except OSError as error:
            return error.strerror

    def link(path, at):
        os.rename(path, path + ".old")
        os.symlink(at, path)

    while True:
        reply = urllib.request.urlopen(base + "next")
        event = json.load(reply)
        output = event["outputs"]["out"]["directory"]
        attempt = os.path.dirname(output)
        worker = os.path.dirname(attempt)
        tried = {
            "a directory beside": said(lambda: os.mkdir(worker + "/mine")),
            "a link where the next attempt will be": said(lambda: os.symlink("/etc", worker + "/probe-1.1")),
            "another attempt in the place of its own": said(lambda: link(attempt, "/etc")),
        }
        with open(output + "/tried", "w") as file:
            json.dump(tried, file)
        urllib.request.urlopen(urllib.request.Request(
            base + reply.headers["Lambda-Runtime-Aws-Request-Id"] + "/response",
            json.dumps({"outputs": {"out": ["tried"]}}).encode(), method="POST"))
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="workers have users of their own only by root")
def test_a_function_writes_only_in_its_own_attempt(flexwatt):
    package = flexwatt.package("probe", PROBE)
    flexwatt.workflow(f"""
        name: probe
        storage: ./data
        function: {{package: {package}}}
        defaults: {{memory: 256, timeout: 30, retries: 0}}
        stages:
          probe: {{workers: 1, outputs: {{out: {{}}}}}}
    """)
    run = flexwatt.json("run", "workflow.yaml")["run"]
    tried, = flexwatt.outputs(run).values()
    assert set(json.loads(tried).values()) == {"Permission denied"}, tried


KEEP = """
import builtins, mmap
path = output + "/kept"
with open(path, "w") as file:
    file.write("as it was")
builtins.kept = os.open(path, os.O_RDWR)
builtins.mapped = mmap.mmap(builtins.kept, 9)
api.post({"outputs": {"out": ["kept"]}})
"""
CHANGE = """
import builtins
builtins.mapped[:] = b"changed!!"
os.pwrite(builtins.kept, b"changed and longer", 0)
os.fsync(builtins.kept)
"""


def test_a_warm_worker_cannot_change_what_it_published(flexwatt, scripted):
    flexwatt.workflow(json.dumps({
        "name": "kept", "storage": "./data", "function": {"package": scripted}, "defaults": {"memory": 256}, "stages": {
            "keep": {"workers": 1, "outputs": {"out": {}}, "params": {"code": KEEP}},
            "change": {"workers": 1, "outputs": {"out": {}}, "params": {"code": CHANGE}, "after": ["keep"]}}}))
    run = flexwatt.json("run", "workflow.yaml")["run"]
    keep, change = flexwatt.records(run)
    assert keep["worker"] == change["worker"] and keep["status"] == change["status"] == "ok"
    assert flexwatt.outputs(run)["keep/0.1/out/kept"] == b"as it was"
