# SPDX-License-Identifier: Apache-2.0
"""Functions as they are written for FlexExecutor run unchanged: the same imports, the same calls of StageContext, the same shape as
its examples titanic, video and montecarlo. The libraries that those need are installed in an environment of the test's."""
import json
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/e2e"))
from conftest import Flexwatt, nothing_stays_behind, tool  # noqa: E402,F401

SYSTEM = "/usr/bin/python3"

MONTECARLO = '''
import json
import random

from flexecutor import StageContext

POINTS = 200_000
BATCH = 10_000


def estimate(ctx: StageContext) -> None:
    share = POINTS // ctx.num_workers + (1 if ctx.worker_id < POINTS % ctx.num_workers else 0)
    inside = done = 0
    while done < share:
        batch = min(BATCH, share - done)
        inside += sum(random.random() ** 2 + random.random() ** 2 <= 1 for _ in range(batch))
        done += batch
    print(f"worker {ctx.worker_id + 1} of {ctx.num_workers}: {done} points")
    with open(ctx.next_output_path("pi-parts"), "w") as file:
        json.dump({"inside": inside, "points": done}, file)


def total(ctx: StageContext) -> None:
    parts = []
    for path in ctx.get_input_paths("pi-parts"):
        with open(path) as file:
            parts.append(json.load(file))
    points = sum(part["points"] for part in parts)
    with open(ctx.next_output_path("pi"), "w") as file:
        json.dump({"pi": 4 * sum(part["inside"] for part in parts) / points, "points": points}, file)
'''

TITANIC = '''
import pandas as pd
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import accuracy_score
from sklearn.model_selection import train_test_split

from flexecutor.workflow.stagecontext import StageContext

COLUMNS = ["Pclass", "Sex", "Age", "SibSp", "Parch", "Fare"]


def train(ctx: StageContext) -> None:
    [path] = ctx.get_input_paths("passengers")
    table = pd.read_csv(path).dropna(subset=[*COLUMNS, "Survived"])
    known = pd.get_dummies(table[COLUMNS], columns=["Sex"], drop_first=True)
    train_x, test_x, train_y, test_y = train_test_split(known, table["Survived"], test_size=0.2, random_state=42)
    forest = RandomForestClassifier(n_estimators=ctx.get_param("trees"), random_state=42)
    forest.fit(train_x, train_y)
    with open(ctx.next_output_path("titanic-accuracy"), "w") as file:
        file.write(str(accuracy_score(test_y, forest.predict(test_x))))
    return accuracy_score(test_y, forest.predict(test_x))
'''

VIDEO = '''
import json
import subprocess

import cv2
import numpy as np

from flexecutor import StageContext


def split(ctx: StageContext):
    for path in ctx.get_input_paths("videos"):
        for start in range(0, 4, 2):
            subprocess.run(["ffmpeg", "-v", "error", "-y", "-ss", str(start), "-i", path, "-t", "2", "-an", "-c:v", "libx264", "-preset",
                            "ultrafast", "-f", "mp4", ctx.next_output_path("video-chunks")], check=True)


def brightest(ctx: StageContext):
    for path in ctx.get_input_paths("video-chunks"):
        video, best = cv2.VideoCapture(path), None
        while True:
            found, frame = video.read()
            if not found:
                break
            if best is None or frame.mean() > best.mean():
                best = frame
        cv2.imwrite(ctx.next_output_path("mainframes"), best)


def sharpen(ctx: StageContext):
    kernel = np.array([[-1, -1, -1], [-1, 9, -1], [-1, -1, -1]])
    for path in ctx.get_input_paths("mainframes"):
        cv2.imwrite(ctx.next_output_path("filtered-frames"), cv2.filter2D(cv2.imread(path), -1, kernel))


def classify(ctx: StageContext):
    for path in ctx.get_input_paths("filtered-frames"):
        image = cv2.imread(path)
        edges = cv2.Canny(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), 50, 150)
        with open(ctx.next_output_path("classification"), "w") as file:
            json.dump({"width": image.shape[1], "height": image.shape[0], "edges": float(np.mean(edges > 0))}, file)
'''

