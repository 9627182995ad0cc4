# SPDX-License-Identifier: Apache-2.0
"""The engine is killed at every event of a run's log, and the run taken up: the outputs are always the same."""
import collections
import shutil
import subprocess

import pytest

from e2e import BUILD, SOURCE, events_of, run_ids
from kills import kill_at, last_event, visible

SMALL = """
    name: small
    storage: ./data
    function: {package: ./functions}
    defaults: {memory: 1024, timeout: 60, retries: 2}
    stages:
      first: {handler: make, workers: 2, outputs: {out: {suffix: .txt}}, params: {count: 2, pause_ms: 20}}
      second: {handler: copy, workers: auto, inputs: {in: first.out}, outputs: {out: {suffix: .txt}}, params: {pause_ms: 10}}
      try: {handler: flaky, workers: 1, after: [first], outputs: {out: {suffix: .txt}}, params: {succeeds_at: 2}}
      third: {handler: copy, workers: 1, inputs: {in: second.out}, outputs: {out: {suffix: .txt}}}
"""


def take_up(flexwatt, expected):
    run, = run_ids(flexwatt)
    before = {(e["stage"], e["task"]) for e in events_of(flexwatt) if e["event"] == "ended" and e["status"] == "ok"}
    started = {(e["stage"], e["task"], e["attempt"]) for e in events_of(flexwatt) if e["event"] == "started"}
    state = flexwatt.json("show", run)["state"]
    if state == "ok":  # the kill came after the last word
        return
    assert state == "interrupted"
    assert flexwatt.json("run", "--resume", run)["state"] == "ok"
    events = events_of(flexwatt)
    commits = collections.Counter((e["stage"], e["task"]) for e in events if e["event"] == "ended" and e["status"] == "ok")
    again = {(e["stage"], e["task"], e["attempt"]) for e in events if e["event"] == "started"} - started
    assert set(commits.values()) == {1}, "a task was committed twice"
    assert not before & {(stage, task) for stage, task, _ in again}, "what was committed ran again"
    assert visible(flexwatt, run) == expected
    assert not (flexwatt.data / "runs" / run / ".attempts").exists()
    assert all(stage["status"] == "ok" for stage in flexwatt.json("show", run)["stages"])
    ended = [(e["stage"], e["task"], e["attempt"]) for e in events if e["event"] == "ended"]
    assert len(flexwatt.records(run)) == len(ended), "every end has its record"


def forget(flexwatt):
    run, = run_ids(flexwatt)
    flexwatt("runs", "rm", run)


def test_a_kill_at_every_event_of_a_small_run(flexwatt, functions):
    flexwatt.workflow(SMALL)
    run = flexwatt.json("run", "workflow.yaml")["run"]
    expected = visible(flexwatt, run)
    assert len(expected) == 4 + 4 + 1 + 4
    total = last_event(flexwatt)
    forget(flexwatt)
    reached = set()
    for sequence in range(1, total + 1):
        reached.add(kill_at(flexwatt, sequence))
        take_up(flexwatt, expected)
        forget(flexwatt)
    assert len(reached) >= total // 2, f"kills came at {sorted(reached)} of {total} events"


def test_kills_of_the_video_workflow(flexwatt):
    built = BUILD / "examples" / "video" / "functions"
    if not built.is_dir() or not shutil.which("ffmpeg"):
        pytest.skip("the video example is not built here, or ffmpeg is missing")
    shutil.copytree(built, flexwatt.directory / "functions")
    videos = flexwatt.data / "videos"
    videos.mkdir()
    for number, seconds in enumerate((5, 3)):
        subprocess.run(["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=160x120:rate=10", "-t", str(seconds),
                        "-c:v", "libx264", "-threads", "1", "-pix_fmt", "yuv420p", str(videos / f"{number}.mp4")], check=True)
    workflow = (SOURCE / "examples" / "video" / "workflow.yaml").read_text()
    flexwatt.workflow(workflow.replace("chunk_seconds: 10", "chunk_seconds: 2"))
    run = flexwatt.json("run", "workflow.yaml")["run"]
    expected = visible(flexwatt, run)
    assert len([key for key in expected if key.startswith("classify/")]) >= 4
    total = last_event(flexwatt)
    forget(flexwatt)
    for sequence in sorted({2, total // 3, total // 2, total - 2}):
        kill_at(flexwatt, sequence)
        take_up(flexwatt, expected)
        forget(flexwatt)
