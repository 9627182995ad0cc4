# SPDX-License-Identifier: Apache-2.0
"""flexwatt run: data goes through the DAG, every invocation is recorded, failures are told as people need them."""
import json
import os
import re
import signal
import time

import pytest

from conftest import DEADLINE_S, events_of, run_ids, wait_until

CHAIN = """
    name: chain
    storage: ./data
    function: {package: ./functions}
    defaults: {memory: 256, timeout: 30}
    stages:
      first:
        handler: make
        workers: 3
        outputs: {out: {suffix: .txt}}
        params: {count: 2}
      second:
        handler: copy
        workers: auto
        inputs: {in: first.out}
        outputs: {out: {suffix: .txt}}
      third:
        handler: copy
        workers: 2
        inputs: {in: second.out}
        outputs: {out: {suffix: .txt}}
"""


def test_data_flows_through_scatter_and_each(flexwatt, functions):
    flexwatt.workflow(CHAIN)
    run = flexwatt.json("run", "workflow.yaml")
    assert run["state"] == "ok"
    assert [(stage["stage"], stage["ok"], stage["tasks"]) for stage in run["stages"]] == [
        ("first", 3, 3), ("second", 6, 6), ("third", 2, 2)]
    outputs = flexwatt.outputs(run["run"])
    assert sorted(set(outputs.values())) == sorted(f"{t}/{i}\n".encode() for t in range(3) for i in range(2))
    assert len([key for key in outputs if key.startswith("third/")]) == 6
    assert not (flexwatt.data / "runs" / run["run"] / ".attempts").exists()


def test_every_invocation_has_its_record(flexwatt, functions):
    flexwatt.workflow(CHAIN)
    run = flexwatt.json("run", "workflow.yaml")["run"]
    records = flexwatt.records(run)
    assert len(records) == 11
    for record in records:
        assert record["status"] == "ok" and record["backend"] == "local" and record["attempt"] == 1
        assert record["duration_ms"] > 0 and record["response_ms"] <= record["duration_ms"]
        assert record["billed_ms"] >= record["duration_ms"]
        assert record["memory_mb"] == 256 and abs(record["vcpus"] - 256 / 1769) < 1e-9
        assert record["cpu_user_ms"] is not None and record["cpu_percent"] >= 0
        assert record["clock_offset_ms"] == 0 and record["clock_offset_bound_ms"] == 0  # the run's own clock
        assert record["total_usd"] > 0 and record["price_region"] == "eu-central-1"
        assert record["operational_gco2e"] > 0 and record["embodied_gco2e"] > 0
        modelled = [energy for energy in record["energy"] if energy["source"] == "model"]
        assert modelled and all("modelled" in energy["flags"] for energy in modelled)
        assert all(energy["low"] <= energy["joules"] <= energy["high"] for energy in modelled)
        assert "model/" in record["method_version"]
        # counted where the kernel lets us, else null and not 0; this function talks to its host alone
        assert record["network_sent_bytes"] in (None, 0) and record["network_received_bytes"] in (None, 0)
        assert record["temperature_c"] is None or record["temperature_c"] > 0  # cannot be known here: null, not 0
    cold = [record for record in records if record["cold_start_ms"] is not None]
    assert 1 <= len(cold) < len(records), "workers are reused"
    assert {record["objects_in"] for record in records if record["stage"] == "second"} == {1}


def test_the_summary_states_unit_basis_and_interval(flexwatt, functions):
    flexwatt.workflow(CHAIN)
    done = flexwatt("run", "workflow.yaml")
    assert re.match(r"chain · run \d{8}-\d{6}-\w{3} · local · ok · 11 tasks · outputs in /", done.stdout)
    assert re.search(r"first +3/3 .* m?J \(.*–.*\) m +\$0\.0+\d+ +[\d.]+ [µm]g", done.stdout)
    assert "m = modelled" in done.stdout and "as if on Lambda" in done.stdout and "eu-central-1" in done.stdout
    assert "\033[" not in done.stdout + done.stderr


def test_overrides_change_the_run_and_not_the_file(flexwatt, functions):
    path = flexwatt.workflow(CHAIN)
    before = path.read_text()
    other = flexwatt.directory / "elsewhere"
    other.mkdir()
    run = flexwatt.json("run", "workflow.yaml", "--set", "stages.first.params.count=5", "--workers", 1, "--memory", 128,
                        "--storage", "./elsewhere")
    assert [stage["tasks"] for stage in run["stages"]] == [1, 5, 1]
    assert run["storage"] == f"file:{other}" and list(flexwatt.data.iterdir()) == []
    assert flexwatt.records(run["run"])[0]["memory_mb"] == 128
    assert path.read_text() == before


