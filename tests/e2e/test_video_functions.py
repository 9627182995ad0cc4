"""The video application's functions by themselves, behind a small Runtime API host: what they cut, choose and refuse."""
import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/tools"))
from invoke import Failure, Function, event  # noqa: E402

BOOTSTRAP = ROOT / os.environ.get("FLEXWATT_BUILD", "build/release") / "examples/video/functions/bootstrap"


def encode(path, source, *options):
    subprocess.run(["ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", source, "-c:v", "libx264", "-threads", "1", *options, path],
                   check=True, timeout=120)


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    directory = tmp_path_factory.mktemp("videos")
    subprocess.run([ROOT / "examples/video/make-data", "--size", "160x90", "--directory", directory, "--corrupt"], check=True,
                   timeout=300)
    encode(directory / "film.mp4", "testsrc2=size=160x90:rate=24000/1001:duration=21", "-bf", "3")
    encode(directory / "odd444.mp4", "testsrc=size=161x91:rate=25:duration=3", "-pix_fmt", "yuv444p")
    encode(directory / "odd420.mp4", "testsrc=size=161x91:rate=25:duration=3", "-pix_fmt", "yuv420p", "-c:v", "mpeg4")
    encode(directory / "uneven.mkv", "testsrc2=size=160x90:rate=25:duration=12", "-vf", "select='not(mod(n,3))+not(mod(n,7))'",
           "-vsync", "passthrough")
    return directory


def count_pictures(path):
    output = subprocess.run(["ffmpeg", "-v", "error", "-i", path, "-an", "-vsync", "passthrough", "-f", "framemd5", "-"],
                            check=True, stdout=subprocess.PIPE, text=True, timeout=120)
    return sum(not line.startswith("#") for line in output.stdout.splitlines())


def probe(path, entries):
    output = subprocess.run(["ffprobe", "-v", "error", "-select_streams", "v", "-show_entries", entries, "-of", "csv=p=0", path],
                            check=True, stdout=subprocess.PIPE, text=True, timeout=60)
    return [line.strip(",") for line in output.stdout.split()]


def frame_times(path):
    return [float(line.split(",")[0]) for line in probe(path, "frame=best_effort_timestamp_time")]


def split(path, directory, **params):
    directory.mkdir()
    with Function(BOOTSTRAP, "split_videos") as function:
        answer = function(event("split_videos", ("videos", [path]), "chunks", directory, ".mp4", params))
    return answer, [directory / name for name in answer["outputs"]["chunks"]]


@pytest.mark.parametrize("name,counts", [
    ("moving.mp4", [250, 250, 100]), ("bright.mp4", [240, 240, 14]), ("noisy.mp4", [300, 60]), ("sound.mp4", [250, 125]),
    ("short.mp4", [100]), ("film.mp4", [240, 240, 24])])
def test_chunks_hold_exactly_the_frames_of_the_video(videos, tmp_path, name, counts):
    answer, chunks = split(videos / name, tmp_path / "chunks")
    assert [count_pictures(chunk) for chunk in chunks] == counts
    assert answer["units"] == sum(counts) == count_pictures(videos / name)
    for chunk in chunks:
        assert probe(chunk, "stream=codec_name,start_time") == ["h264,0.000000"]


def test_a_chunk_has_no_audio(videos, tmp_path):
    _, chunks = split(videos / "sound.mp4", tmp_path / "chunks")
    output = subprocess.run(["ffprobe", "-v", "error", "-show_entries", "stream=codec_type", "-of", "csv=p=0", chunks[0]],
                            check=True, stdout=subprocess.PIPE, text=True, timeout=60)
    assert output.stdout.split() == ["video"]


def test_each_chunk_shows_the_same_pictures_as_its_part_of_the_video(videos, tmp_path):
    _, chunks = split(videos / "moving.mp4", tmp_path / "chunks")
    for number, chunk in enumerate(chunks):
        output = subprocess.run(
            ["ffmpeg", "-v", "info", "-i", chunk, "-i", videos / "moving.mp4", "-filter_complex",
             f"[1]trim=start={10 * number}:duration=10,setpts=PTS-STARTPTS[part];[0][part]ssim", "-f", "null", "-"],
            check=True, stderr=subprocess.PIPE, text=True, timeout=120)
        assert float(output.stderr.rsplit("All:", 1)[1].split()[0]) > 0.95


