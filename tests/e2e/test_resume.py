# SPDX-License-Identifier: Apache-2.0
"""A killed run is taken up again: what was committed stays, the rest runs, and nothing is seen twice."""
import collections
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess

import pytest

from conftest import BINARY, DEADLINE_S, cgroups_of_ours, counted, events_of, kill, query, run_ids, wait_until

STEPS = """
    name: steps
    storage: ./data
    function: {package: ./functions}
    defaults: {memory: 256, timeout: 60}
    stages:
      first: {handler: make, workers: 4, outputs: {out: {suffix: .txt}}, params: {count: 2, pause_ms: 150}}
      second: {handler: copy, workers: auto, inputs: {in: first.out}, outputs: {out: {suffix: .txt}}, params: {pause_ms: 300}}
      third: {handler: copy, workers: 2, inputs: {in: second.out}, outputs: {out: {suffix: .txt}}, params: {pause_ms: 400}}
"""


def commits(events):
    """Committed (stage, task) and how often; with --from a stage may commit anew."""
    return collections.Counter((e["stage"], e["task"]) for e in events if e["event"] == "ended" and e["status"] == "ok")


def visible(outputs):
    """Outputs without the number of the attempt that made them."""
    seen = [(re.sub(r"^(\w+/\d+)\.\d+/", r"\1/", key), text) for key, text in sorted(outputs.items())]
    assert len({key for key, _ in seen}) == len(seen), "two attempts of a task are visible"
    return dict(seen)


def killed(flexwatt, until, *arguments):
    """Starts a run, or takes one up, kills its engine when `until(events)` holds, and gives its id."""
    process = flexwatt.start("run", *(arguments or ("workflow.yaml",)))
    try:
        wait_until(lambda: process.poll() is None and until(events_of(flexwatt)))
    finally:
        kill(process)
        process.communicate()
    run, = run_ids(flexwatt)
    return run


def ended(count):
    return counted("ended", count)


def undisturbed(flexwatt, name="twin"):
    """The outputs of the same workflow when nobody kills it."""
    twin = type(flexwatt)(flexwatt.directory / name)
    for part in ("functions", "workflow.yaml"):
        source = flexwatt.directory / part
        (shutil.copytree if source.is_dir() else shutil.copy)(source, twin.directory / part)
    return visible(twin.outputs(twin.json("run", "workflow.yaml")["run"]))


def processes_of(run):
    """Processes that are in a control group of this run."""
    return [path for group in cgroups_of_ours() if f"fw-{run}-" in group
            for path in pathlib.Path(group, "cgroup.procs").read_text().split()]


@pytest.mark.parametrize("count", [1, 5, 9])
def test_only_what_was_not_committed_runs_again(flexwatt, functions, count):
    flexwatt.workflow(STEPS)
    run = killed(flexwatt, ended(count))
    before = commits(events_of(flexwatt))
    started_before = {(e["stage"], e["task"], e["attempt"]) for e in events_of(flexwatt) if e["event"] == "started"}
    assert flexwatt.json("show", run)["state"] == "interrupted"
    assert "interrupted" in flexwatt("runs").stdout
    again = flexwatt.json("run", "--resume", run)
    assert (again["run"], again["state"]) == (run, "ok")
    events = events_of(flexwatt)
    assert set(commits(events).values()) == {1}, "no task is committed twice"
    started = {(e["stage"], e["task"], e["attempt"]) for e in events if e["event"] == "started"} - started_before
    assert not {(stage, task) for stage, task, _ in started} & set(before), "what was committed ran again"
    assert visible(flexwatt.outputs(run)) == undisturbed(flexwatt)
    assert not (flexwatt.data / "runs" / run / ".attempts").exists()
    assert [(s["stage"], s["status"], s["ok"], s["tasks"]) for s in again["stages"]] == [
        ("first", "ok", 4, 4), ("second", "ok", 8, 8), ("third", "ok", 2, 2)]


def test_every_commit_has_its_record_and_the_totals_count_all(flexwatt, functions):
    flexwatt.workflow(STEPS)
    run = killed(flexwatt, ended(5))
    again = flexwatt.json("run", "--resume", run)
    records = flexwatt.records(run)
    done = [(r["stage"], r["task"]) for r in records if r["status"] == "ok"]
    assert len(done) == len(set(done)) == 14
    listed, = flexwatt.json("runs")
    assert listed["totals"]["usd"] == pytest.approx(sum(r["total_usd"] or 0 for r in records))
    assert listed["totals"]["usd"] == pytest.approx(again["total"]["total_usd"])
    for record in records:
        if record["status"] != "ok":
            continue
        missing = [field for field in (
            "request_id", "backend", "worker", "function", "handler", "package_digest", "architecture", "cpu_model",
            "cpus_visible", "memory_mb", "vcpus", "workers", "submitted_ms", "started_ms", "queue_ms", "response_ms",
            "duration_ms", "billed_ms", "total_usd", "objects_in", "objects_out", "bytes_in", "bytes_out",
        ) if record[field] is None]
        assert not missing, "a commit without a part of its record"
        assert record["cpu_user_ms"] is not None or "unmetered" in record["flags"], "what the kill cost is said"


