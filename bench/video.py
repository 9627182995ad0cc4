#!/usr/bin/env python3
"""The video application against one plain ffmpeg command (split) and against moviepy and OpenCV (all stages).

    bench/video.py BUILD [--repetitions 10] [--size 1280x720]

Interleaved repetitions; CPU is that of the function's process from its start, Python's with its children. Prints a table on
stderr and a JSON list of results on stdout.
"""
import argparse
import glob
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests/tools"))
from invoke import Function, event  # noqa: E402

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


def result(name, unit, ours, peer, goal, at_most):
    value, other = statistics.median(ours), statistics.median(peer)
    ratio = value / other if at_most else other / value
    return {"area": "video", "name": name, "value": value, "unit": unit, "floor": other if at_most else None,
            "peer": None if at_most else other, "ratio": ratio, "goal": goal,
            "met": None if goal is None else ratio <= goal if at_most else ratio >= goal, "n": len(ours),
            "spread": (max(ours) - min(ours)) / value}


def column(found, who, key):
    return [row[key] for row in found[who]]


def outputs(stage, bootstrap, paths):
    directory = tempfile.mkdtemp(prefix=f"flexwatt-bench-{stage}-")
    run_ours(bootstrap, stage, paths, directory)
    return sorted(glob.glob(directory + "/*"))


def bench(bootstrap, python, videos, repetitions):
    results, paths = [], videos
    for stage in STAGES:
        warm = 0 if stage == "split_videos" else WARM_ROUNDS
        runs = {"ours": lambda directory: run_ours(bootstrap, stage, paths, directory, warm),
                "python": lambda directory: run_python(python, stage, paths, directory, warm)}
        if stage == "split_videos":
            runs["ffmpeg"] = lambda directory: run_ffmpeg(paths, directory)
        found = collect(runs, repetitions)
        if stage == "split_videos":
            for key, unit, goal in (("cpu_s", "s CPU", 1.03), ("peak_mb", "MB", 1.1)):
                results.append(result(f"{stage} {key} against plain ffmpeg", unit, column(found, "ours", key),
                                      column(found, "ffmpeg", key), goal, True))
        results.append(result(f"{stage} cpu_s against Python", "s CPU", column(found, "ours", "cpu_s"),
                              column(found, "python", "cpu_s"), GOALS.get(stage), False))
        results.append(result(f"{stage} peak_mb against Python", "MB", column(found, "ours", "peak_mb"),
                              column(found, "python", "peak_mb"), 3 if stage in GOALS else None, False))
        if warm:
            results.append(result(f"{stage} warm CPU per object against Python", "ms CPU", column(found, "ours", "warm_ms"),
                                  column(found, "python", "warm_ms"), None, False))
        previous, paths = paths, outputs(stage, bootstrap, paths)
        if previous is not videos:
            shutil.rmtree(os.path.dirname(previous[0]))
    shutil.rmtree(os.path.dirname(paths[0]))
    return results


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("--repetitions", type=int, default=10)
    parser.add_argument("--size", default="1280x720")
    arguments = parser.parse_args()
    directory = ROOT / "build/bench" / f"videos-{arguments.size}"
    subprocess.run([ROOT / "examples/video/make-data", "--size", arguments.size, "--directory", directory], check=True)
    python = subprocess.run(
        [ROOT / "scripts/venv", "video", "opencv-python-headless==4.12.0.88", "numpy==2.2.6", "moviepy==2.2.1"],
        check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    videos = [str(directory / f"{name}.mp4") for name in ("bright", "sound")]
    results = bench(str(pathlib.Path(arguments.build) / "examples/video/functions/bootstrap"), python, videos,
                    arguments.repetitions)
    for row in results:
        other = row["floor"] if row["floor"] is not None else row["peer"]
        verdict = "" if row["met"] is None else "  met" if row["met"] else f"  MISSED (goal {row['goal']})"
        print(f"  {row['name']:<52} {row['value']:10.3f} {row['unit']:<7} other {other:10.3f}  ratio {row['ratio']:6.2f}{verdict}",
              file=sys.stderr)
    print(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
