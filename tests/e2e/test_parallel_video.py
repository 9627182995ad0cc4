# SPDX-License-Identifier: Apache-2.0
"""Parallel video through the real binary: what is stitched has the source's frames and length however it was cut."""
import json
import shutil
import subprocess

import pytest

from conftest import BUILD, SOURCE

SIZE = "160x90"
ENCODE = ["-c:v", "libx264", "-preset", "ultrafast", "-threads", "1", "-pix_fmt", "yuv420p"]


def ffmpeg(*arguments):
    subprocess.run(["ffmpeg", "-v", "error", "-nostdin", "-y", *map(str, arguments)], check=True, timeout=60)


def source(path, seconds, *encoding, rate=25, pattern="testsrc2"):
    ffmpeg("-f", "lavfi", "-i", f"{pattern}=size={SIZE}:rate={rate}", "-t", seconds, *(encoding or ENCODE), path)


def probe(path):
    """What is in a video, by decoding all of it."""
    shown = subprocess.run(["ffprobe", "-v", "error", "-count_frames", "-select_streams", "v", "-show_entries",
                            "frame=pts_time:stream=nb_read_frames,duration,avg_frame_rate:format=duration", "-of", "json", path],
                           capture_output=True, text=True, check=True, timeout=60)
    assert shown.stderr == ""
    told = json.loads(shown.stdout)
    stream, = told["streams"]
    at = [float(frame["pts_time"]) for frame in told["frames"]]
    rate = [int(part) for part in stream["avg_frame_rate"].split("/")]
    return {"frames": int(stream["nb_read_frames"]), "seconds": float(stream.get("duration") or told["format"]["duration"]),
            "rate": rate[0] / rate[1], "times": [time - at[0] for time in at]}


@pytest.fixture
def application(flexwatt):
    shutil.copy(SOURCE / "examples/parallel-video/workflow.yaml", flexwatt.directory)
    shutil.copytree(BUILD / "examples/parallel-video/functions", flexwatt.directory / "functions")
    (flexwatt.data / "videos").mkdir()
    flexwatt.videos = flexwatt.data / "videos"
    return flexwatt


def stitched(flexwatt, *settings, filter="hue=s=0", status=0):
    run = flexwatt.json("run", "workflow.yaml", "--set", f"stages.process.params.filter={filter}", "--set", "defaults.retries=0",
                        "--set", "stages.cut.inputs.videos.keys=videos/*",
                        *[argument for setting in settings for argument in ("--set", setting)], status=status)
    root = flexwatt.data / "runs" / run["run"]
    return run, {path.name: path for path in sorted(root.glob("stitch/**/*.mp4"))}


def batches(run):
    return next(stage["ok"] for stage in run["stages"] if stage["stage"] == "process")


def assert_equals(path, original):
    done = subprocess.run(["ffmpeg", "-v", "warning", "-nostdin", "-xerror", "-i", path, "-f", "null", "-"], capture_output=True,
                          text=True, timeout=60)
    assert done.returncode == 0 and done.stderr == ""  # it plays without a complaint
    found, wanted = probe(path), probe(original)
    assert found["frames"] == wanted["frames"]
    assert abs(found["seconds"] - wanted["seconds"]) <= 1 / wanted["rate"]
    assert found["times"] == pytest.approx(wanted["times"], abs=0.25 / wanted["rate"])
    return found


def test_the_stitched_video_plays_and_has_the_frames_and_length_of_the_source_and_of_one_worker_alone(application):
    source(application.videos / "moving.mp4", 4.04)
    parallel_run, parallel = stitched(application, "stages.cut.params.batch_seconds=1.1")
    alone_run, alone = stitched(application, "stages.cut.params.batch_seconds=1000")
    assert (batches(parallel_run), batches(alone_run)) == (4, 1)
    found, wanted = assert_equals(parallel["moving.mp4"], application.videos / "moving.mp4"), probe(alone["moving.mp4"])
    assert found["frames"] == wanted["frames"] == 101
    assert found["times"] == pytest.approx(wanted["times"], abs=1e-4)


def test_the_pictures_are_those_that_one_worker_makes(application, tmp_path):
    """Frame by frame: a frame that came twice, or another's in its place, would be far from it."""
    source(application.videos / "moving.mp4", 3)
    _, parallel = stitched(application, "stages.cut.params.batch_seconds=0.7", filter="negate")
    log = tmp_path / "psnr.log"
    ffmpeg("-i", parallel["moving.mp4"], "-i", application.videos / "moving.mp4", "-lavfi", f"[1]negate[n];[0][n]psnr=f={log}", "-f",
           "null", "-")
    found = [float(line.split("psnr_avg:")[1].split()[0]) for line in log.read_text().splitlines()]
    assert len(found) == 75 and min(found) > 28