def test_workers_of_the_killed_engine_are_gone(flexwatt, functions):
    flexwatt.workflow("""
        name: stubborn
        storage: ./data
        function: {package: ./functions}
        stages: {hang: {handler: hang, workers: 2, memory: 128, timeout: 600, params: {ignore_term: true}}}
    """)
    run = killed(flexwatt, lambda events: sum(e["event"] == "started" for e in events) == 2)
    wait_until(lambda: not processes_of(run))  # process 1 of a sandbox dies with its engine
    process = flexwatt.start("run", "--resume", run)
    wait_until(lambda: sum(e["event"] == "started" for e in events_of(flexwatt)) == 4)
    hierarchies = len({group.split("/flexwatt/")[0] for group in cgroups_of_ours()})
    wait_until(lambda: len([group for group in cgroups_of_ours() if f"fw-{run}-" in group]) <= 2 * hierarchies)  # the new two
    process.send_signal(signal.SIGINT)
    wait_until(lambda: any(e["event"] == "cancel" for e in events_of(flexwatt)))
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 130
    assert not [group for group in cgroups_of_ours() if f"fw-{run}-" in group]


def groups_of(run):
    return [group for group in cgroups_of_ours() if f"fw-{run}-" in group]


@pytest.mark.alone  # any other engine that begins sweeps too
def test_another_run_removes_the_groups_of_a_killed_engine_and_of_no_other(flexwatt, functions):
    flexwatt.workflow("""
        name: left
        storage: ./data
        function: {package: ./functions}
        stages: {hang: {handler: hang, workers: 1, memory: 128, timeout: 600}}
    """)
    flexwatt.write("other.yaml", """
        name: other
        storage: ./data
        function: {package: ./functions}
        stages: {only: {handler: noop, workers: 1, memory: 128}}
    """)
    run = killed(flexwatt, lambda events: any(e["event"] == "started" for e in events))
    if not groups_of(run):
        pytest.skip("no control groups here")
    wait_until(lambda: not processes_of(run))
    twin = type(flexwatt)(flexwatt.directory / "twin")
    for part in ("functions", "workflow.yaml"):
        source = flexwatt.directory / part
        (shutil.copytree if source.is_dir() else shutil.copy)(source, twin.directory / part)
    living = twin.start("run", "workflow.yaml")
    wait_until(lambda: any(e["event"] == "started" for e in events_of(twin)))
    its, = run_ids(twin)
    assert not groups_of(run), "the living engine swept when it began"
    before = groups_of(its)
    flexwatt.json("run", "other.yaml")
    assert before and groups_of(its) == before, "the groups of a living engine are its own"
    living.send_signal(signal.SIGINT)
    wait_until(lambda: any(e["event"] == "cancel" for e in events_of(twin)))
    living.send_signal(signal.SIGINT)
    living.communicate(timeout=DEADLINE_S)


def test_an_engine_may_be_killed_twice(flexwatt, functions):
    flexwatt.workflow(STEPS)
    run = killed(flexwatt, ended(3))
    count = sum(e["event"] == "ended" for e in events_of(flexwatt))
    assert killed(flexwatt, ended(count + 3), "--resume", run) == run
    flexwatt("run", "--resume", run)
    assert set(commits(events_of(flexwatt)).values()) == {1}
    assert visible(flexwatt.outputs(run)) == undisturbed(flexwatt)
    assert sum(e["event"] == "resumed" for e in events_of(flexwatt)) == 2


def test_a_running_run_is_not_resumed(flexwatt, functions):
    flexwatt.workflow(STEPS)
    process = flexwatt.start("run", "workflow.yaml")
    wait_until(lambda: ended(1)(events_of(flexwatt)))
    run, = run_ids(flexwatt)
    assert flexwatt.json("show", run)["state"] == "running"
    refused = flexwatt("run", "--resume", run, status=3)
    assert refused.stderr == f"error: run {run} is still running (process {process.pid})\n"
    assert "is running: end it first" in flexwatt("runs", "rm", run, status=3).stderr
    process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0