def test_broadcast_gives_every_task_all_objects(flexwatt, functions):
    flexwatt.workflow("""
        name: wide
        storage: ./data
        function: {package: ./functions}
        defaults: {memory: 128}
        stages:
          one: {handler: make, workers: 1, outputs: {out: {suffix: .txt}}, params: {count: 3}}
          all:
            handler: copy
            workers: 2
            inputs: {in: {from: one.out, edge: broadcast}}
            outputs: {out: {suffix: .txt}}
    """)
    run = flexwatt.json("run", "workflow.yaml")["run"]
    assert [record["objects_in"] for record in flexwatt.records(run, "all")] == [3, 3]


def test_conditions_skip_without_failing(flexwatt, functions):
    flexwatt.workflow("""
        name: conditions
        storage: ./data
        function: {package: ./functions}
        defaults: {memory: 128}
        stages:
          ask: {handler: result, workers: 1, params: {json: '{"count": 3}'}}
          many: {handler: noop, workers: 1, when: {result: ask.count, op: ">", value: 2}}
          few: {handler: noop, workers: 1, when: {result: ask.count, op: "<=", value: 2}}
          after: {handler: noop, workers: 1, after: [many, few]}
    """)
    run = flexwatt.json("run", "workflow.yaml")
    assert {stage["stage"]: stage["status"] for stage in run["stages"]} == {
        "ask": "ok", "many": "ok", "few": "skipped", "after": "ok"}
    assert flexwatt.records(run["run"], "ask/0")[0]["metrics"] == {"answer": 42}


def test_a_plain_lambda_function_runs_by_payload(flexwatt, functions):
    flexwatt.package("plain", """\
        #!/bin/sh
        # A Lambda runtime in a few lines of shell.
        api=http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime
        while :; do
            event=$(curl -sS -D /tmp/headers "$api/invocation/next")
            id=$(tr -d '\\r' </tmp/headers | sed -n 's/^lambda-runtime-aws-request-id: //Ip')
            directory=$(printf %s "$event" | sed 's/.*"to": *"\\([^"]*\\)".*/\\1/')
            printf '%s\\n' "$event" >"$directory/event.json"
            curl -sS -o /dev/null -d '{"files": ["event.json"], "seen": 7}' "$api/invocation/$id/response"
        done
    """)
    flexwatt.workflow("""
        name: plain
        storage: ./data
        function: {package: ./functions}
        defaults: {memory: 128, timeout: 20}
        stages:
          ask: {handler: result, workers: 1, params: {json: '{"name": "Ada", "n": 3}'}}
          call:
            function: {package: ./plain}
            payload: {greet: "${ask.result.name}", n: "${ask.result.n}", to: "${output.files}"}
            outputs: {files: {from: /files}}
          use: {handler: copy, workers: auto, inputs: {in: call.files}, outputs: {out: {suffix: .txt}}}
    """)
    run = flexwatt.json("run", "workflow.yaml")["run"]
    event, = [json.loads(text) for key, text in flexwatt.outputs(run).items() if key.startswith("call/")]
    assert event["greet"] == "Ada" and event["n"] == 3
    assert [json.loads(text) for key, text in flexwatt.outputs(run).items() if key.startswith("use/")] == [event]


def test_a_payload_that_results_make_too_large_is_told_and_not_tried_again(flexwatt, functions):
    flexwatt.workflow("""
        name: large
        storage: ./data
        function: {package: ./functions}
        defaults: {memory: 128, timeout: 20, retries: 2}
        stages:
          ask: {handler: result, workers: 1, params: {json: '"LONG"'}}
          call: {handler: noop, payload: {all: [MANY]}}
    """.replace("LONG", "x" * 250_000).replace("MANY", ", ".join(['"${ask.result}"'] * 30)))
    run = flexwatt.json("run", "workflow.yaml", status=1)["run"]
    record, = flexwatt.records(run, "call/0")
    assert record["status"] == "function_error"
    assert "the payload is larger than 6291556 bytes: the results that fill it are too large" in record["error_message"]


