"""The video application's kernels against PyPI's OpenCV, pixel by pixel."""
import json
import os
import pathlib
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = ROOT / os.environ.get("FLEXWATT_BUILD", "build/release")
TOOL = BUILD / "examples/video/video-kernels-tool"

# Runs in the environment that has OpenCV: images in, OpenCV's results beside them.
PEER = r"""
import json, pathlib, sys
import cv2, numpy as np
directory = pathlib.Path(sys.argv[1])
random = np.random.default_rng(7)
y, x = np.mgrid[0:361, 0:480]
rings = ((np.sin(np.hypot(x - 200, y - 150) / 9) + 1) * 127).astype(np.uint8)
photo = cv2.GaussianBlur(random.integers(0, 256, (360, 480, 3), dtype=np.uint8), (0, 0), 3)
photo = cv2.normalize(photo, None, 0, 255, cv2.NORM_MINMAX)
images = {
    "noise": random.integers(0, 256, (97, 131, 3), dtype=np.uint8),
    "rings": np.dstack([rings, 255 - rings, np.roll(rings, 40, 1)]),
    "photo": photo,
    "ramp": np.dstack([(x[:200] % 256), (y[:200] % 256), ((x + y)[:200] % 256)]).astype(np.uint8),
    "flat": np.full((33, 47, 3), (10, 200, 90), np.uint8),
    "one_row": random.integers(0, 256, (1, 50, 3), dtype=np.uint8),
    "one_column": random.integers(0, 256, (50, 1, 3), dtype=np.uint8),
    "two_by_two": random.integers(0, 256, (2, 2, 3), dtype=np.uint8),
    "one_pixel": random.integers(0, 256, (1, 1, 3), dtype=np.uint8),
}
for path in sys.argv[2:]:
    images[pathlib.Path(path).stem] = cv2.imread(path)
kernel = np.array([[-1, -1, -1], [-1, 9, -1], [-1, -1, -1]])
figures = {}
for name, image in images.items():
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    mean, deviation = cv2.meanStdDev(image)
    cv2.imwrite(str(directory / f"{name}.png"), image)
    cv2.imwrite(str(directory / f"{name}.sharp.png"), cv2.filter2D(image, -1, kernel))
    edges = cv2.Canny(grey, 50, 150)
    cv2.imwrite(str(directory / f"{name}.edges.png"), edges)
    figures[name] = {"edges": int((edges > 0).sum()), "grey": float(grey.mean()),
                     "mean": mean.ravel()[::-1].tolist(), "standard_deviation": deviation.ravel()[::-1].tolist()}
print(json.dumps(figures))
"""
COMPARE = r"""
import pathlib, sys
import cv2
directory = pathlib.Path(sys.argv[1])
for name in sys.argv[2:]:
    ours, peer = (cv2.imread(str(directory / f"{name}{kind}.png"), cv2.IMREAD_COLOR) for kind in (".ours", ""))
    different = int((ours != peer).any(axis=2).sum()) if ours.shape == peer.shape else -1
    print(different, int((peer > 0).any(axis=2).sum()))
"""


@pytest.fixture(scope="module")
def python():
    return subprocess.run([ROOT / "scripts/venv", "video", "opencv-python-headless==4.12.0.88", "numpy==2.2.6", "moviepy==2.2.1"],
                          stdout=subprocess.PIPE, text=True, check=True, timeout=900).stdout.strip()


@pytest.fixture(scope="module")
def peer(python, tmp_path_factory):
    directory = tmp_path_factory.mktemp("kernels")
    frame = directory / "testcard.png"
    subprocess.run(["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=1280x720", "-frames:v", "1", frame], check=True)
    output = subprocess.run([python, "-c", PEER, directory, frame], stdout=subprocess.PIPE, text=True, check=True, timeout=300)
    return directory, json.loads(output.stdout)


def differences(python, directory, names):
    output = subprocess.run([python, "-c", COMPARE, directory, *names], stdout=subprocess.PIPE, text=True, check=True, timeout=300)
    return {name: tuple(map(int, line.split())) for name, line in zip(names, output.stdout.splitlines())}


def apply(kernel, directory, names, suffix):
    for name in names:
        subprocess.run([TOOL, kernel, directory / f"{name}.png", directory / f"{name}{suffix}.ours.png"], check=True, timeout=60)
    return [f"{name}{suffix}" for name in names]


def test_sharpening_equals_filter2d_pixel_by_pixel(python, peer):
    directory, figures = peer
    found = differences(python, directory, apply("sharpen", directory, figures, ".sharp"))
    assert len(found) >= 10
    assert {name: different for name, (different, _) in found.items() if different} == {}


def test_edges_are_those_of_canny_within_one_percent(python, peer):
    directory, figures = peer
    found = differences(python, directory, apply("canny", directory, figures, ".edges"))
    assert sum(edges for _, edges in found.values()) > 10000
    for name, (different, edges) in found.items():
        assert different <= 0.01 * edges, f"{name}: {different} of {edges} edge pixels differ"


def test_grey_and_colour_figures_are_opencvs(peer):
    directory, figures = peer
    for name, expected in figures.items():
        output = subprocess.run([TOOL, "figures", directory / f"{name}.png"], stdout=subprocess.PIPE, check=True, timeout=60)
        ours = json.loads(output.stdout)
        assert ours["edges"] == pytest.approx(expected["edges"], rel=0.01), name
        for figure in ("grey", "mean", "standard_deviation"):
            assert ours[figure] == pytest.approx(expected[figure], abs=1e-6), (name, figure)