def test_of_two_that_take_up_a_run_at_once_one_goes_on_undisturbed(flexwatt, functions):
    """Neither may end the workers of the other as orphans of the killed engine."""
    flexwatt.workflow(STEPS)
    run = killed(flexwatt, ended(1))
    both = [flexwatt.start("run", "--resume", run) for _ in range(2)]
    errors = {process: process.communicate(timeout=DEADLINE_S)[1] for process in both}
    refused, resumed = sorted(both, key=lambda process: -process.returncode)
    assert (refused.returncode, resumed.returncode) == (3, 0), errors
    assert errors[refused].startswith(f"error: run {run} ") and errors[refused].count("\n") == 1, errors
    assert sum(e["event"] == "resumed" for e in events_of(flexwatt)) == 1
    assert visible(flexwatt.outputs(run)) == undisturbed(flexwatt)


def test_a_complete_run_is_not_resumed(flexwatt, functions):
    flexwatt.workflow(STEPS)
    run = flexwatt.json("run", "workflow.yaml")["run"]
    assert flexwatt("run", "--resume", run, status=2).stderr == (
        f"error: run {run} is complete: there is nothing to resume\n"
        "  hint: run a stage and what follows it again with --from STAGE\n")
    assert "no run" in flexwatt("run", "--resume", "zzzz", status=2).stderr


def test_a_changed_workflow_is_refused_saying_what_changed(flexwatt, functions):
    path = flexwatt.workflow(STEPS)
    run = killed(flexwatt, ended(2))
    flexwatt.workflow(STEPS.replace("pause_ms: 300", "pause_ms: 1"))
    count = len(events_of(flexwatt))
    assert flexwatt("run", "--resume", run, status=2).stderr == (
        f"error: cannot resume: {path} has changed since the run began: stages.second.params.pause_ms was 300, is 1\n"
        "  hint: undo the change, or accept it with --from second: that stage and what follows it run again\n")
    assert len(events_of(flexwatt)) == count and flexwatt.json("show", run)["state"] == "interrupted"
    flexwatt.workflow(STEPS.replace("third:", "fourth:"))
    refused = flexwatt("run", "--resume", run, "--from", "first", status=2).stderr
    assert "stages of" in refused and "added, removed, renamed" in refused
    flexwatt.workflow("# a comment changes nothing\n" + STEPS)
    assert flexwatt.json("run", "--resume", run)["state"] == "ok"


def test_a_changed_package_is_refused(flexwatt, functions):
    flexwatt.workflow(STEPS)
    run = killed(flexwatt, ended(2))
    flexwatt.write("functions/extra.txt", "mended")
    refused = flexwatt("run", "--resume", run, status=2).stderr
    assert re.fullmatch(
        rf"error: cannot resume: package {flexwatt.directory}/functions has changed since the run began: "
        r"digest was \w{12}, is \w{12}\n  hint: undo the change, or accept it with --from first: .*\n", refused)


def test_from_a_stage_keeps_the_rest_and_tells_its_old_digest(flexwatt, functions):
    flexwatt.workflow(STEPS)
    run = flexwatt.json("run", "workflow.yaml")["run"]
    old = {r["package_digest"] for r in flexwatt.records(run)}
    flexwatt.write("functions/extra.txt", "mended")
    again = flexwatt.json("run", "--resume", run, "--from", "second")
    assert again["state"] == "ok"
    records = flexwatt.records(run)
    assert {r["package_digest"] for r in records if r["stage"] == "first"} == old
    assert {(r["task"], r["attempt"]) for r in records if r["stage"] == "first"} == {(task, 1) for task in range(4)}
    new = {r["package_digest"] for r in records if r["stage"] != "first" and r["attempt"] == 2}
    assert len(new) == 1 and new != old
    assert not any(".1/" in key and not key.startswith("first/") for key in flexwatt.outputs(run)), "old attempts are gone"
    assert visible(flexwatt.outputs(run)) == undisturbed(flexwatt)
    digest, = old
    assert f"note: kept from before a change: first (package {digest[:12]})" in flexwatt("show", run).stdout
    assert f"package_digest           {digest}" in flexwatt("show", run, "--task", "first/0").stdout