def test_a_command_is_a_function(flexwatt):
    flexwatt.write("data/in/a.txt", "hello")
    flexwatt.write("data/in/b.txt", "world")
    flexwatt.workflow("""
        name: upper
        storage: ./data
        defaults: {memory: 128}
        stages:
          upper:
            function: {command: [dd, "if={input.in}", "of={output.out}", "conv=ucase"]}
            workers: auto
            inputs: {in: {keys: "in/*.txt"}}
            outputs: {out: {suffix: .txt}}
    """)
    run = flexwatt.json("run", "workflow.yaml")["run"]
    assert sorted(flexwatt.outputs(run).values()) == [b"HELLO", b"WORLD"]


def test_a_stage_whose_files_went_elsewhere_is_told(flexwatt):
    (flexwatt.data / "in").mkdir()
    (flexwatt.data / "in/a.txt").write_text("a")
    flexwatt.workflow("""
        name: astray
        storage: ./data
        stages:
          shown:  {function: {command: [gzip, -c, "{input.i}"]}, inputs: {i: {keys: "in/*"}}, outputs: {o: {suffix: .gz}}}
          silent: {function: {command: ["true"]}}
          kept:   {function: {command: [cp, "{input.i}", "{output.o}"]}, inputs: {i: {keys: "in/*"}}, outputs: {o: {}}}
          after:  {function: {command: [cat, "{input.i}"]}, inputs: {i: shown.o}, outputs: {o: {}}}
    """)
    note = "  note: shown declares outputs and made none: no file was left in their directories"
    told = flexwatt("run", "workflow.yaml").stdout
    assert [line for line in told.splitlines() if "declares outputs" in line] == [note]


def test_logs_have_start_end_and_a_true_report(flexwatt, functions):
    flexwatt.workflow("""
        name: talk
        storage: ./data
        function: {package: ./functions}
        stages: {talk: {handler: chatter, workers: 1, memory: 128, params: {lines: 3}}}
    """)
    run = flexwatt.json("run", "workflow.yaml")["run"]
    record, = flexwatt.records(run, "talk/0")
    log = flexwatt("show", run, "--task", "talk/0", "--logs").stdout
    assert re.search(rf"^START RequestId: {record['request_id']} Version: ", log, re.M)
    assert "line 0\n" in log and "line 2\n" in log
    report = re.search(r"^REPORT RequestId: (\S+)\tDuration: ([\d.]+) ms\tBilled Duration: (\d+) ms\t"
                       r"Memory Size: (\d+) MB\tMax Memory Used: (\d+) MB\tInit Duration: ([\d.]+) ms", log, re.M)
    assert report, log
    assert float(report[2]) == pytest.approx(record["duration_ms"], abs=0.01)
    assert int(report[3]) == record["billed_ms"] and int(report[4]) == 128
    assert 1 <= int(report[5]) <= 128


def test_logs_of_a_silent_success_have_the_lines_too(flexwatt, functions):
    flexwatt.workflow("""
        name: silent
        storage: ./data
        function: {package: ./functions}
        stages: {silent: {handler: noop, workers: 2, memory: 128}}
    """)
    run = flexwatt.json("run", "workflow.yaml")["run"]
    record, = flexwatt.records(run, "silent/1")
    log = flexwatt("show", run, "--task", "silent/1", "--logs").stdout.splitlines()[1:]
    assert log[0] == f"START RequestId: {record['request_id']} Version: $LATEST"
    assert log[1] == f"END RequestId: {record['request_id']}"
    assert log[2].startswith(f"REPORT RequestId: {record['request_id']}\tDuration: ")


FAILING = """
    name: failing
    storage: ./data
    function: {package: ./functions}
    defaults: {memory: 128, timeout: 30, retries: 0}
    stages:
      make: {handler: make, workers: 4, outputs: {out: {suffix: .txt}}}
      pick:
        handler: copy
        workers: auto
        on_failure: %s
        inputs: {in: make.out}
        outputs: {out: {suffix: .txt}}
        params: {fail_on: "2/"}
      next: {handler: copy, workers: auto, inputs: {in: pick.out}, outputs: {out: {suffix: .txt}}}
      join: {handler: copy, workers: 1, inputs: {in: pick.out}, outputs: {out: {suffix: .txt}}}
"""


