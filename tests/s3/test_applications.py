# SPDX-License-Identifier: Apache-2.0
"""The applications move from a directory to a bucket by one line of their workflow file, and give the same there."""
import re
import shutil
import subprocess

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
    "parallel-video": (["--size", "160x90"], []),
}


def content(name, data, directory):
    """What must be the same. Batches of video name their source, and encoders of several threads differ: their frames count."""
    if name != "parallel-video":
        return data
    path = directory / "counted.mp4"
    path.write_bytes(data)
    return subprocess.run(["ffprobe", "-v", "error", "-count_frames", "-select_streams", "v", "-show_entries",
                           "stream=width,height,nb_read_frames,duration_ts", "-of", "csv=p=0", path], check=True, timeout=60,
                          stdout=subprocess.PIPE, text=True).stdout


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
    if (made / "make-data").exists():
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