def test_from_a_stage_accepts_other_workers_and_edges(flexwatt, functions):
    """The stages that run again do so as the file says now, however much they differ; the log is replayed as it was."""
    flexwatt.workflow(STEPS)
    run = killed(flexwatt, ended(7))
    flexwatt.workflow(STEPS.replace("workers: auto, inputs: {in: first.out}", "workers: 3, inputs: {in: first.out}")
                      .replace("workers: 2, inputs: {in: second.out}", "workers: 1, memory: 512, inputs: {in: first.out}")
                      .replace("pause_ms: 400", "pause_ms: 0"))
    killed(flexwatt, lambda events: "restarted" in str(events) and ended(8)(events), "--resume", run, "--from", "second")
    again = flexwatt.json("run", "--resume", run)
    assert [(s["stage"], s["ok"], s["tasks"]) for s in again["stages"]] == [
        ("first", 4, 4), ("second", 3, 3), ("third", 1, 1)]
    assert visible(flexwatt.outputs(run)) == undisturbed(flexwatt)
    third, = [r for r in flexwatt.records(run, "third") if r["status"] == "ok"]
    # The kill may have come between its end and its record.
    assert third["flags"] == "unmetered" or (third["memory_mb"] == 512 and third["objects_in"] == 8)


def test_a_plan_that_cannot_go_on_from_what_is_kept_changes_nothing(flexwatt, functions):
    flexwatt.workflow(STEPS)
    run = flexwatt.json("run", "workflow.yaml")["run"]
    before = events_of(flexwatt)
    flexwatt.workflow(STEPS.replace("{out: {suffix: .txt}}, params: {count", "{new: {suffix: .txt}}, params: {count")
                      .replace("first.out", "first.new"))
    assert "stage 'first' has no output 'new'" in flexwatt("run", "--resume", run, "--from", "second", status=2).stderr
    assert events_of(flexwatt) == before and flexwatt.json("show", run)["state"] == "ok"


@pytest.mark.skipif(os.geteuid() != 0, reason="a machine with less memory is made by a mount, which needs root")
@pytest.mark.parametrize("was", ["ok", "interrupted"])
def test_a_plan_that_does_not_fit_the_machine_changes_nothing(flexwatt, functions, was):
    flexwatt.workflow(STEPS)
    run = flexwatt.json("run", "workflow.yaml")["run"] if was == "ok" else killed(flexwatt, ended(2))
    rows, before = query(flexwatt, "select * from run"), events_of(flexwatt)
    flexwatt.workflow(STEPS.replace("third: {", "third: {memory: 4096, "))
    flexwatt.write("meminfo", "MemTotal: 2097152 kB\nMemFree: 2097152 kB\nMemAvailable: 2097152 kB\n")
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", f"mount --bind meminfo /proc/meminfo && exec {BINARY} run --resume {run} --from third"],
        env=flexwatt.env, cwd=flexwatt.directory, capture_output=True, text=True, timeout=DEADLINE_S)
    assert done.returncode in (2, 3) and "4096" in done.stderr and done.stderr.count("error: ") == 1
    assert flexwatt.json("show", run)["state"] == was
    assert query(flexwatt, "select * from run") == rows and events_of(flexwatt) == before
    flexwatt.workflow(STEPS)
    flexwatt("run", "--resume", run, *(["--from", "third"] if was == "ok" else []))
    assert flexwatt.json("show", run)["state"] == "ok"


def test_a_kept_stage_is_told_when_the_workflow_changed(flexwatt, functions):
    flexwatt.workflow(STEPS)
    run = flexwatt.json("run", "workflow.yaml")["run"]
    flexwatt.workflow(STEPS.replace("count: 2", "count: 3"))
    flexwatt("run", "--resume", run, "--from", "third")
    assert "note: kept from before a change: first, second\n" in flexwatt("show", run).stdout
    assert len(visible(flexwatt.outputs(run))) == 4 * 2 * 3


def test_from_names_a_stage_of_the_workflow(flexwatt, functions):
    flexwatt.workflow(STEPS)
    run = flexwatt.json("run", "workflow.yaml")["run"]
    assert "--from fifth: the workflow has no such stage" in flexwatt("run", "--resume", run, "--from", "fifth", status=2).stderr
    assert "--from goes with --resume" in flexwatt("run", "workflow.yaml", "--from", "first", status=2).stderr
    assert flexwatt.json("show", run)["state"] == "ok"


def test_a_missing_workflow_file_is_told(flexwatt, functions):
    path = flexwatt.workflow(STEPS)
    run = killed(flexwatt, ended(2))
    path.rename(flexwatt.directory / "moved.yaml")
    refused = flexwatt("run", "--resume", run, status=2).stderr
    assert str(path) in refused and "flexwatt run --resume" in refused
    assert flexwatt.json("show", run)["state"] == "interrupted"
    assert flexwatt.json("run", "moved.yaml", "--resume", run)["state"] == "ok"