SOURCES = {
    "long_gop.mp4": (2, [*ENCODE, "-g", "1000", "-bf", "3"]),          # one keyframe in all of it
    "open_gop.mp4": (2, ["-c:v", "libx264", "-preset", "fast", "-threads", "1", "-pix_fmt", "yuv420p", "-x264-params",
                         "open-gop=1:keyint=12:bframes=3"]),           # frames that refer across keyframes
    "ntsc.mkv": (2, [*ENCODE]),                                        # times in whole milliseconds
    "stream.ts": (2, [*ENCODE]),                                       # does not begin at 0
    "pictures.avi": (2, ["-c:v", "mjpeg", "-q:v", "3"]),               # every frame for itself
    "web.webm": (2, ["-c:v", "libvpx", "-deadline", "realtime", "-cpu-used", "8", "-b:v", "200k"]),
}


def test_videos_of_any_kind_side_by_side(application):
    for name, (seconds, encoding) in SOURCES.items():
        source(application.videos / name, seconds, *encoding, rate="30000/1001" if name == "ntsc.mkv" else 25)
    ffmpeg("-f", "lavfi", "-i", f"testsrc2=size={SIZE}:rate=25", "-t", 4, "-vf", "select='not(between(n,10,60))*mod(n+1,7)'",
           "-vsync", "vfr", *ENCODE, application.videos / "gaps.mp4")  # no constant rate, and a batch without a frame
    _, made = stitched(application, "stages.cut.params.batch_seconds=0.9")
    assert len(made) == len(SOURCES) + 1
    for name in [*SOURCES, "gaps.mp4"]:
        assert_equals(made[name.split(".")[0] + ".mp4"], application.videos / name)


def held(path, frames, seconds):
    """A video of ten frames a second whose last one stays until the end."""
    if path.suffix == ".gif":
        ffmpeg("-f", "lavfi", "-i", f"testsrc2=size={SIZE}:rate=10", "-frames:v", frames, "-final_delay",
               round(100 * (seconds - (frames - 1) / 10)), path)
        return
    later = seconds - frames / 10
    longer = path.with_name("longer.mp4")
    ffmpeg("-f", "lavfi", "-i", f"testsrc2=size={SIZE}:rate=10", "-frames:v", frames + 2, "-vf",
           f"setpts=if(gte(N\\,{frames})\\,PTS+{later}/TB\\,PTS)", "-vsync", "vfr", *ENCODE, "-bf", 0, longer)
    ffmpeg("-i", longer, "-c", "copy", "-frames:v", frames, path)
    longer.unlink()


@pytest.mark.parametrize("batch_seconds", [100, 0.9])  # the last frame is alone in its batch, and batches behind it have none
def test_a_last_frame_that_stays_for_long_stays_as_long(application, batch_seconds):
    for name in ("animated.gif", "held.mp4", "held.mkv"):
        held(application.videos / name, 10, 2.9)
        assert 2.7 < probe(application.videos / name)["seconds"] < 2.95  # a frame more or less, as their formats have it
    _, made = stitched(application, f"stages.cut.params.batch_seconds={batch_seconds}")
    assert set(made) == {"animated.mp4", "held.mp4", "held-2.mp4"}
    for name, original in (("animated.mp4", "animated.gif"), ("held-2.mp4", "held.mp4"), ("held.mp4", "held.mkv")):
        found = probe(made[name])
        assert found["frames"] == 10
        assert found["seconds"] == pytest.approx(probe(application.videos / original)["seconds"], abs=0.101), name  # a frame
        assert found["times"] == pytest.approx([frame / 10 for frame in range(10)], abs=0.01)


def test_a_part_without_frames_of_a_codec_that_mp4_does_not_take_is_no_hole(application):
    ffmpeg("-f", "lavfi", "-i", f"testsrc2=size={SIZE}:rate=25", "-t", 4, "-vf", "select='not(between(n,10,60))'", "-vsync", "vfr",
           "-c:v", "ffv1", application.videos / "gaps.mkv")
    run, made = stitched(application, "stages.cut.params.batch_seconds=0.7")
    assert batches(run) == 6
    assert_equals(made["gaps.mp4"], application.videos / "gaps.mkv")


