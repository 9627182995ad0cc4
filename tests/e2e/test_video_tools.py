# SPDX-License-Identifier: Apache-2.0
"""The video tools through the real binary: fetched over HTTP, scaled, cropped, marked; what a server may do wrong."""
import functools
import http.server
import json
import shutil
import subprocess
import sys
import threading
import time

import pytest

from conftest import BUILD, SOURCE

sys.path.insert(0, str(SOURCE / "tests/tools"))
from invoke import Function, event  # noqa: E402

FRAMES = 20


def ffmpeg(*arguments):
    subprocess.run(["ffmpeg", "-v", "error", "-nostdin", "-y", *map(str, arguments)], check=True, timeout=60)


class Server(http.server.SimpleHTTPRequestHandler):
    """Serves a directory, and misbehaves where a path says so."""

    def do_GET(self):
        if self.path.startswith("/moved/"):
            self.send_response(302)
            self.send_header("Location", self.path.removeprefix("/moved"))
            self.end_headers()
        elif self.path.startswith("/elsewhere"):
            self.send_response(302)
            self.send_header("Location", "file:///etc/passwd")
            self.end_headers()
        elif self.path.startswith("/hang"):
            self.server.released.wait(60)
        elif self.path.startswith("/cut"):
            self.send_response(200)
            self.send_header("Content-Length", "100000")
            self.end_headers()
            self.wfile.write(bytes(500))
        elif self.path.startswith("/endless"):
            self.send_response(200)
            self.end_headers()
            try:
                while not self.server.released.is_set():
                    self.wfile.write(bytes(65536))
            except OSError:
                pass  # the client had enough
        else:
            super().do_GET()

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def web(tmp_path_factory):
    directory = tmp_path_factory.mktemp("web")
    for name, rate in (("moving", 25), ("other", 10)):
        ffmpeg("-f", "lavfi", "-i", f"testsrc2=size=320x240:rate={rate}", "-frames:v", FRAMES, "-c:v", "libx264", "-preset",
               "ultrafast", "-pix_fmt", "yuv420p", directory / f"{name}.mp4")
    (directory / "text.mp4").write_text("<html>this is no video</html>\n")
    ffmpeg("-f", "lavfi", "-i", "color=c=red:size=32x32", "-frames:v", 1, directory / "red.png")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Server, directory=directory))
    server.daemon_threads = True
    server.released = threading.Event()
    server.address = f"http://127.0.0.1:{server.server_port}"
    server.files = directory
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.released.set()
    server.shutdown()
    thread.join(10)
    server.server_close()


@pytest.fixture
def application(flexwatt, web):
    shutil.copy(SOURCE / "examples/video-tools/workflow.yaml", flexwatt.directory)
    shutil.copytree(BUILD / "examples/video-tools/functions", flexwatt.directory / "functions")
    for name in ("urls", "pictures", "videos"):
        (flexwatt.data / name).mkdir()
    shutil.copy(web.files / "red.png", flexwatt.data / "pictures/mark.png")
    return flexwatt


def lists(flexwatt, web, **urls):
    for name, paths in urls.items():
        (flexwatt.data / f"urls/{name}.txt").write_text(
            "# what to fetch\n\n" + "".join(f"{path if ':' in path else web.address + path}\n" for path in paths))


def failures(flexwatt, run, stage):
    return {record["task"]: (record["error_type"], record["error_message"]) for record in flexwatt.records(run["run"], stage)
            if record["status"] != "ok"}


def made(flexwatt, run, stage):
    return sorted((flexwatt.data / "runs" / run["run"] / stage).glob("**/*.mp4"))


def stream(path):
    shown = subprocess.run(["ffprobe", "-v", "error", "-count_frames", "-show_entries",
                            "stream=width,height,nb_read_frames,duration,codec_name", "-of", "json", path],
                           capture_output=True, text=True, check=True, timeout=60)
    assert shown.stderr == ""
    found, = json.loads(shown.stdout)["streams"]
    return found["codec_name"], found["width"], found["height"], int(found["nb_read_frames"]), float(found["duration"])


def pixels(path, filters):
    """The first frame, as grey bytes or whatever the filters end with."""
    return subprocess.run(["ffmpeg", "-v", "error", "-nostdin", "-i", path, "-vf", filters, "-frames:v", "1", "-f", "rawvideo", "-"],
                          capture_output=True, check=True, timeout=60).stdout


