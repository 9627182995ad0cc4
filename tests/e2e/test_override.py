# SPDX-License-Identifier: Apache-2.0
"""Overrides without editing the file: options and variables of the environment, which wins, and who is blamed."""
import json
import textwrap

import pytest

WORKFLOW = """
    name: over
    storage: ./data
    function: {package: ./functions}
    defaults: {memory: 256}
    stages:
      one: {handler: make, workers: 2, params: {count: 1}, outputs: {out: {suffix: .txt}}}
      two: {handler: noop, workers: 3, memory: 512}
"""
VARIABLES = {"FLEXWATT_SET": "--set", "FLEXWATT_STORAGE": "--storage", "FLEXWATT_MEMORY": "--memory",
             "FLEXWATT_WORKERS": "--workers", "FLEXWATT_REGION": "--region"}


@pytest.fixture
def checked(flexwatt, functions):
    """What the workflow comes to with these variables and options."""
    flexwatt.workflow(WORKFLOW)

    def check(*options, **variables):
        flexwatt.env.update(variables)
        return flexwatt.json("check", "workflow.yaml", *options)
    return check


def memories(known):
    return [stage["memory"] for stage in known["effective"]["stages"].values()]


def test_every_override_has_its_variable(checked, flexwatt):
    (flexwatt.directory / "other").mkdir()
    known = checked(FLEXWATT_STORAGE="other", FLEXWATT_MEMORY="300", FLEXWATT_WORKERS="7",
                    FLEXWATT_SET="stages.one.params.count=5\nstages.two.memory=640\n")
    assert known["storage"] == f"file:{flexwatt.directory}/other"
    assert memories(known) == [300, 640], "what is said of one stage holds against what is said of all"
    assert [stage["workers"] for stage in known["effective"]["stages"].values()] == [7, 7]
    assert known["effective"]["stages"]["one"]["params"] == {"count": 5}


@pytest.mark.parametrize("options, variables, expected", [
    ([], {}, [256, 512]),
    ([], {"FLEXWATT_MEMORY": "300"}, [300, 300]),
    (["--memory", 400], {"FLEXWATT_MEMORY": "300"}, [400, 400]),
    (["--memory", 400], {"FLEXWATT_SET": "stages.one.memory=300"}, [400, 400]),
    (["--set", "stages.one.memory=400"], {"FLEXWATT_MEMORY": "300"}, [400, 300]),
    (["--set", "stages.one.memory=400"], {"FLEXWATT_SET": "stages.one.memory=300\nstages.two.memory=301"}, [400, 301]),
    ([], {"FLEXWATT_MEMORY": "", "FLEXWATT_SET": ""}, [256, 512]),
])
def test_an_option_wins_over_the_environment_and_that_over_the_file(checked, options, variables, expected):
    assert memories(checked(*options, **variables)) == expected


@pytest.mark.parametrize("command", ["run", "check"])
def test_the_help_names_the_variables(flexwatt, command):
    text = flexwatt(command, "--help").stdout
    lines = {line.split()[0]: line for line in text.splitlines() if line.startswith("  --")}
    for variable, option in VARIABLES.items():
        if option in lines:
            assert lines[option].endswith(f" [{variable}]")
    assert ("--region" in lines) == (command == "run") and lines["--json"].count("[") == 0
    assert "it wins over the file, the option over it" in text


@pytest.mark.parametrize("variables, error", [
    ({"FLEXWATT_MEMORY": "lots"}, "error: FLEXWATT_MEMORY needs a whole number of 1 or more, not 'lots'\n"),
    ({"FLEXWATT_WORKERS": "0"}, "error: FLEXWATT_WORKERS needs a whole number of 1 or more, not '0'\n"),
    ({"FLEXWATT_MEMORY": "64"}, """\
        error: stage 'one': memory: 64 MB is out of range (128 to 10240 MB)  FLEXWATT_MEMORY:1:10
          *.memory=64
                   ^
        """),
    ({"FLEXWATT_SET": "stages.one.memory=300\nstages.tow.memory=300"}, """\
        error: no stage named 'tow' (did you mean 'two'?)  FLEXWATT_SET:1:8
          stages.tow.memory=300
                 ^
        """),
    ({"FLEXWATT_SET": "memory"}, """\
        error: expected SETTING=VALUE  FLEXWATT_SET:1:1
          memory
          ^
          hint: for example stages.split.memory=512
        """),
    ({"FLEXWATT_STORAGE": "gopher://x"}, "FLEXWATT_STORAGE:1:9\n"),
    ({"FLEXWATT_STORAGE": "s3://b"}, "FLEXWATT_STORAGE:1:14\n"),
    ({"FLEXWATT_STORAGE_BUCKET": "b"}, "FLEXWATT_STORAGE_BUCKET:1:9\n"),
])
def test_an_error_names_the_variable(flexwatt, functions, variables, error):
    flexwatt.workflow(WORKFLOW)
    flexwatt.env.update(variables)
    for command in ("check", "run"):
        refused = flexwatt(command, "workflow.yaml", status=2).stderr
        assert textwrap.dedent(error) in refused
    assert not flexwatt.store.exists()