def test_a_video_with_sound_that_is_turned_and_of_odd_sides_keeps_its_frames_and_its_turn(application, tmp_path):
    ffmpeg("-f", "lavfi", "-i", "testsrc=size=161x91:rate=25", "-f", "lavfi", "-i", "sine=frequency=440", "-t", 2, "-c:v", "libx264",
           "-preset", "ultrafast", "-pix_fmt", "yuv444p", "-c:a", "aac", tmp_path / "plain.mp4")
    ffmpeg("-i", tmp_path / "plain.mp4", "-c", "copy", "-metadata:s:v", "rotate=90", application.videos / "turned.mp4")
    _, made = stitched(application, "stages.cut.params.batch_seconds=0.7")
    assert_equals(made["turned.mp4"], application.videos / "turned.mp4")
    shown = json.loads(subprocess.run(
        ["ffprobe", "-v", "error", "-show_entries", "stream=codec_type,width,height:stream_side_data=rotation", "-of", "json",
         made["turned.mp4"]], capture_output=True, text=True, check=True, timeout=60).stdout)
    video, = shown["streams"]  # no sound
    assert (video["codec_type"], video["width"], video["height"]) == ("video", 161, 91)
    assert abs(video["side_data_list"][0]["rotation"]) == 90


def test_ranges_of_seconds_let_several_workers_cut_one_video(application):
    source(application.videos / "moving.mp4", 4)
    run, made = stitched(application, "stages.cut.inputs.videos.range=seconds", "stages.cut.workers=3")
    assert batches(run) == 3 and next(stage["ok"] for stage in run["stages"] if stage["stage"] == "cut") == 3
    assert_equals(made["moving.mp4"], application.videos / "moving.mp4")


def test_a_video_shorter_than_the_batches_and_one_of_a_single_frame(application):
    source(application.videos / "short.mp4", 0.2)
    source(application.videos / "frame.mp4", 0.04)
    run, made = stitched(application, "stages.cut.params.batch_seconds=10")
    assert batches(run) == 2
    assert [probe(made[name])["frames"] for name in ("frame.mp4", "short.mp4")] == [1, 5]
    run, made = stitched(application, "stages.cut.inputs.videos.range=seconds", "stages.cut.workers=4")  # more parts than frames
    assert [probe(made[name])["frames"] for name in ("frame.mp4", "short.mp4")] == [1, 5]


def test_sources_of_one_name_are_stitched_into_files_of_their_own(application):
    seconds = {"a/clip.mp4": 1, "b/clip.mp4": 2, "b/clip.mkv": 3, "c/clip-2.mp4": 0.4}
    for name, length in seconds.items():
        (application.videos / name).parent.mkdir(exist_ok=True)
        source(application.videos / name, length)
    _, made = stitched(application, "stages.cut.params.batch_seconds=0.9", "stages.cut.inputs.videos.keys=videos/**")
    assert {name: probe(path)["frames"] for name, path in made.items()} == {
        "clip.mp4": 25, "clip-2.mp4": 10, "clip-3.mp4": 75, "clip-4.mp4": 50}


def unknown_codec(path):
    """An MP4 file whose sample description names a codec that nobody knows."""
    data = path.read_bytes()
    assert data.count(b"avc1") >= 1
    at = data.index(b"avc1", data.index(b"stsd"))
    path.write_bytes(data[:at] + b"zzz9" + data[at + 4:])


def test_a_codec_that_nobody_can_decode_fails_its_task_alone_and_is_named(application):
    for name in ("good", "strange"):
        source(application.videos / f"{name}.mp4", 0.4)
    unknown_codec(application.videos / "strange.mp4")
    run, made = stitched(application, "stages.cut.on_failure=continue", status=1)
    assert list(made) == ["good.mp4"]
    failed, = [record for record in application.records(run["run"], "cut") if record["status"] != "ok"]
    assert failed["error_type"] == "Video.Unsupported"
    assert "strange.mp4: there is no decoder for its codec, zzz9" in failed["error_message"]


def test_bad_videos_fail_alone_and_are_named_and_the_others_are_stitched(application):
    source(application.videos / "good.mp4", 2)
    (application.videos / "corrupt.mp4").write_bytes((application.videos / "good.mp4").read_bytes()[:3000])
    (application.videos / "empty.mp4").write_bytes(b"")
    ffmpeg("-f", "lavfi", "-i", "sine=duration=1", application.videos / "sound.wav")
    run, made = stitched(application, "stages.cut.on_failure=continue", status=1)
    assert list(made) == ["good.mp4"] and probe(made["good.mp4"])["frames"] == 50
    failed = {record["error_type"]: record["error_message"] for record in application.records(run["run"], "cut")
              if record["status"] != "ok"}
    assert set(failed) == {"Video.Corrupt", "Video.Empty", "Video.Unsupported"}
    assert "corrupt.mp4" in failed["Video.Corrupt"] and "empty.mp4" in failed["Video.Empty"]
    assert "sound.wav" in failed["Video.Unsupported"] and "no video" in failed["Video.Unsupported"]


