"""The video application against one plain ffmpeg command (split) and against moviepy and OpenCV (all stages).

Interleaved repetitions; CPU is that of the function's process from its start, Python's with its children.
"""
import glob
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
from functools import partial

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests/tools"))
from invoke import Function, event  # noqa: E402
from results import result  # noqa: E402

AREA = "engine"
SIZE = "1280x720"
PACKAGES = ["opencv-python-headless==4.12.0.88", "numpy==2.2.6", "moviepy==2.2.1"]

STAGES = {  # handler: input, output, suffix
    "split_videos": ("videos", "chunks", ".mp4"), "extract_frames": ("chunks", "frames", ".png"),
    "sharpen": ("frames", "sharpened", ".png"), "classify": ("frames", "reports", ".json")}
GOALS = {"extract_frames": 3, "sharpen": 2, "classify": 3}
WARM_ROUNDS = 5


def thread_seconds(pid):
    total = 0
    for path in glob.glob(f"/proc/{pid}/task/*/schedstat"):
        with open(path, encoding="ascii") as file:
            total += int(file.read().split()[0])
    return total / 1e9


def run_ours(bootstrap, stage, paths, directory, warm=0):
    name, output, suffix = STAGES[stage]
    request = event(stage, (name, paths), output, directory, suffix)
    with Function(bootstrap, stage) as function:
        function(request)
        before = thread_seconds(function.process.pid)
        for _ in range(warm):
            function(request)
        after = thread_seconds(function.process.pid)
    return {"cpu_s": function.cpu_seconds - (after - before), "peak_mb": function.peak_mb,
            "warm_ms": 1e3 * (after - before) / (warm * len(paths)) if warm else None}


def run_python(python, stage, paths, directory, warm=0):
    output = subprocess.run(
        [python, ROOT / "bench/video_python.py", stage, directory, "--repeat", str(1 + warm), *paths], check=True,
        stdout=subprocess.PIPE, text=True, env={**os.environ, "IMAGEIO_FFMPEG_EXE": shutil.which("ffmpeg")})
    lines = [json.loads(line) for line in output.stdout.splitlines()]
    warm_s = sum(line["cpu_s"] for line in lines[1:-1])
    return {"cpu_s": lines[0]["cpu_s"], "peak_mb": lines[-1]["peak_mb"],
            "warm_ms": 1e3 * warm_s / (warm * len(paths)) if warm else None}


def run_ffmpeg(paths, directory):
    cpu_s, peak_mb, threads = 0.0, 0.0, str(len(os.sched_getaffinity(0)))
    for number, path in enumerate(paths):
        process = subprocess.Popen(
            ["ffmpeg", "-v", "error", "-nostdin", "-y", "-threads", threads, "-i", path, "-an", "-c:v", "libx264", "-preset",
             "medium", "-threads", threads, "-f", "segment", "-segment_time", "10", "-force_key_frames", "expr:gte(t,n_forced*10)",
             "-reset_timestamps", "1", os.path.join(directory, f"{number}-%d.mp4")])
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = status
        if status:
            raise SystemExit(f"ffmpeg failed on {path}")
        cpu_s, peak_mb = cpu_s + usage.ru_utime + usage.ru_stime, max(peak_mb, usage.ru_maxrss / 1024)
    return {"cpu_s": cpu_s, "peak_mb": peak_mb}


def collect(runs, repetitions):
    """Interleaved: each repetition runs each of them once."""
    found = {name: [] for name in runs}
    for _ in range(repetitions):
        for name, run in runs.items():
            with tempfile.TemporaryDirectory() as directory:
                found[name].append(run(directory))
    return found


def column(found, who, key):
    return [row[key] for row in found[who]]


def outputs(stage, bootstrap, paths):
    directory = tempfile.mkdtemp(prefix=f"flexwatt-bench-{stage}-")
    run_ours(bootstrap, stage, paths, directory)
    return sorted(glob.glob(directory + "/*"))


def compare(stage, found, warm):
    ours = partial(column, found, "ours")
    if "ffmpeg" in found:
        for key, unit, what, goal in (("cpu_s", "s", "CPU", 1.03), ("peak_mb", "MB", "peak memory", 1.1)):
            yield result(AREA, f"{stage}, {what} against plain ffmpeg", unit, ours(key), column(found, "ffmpeg", key), at_most=goal)
    python = partial(column, found, "python")
    goal = GOALS.get(stage)
    yield result(AREA, f"{stage}, CPU against Python", "s", ours("cpu_s"), peer=python("cpu_s"), at_least=goal)
    yield result(AREA, f"{stage}, peak memory against Python", "MB", ours("peak_mb"), peer=python("peak_mb"),
                 at_least=3 if goal else None)
    if warm:
        yield result(AREA, f"{stage}, warm: CPU per object against Python", "ms", ours("warm_ms"), peer=python("warm_ms"))


def stages(bootstrap, python, videos, repetitions):
    paths = videos
    for stage in STAGES:
        warm = 0 if stage == "split_videos" else WARM_ROUNDS
        runs = {"ours": partial(run_ours, bootstrap, stage, paths, warm=warm),
                "python": partial(run_python, python, stage, paths, warm=warm)}
        if stage == "split_videos":
            runs["ffmpeg"] = partial(run_ffmpeg, paths)
        yield from compare(stage, collect(runs, repetitions), warm)
        previous, paths = paths, outputs(stage, bootstrap, paths)
        if previous is not videos:
            shutil.rmtree(os.path.dirname(previous[0]))
    shutil.rmtree(os.path.dirname(paths[0]))


def bench(build, repetitions):
    directory = ROOT / "build/bench" / f"videos-{SIZE}"
    subprocess.run([ROOT / "examples/video/make-data", "--size", SIZE, "--directory", directory], check=True,
                   stdout=subprocess.DEVNULL)
    python = subprocess.run([ROOT / "scripts/venv", "video", *PACKAGES], check=True, stdout=subprocess.PIPE, text=True).stdout
    videos = [str(directory / f"{name}.mp4") for name in ("bright", "sound")]
    return stages(str(pathlib.Path(build) / "examples/video/functions/bootstrap"), python.strip(), videos, repetitions or 3)
