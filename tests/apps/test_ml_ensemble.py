# SPDX-License-Identifier: Apache-2.0
"""The ML application with LightGBM: components against numpy's, accuracy, the ensemble's gain, the same from the same seed."""
import json
import os
import pathlib
import shutil
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/e2e"))
from conftest import BUILD, Flexwatt, nothing_stays_behind  # noqa: E402,F401

SMALL = ["--set", "stages.train.params.rounds=10", "--set", "stages.train.params.train_rows=1500"]

# Runs in the environment that has numpy: the largest differences of means, eigenvalues, vectors (up to sign) and components.
PEER = r"""
import json, sys
import numpy as np
digits, vectors, components = sys.argv[1:]
rows = np.loadtxt(digits)
vectors, components = np.load(vectors), np.load(components)
mean = rows[:, 1:].mean(axis=0)
values, basis = np.linalg.eigh(np.cov(rows[:, 1:].T))
values, basis = values[::-1][:100], basis[:, ::-1][:, :100].T
basis *= np.sign((basis * vectors[1:, 1:]).sum(axis=1))[:, None]
expected = (rows[:, 1:] - mean) @ basis.T
print(json.dumps({
    "shapes": [list(vectors.shape), list(components.shape)], "labels": int((components[:, 0] != rows[:, 0]).sum()),
    "mean": abs(vectors[0, 1:] - mean).max(), "values": abs(vectors[1:, 0] / values - 1).max(),
    "vectors": abs(vectors[1:, 1:] - basis).max(), "components": abs(components[:, 1:] - expected).max()}))
"""


def package(directory):
    shutil.copytree(BUILD / "examples/ml/functions", directory)
    subprocess.run([ROOT / "scripts/lightgbm", directory], check=True, timeout=300)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """One run of the application as it stands, with fewer rows and rounds."""
    flexwatt = Flexwatt(tmp_path_factory.mktemp("ml"))
    shutil.copy(ROOT / "examples/ml/workflow.yaml", flexwatt.directory)
    package(flexwatt.directory / "functions")
    subprocess.run([ROOT / "examples/ml/make-data", "--rows", "2500", "--test-rows", "1000", "--directory", flexwatt.data / "digits"],
                   check=True, timeout=60, env={**os.environ, "FLEXWATT_BUILD": str(BUILD)})
    return flexwatt, flexwatt.json("run", "workflow.yaml", *SMALL, timeout=600)


def outputs_of(flexwatt, run):
    """By stage and name: {("train", "models"): {"model-0000.txt": bytes}}."""
    found = {}
    for key, data in flexwatt.outputs(run["run"]).items():
        if len(key.split("/")) == 4:
            stage, _, output, name = key.split("/")
            found.setdefault((stage, output), {})[name] = data
    return found


def metrics(flexwatt, run, task):
    record, = flexwatt.records(run["run"], task)
    return record["metrics"]


def test_components_are_numpys_up_to_sign(made):
    flexwatt, run = made
    python = subprocess.run([ROOT / "scripts/venv", "ml", "numpy==2.2.6", "lightgbm==4.7.0"], stdout=subprocess.PIPE, text=True,
                            check=True, timeout=900).stdout.strip()
    root = flexwatt.data / "runs" / run["run"]
    (vectors,), (components,) = ([*root.glob(f"pca/*/{name}/*.npy")] for name in ("vectors", "components"))
    peer = json.loads(subprocess.run([python, "-c", PEER, flexwatt.data / "digits/train.tsv", vectors, components], check=True,
                                     stdout=subprocess.PIPE, text=True, timeout=300).stdout)
    assert peer["shapes"] == [[101, 785], [2500, 101]] and peer["labels"] == 0
    assert max(peer[figure] for figure in ("mean", "values", "vectors", "components")) < 1e-6, peer