def test_a_wrong_region_names_the_variable(flexwatt, functions):
    flexwatt.workflow(WORKFLOW)
    flexwatt.env["FLEXWATT_REGION"] = "moon-1"
    assert flexwatt("run", "workflow.yaml", status=2).stderr.startswith("error: FLEXWATT_REGION moon-1: ")
    assert flexwatt("run", "workflow.yaml", "--region", "mars-1", status=2).stderr.startswith("error: --region mars-1: ")


def test_a_region_without_a_grid_is_refused_before_anything_starts(flexwatt, functions):
    """AWS has prices there, but nobody publishes what its grid emits: figures of carbon would silently be missing."""
    flexwatt.workflow(WORKFLOW)
    refused = flexwatt("run", "workflow.yaml", "--region", "ap-southeast-5", status=2).stderr
    assert refused.startswith("error: --region ap-southeast-5: no grid intensity for the region 'ap-southeast-5'")
    hint = refused.splitlines()[1]
    assert " eu-central-1 " in hint and "ap-southeast-5" not in hint
    assert flexwatt.json("runs") == []


def test_a_run_keeps_the_environment_that_it_began_with(flexwatt, functions):
    flexwatt.workflow(WORKFLOW.replace("params: {count: 1}", "params: {count: 2}"))
    flexwatt.env.update(FLEXWATT_REGION="us-east-1", FLEXWATT_MEMORY="300")
    run = flexwatt.json("run", "workflow.yaml", "--set", "stages.one.handler=fail", "--set", "stages.one.outputs={}",
                        status=1)
    assert run["price_region"] == "us-east-1" and run["stages"][0]["memory_mb"] == 300
    flexwatt.env.update(FLEXWATT_REGION="eu-central-1", FLEXWATT_MEMORY="lots")
    again = flexwatt.json("run", "--resume", run["run"], status=1)
    assert again["price_region"] == "us-east-1"
    assert {record["memory_mb"] for record in flexwatt.records(run["run"], "one")} == {300}


@pytest.mark.parametrize("number", ["9223372036854775808", "-1000000000000000000000000000000", "1.0e400", "0x1ffffffffffffffff", "-.inf"])
def test_a_number_that_cannot_be_held_is_refused_where_it_stands(flexwatt, functions, number):
    """Never handed on as text, or as another number."""
    setting = f"stages.one.params.points={number}"
    flexwatt.workflow(WORKFLOW)
    refused = flexwatt("check", "workflow.yaml", "--set", setting, status=2).stderr
    assert refused.startswith(f"error: {number} is a number too large to be held  override:1:{setting.index('=') + 2}\n")
    assert "\n  hint: whole numbers have 64 bits, others up to 1.8e308; in quotes it is text\n" in refused
    flexwatt.workflow(WORKFLOW.replace("params: {count: 1}", f"params: {{count: [1, {number}]}}"))
    refused = flexwatt("check", "workflow.yaml", status=2).stderr
    assert f"{number} is a number too large to be held  workflow.yaml:" in refused and "^" in refused
    flexwatt.workflow(WORKFLOW)
    kept = flexwatt.json("check", "workflow.yaml", "--set", f"stages.one.params.points='{number}'")
    assert number in json.dumps(kept)


@pytest.mark.parametrize("port", ["65536", "99999", "0", "x"])
def test_a_port_that_is_none_is_refused_before_anything_runs(flexwatt, functions, port):
    flexwatt.workflow(WORKFLOW)
    for command in ("check", "run"):
        refused = flexwatt(command, "workflow.yaml", "--storage", f"s3://bucket?endpoint=http://127.0.0.1:{port}", status=2).stderr
        assert f"'http://127.0.0.1:{port}' has no port" in refused and "ports are 1 to 65535" in refused


def test_an_endpoint_may_end_in_a_slash(flexwatt, functions):
    flexwatt.workflow(WORKFLOW)
    known = {flexwatt.json("check", "workflow.yaml", *options)["storage"] for options in (
        ("--storage", "s3://bucket?endpoint=http://127.0.0.1:9000/"),
        ("--storage", "s3://bucket?endpoint=http://127.0.0.1:9000"),
        ("--storage", "s3://bucket", "--set", "storage.endpoint=http://127.0.0.1:9000/"))}
    assert known == {"s3://bucket?endpoint=http://127.0.0.1:9000"}