def difference(a, b):
    assert len(a) == len(b) > 0
    return sum(abs(x - y) for x, y in zip(a, b)) / len(a)


def test_what_is_fetched_goes_through_every_tool_and_each_does_what_its_parameters_say(application, web):
    lists(application, web, first=["/moving.mp4"], second=["/moved/other.mp4?size=large"])
    run = application.json("run", "workflow.yaml", "--set", "stages.scale.params.width=160", "--set",
                           "stages.crop.params={width: 100, height: 80, x: 20, y: 10}", "--set", "stages.overlay.params={x: 60, y: 40}")
    assert [(stage["stage"], stage["ok"]) for stage in run["stages"]] == [("fetch", 2), ("scale", 2), ("crop", 2), ("overlay", 2)]
    fetched = made(application, run, "fetch")
    assert sorted(path.read_bytes() for path in fetched) == sorted((web.files / f"{name}.mp4").read_bytes() for name in ("moving", "other"))
    for stage, size in (("scale", (160, 120)), ("crop", (100, 80)), ("overlay", (100, 80))):
        found = [stream(path) for path in made(application, run, stage)]
        assert {one[:4] for one in found} == {("h264", *size, FRAMES)}, stage
        assert sorted(one[4] for one in found) == pytest.approx([0.8, 2.0], abs=0.02)  # 20 frames at 25 and at 10 a second
    original, cropped, marked = web.files / "moving.mp4", made(application, run, "crop")[0], made(application, run, "overlay")[0]
    assert difference(pixels(original, "scale=160:120,crop=100:80:20:10,format=gray"), pixels(cropped, "format=gray")) < 4
    assert difference(pixels(cropped, "crop=60:80:0:0,format=gray"), pixels(marked, "crop=60:80:0:0,format=gray")) < 4
    red, green, blue = pixels(marked, "crop=2:2:74:54,scale=1:1,format=rgb24")
    assert red > 200 and green < 60 and blue < 60


def fetch_alone(application, *settings, **options):
    application.workflow("""
        name: fetch
        storage: ./data
        function: {package: ./functions}
        defaults: {memory: 512, retries: 0, on_failure: continue}
        stages:
          fetch: {workers: auto, inputs: {lists: {keys: "urls/*.txt"}}, outputs: {videos: {suffix: .mp4}}}
    """, "fetch.yaml")
    return application.json("run", "fetch.yaml", *[part for setting in settings for part in ("--set", f"stages.fetch.{setting}")],
                            **options)


def test_urls_that_fail_fail_alone_and_are_named_and_the_others_are_fetched(application, web):
    wrong = {"cut": "/cut.mp4", "elsewhere": "/elsewhere", "endless": "/endless.mp4", "file": "file:///etc/passwd", "hang": "/hang.mp4",
             "missing": "/missing.mp4", "nobody": "http://127.0.0.1:1/video.mp4"}
    lists(application, web, good=["/moving.mp4", "/other.mp4"], **{name: [path] for name, path in wrong.items()})
    began = time.monotonic()
    run = fetch_alone(application, "params.stall_seconds=1", "params.max_mb=5", status=1)
    assert time.monotonic() - began < 40
    assert len(made(application, run, "fetch")) == 2
    failed = failures(application, run, "fetch").values()
    by_url = {name: next(one for one in failed if path in one[1]) for name, path in wrong.items()}
    assert {name: kind for name, (kind, _) in by_url.items()} == {
        "cut": "Fetch.Failed", "elsewhere": "Fetch.Failed", "endless": "Fetch.TooLarge", "file": "Fetch.Failed", "hang": "Fetch.Timeout",
        "missing": "Fetch.Status", "nobody": "Fetch.Failed"}
    assert "answers 404" in by_url["missing"][1] and "5000000 bytes" in by_url["endless"][1]
    assert "refused" in by_url["nobody"][1] or "connect" in by_url["nobody"][1]


def test_a_url_that_hangs_is_named_before_the_task_runs_out_of_its_own_time(application, web):
    lists(application, web, hang=["/hang.mp4"])
    run = fetch_alone(application, "timeout=3", status=1)
    (kind, message), = failures(application, run, "fetch").values()
    assert kind == "Fetch.Timeout" and "/hang.mp4" in message