def test_the_ensemble_is_far_above_chance_and_no_worse_than_its_models(made):
    flexwatt, run = made
    found = metrics(flexwatt, run, "aggregate/0")
    assert found["single_accuracy_mean"] > 0.6 and found["accuracy"] >= found["single_accuracy_mean"]
    assert found["single_accuracy_best"] >= found["single_accuracy_mean"]
    assert found["ensemble_gain"] == pytest.approx(found["accuracy"] - found["single_accuracy_mean"])
    quality = json.loads(outputs_of(flexwatt, run)["aggregate", "quality"]["0000-000.json"])
    assert quality["models"] == 4 and quality["rows"] == 1000
    assert quality["accuracy"] == pytest.approx(found["accuracy"], abs=1e-6)
    assert metrics(flexwatt, run, "test/0")["accuracy"] > 0.6


def test_models_are_drawn_differently_and_are_what_the_document_says(made):
    flexwatt, run = made
    models = outputs_of(flexwatt, run)["train", "models"]
    assert sorted(models) == [f"model-{number:04d}.txt" for number in range(4)]
    settings = [dict(line[1:-1].split(": ", 1) for line in model.decode().splitlines() if line.startswith("[") and ": " in line)
                for model in models.values()]
    for found in settings:
        expected = {"boosting": "gbdt", "objective": "multiclass", "num_class": "10", "num_leaves": "50", "learning_rate": "0.05",
                    "bagging_freq": "5"}
        assert {name: found[name] for name in expected} == expected
    drawn = {tuple(found[name] for name in ("feature_fraction", "bagging_fraction", "max_depth")) for found in settings}
    assert len(drawn) > 1
    assert len(set(models.values())) == 4


def test_the_merged_model_has_the_trees_of_all(made):
    flexwatt, run = made
    outputs = outputs_of(flexwatt, run)
    merged, = outputs["aggregate", "model"].values()
    assert merged.count(b"\nTree=") == sum(model.count(b"\nTree=") for model in outputs["train", "models"].values()) == 4 * 10 * 10


def without_threads(model):
    return [line for line in model.splitlines() if not line.startswith(b"[num_threads")]


def test_the_same_seed_gives_the_same_models_whatever_the_workers_and_threads(made):
    flexwatt, run = made
    again = flexwatt.json("run", "workflow.yaml", *SMALL, "--set", "stages.train.workers=3", "--set", "stages.train.memory=3538",
                          timeout=600)
    first, second = outputs_of(flexwatt, run), outputs_of(flexwatt, again)
    assert [record["units"] for task in range(3) for record in flexwatt.records(again["run"], f"train/{task}")] == [200, 100, 100]
    assert first["pca", "components"] == second["pca", "components"]
    for name, model in first["train", "models"].items():
        assert without_threads(model) == without_threads(second["train", "models"][name]), name
    assert metrics(flexwatt, run, "aggregate/0") == metrics(flexwatt, again, "aggregate/0")
    assert metrics(flexwatt, run, "test/0") == metrics(flexwatt, again, "test/0")


def test_models_are_judged_by_what_they_were_not_trained_on(made):
    """One setting is enough: the models tell the stage behind them."""
    flexwatt, _ = made
    run = flexwatt.json("run", "workflow.yaml", *SMALL, "--set", "stages.train.params.train_rows=2000", timeout=600)
    outputs = outputs_of(flexwatt, run)
    assert all(model.endswith(b"\nflexwatt_trained_rows=2000\n") for model in outputs["train", "models"].values())
    quality, = outputs["aggregate", "quality"].values()
    assert json.loads(quality)["rows"] == 2500 - 2000


def test_threads_follow_the_quota(made):
    flexwatt, run = made
    model = outputs_of(flexwatt, run)["train", "models"]["model-0000.txt"]
    assert b"[num_threads: 1]" in model  # 1769 MB
    more = flexwatt.json("run", "workflow.yaml", *SMALL, "--set", "stages.train.params.models=1", "--set", "stages.train.workers=1",
                         "--set", "stages.train.params.rounds=1", "--set", "stages.train.memory=7076", timeout=600)
    assert b"[num_threads: 2]" in outputs_of(flexwatt, more)["train", "models"]["model-0000.txt"]