# A file that holds functions and what builds the workflow beside them, by every import path of FlexExecutor's.
ORCHESTRATED = '''
from flexecutor.storage.chunker import Chunker
from flexecutor.storage.chunking_strategies import chunking_static_csv
from flexecutor.storage.storage import FlexData, StrategyEnum
from flexecutor.utils.enums import ChunkerTypeEnum
from flexecutor.utils.iomanager import IOManager
from flexecutor.utils.storagecontext import StorageContext
from flexecutor.utils import StorageContext as ShortStorageContext
from flexecutor.modelling.perfmodel import PerfModelEnum
from flexecutor.scheduling.jolteon import Jolteon
from flexecutor.utils import setup_logging
from flexecutor.utils.dataclass import FunctionTimes, ResourceConfig, StageConfig
from flexecutor.utils.utils import flexorchestrator
from flexecutor.workflow.dag import DAG
from flexecutor.workflow.executor import DAGExecutor
from flexecutor.workflow.stage import Stage
from flexecutor.workflow.stagecontext import StageContext


def copy(io: IOManager) -> None:
    for path in io.get_input_paths("texts"):
        with open(path) as source, open(io.next_output_path("copies"), "w") as file:
            file.write(source.read())


def run_it(ctx: StageContext):
    main()


@flexorchestrator(bucket="bucket")
def main():
    dag = DAG("copies")
    chunker = Chunker(chunker_type=ChunkerTypeEnum.STATIC, strategy=chunking_static_csv)
    texts = FlexData("texts", read_strategy=StrategyEnum.BROADCAST, chunker=chunker)
    first = Stage(stage_id="first", func=copy, inputs=[texts], outputs=[FlexData("copies", suffix=".txt")])
    second, third = Stage(stage_id="second", func=copy), Stage(stage_id="third", func=copy)
    first >> [second, third]
    third << first
    [second, third] >> Stage(stage_id="last", func=copy)
    assert texts.id == "texts" and first.stage_id == "first"
    dag.add_stages([first, second, third])
    DAGExecutor(dag).execute(num_workers=3)


if __name__ == "__main__":
    main()
'''


@pytest.fixture
def flexwatt(tmp_path):
    return Flexwatt(tmp_path)


@pytest.fixture(scope="module")
def scientific():
    """An environment with what FlexExecutor's examples import."""
    return subprocess.run([ROOT / "scripts/venv", "flexecutor", "pandas==2.2.3", "scikit-learn==1.6.1", "numpy==2.2.6",
                           "opencv-python-headless==4.12.0.88"], stdout=subprocess.PIPE, text=True, check=True, timeout=400).stdout.strip()


def run(flexwatt, code, interpreter, stages, status=0, **options):
    flexwatt.write("code/functions.py", code)
    for stage in stages.values():
        stage["handler"] = "functions." + stage["handler"]
    flexwatt.workflow(json.dumps({"name": "flexecutor", "storage": "./data", "stages": stages, "defaults": {"memory": 1769, "retries": 0},
                                  "function": {"python": {"path": "./code", "interpreter": str(interpreter)}, **options}}))
    return flexwatt.json("run", "workflow.yaml", status=status)["run"]


def test_montecarlo(flexwatt):
    made = run(flexwatt, MONTECARLO, SYSTEM, {
        "estimate": {"handler": "estimate", "workers": 3, "outputs": {"pi-parts": {"suffix": ".json"}}},
        "total": {"handler": "total", "inputs": {"pi-parts": {"from": "estimate.pi-parts", "edge": "broadcast"}},
                  "outputs": {"pi": {"suffix": ".json"}}}})
    found, = [json.loads(data) for key, data in flexwatt.outputs(made).items() if key.startswith("total/")]
    assert found["points"] == 200_000 and abs(found["pi"] - 3.1416) < 0.05
    assert "worker 2 of 3: 66667 points" in flexwatt("show", made, "--task", "estimate/1", "--logs").stdout


PASSENGERS = 600


def passengers():
    """Survival follows sex and class, so that a forest can find it; every seventh age is missing, names hold quoted commas."""
    lines = ["PassengerId,Survived,Pclass,Name,Sex,Age,SibSp,Parch,Fare"]
    for i in range(PASSENGERS):
        sex, level = ("female", "male")[i % 2], i % 3 + 1
        age = "" if i % 7 == 0 else str(20 + i % 50)
        lines.append(f'{i},{int(sex == "female" or level == 1)},{level},"Doe, No. {i}",{sex},{age},{i % 3},{i % 2},{7 + 10 * (3 - level)}')
    return "\n".join(lines) + "\n"


def test_titanic_on_whole_objects(flexwatt, scientific):
    flexwatt.write("data/titanic/passengers.csv", passengers())
    made = run(flexwatt, TITANIC, scientific, {"train": {
        "handler": "train", "params": {"trees": 20}, "inputs": {"passengers": {"keys": "titanic/*.csv"}},
        "outputs": {"titanic-accuracy": {"suffix": ".txt"}}}})
    accuracy, = flexwatt.outputs(made).values()
    assert float(accuracy) > 0.95


def test_titanic_on_ranges_of_one_object(flexwatt, scientific):
    """Cut without rewriting; each range is a file with the table's header, as FlexExecutor's chunker makes it."""
    flexwatt.write("data/titanic/passengers.csv", passengers())
    made = run(flexwatt, TITANIC, scientific, {"train": {
        "handler": "train", "params": {"trees": 20}, "workers": 2, "inputs": {"passengers": {"keys": "titanic/*.csv", "range": "csv"}},
        "outputs": {"titanic-accuracy": {"suffix": ".txt"}}}})
    accuracies = [float(data) for data in flexwatt.outputs(made).values()]
    assert len(accuracies) == 2 and min(accuracies) > 0.9