def test_continue_goes_on_without_the_failed_task(flexwatt, functions):
    flexwatt.workflow(FAILING % "continue")
    run = flexwatt.json("run", "workflow.yaml", status=1)
    assert run["state"] == "failed"
    assert {stage["stage"]: (stage["ok"], stage["failed"]) for stage in run["stages"]} == {
        "make": (4, 0), "pick": (3, 1), "next": (3, 0), "join": (1, 0)}


def test_stop_skips_who_waits_for_the_closed_list(flexwatt, functions):
    flexwatt.workflow(FAILING % "stop")
    run = flexwatt.json("run", "workflow.yaml", status=1)
    stages = {stage["stage"]: stage for stage in run["stages"]}
    assert (stages["pick"]["ok"], stages["pick"]["failed"]) == (3, 1), "the other tasks finish"
    assert stages["next"]["ok"] == 3, "consumers of committed tasks go on"
    assert stages["join"]["status"] == "skipped" and stages["join"]["ok"] == 0


def test_a_failed_run_ends_with_what_a_person_needs(flexwatt, functions):
    flexwatt.workflow("""
        name: sad
        storage: ./data
        function: {package: ./functions}
        stages: {talk: {handler: chatter, workers: 1, memory: 128, retries: 0, params: {lines: 9, fail: true}}}
    """)
    done = flexwatt("run", "workflow.yaml", status=1)
    lines = done.stderr.strip().splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("failed: "))
    tail = re.search(r"run \d+-\d+-(\w{3}) ", done.stdout)[1]
    assert lines[start:] == [
        "failed: talk/0 (attempt 1): Chatter.Failed: after 9 lines",
        "  | line 4", "  | line 5", "  | line 6", "  | line 7", "  | line 8",
        f"  more:   flexwatt show {tail} --task talk/0 --logs",
        f"  resume: flexwatt run --resume {tail}",
    ]


def test_a_wrong_parameter_is_not_tried_again(flexwatt, functions):
    flexwatt.workflow("""
        name: wrong
        storage: ./data
        function: {package: ./functions}
        stages: {one: {handler: make, workers: 1, memory: 128, retries: 2, outputs: {out: {suffix: .txt}}, params: {count: many}}}
    """)
    run = flexwatt.json("run", "workflow.yaml", status=1)["run"]
    record, = flexwatt.records(run, "one")
    assert record["error_type"] == "Function.Parameter" and "'count'" in record["error_message"]


MANY = r"""
    name: many
    storage: ./data
    defaults: {memory: 128, retries: 0}
    stages:
      each:
        function:
          command: [sh, -c, 'case $1 in 3|*[!0-9]*) exit 0;; esac; printf "no good:\nthing $1" >&2; exit 3', sh, "{task}"]
        workers: %d
        on_failure: continue
"""


def test_every_failed_task_is_named_on_a_line(flexwatt):
    flexwatt.workflow(MANY % 5)
    done = flexwatt("run", "workflow.yaml", status=1)
    run = re.search(r"run (\S+)", done.stdout)[1]
    named = sorted(line for line in done.stderr.splitlines() if line.startswith("failed: "))
    assert [line.split(" (")[0] for line in named] == [f"failed: each/{task}" for task in (0, 1, 2, 4)]
    assert all(re.fullmatch(r"failed: each/(\d) \(attempt 1\): [\w.]+: .*thing \1.*", line) for line in named), "the error of each"
    assert "more: flexwatt show" not in done.stderr.replace("  more:   flexwatt show", "")
    shown = flexwatt("show", run).stdout
    assert [line for line in shown.splitlines() if line.startswith("failed: ")] == named and "error:" not in shown
    assert flexwatt("show", run, "--failed").stdout.splitlines() == named
    tasks = flexwatt.json("show", run)["failed_tasks"]
    assert tasks == flexwatt.json("show", run, "--failed")
    assert [(task["stage"], task["task"], task["attempt"], task["status"]) for task in tasks] == [
        ("each", task, 1, "function_error") for task in (0, 1, 2, 4)]
    assert "\nthing 0" in tasks[0]["error_message"], "as the function said it, also over several lines"


def test_of_many_failed_tasks_ten_are_named_and_how_to_see_the_others(flexwatt):
    flexwatt.workflow(MANY % 14)
    done = flexwatt("run", "workflow.yaml", status=1)
    tail = re.search(r"run \d+-\d+-(\w{3}) ", done.stdout)[1]
    for text in (done.stderr, flexwatt("show", tail).stdout):
        assert len(set(re.findall(r"^failed: (each/\d+) ", text, re.MULTILINE))) == 10
        assert f"\n  and 3 more: flexwatt show {tail} --failed\n" in text
    assert len(flexwatt("show", tail, "--failed").stdout.splitlines()) == 13