def test_urls_of_the_parameter_are_dealt_out_to_the_workers(application, web):
    urls = json.dumps([f"{web.address}/{name}" for name in ("moving.mp4", "other.mp4", "text.mp4")])
    application.workflow(f"""
        name: fetch
        storage: ./data
        function: {{package: ./functions}}
        stages:
          fetch: {{workers: 2, outputs: {{videos: {{suffix: .mp4}}}}, params: {{urls: {urls}}}}}
    """)
    run = application.json("run", "workflow.yaml")
    fetched = {path.name: path.read_bytes() for path in made(application, run, "fetch")}
    names = {data: name for name in ("moving.mp4", "other.mp4", "text.mp4") for data in [(web.files / name).read_bytes()]}
    assert [names[fetched[name]] for name in sorted(fetched)] == ["moving.mp4", "text.mp4", "other.mp4"]


def tool_alone(application, tool, parameters, status=1):
    picture = 'picture: {keys: "pictures/*", edge: broadcast}' if tool == "overlay" else ""
    application.workflow(f"""
        name: tool
        storage: ./data
        function: {{package: ./functions}}
        defaults: {{memory: 512, retries: 0, on_failure: continue}}
        stages:
          {tool}:
            workers: auto
            inputs: {{videos: {{keys: "videos/*", edge: each}}, {picture}}}
            outputs: {{videos: {{suffix: .mp4}}}}
            params: {json.dumps(parameters)}
    """, "tool.yaml")
    return application.json("run", "tool.yaml", status=status)


def test_what_is_no_video_fails_alone_and_is_named(application, web):
    shutil.copy(web.files / "text.mp4", application.data / "videos/text.mp4")
    shutil.copy(web.files / "other.mp4", application.data / "videos/other.mp4")
    (application.data / "videos/cut.mp4").write_bytes((web.files / "moving.mp4").read_bytes()[:2000])
    run = tool_alone(application, "scale", {"height": 60})
    failed = failures(application, run, "scale").values()
    assert sorted(kind for kind, _ in failed) == ["Video.Corrupt", "Video.Corrupt"]
    assert {name for name in ("text.mp4", "cut.mp4") for _, message in failed if name in message} == {"text.mp4", "cut.mp4"}
    assert [stream(path)[:4] for path in made(application, run, "scale")] == [("h264", 80, 60, FRAMES)]


@pytest.mark.parametrize("tool, parameters, kind, says", [
    ("scale", {}, "Function.Parameter", "width"),
    ("scale", {"width": -5}, "Function.Parameter", "-5"),
    ("crop", {"width": 200, "height": 100, "x": 200, "y": 0}, "Video.Outside", "200x100 at 200,0 is not within its 320x240"),
    ("overlay", {"x": 400, "y": 0}, "Video.Outside", "400,0"),
])
def test_a_bad_parameter_is_named(application, web, tool, parameters, kind, says):
    shutil.copy(web.files / "moving.mp4", application.data / "videos/moving.mp4")
    run = tool_alone(application, tool, parameters)
    (found, message), = failures(application, run, tool).values()
    assert found == kind and says in message


def test_a_picture_that_is_none_is_named(application, web):
    shutil.copy(web.files / "moving.mp4", application.data / "videos/moving.mp4")
    (application.data / "pictures/mark.png").write_text("no picture")
    run = tool_alone(application, "overlay", {})
    (_, message), = failures(application, run, "overlay").values()
    assert "pictures/mark.png" in message


def joined(directory, path, *sizes, frames=10):
    """A video whose picture changes its size: JPEGs of one size behind those of another."""
    parts = []
    for number, size in enumerate(sizes):
        parts.append(directory / f"part{number}.mjpeg")
        ffmpeg("-f", "lavfi", "-i", f"testsrc2=size={size}:rate=25", "-frames:v", frames, "-c:v", "mjpeg", "-q:v", 3, parts[-1])
    whole = directory / "whole.mjpeg"
    whole.write_bytes(b"".join(part.read_bytes() for part in parts))
    ffmpeg("-f", "mjpeg", "-framerate", 25, "-i", whole, "-c", "copy", path)