def test_video(flexwatt, scientific):
    (flexwatt.data / "videos").mkdir()
    subprocess.run([tool("ffmpeg"), "-v", "error", "-f", "lavfi", "-i", "testsrc=size=160x120:rate=10:duration=4", "-pix_fmt", "yuv420p",
                    flexwatt.data / "videos/a.mp4"], check=True, timeout=60)
    def stage(handler, source, made, suffix, **more):
        return {"handler": handler, "inputs": {source[0]: source[1]}, "outputs": {made: {"suffix": suffix}}, **more}
    made = run(flexwatt, VIDEO, scientific, {
        "split": stage("split", ("videos", {"keys": "videos/*.mp4"}), "video-chunks", ".mp4"),
        "extract": stage("brightest", ("video-chunks", "split.video-chunks"), "mainframes", ".png", workers=2),
        "filter": stage("sharpen", ("mainframes", "extract.mainframes"), "filtered-frames", ".png", workers=2),
        "classify": stage("classify", ("filtered-frames", "filter.filtered-frames"), "classification", ".json")})
    found = [json.loads(data) for key, data in flexwatt.outputs(made).items() if key.startswith("classify/")]
    assert [(one["width"], one["height"]) for one in found] == [(160, 120)] * 2 and all(one["edges"] > 0.01 for one in found)


def test_a_file_that_also_builds_the_workflow_is_imported_and_what_would_run_it_says_who_does(flexwatt):
    flexwatt.write("data/texts/a.txt", "text\n")
    made = run(flexwatt, ORCHESTRATED, SYSTEM, {
        "copy": {"handler": "copy", "inputs": {"texts": {"keys": "texts/*"}}, "outputs": {"copies": {"suffix": ".txt"}}},
        "run": {"handler": "run_it", "on_failure": "continue"}}, status=1)
    assert list(flexwatt.outputs(made).values()) == [b"text\n"]
    record, = flexwatt.records(made, "run/0")
    assert record["error_type"] == "RuntimeError" and "flexwatt run workflow.yaml" in record["error_message"]
    assert "DAGExecutor.execute()" in record["error_message"]


def test_flexecutor_itself_goes_first_where_it_is_installed(flexwatt):
    flexwatt.write("code/flexecutor/__init__.py", "class StageContext: mark = 'the real one'\n")
    made = run(flexwatt, "import flexecutor\n\n\ndef mark(ctx: flexecutor.StageContext):\n    return flexecutor.StageContext.mark, ctx.worker_id\n",
               SYSTEM, {"mark": {"handler": "mark"}})
    assert flexwatt.records(made)[0]["status"] == "ok"


def test_the_package_is_typed(flexwatt):
    python = subprocess.run([ROOT / "scripts/venv", "mypy", "mypy==1.13.0"], stdout=subprocess.PIPE, text=True, check=True,
                            timeout=300).stdout.strip()
    user = flexwatt.write("user.py", """
        from flexwatt import InputObject, StageContext

        def count(ctx: StageContext) -> int:
            for item in ctx.inputs("texts"):
                reveal_type(item.open().read())
            with ctx.writing():
                path: str = ctx.next_output_path("counts")
            return len(ctx.get_input_paths("texts")) + len(path)
    """)
    sdk = ROOT / "sdk/python/flexwatt"
    done = subprocess.run([python, "-m", "mypy", "--strict", "--follow-imports=silent", f"--cache-dir={flexwatt.directory}", user,
                           *(sdk / name for name in ("__init__.py", "meter.py", "stage.py"))], capture_output=True, text=True, timeout=300,
                          env={"MYPYPATH": str(sdk.parent), "PATH": "/usr/bin:/bin"})
    assert done.returncode == 0, done.stdout
    assert 'Revealed type is "builtins.bytes"' in done.stdout


def test_the_package_can_be_installed(flexwatt):
    """pip install sdk/python: StageContext and the meter, for editors, type checkers and metered programs."""
    place = flexwatt.directory / "venv"
    subprocess.run([SYSTEM, "-m", "venv", place], check=True, timeout=120)
    source = flexwatt.directory / "python"
    subprocess.run(["cp", "-r", ROOT / "sdk/python", source], check=True)
    subprocess.run([place / "bin/pip", "install", "-q", source], check=True, timeout=300)
    subprocess.run([place / "bin/python", "-c", "import flexwatt\nfrom flexwatt import FunctionError, InputObject, Meter, StageContext\n"
                    "import importlib.resources as r\nassert r.files('flexwatt').joinpath('py.typed').is_file()\n"
                    "assert StageContext.get_input_paths.__annotations__['return'] == 'list[str]'"], check=True, timeout=60)
    made = run(flexwatt, "from flexwatt import StageContext\n\n\ndef handler(ctx: StageContext):\n    return ctx.num_workers\n",
               place / "bin/python", {"only": {"handler": "handler"}})
    assert flexwatt.records(made)[0]["status"] == "ok"