def test_a_task_that_succeeded_in_the_end_is_not_named(flexwatt, functions):
    flexwatt.workflow(FAILING % "continue")
    run = flexwatt.json("run", "workflow.yaml", status=1)
    assert [(task["stage"], task["task"]) for task in run["failed_tasks"]] == [("pick", 2)]
    flexwatt.workflow("""
        name: fine
        storage: ./data
        function: {package: ./functions}
        stages: {one: {handler: flaky, workers: 2, memory: 128, retries: 3, outputs: {out: {suffix: .txt}}, params: {succeeds_at: 3}}}
    """)
    fine = flexwatt.json("run", "workflow.yaml")
    assert fine["failed_tasks"] == []
    assert flexwatt("show", fine["run"], "--failed").stdout == f"no task of run {fine['run']} failed\n"


def test_a_flaky_function_is_retried_and_every_attempt_is_recorded(flexwatt, functions):
    flexwatt.workflow("""
        name: flaky
        storage: ./data
        function: {package: ./functions}
        stages:
          try: {handler: flaky, workers: 1, memory: 128, retries: 3, outputs: {out: {suffix: .txt}}, params: {succeeds_at: 3}}
    """)
    run = flexwatt.json("run", "workflow.yaml")["run"]
    assert [(r["attempt"], r["status"]) for r in flexwatt.records(run, "try")] == [
        (1, "function_error"), (2, "function_error"), (3, "ok")]
    key, = flexwatt.outputs(run)
    assert key.startswith("try/0.3/out/"), "one attempt is visible"


def test_timeouts_end_what_ignores_them(flexwatt, functions):
    flexwatt.workflow("""
        name: slow
        storage: ./data
        function: {package: ./functions}
        stages: {hang: {handler: hang, workers: 1, memory: 128, timeout: 1, retries: 0, params: {ignore_term: true}}}
    """)
    began = time.monotonic()
    run = flexwatt.json("run", "workflow.yaml", status=1)["run"]
    assert time.monotonic() - began < 20
    record, = flexwatt.records(run)
    assert record["status"] == "timeout" and "Task timed out after 1.00 seconds" in record["error_message"]


@pytest.mark.parametrize("child", [False, True])
def test_out_of_memory_is_told_from_a_crash(flexwatt, functions, child):
    flexwatt.workflow(f"""
        name: hungry
        storage: ./data
        function: {{package: ./functions}}
        defaults: {{memory: 128, timeout: 5, retries: 0}}
        stages:
          eat: {{handler: eat, workers: 1, params: {{mb: 400, child: {str(child).lower()}}}}}
          die: {{handler: die, workers: 1, params: {{how: abort}}}}
    """)
    run = flexwatt.json("run", "workflow.yaml", status=1)["run"]
    status = {record["stage"]: (record["status"], record["error_type"]) for record in flexwatt.records(run)}
    assert status["eat"][0] == "out_of_memory"
    assert status["die"] == ("function_error", "Runtime.ExitError")


def test_memory_grows_when_asked(flexwatt, functions):
    flexwatt.workflow("""
        name: grow
        storage: ./data
        function: {package: ./functions}
        stages: {eat: {handler: eat, workers: 1, memory: 128, grow: true, timeout: 30, params: {mb: 300}}}
    """)
    run = flexwatt.json("run", "workflow.yaml")["run"]
    assert [(r["memory_mb"], r["status"]) for r in flexwatt.records(run)] == [
        (128, "out_of_memory"), (256, "out_of_memory"), (512, "ok")]
    assert flexwatt.records(run)[2]["memory_peak_mb"] > 300


