# SPDX-License-Identifier: Apache-2.0
"""The video application through the real binary: videos in, classified pictures out, a bad video fails alone."""
import json
import shutil
import subprocess

import pytest

from conftest import BUILD, SOURCE

GOOD = ["moving", "short", "sound"]


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    directory = tmp_path_factory.mktemp("videos")
    subprocess.run([SOURCE / "examples/video/make-data", "--size", "160x90", "--directory", directory, "--corrupt"], check=True,
                   timeout=300)
    return directory


@pytest.fixture
def application(flexwatt, videos):
    """The application as `make demo` has it, with some of the videos."""
    def install(*names):
        shutil.copy(SOURCE / "examples/video/workflow.yaml", flexwatt.directory)
        shutil.copytree(BUILD / "examples/video/functions", flexwatt.directory / "functions")
        (flexwatt.data / "videos").mkdir()
        for name in names:
            shutil.copy(videos / f"{name}.mp4", flexwatt.data / "videos")
    return install


def stages_of(run):
    return {stage["stage"]: (stage["ok"], stage["failed"]) for stage in run["stages"]}


def by_output(flexwatt, run):
    counts = {}
    for key in flexwatt.outputs(run["run"]):
        counts.setdefault(key.split("/")[2], []).append(key)
    return {output: len(keys) for output, keys in counts.items()}


def test_every_chunk_gets_a_picture_that_is_sharpened_and_classified(flexwatt, application):
    application(*GOOD)
    run = flexwatt.json("run", "workflow.yaml", "--memory", 512)
    chunks = 3 + 1 + 2  # of 10 seconds: 24 s, 4 s, 15 s
    assert stages_of(run) == {"split": (3, 0), "extract": (chunks, 0), "sharpen": (4, 0), "classify": (4, 0)}
    assert by_output(flexwatt, run) == {"chunks": chunks, "frames": chunks, "sharpened": chunks, "reports": chunks}
    outputs = flexwatt.outputs(run["run"])
    assert all(data.startswith(b"\x89PNG") for key, data in outputs.items() if "/sharpened/" in key)
    assert all(json.loads(data) for key, data in outputs.items() if "/reports/" in key)


def test_corrupt_and_empty_videos_fail_alone_and_the_others_finish_stage_after_stage(flexwatt, application):
    application(*GOOD, "corrupt", "empty")
    run = flexwatt.json("run", "workflow.yaml", "--memory", 512, "--set", "stages.split.on_failure=continue",
                        "--set", "stages.split.workers=5", "--set", "defaults.retries=0", status=1)
    assert run["state"] == "failed"
    assert stages_of(run) == {"split": (3, 2), "extract": (6, 0), "sharpen": (4, 0), "classify": (4, 0)}
    assert by_output(flexwatt, run) == {"chunks": 6, "frames": 6, "sharpened": 6, "reports": 6}
    failures = {record["error_message"] for record in flexwatt.records(run["run"], "split") if record["status"] != "ok"}
    assert len(failures) == 2 and all(message for message in failures)
    for name in ("corrupt", "empty"):
        message, = [message for message in failures if f"{name}.mp4" in message]
        assert "not a readable video" in message or "empty" in message


def test_a_bad_picture_fails_its_own_task_in_every_later_stage(flexwatt, application):
    application("short")
    pictures = flexwatt.data / "pictures"
    pictures.mkdir()
    subprocess.run(["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=160x90:rate=1", "-frames:v", "2",
                    pictures / "%d.png"], check=True, timeout=60)
    (pictures / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n cut off")
    flexwatt.workflow("""
        name: pictures
        storage: ./data
        function: {package: ./functions}
        defaults: {memory: 512, retries: 0, on_failure: continue}
        stages:
          sharpen: {workers: 3, inputs: {frames: {keys: "pictures/*.png"}}, outputs: {sharpened: {suffix: .png}}}
          classify: {workers: auto, inputs: {frames: sharpen.sharpened}, outputs: {reports: {suffix: .json}}}
    """)
    run = flexwatt.json("run", "workflow.yaml", status=1)
    assert stages_of(run) == {"sharpen": (2, 1), "classify": (2, 0)}
    failed, = [record for record in flexwatt.records(run["run"], "sharpen") if record["status"] != "ok"]
    assert failed["error_type"] == "Image.Corrupt" and "bad.png" in failed["error_message"]