@pytest.mark.parametrize("tool, parameters", [("crop", {"width": 60, "height": 200, "x": 0, "y": 0}), ("scale", {"width": 64}),
                                              ("overlay", {"x": 4, "y": 4})])
@pytest.mark.parametrize("sizes", [("320x240", "64x36"), ("64x36", "320x240")])
def test_a_video_whose_size_changes_on_the_way_is_refused_before_a_filter_sees_it(application, tmp_path, tool, parameters, sizes):
    if tool == "crop" and sizes[0] == "64x36":
        parameters = {"width": 32, "height": 32, "x": 0, "y": 0}
    joined(tmp_path, application.data / "videos/mixed.mkv", *sizes)
    run = tool_alone(application, tool, parameters)
    (kind, message), = failures(application, run, tool).values()
    assert kind == "Video.Unsupported" and "videos/mixed.mkv: its size changes on the way" in message
    assert made(application, run, tool) == []


def test_a_video_that_cannot_be_opened_behind_one_whose_pixels_were_converted_is_named(application, web):
    ffmpeg("-f", "lavfi", "-i", "testsrc2=size=64x48:rate=10", "-frames:v", 5, application.data / "videos/a.gif")
    shutil.copy(web.files / "text.mp4", application.data / "videos/b.mp4")
    application.workflow("""
        name: tool
        storage: ./data
        function: {package: ./functions}
        stages:
          scale: {workers: 1, retries: 0, inputs: {videos: {keys: "videos/*"}}, outputs: {videos: {suffix: .mp4}}, params: {width: 32}}
    """, "tool.yaml")
    run = application.json("run", "tool.yaml", status=1)
    (kind, message), = failures(application, run, "scale").values()
    assert kind == "Video.Corrupt" and "videos/b.mp4" in message


def test_a_last_frame_that_stays_for_long_stays_as_long(application):
    ffmpeg("-f", "lavfi", "-i", "testsrc2=size=64x48:rate=10", "-frames:v", 10, "-final_delay", 200, application.data / "videos/a.gif")
    assert stream(application.data / "videos/a.gif")[4] == 2.9
    application.workflow("""
        name: tools
        storage: ./data
        function: {package: ./functions}
        stages:
          scale: {inputs: {videos: {keys: "videos/*"}}, outputs: {videos: {suffix: .mp4}}, params: {width: 128}}
          crop: {inputs: {videos: scale.videos}, outputs: {videos: {suffix: .mp4}}, params: {width: 32, height: 32}}
    """, "tools.yaml")
    run = application.json("run", "tools.yaml")
    for stage, size in (("scale", (128, 96)), ("crop", (32, 32))):
        found, = [stream(path) for path in made(application, run, stage)]
        assert found[:4] == ("h264", *size, 10) and found[4] == pytest.approx(2.9, abs=0.101), stage  # ± a frame


def test_the_progress_of_a_video_that_begins_late_grows_and_comes_to_its_end_once(tmp_path):
    ffmpeg("-f", "lavfi", "-i", "testsrc2=size=320x240:rate=25", "-frames:v", 250, "-c:v", "libx264", "-preset", "ultrafast", "-g", 25,
           "-output_ts_offset", 36000, tmp_path / "late.ts")
    with Function(BUILD / "examples/video-tools/functions/bootstrap", "scale") as function:
        function(event("scale", ("videos", [tmp_path / "late.ts"]), "videos", tmp_path, ".mp4", {"width": 160}))
        told = list(function.progress)
    assert all(0 <= step["done"] < 11 and 9 < step["total"] < 11 for step in told)
    assert told[0]["done"] < 1 and told == sorted(told, key=lambda step: step["done"])
    assert sum(step["done"] >= step["total"] for step in told) <= 1


def test_of_a_picture_the_first_frame_alone_is_read_and_none_of_it_is_work(application, web):
    shutil.copy(web.files / "other.mp4", application.data / "videos/other.mp4")
    (application.data / "pictures/mark.png").unlink()
    ffmpeg("-f", "lavfi", "-i", "testsrc2=size=32x32:rate=25", "-frames:v", 60, "-c:v", "mjpeg", application.data / "pictures/moving.avi")
    data = (application.data / "pictures/moving.avi").read_bytes()
    middle = len(data) // 2
    (application.data / "pictures/moving.avi").write_bytes(data[:middle] + b"\xff" * 4000 + data[middle + 4000:])
    run = tool_alone(application, "overlay", {"x": 4, "y": 4}, status=0)
    assert [stream(path)[3] for path in made(application, run, "overlay")] == [FRAMES]
    assert [record["units"] for record in application.records(run["run"], "overlay")] == [FRAMES]