def test_an_empty_glob_fails_before_anything_starts(flexwatt, functions):
    flexwatt.workflow("""
        name: empty
        storage: ./data
        function: {package: ./functions}
        stages:
          copy:
            handler: copy
            inputs: {in: {keys: "none/*.txt"}}
            outputs: {out: {suffix: .txt}}
    """)
    done = flexwatt("run", "workflow.yaml", status=2)
    assert done.stderr.splitlines() == [
        f"error: stage 'copy': input 'in': no object matches 'none/*.txt'  {flexwatt.directory}/workflow.yaml:8:25",
        '      inputs: {in: {keys: "none/*.txt"}}',
        "  " + " " * 24 + "^",
        f"  hint: the storage is file:{flexwatt.data}: put the files there, or mend the glob",
    ]
    assert flexwatt("runs").stdout == "no runs yet\n" and list(flexwatt.data.iterdir()) in ([], [flexwatt.data / "runs"])


def test_a_missing_storage_is_found_before_anything_starts(flexwatt, functions):
    flexwatt.workflow(CHAIN.replace("./data", "./nowhere"))
    done = flexwatt("run", "workflow.yaml", status=3)
    assert "nowhere" in done.stderr and "hint:" in done.stderr
    assert flexwatt("runs").stdout == "no runs yet\n"


def test_a_task_larger_than_the_machines_memory_is_refused(flexwatt, functions):
    total_mb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20
    if total_mb > 10000:
        pytest.skip(f"this machine's memory ({total_mb} MB) holds the largest function")
    flexwatt.workflow(CHAIN)
    assert "memory" in flexwatt("run", "workflow.yaml", "--memory", 10240, status=2).stderr


def test_a_task_with_more_cpu_than_the_machine_runs_alone_and_is_flagged(flexwatt, functions):
    if os.cpu_count() > 5:
        pytest.skip("this machine has more CPUs than the largest function")
    flexwatt.workflow(CHAIN)
    run = flexwatt.json("run", "workflow.yaml", "--memory", 1769 * (os.cpu_count() + 1))["run"]
    records = sorted(flexwatt.records(run), key=lambda record: record["started_ms"])
    assert all("cpu_capped" in record["flags"] for record in records)
    for before, after in zip(records, records[1:]):
        assert after["started_ms"] >= before["started_ms"] + before["response_ms"] - 0.01


def test_the_machine_is_never_promised_twice(flexwatt, functions):
    flexwatt.workflow("""
        name: busy
        storage: ./data
        function: {package: ./functions}
        stages: {make: {handler: make, workers: 8, memory: 1769, outputs: {out: {suffix: .txt}}, params: {pause_ms: 100}}}
    """)
    run = flexwatt.json("run", "workflow.yaml")["run"]
    records = flexwatt.records(run)
    edges = sorted([(r["started_ms"], 1) for r in records] + [(r["started_ms"] + r["response_ms"], -1) for r in records])
    running = highest = 0
    for _, step in edges:
        running += step
        highest = max(highest, running)
    assert highest <= os.cpu_count()
    assert sum(record["queue_ms"] for record in records) > 0, "who waited for room says so"


def test_ctrl_c_once_lets_running_invocations_finish(flexwatt, functions):
    flexwatt.workflow("""
        name: long
        storage: ./data
        function: {package: ./functions}
        stages:
          make: {handler: make, workers: 2, memory: 128, outputs: {out: {suffix: .txt}}, params: {pause_ms: 1500}}
          copy: {handler: copy, workers: 1, memory: 128, inputs: {in: make.out}, outputs: {out: {suffix: .txt}}}
    """)
    process = flexwatt.start("run", "workflow.yaml", "--json")
    wait_until(lambda: running_tasks(flexwatt) == 2)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 130, err
    run = json.loads(out)
    assert run["state"] == "cancelled" and run["stages"][0]["ok"] == 2 and run["stages"][1]["ok"] == 0
    assert len(flexwatt.outputs(run["run"])) == 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_while_a_run_is_made_ready_ends_it_in_order(flexwatt, functions, number):
    """Nothing may be left that no run in the store owns."""
    flexwatt.workflow(CHAIN)
    process = flexwatt.start("run", "workflow.yaml")
    wait_until(lambda: list((flexwatt.data / "runs").glob("*")))
    process.send_signal(number)
    out, err = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 130 and " cancelled " in out, err
    run, = run_ids(flexwatt)
    assert [path.name for path in (flexwatt.data / "runs").iterdir()] == [run]
    assert flexwatt.json("run", "--resume", run)["state"] == "ok"


def test_a_pipe_among_the_tables_is_no_wait_without_end(flexwatt, functions):
    flexwatt.workflow(CHAIN)
    tables = flexwatt.directory / "tables"
    tables.mkdir()
    os.mkfifo(tables / "prices.csv")
    flexwatt.env["FLEXWATT_DATA"] = str(tables)
    assert "no header line  prices.csv:1:1" in flexwatt("run", "workflow.yaml", status=2).stderr
    assert not (flexwatt.data / "runs").exists()


