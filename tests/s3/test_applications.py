# SPDX-License-Identifier: Apache-2.0
"""The applications move from a directory to a bucket by one line of their workflow file, and give the same there."""
import functools
import http.server
import re
import shutil
import subprocess
import threading

import pytest

from conftest import BUILD, SOURCE
from test_storage import e2e, flexwatt

pytestmark = pytest.mark.parametrize("server", ["minio"], indirect=True)


def settings(*pairs):
    return [word for pair in pairs for word in ("--set", pair)]


APPLICATIONS = {  # name: (what is made beforehand, what makes it small)
    "montecarlo": ([], settings("stages.estimate.params.points=1000000")),
    "titanic": (["--rows", "9000"], settings("stages.train.params.trees=10")),
    "ml": ([], settings("stages.pca.memory=1769", "stages.train.params.rounds=3", "stages.pca.params.components=20")),
    "parallel-video": ([], []),
    "video-tools": ([], []),
}
VIDEOS = {"parallel-video", "video-tools"}


def content(name, data, directory):
    """What must be the same. Batches of video name their source, and encoders of several threads differ: their frames count."""
    if name not in VIDEOS:
        return data
    path = directory / "counted.mp4"
    path.write_bytes(data)
    return subprocess.run(["ffprobe", "-v", "error", "-count_frames", "-select_streams", "v", "-show_entries",
                           "stream=width,height,nb_read_frames,duration_ts", "-of", "csv=p=0", path], check=True, timeout=60,
                          stdout=subprocess.PIPE, text=True).stdout


def ffmpeg(source, *arguments):
    subprocess.run(["ffmpeg", "-v", "error", "-nostdin", "-f", "lavfi", "-i", source, *map(str, arguments)], check=True, timeout=60)


def make_videos(directory, **seconds):
    directory.mkdir(exist_ok=True)
    for name, length in seconds.items():
        ffmpeg("testsrc2=size=160x90:rate=25", "-t", length, "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p",
               directory / f"{name}.mp4")


@pytest.fixture
def served(tmp_path_factory):
    """Puts videos where an HTTP server has them, and into a storage the lists of their addresses and the picture that is laid on."""
    directory = tmp_path_factory.mktemp("served")

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=directory))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()

    def make(data):
        make_videos(directory, moving=0.6, short=0.2)
        for folder in ("urls", "pictures"):
            (data / folder).mkdir()
        for name in ("moving", "short"):
            (data / "urls" / f"{name}.txt").write_text(f"http://127.0.0.1:{server.server_port}/{name}.mp4\n")
        ffmpeg("color=c=orange:size=48x48", "-frames:v", 1, data / "pictures/mark.png")

    yield make
    server.shutdown()
    thread.join(10)
    server.server_close()


@pytest.fixture(params=APPLICATIONS)
def application(request, flexwatt):
    """The workflow of an application whose data lies in the directory and in the bucket; and its settings."""
    name = request.param
    made = SOURCE / "examples" / name
    if not (BUILD / "examples" / name / "functions").is_dir():
        pytest.skip(f"the example {name} is not built here")
    fetch = {"ml": SOURCE / "scripts/lightgbm"}.get(name)
    shutil.copytree(BUILD / "examples" / name / "functions", flexwatt.directory / "functions")
    if fetch and fetch.exists():
        subprocess.run([fetch, flexwatt.directory / "functions"], check=True, timeout=300)
    options, small = APPLICATIONS[name]
    if name == "video-tools":
        request.getfixturevalue("served")(flexwatt.data)
    elif name == "parallel-video":
        make_videos(flexwatt.data / "videos", moving=7, short=0.4)
    elif (made / "make-data").exists():
        subprocess.run([made / "make-data", *options, "--directory", flexwatt.data / folder_of(made)], check=True, timeout=300)
    for path in sorted(flexwatt.data.rglob("*")):
        if path.is_file():
            flexwatt.put(str(path.relative_to(flexwatt.data)), path.read_bytes())
    text = (made / "workflow.yaml").read_text()
    flexwatt.workflow(text)
    return name, text, small


def folder_of(example):
    """Where the workflow looks for its first input: `keys: "videos/*.mp4"` says videos."""
    return re.search(r'keys: "([^"/]+)/', (example / "workflow.yaml").read_text())[1]


def test_it_gives_the_same_on_a_bucket(flexwatt, application):
    name, text, small = application
    on_disk = flexwatt.json("run", "workflow.yaml", *small)
    expected = e2e.Flexwatt.outputs(flexwatt, on_disk["run"])
    flexwatt.workflow(re.sub(r"(?m)^storage: .*$", f"storage: {flexwatt.storage}", text))
    on_bucket = flexwatt.json("run", "workflow.yaml", *small)
    assert on_bucket["state"] == "ok" and on_bucket["storage"] == flexwatt.storage
    outputs = flexwatt.outputs(on_bucket["run"])
    assert outputs.keys() == expected.keys() and outputs
    def same(key):
        return content(name, outputs[key], flexwatt.directory) == content(name, expected[key], flexwatt.directory)
    assert [key for key in expected if not same(key)] == []
    flexwatt.nothing_is_left()