def test_uneven_frame_times_are_kept(videos, tmp_path):
    _, chunks = split(videos / "uneven.mkv", tmp_path / "chunks")
    before = frame_times(videos / "uneven.mkv")
    after = [[time + 10 * number for time in frame_times(chunk)] for number, chunk in enumerate(chunks)]
    cut = next(time for time in before if time - before[0] >= 10)
    assert len(chunks) == 2
    assert after[0] == pytest.approx([time - before[0] for time in before if time < cut], abs=0.002)
    assert after[1] == pytest.approx([10 + time - cut for time in before if time >= cut], abs=0.002)


@pytest.mark.parametrize("name,kind", [("odd444.mp4", "161,91,yuv444p"), ("odd420.mp4", "160,90,yuv420p")])
def test_odd_sizes_lose_a_row_only_where_chroma_is_halved(videos, tmp_path, name, kind):
    _, chunks = split(videos / name, tmp_path / "chunks", chunk_seconds=1.5)
    assert [count_pictures(chunk) for chunk in chunks] == [38, 37]
    assert probe(chunks[0], "stream=width,height,pix_fmt") == [kind]


def shown_at(path, fps):
    """The frames on screen at the sample times, as RGB, decoded by the ffmpeg program."""
    times = frame_times(path)
    width, height = map(int, probe(path, "stream=width,height")[0].split(","))
    raw = subprocess.run(["ffmpeg", "-v", "error", "-i", path, "-vsync", "passthrough", "-sws_flags", "bicubic", "-f", "rawvideo",
                          "-pix_fmt", "rgb24", "-"], check=True, stdout=subprocess.PIPE, timeout=120).stdout
    size, end = width * height * 3, times[-1] + (times[-1] - times[0]) / max(len(times) - 1, 1)
    samples, number = [], 0
    while number == 0 or number / fps < end - 1e-4:
        index = max(i for i, time in enumerate(times) if time <= number / fps + 1e-4)
        samples.append(raw[index * size:(index + 1) * size])
        number += 1
    return samples


def grey(rgb):
    return sum((9798 * r + 19235 * g + 3735 * b + 16384) >> 15 for r, g, b in zip(rgb[::3], rgb[1::3], rgb[2::3]))


@pytest.mark.parametrize("name,fps", [("moving.mp4", 0.5), ("dark.mp4", 0.5), ("bright.mp4", 0.5), ("film.mp4", 3), ("short.mp4", 0.1)])
def test_the_brightest_of_the_sampled_frames_is_taken(videos, tmp_path, name, fps):
    _, chunks = split(videos / name, tmp_path / "chunks")
    with Function(BOOTSTRAP, "extract_frames") as function:
        answer = function(event("extract_frames", ("chunks", chunks), "frames", tmp_path, ".png", {"fps": fps}))
    assert len(answer["outputs"]["frames"]) == len(chunks)
    for chunk, frame in zip(chunks, answer["outputs"]["frames"]):
        ours = subprocess.run(["ffmpeg", "-v", "error", "-i", tmp_path / frame, "-f", "rawvideo", "-pix_fmt", "rgb24", "-"],
                              check=True, stdout=subprocess.PIPE, timeout=60).stdout
        assert ours == max(shown_at(chunk, fps), key=grey)  # max() keeps the first of equals


def test_more_samples_than_frames_look_at_every_frame_once(videos, tmp_path):
    """However many there are: the work is of the frames."""
    _, chunks = split(videos / "short.mp4", tmp_path / "chunks")
    frames = []
    for fps in 1000, 1e30, 1e308:
        with Function(BOOTSTRAP, "extract_frames") as function:
            answer = function(event("extract_frames", ("chunks", chunks), "frames", tmp_path, ".png", {"fps": fps}))
        frames.append([(tmp_path / frame).read_bytes() for frame in answer["outputs"]["frames"]])
    assert frames[0] == frames[1] == frames[2] and len(frames[0]) == len(chunks)


