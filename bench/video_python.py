"""The video application's four stages as one would write them in Python, with moviepy and OpenCV: same codec, preset, outputs.

    video_python.py STAGE DIRECTORY [--repeat N] [--threads N] INPUT...

Prints one JSON line for each round: CPU seconds of this process and its children since the round before (the first one
includes the start and the imports), and at the end the peak memory of both.
"""
import argparse
import json
import os
import resource
import sys

CHUNK_SECONDS = 10
FPS = 0.5


def split_videos(paths, directory, threads):
    from moviepy import VideoFileClip

    for number, path in enumerate(paths):
        with VideoFileClip(path, audio=False) as clip:
            start, ordinal = 0.0, 0
            while start < clip.duration:
                chunk = clip.subclipped(start, min(start + CHUNK_SECONDS, clip.duration))
                chunk.write_videofile(os.path.join(directory, f"{number:04d}-{ordinal:03d}.mp4"), codec="libx264", audio=False,
                                      preset="medium", threads=threads, logger=None)
                start, ordinal = start + CHUNK_SECONDS, ordinal + 1


def extract_frames(paths, directory, threads):
    import cv2
    import numpy as np
    from moviepy import VideoFileClip

    for number, path in enumerate(paths):
        best, best_mean = None, -1.0
        with VideoFileClip(path, audio=False) as clip:
            for time in np.arange(0, clip.duration, 1 / FPS):  # iter_frames() would leave out the last, or the only one
                frame = clip.get_frame(time)
                mean = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY).mean()
                if mean > best_mean:
                    best, best_mean = frame.copy(), mean
        cv2.imwrite(os.path.join(directory, f"{number:04d}.png"), cv2.cvtColor(best, cv2.COLOR_RGB2BGR))


def sharpen(paths, directory, threads):
    import cv2
    import numpy as np

    kernel = np.array([[-1, -1, -1], [-1, 9, -1], [-1, -1, -1]])
    for number, path in enumerate(paths):
        cv2.imwrite(os.path.join(directory, f"{number:04d}.png"), cv2.filter2D(cv2.imread(path), -1, kernel))


def classify(paths, directory, threads):
    import cv2

    for number, path in enumerate(paths):
        image = cv2.imread(path)
        mean, deviation = cv2.meanStdDev(image)
        edges = cv2.Canny(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), 50, 150)
        density = cv2.countNonZero(edges) / edges.size
        report = {"image": os.path.basename(path), "width": image.shape[1], "height": image.shape[0],
                  "colours": {name: {"mean": float(mean[2 - i, 0]), "standard_deviation": float(deviation[2 - i, 0])}
                              for i, name in enumerate(("red", "green", "blue"))},
                  "edge_density": density, "complexity": 100 * density}
        with open(os.path.join(directory, f"{number:04d}.json"), "w", encoding="utf-8") as file:
            json.dump(report, file)


def cpu_seconds():
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def peak_mb():
    with open("/proc/self/status", encoding="ascii") as status:
        own = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
    return (own + resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss) / 1024


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("stage", choices=["split_videos", "extract_frames", "sharpen", "classify"])
    parser.add_argument("directory")
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("inputs", nargs="+")
    arguments = parser.parse_args()
    if arguments.stage in ("sharpen", "classify", "extract_frames"):
        import cv2

        cv2.setNumThreads(1)  # spinning threads would only add to its bill
    before = 0.0
    for _ in range(arguments.repeat):
        globals()[arguments.stage](arguments.inputs, arguments.directory, arguments.threads)
        now = cpu_seconds()
        print(json.dumps({"cpu_s": now - before}))
        before = now
    print(json.dumps({"peak_mb": peak_mb()}))


if __name__ == "__main__":
    sys.exit(main())