def test_lists_with_a_byte_order_mark_and_line_ends_of_windows_are_read(application, web):
    (application.data / "urls/list.txt").write_bytes(
        b"\xef\xbb\xbf" + f"{web.address}/moving.mp4\r\n\r\n  {web.address}/other.mp4".encode())
    run = fetch_alone(application)
    assert len(made(application, run, "fetch")) == 2


@pytest.mark.parametrize("line, says", [(b"http://127.0.0.1:1/\0/moving.mp4\n", "byte 0"), (b"http://" + b"a" * 9000, "longer than 8,190")])
def test_a_bad_list_is_named(application, web, line, says):
    (application.data / "urls/list.txt").write_bytes(line)
    run = fetch_alone(application, status=1)
    (kind, message), = failures(application, run, "fetch").values()
    assert kind == "Fetch.BadList" and "urls/list.txt" in message and says in message


def test_every_line_of_a_list_is_fetched_by_one_worker(application, web):
    (application.data / "urls/list.txt").write_text("".join(f"{web.address}/{name}.mp4\n" for name in ("moving", "other", "text") * 4))
    run = fetch_alone(application, "workers=3", "inputs.lists={keys: 'urls/*.txt', range: lines}")
    assert len(made(application, run, "fetch")) == 12


def rotated_with_sound(path, size="161x91"):
    """A video as a telephone makes it: sound beside it, to be turned by a quarter, and of odd sides where its pixels allow it."""
    plain = path.with_name("plain.mp4")
    ffmpeg("-f", "lavfi", "-i", f"testsrc=size={size}:rate=25", "-f", "lavfi", "-i", "sine=frequency=440", "-t", 2, "-c:v", "libx264",
           "-preset", "ultrafast", "-pix_fmt", "yuv444p", "-c:a", "aac", "-shortest", plain)
    ffmpeg("-i", plain, "-c", "copy", "-metadata:s:v", "rotate=90", path)
    plain.unlink()


def streams(path):
    """Kind, size and turn of each stream."""
    shown = subprocess.run(["ffprobe", "-v", "error", "-show_entries", "stream=codec_type,width,height:stream_side_data=rotation", "-of",
                            "json", path], capture_output=True, text=True, check=True, timeout=60)
    return [(one["codec_type"], one.get("width"), one.get("height"),
             next((abs(data["rotation"]) for data in one.get("side_data_list", []) if "rotation" in data), 0))
            for one in json.loads(shown.stdout)["streams"]]


@pytest.mark.parametrize("tool, parameters, size", [("scale", {"width": 81, "height": 45}, (81, 45)),
                                                    ("crop", {"width": 61, "height": 31, "x": 3, "y": 5}, (61, 31)),
                                                    ("overlay", {"x": 4, "y": 4}, None)])
def test_sound_is_left_out_the_turn_is_kept_and_odd_sides_lose_only_what_halved_colours_cannot_have(application, tool, parameters, size):
    rotated_with_sound(application.data / "videos/turned.mp4")
    assert streams(application.data / "videos/turned.mp4") == [("video", 161, 91, 90), ("audio", None, None, 0)]
    run = tool_alone(application, tool, parameters, status=0)
    path, = made(application, run, tool)
    (kind, width, height, turn), = streams(path)
    assert (kind, turn) == ("video", 90)
    assert size is None or (width, height) == size
    assert size or (width in (160, 161) and height in (90, 91))
    assert stream(path)[3] == count_frames(application.data / "videos/turned.mp4")


def count_frames(path):
    return int(subprocess.run(["ffprobe", "-v", "error", "-count_frames", "-select_streams", "v", "-show_entries", "stream=nb_read_frames",
                               "-of", "csv=p=0", path], capture_output=True, text=True, check=True, timeout=60).stdout.split()[0].strip(","))