def test_a_failed_run_gets_a_fresh_chance(flexwatt, functions):
    flexwatt.workflow("""
        name: chance
        storage: ./data
        function: {package: ./functions}
        defaults: {memory: 128, retries: 1}
        stages:
          good: {handler: make, workers: 2, outputs: {out: {suffix: .txt}}}
          try: {handler: flaky, workers: 1, after: [good], outputs: {out: {suffix: .txt}}, params: {succeeds_at: 4}}
          last: {handler: copy, workers: 1, inputs: {in: try.out}, outputs: {out: {suffix: .txt}}}
    """)
    failed = flexwatt.json("run", "workflow.yaml", status=1)
    run = failed["run"]
    assert [s["status"] for s in failed["stages"]] == ["ok", "function_error", "skipped"]
    done = flexwatt.json("run", "--resume", run)
    assert [s["status"] for s in done["stages"]] == ["ok", "ok", "ok"]
    assert [(r["attempt"], r["status"]) for r in flexwatt.records(run, "try")] == [
        (1, "function_error"), (2, "function_error"), (3, "function_error"), (4, "ok")]
    assert len(flexwatt.records(run, "good")) == 2
    listed, = flexwatt.json("runs")
    assert listed["state"] == "ok" and listed["error"] is None


def test_a_cancelled_run_goes_on(flexwatt, functions):
    flexwatt.workflow(STEPS)
    process = flexwatt.start("run", "workflow.yaml", "--json")
    wait_until(lambda: ended(2)(events_of(flexwatt)))
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 130
    run = json.loads(out)["run"]
    before = commits(events_of(flexwatt))
    flexwatt("run", "--resume", run)
    assert set(commits(events_of(flexwatt)).values()) == {1} and len(before) < 14
    assert visible(flexwatt.outputs(run)) == undisturbed(flexwatt)


def test_overrides_are_kept(flexwatt, functions):
    flexwatt.workflow(STEPS)
    run = killed(flexwatt, ended(2), "workflow.yaml", "--set", "stages.first.params.count=1", "--workers", 3)
    assert "keeps its settings" in flexwatt("run", "--resume", run, "--workers", 2, status=2).stderr
    again = flexwatt.json("run", "--resume", run)
    assert [s["tasks"] for s in again["stages"]] == [3, 3, 3]


def test_a_result_is_still_known_after_the_kill(flexwatt, functions):
    """Conditions and results come from the log, not from the memory of the dead engine."""
    flexwatt.workflow("""
        name: asks
        storage: ./data
        function: {package: ./functions}
        defaults: {memory: 128}
        stages:
          ask: {handler: result, workers: 1, params: {json: '{"count": 3}'}}
          wait: {handler: make, workers: 1, after: [ask], outputs: {out: {suffix: .txt}}, params: {pause_ms: 700}}
          many: {handler: noop, workers: 1, after: [wait], when: {result: ask.count, op: ">", value: 2}}
          few: {handler: noop, workers: 1, after: [wait], when: {result: ask.count, op: "<=", value: 2}}
    """)
    run = killed(flexwatt, ended(1))
    again = flexwatt.json("run", "--resume", run)
    assert [s["status"] for s in again["stages"]] == ["ok", "ok", "ok", "skipped"]


def test_a_resumed_run_stays_in_its_region(flexwatt, functions):
    flexwatt.workflow("""
        name: twice
        storage: ./data
        function: {package: ./functions}
        defaults: {memory: 128, timeout: 20, retries: 0}
        stages: {a: {handler: flaky, workers: 1, outputs: {out: {suffix: .txt}}}}
    """)
    flexwatt("run", "workflow.yaml", "--region", "us-east-1", status=1)
    run, = run_ids(flexwatt)
    assert "--resume" in flexwatt("run", "--resume", run, "--region", "eu-central-1", status=2).stderr
    flexwatt("run", "--resume", run)
    assert [record["price_region"] for record in flexwatt.records(run)] == ["us-east-1", "us-east-1"]


def test_a_run_is_resumed_from_any_directory(flexwatt, functions):
    flexwatt.workflow("""
        name: twice
        storage: ./data
        function: {package: ./functions}
        defaults: {memory: 128, timeout: 20, retries: 0}
        stages: {a: {handler: flaky, workers: 1, outputs: {out: {suffix: .txt}}}}
    """)
    (flexwatt.directory / "other").mkdir()
    flexwatt("run", "workflow.yaml", "--storage", "./other", status=1)
    run, = run_ids(flexwatt)
    beside = flexwatt.directory / "elsewhere" / "other"
    beside.mkdir(parents=True)
    flexwatt.directory = beside.parent
    flexwatt("run", "--resume", run)
    assert not list(beside.iterdir())