@pytest.mark.parametrize("name,kind,reason", [
    ("corrupt.mp4", "Video.Corrupt", "corrupt.mp4: not a readable video: Invalid data"),
    ("empty.mp4", "Video.Empty", "empty.mp4: the file is empty")])
def test_a_bad_video_fails_its_own_invocation_and_says_why(videos, tmp_path, name, kind, reason):
    with Function(BOOTSTRAP, "split_videos") as function:
        with pytest.raises(Failure, match=reason) as failure:
            function(event("split_videos", ("videos", [videos / name]), "chunks", tmp_path, ".mp4"))
        assert failure.value.type == kind
        good = function(event("split_videos", ("videos", [videos / "short.mp4"]), "chunks", tmp_path, ".mp4"))
    assert good["units"] == 100


def test_a_video_damaged_in_the_middle_is_corrupt(videos, tmp_path):
    data = bytearray((videos / "noisy.mp4").read_bytes())
    middle = len(data) // 2
    data[middle:middle + 30000] = bytes(30000)
    (tmp_path / "damaged.mp4").write_bytes(data)
    with Function(BOOTSTRAP, "split_videos") as function, pytest.raises(Failure) as failure:
        function(event("split_videos", ("videos", [tmp_path / "damaged.mp4"]), "chunks", tmp_path, ".mp4"))
    assert failure.value.type == "Video.Corrupt"


@pytest.mark.parametrize("first,second", [("yuv420p", "yuv444p"), ("yuv444p", "yuv420p")])
def test_a_video_whose_pixels_change_their_format_is_refused(tmp_path, first, second):
    parts = []
    for format in (first, second):
        encode(tmp_path / "part.h264", "testsrc=size=160x90:rate=25:duration=1", "-pix_fmt", format)
        parts.append((tmp_path / "part.h264").read_bytes())
    (tmp_path / "changing.mp4").write_bytes(b"".join(parts))
    with Function(BOOTSTRAP, "split_videos") as function, pytest.raises(Failure, match="format of its pixels changes") as failure:
        function(event("split_videos", ("videos", [tmp_path / "changing.mp4"]), "chunks", tmp_path, ".mp4"))
    assert failure.value.type == "Video.Unsupported"


def test_what_is_no_video_is_refused(tmp_path):
    subprocess.run(["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "sine=duration=1", tmp_path / "sound.wav"], check=True, timeout=60)
    with Function(BOOTSTRAP, "split_videos") as function, pytest.raises(Failure, match="there is no video in it") as failure:
        function(event("split_videos", ("videos", [tmp_path / "sound.wav"]), "chunks", tmp_path, ".mp4"))
    assert failure.value.type == "Video.Unsupported"


@pytest.mark.parametrize("handler,output", [("sharpen", "sharpened"), ("classify", "reports")])
def test_a_bad_image_is_named(tmp_path, handler, output):
    (tmp_path / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n truncated")
    with Function(BOOTSTRAP, handler) as function, pytest.raises(Failure, match="bad.png: ") as failure:
        function(event(handler, ("frames", [tmp_path / "bad.png"]), output, tmp_path, ".png"))
    assert failure.value.type == "Image.Corrupt"


def test_sharpening_and_classifying_do_not_load_ffmpeg():
    with Function(BOOTSTRAP, "sharpen") as function:
        with pytest.raises(Failure):  # after it the process has surely started
            function({"flexwatt": 1, "handler": "none"})
        maps = pathlib.Path(f"/proc/{function.process.pid}/maps").read_text()
    assert "libpng" in maps and "libavcodec" not in maps


def test_test_videos_are_made_once_and_quietly(videos):
    before = {path: path.stat().st_mtime_ns for path in videos.glob("*.mp4")}
    command = [ROOT / "examples/video/make-data", "--size", "160x90", "--directory", videos]
    again = subprocess.run(command, check=True, capture_output=True, timeout=60)
    assert (again.stdout, again.stderr) == (b"", b"")
    assert not (videos / "corrupt.mp4").exists() and not (videos / "empty.mp4").exists()
    assert all(path.stat().st_mtime_ns == before[path] for path in videos.glob("*.mp4"))