BATCHES = """
    name: batches
    storage: ./data
    function: {package: ./functions}
    defaults: {memory: 512, retries: 0, on_failure: continue}
    stages:
      process: {workers: auto, inputs: {batches: {keys: "batches/*"}}, outputs: {processed: {suffix: .mp4}}}
      stitch: {inputs: {batches: process.processed}, outputs: {videos: {suffix: .mp4}}}
"""


def cut_and_damage(application, names, damaged):
    """The batches of these videos, of a second each; those of `damaged` have their second one spoilt."""
    (application.data / "batches").mkdir()
    for name in names:
        for old in application.videos.iterdir():
            old.unlink()
        source(application.videos / f"{name}.mp4", 3)
        run, _ = stitched(application, "stages.cut.params.batch_seconds=1")
        for number, path in enumerate(sorted((application.data / "runs" / run["run"] / "cut").glob("**/*.mp4"))):
            data = bytearray(path.read_bytes())
            if name in damaged and number == 1:
                begin = data.index(b"mdat")
                data[begin + 1000:begin + 4000] = b"\xff" * 3000
            (application.data / "batches" / f"{name}-{number}.mp4").write_bytes(data)
    application.workflow(BATCHES, "batches.yaml")


def test_a_damaged_batch_fails_its_own_task_and_the_video_is_not_stitched_with_a_hole(application):
    cut_and_damage(application, ["only"], ["only"])
    run = application.json("run", "batches.yaml", status=1)
    failed, = [record for record in application.records(run["run"], "process") if record["status"] != "ok"]
    assert failed["error_type"] == "Video.Corrupt"
    assert "only.mp4: batch 2 of 3" in failed["error_message"]
    record, = application.records(run["run"], "stitch")
    assert record["error_type"] == "Video.Incomplete"
    assert "only.mp4: batch 2 of 3 is missing" in record["error_message"]


def test_beside_a_video_with_a_damaged_batch_the_others_are_stitched_and_the_run_has_failed(application):
    cut_and_damage(application, ["bad", "good", "whole"], ["bad"])
    run = application.json("run", "batches.yaml", status=1)
    failed, = [record for record in application.records(run["run"], "process") if record["status"] != "ok"]
    assert failed["error_type"] == "Video.Corrupt" and "bad.mp4: batch 2 of 3" in failed["error_message"]
    made = {path.name: path for path in (application.data / "runs" / run["run"]).glob("stitch/**/*.mp4")}
    assert {name: probe(path)["frames"] for name, path in made.items()} == {"good.mp4": 75, "whole.mp4": 75}
    record, = application.records(run["run"], "stitch")
    assert record["status"] == "ok" and record["metrics"]["videos"] == 2 and record["metrics"]["videos_left_out"] == 1
    assert "bad.mp4 is left out: batch 2 of 3 is missing" in json.dumps(application.json("show", run["run"], "--task", "stitch/0", "--logs"))


def test_several_workers_of_stitch_which_would_have_a_part_of_each_video_are_refused(application):
    source(application.videos / "good.mp4", 1)
    run, made = stitched(application, "stages.cut.params.batch_seconds=0.3", "stages.stitch.workers=2", status=1)
    assert made == {}
    assert "stitch has 2 workers" in application.records(run["run"], "stitch/0")[0]["error_message"]


def test_two_videos_whose_long_names_begin_alike_are_two(application):
    directory = application.videos.joinpath(*(letter * 200 for letter in "abcdef"))
    directory.mkdir(parents=True)
    for name, seconds in (("one", 0.4), ("two", 0.8)):
        source(directory / f"{name}.mp4", seconds)
    _, made = stitched(application, "stages.cut.inputs.videos.keys=videos/**", "stages.cut.params.batch_seconds=0.3")
    assert {name: probe(path)["frames"] for name, path in made.items()} == {"one.mp4": 10, "two.mp4": 20}


@pytest.mark.parametrize("setting, names", [("process.params.filter=nosuchfilter", "nosuchfilter"),
                                            ("cut.params.batch_seconds=0", "batch_seconds")])
def test_a_bad_parameter_is_named(application, setting, names):
    source(application.videos / "good.mp4", 0.2)
    run = application.json("run", "workflow.yaml", "--set", f"stages.{setting}", "--set", "defaults.retries=0", status=1)
    failed, = [record for record in application.records(run["run"], setting.split(".")[0]) if record["status"] != "ok"]
    assert names in failed["error_message"]