def test_ctrl_c_twice_ends_them_now(flexwatt, functions):
    flexwatt.workflow("""
        name: forever
        storage: ./data
        function: {package: ./functions}
        stages: {hang: {handler: hang, workers: 2, memory: 128, timeout: 600, params: {ignore_term: true}}}
    """)
    process = flexwatt.start("run", "workflow.yaml", "--json")
    wait_until(lambda: running_tasks(flexwatt) == 2)
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGINT)
    time.sleep(0.2)  # two signals may be delivered as one
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert {record["status"] for record in flexwatt.records(json.loads(out)["run"])} == {"cancelled"}


def test_progress_when_piped_is_a_line_a_second_at_most(flexwatt, functions):
    flexwatt.workflow("""
        name: steps
        storage: ./data
        function: {package: ./functions}
        stages: {make: {handler: make, workers: 6, memory: 1769, outputs: {out: {suffix: .txt}}, params: {pause_ms: 700}}}
    """)
    began = time.monotonic()
    done = flexwatt("run", "workflow.yaml")
    lines = [line for line in done.stderr.splitlines() if " tasks, " in line]
    assert 1 <= len(lines) <= time.monotonic() - began + 1
    assert re.match(r"\d+/6 tasks, \d running, [\d.]+ s, .* J m so far, \$0", lines[0].replace("mJ", " J"))


def running_tasks(flexwatt):
    """What a second process sees of the run: tasks that have started."""
    return sum(event["event"] == "started" for event in events_of(flexwatt))


def test_a_region_without_prices_is_refused_before_anything_starts(flexwatt, functions):
    flexwatt.workflow(CHAIN)
    told = flexwatt("run", "workflow.yaml", "--region", "nowhere-1", status=2).stderr
    assert "nowhere-1" in told and "one of us-east-1 " in told
    assert flexwatt("runs").stdout == "no runs yet\n"
    assert not list((flexwatt.data / "runs").glob("*")) and not list((flexwatt.store.parent / "logs").glob("*"))


def test_a_run_that_is_refused_leaves_nothing(flexwatt, functions):
    flexwatt.workflow("""
        name: none
        storage: ./data
        function: {package: ./functions}
        stages: {a: {handler: copy, workers: auto, inputs: {in: {keys: "in/*.txt"}}, outputs: {out: {suffix: .txt}}}}
    """)
    assert "no object matches" in flexwatt("run", "workflow.yaml", status=2).stderr
    assert not list((flexwatt.data / "runs").glob("*")) and not list((flexwatt.store.parent / "logs").glob("*"))


def test_a_timeout_is_billed_as_its_limit(flexwatt, functions):
    flexwatt.workflow("""
        name: late
        storage: ./data
        function: {package: ./functions}
        stages: {hang: {handler: hang, workers: 1, memory: 128, timeout: 1, params: {ignore_term: true}}}
    """)
    run = flexwatt.json("run", "workflow.yaml", "--set", "stages.hang.retries=0", status=1)["run"]
    record, = flexwatt.records(run)
    assert record["status"] == "timeout" and record["duration_ms"] > 2900
    assert 1000 < record["billed_ms"] <= 1001 + record["init_ms"]
    assert f"Billed Duration: {record['billed_ms']} ms" in flexwatt("show", run, "--logs").stdout


@pytest.mark.skipif(len(os.sched_getaffinity(0)) > 5, reason="no configuration asks for more CPUs than this machine has")
def test_the_model_never_charges_more_cpus_than_there_are(flexwatt, functions):
    flexwatt.workflow("""
        name: wide
        storage: ./data
        function: {package: ./functions}
        stages: {burn: {handler: burn, workers: 1, memory: 10240}}
    """)

    def watts(memory):
        run = flexwatt.json("run", "workflow.yaml", "--memory", memory)["run"]
        record, = flexwatt.records(run)
        package, = [e for e in record["energy"] if e["source"] == "model" and e["domain"] == "package"]
        return package["idle_j"] / record["duration_ms"] * 1000

    assert watts(10240) == pytest.approx(watts(1769 * len(os.sched_getaffinity(0))), rel=1e-3)