@pytest.mark.parametrize("setting, named", [("train_rows=0", "train_rows is 0"), ("train_rows=2500", "there are 2500 rows"),
                                            ("models=0", "models is 0"), ("rounds=-1", "rounds -1")])
def test_a_bad_parameter_fails_its_task_and_is_named(made, setting, named):
    flexwatt, _ = made
    run = flexwatt.json("run", "workflow.yaml", *SMALL, "--set", f"stages.train.params.{setting}", "--set", "defaults.retries=0",
                        status=1, timeout=600)
    failed = next(record for record in flexwatt.records(run["run"], "train/0") if record["status"] != "ok")
    assert failed["error_type"] == "ML.BadParameter" and named in failed["error_message"]


@pytest.mark.parametrize("spoil, named", [
    (lambda model: b"", "LightGBM could not read it"),
    (lambda model: b"what is this\n", "model"),
    (lambda model: model.replace(b"num_class=10", b"num_class=1", 1), "classes, not 10"),
    (lambda model: model.replace(b"trained_rows=1500", b"trained_rows=1400"), "it was trained on 1400 rows, the models before it on 1500"),
    (lambda model: model.partition(b"flexwatt_trained_rows=")[0], "it does not say how many rows it was trained on"),
])
def test_a_model_that_is_none_is_named(made, spoil, named):
    flexwatt, run = made
    outputs = outputs_of(flexwatt, run)
    shutil.rmtree(flexwatt.data / "kept", ignore_errors=True)
    (flexwatt.data / "kept").mkdir()
    (flexwatt.data / "kept/components.npy").write_bytes(outputs["pca", "components"]["0000-000.npy"])
    models = outputs["train", "models"]
    (flexwatt.data / "kept/model-0.txt").write_bytes(models["model-0000.txt"])
    (flexwatt.data / "kept/model-1.txt").write_bytes(spoil(models["model-0001.txt"]))
    flexwatt.workflow("""
        name: aggregate
        storage: ./data
        function: {package: ./functions}
        stages:
          aggregate:
            inputs: {models: {keys: "kept/*.txt"}, components: {keys: "kept/*.npy", edge: broadcast}}
            outputs: {model: {suffix: .txt}, predictions: {suffix: .npy}, quality: {suffix: .json}}
            retries: 0
    """, "aggregate.yaml")
    failed_run = flexwatt.json("run", "aggregate.yaml", status=1)
    record, = flexwatt.records(failed_run["run"], "aggregate/0")
    assert record["error_type"] == "ML.BadModel"
    assert "kept/model-1.txt" in record["error_message"] and named in record["error_message"]


def test_rows_of_another_length_than_the_vectors_are_named(made):
    flexwatt, run = made
    outputs = outputs_of(flexwatt, run)
    shutil.rmtree(flexwatt.data / "kept", ignore_errors=True)
    (flexwatt.data / "kept").mkdir()
    (flexwatt.data / "kept/vectors.npy").write_bytes(outputs["pca", "vectors"]["0000-000.npy"])
    (flexwatt.data / "kept/model.txt").write_bytes(next(iter(outputs["aggregate", "model"].values())))
    (flexwatt.data / "kept/test.tsv").write_text("1\t2\n")
    flexwatt.workflow("""
        name: test
        storage: ./data
        function: {package: ./functions}
        stages:
          test:
            inputs:
              model: {keys: "kept/model.txt"}
              vectors: {keys: "kept/vectors.npy", edge: broadcast}
              digits: {keys: "kept/test.tsv", edge: broadcast}
            outputs: {quality: {suffix: .json}}
            retries: 0
    """, "test.yaml")
    failed_run = flexwatt.json("run", "test.yaml", status=1)
    record, = flexwatt.records(failed_run["run"], "test/0")
    assert record["error_type"] == "ML.BadData"
    assert "kept/test.tsv: its rows have 1 columns, those of the vectors 784" in record["error_message"]
