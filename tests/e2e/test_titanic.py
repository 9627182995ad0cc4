# SPDX-License-Identifier: Apache-2.0
"""The Titanic application: every row goes to one worker, the forests are good, bad lists are named."""
import csv
import json
import re
import shutil
import statistics
import subprocess

import pytest

from conftest import BUILD, SOURCE

EXAMPLE = SOURCE / "examples/titanic"
ROWS = 9000
HEADER = "PassengerId,Survived,Pclass,Name,Sex,Age,SibSp,Parch,Ticket,Fare,Cabin,Embarked"


@pytest.fixture(scope="module")
def lists(tmp_path_factory):
    directory = tmp_path_factory.mktemp("lists")
    subprocess.run([EXAMPLE / "make-data", "--rows", str(ROWS), "--directory", directory], check=True, timeout=60)
    path, = directory.glob("*.csv")
    return path


@pytest.fixture
def application(flexwatt, lists):
    shutil.copy(EXAMPLE / "workflow.yaml", flexwatt.directory)
    shutil.copytree(BUILD / "examples/titanic/functions", flexwatt.directory / "functions")
    (flexwatt.data / "tables").mkdir()
    shutil.copy(lists, flexwatt.data / "tables")
    return flexwatt


def documents(flexwatt, run, output):
    return [json.loads(data) for key, data in sorted(flexwatt.outputs(run["run"]).items()) if f"/{output}/" in key]


def test_the_lists_are_the_same_each_time_and_have_the_oddities_of_the_real_one(lists, tmp_path):
    subprocess.run([EXAMPLE / "make-data", "--rows", str(ROWS), "--directory", tmp_path], check=True, timeout=60)
    again, = tmp_path.glob("*.csv")
    assert again.read_bytes() == lists.read_bytes()
    with open(lists, newline="", encoding="ascii") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == ROWS and ",".join(rows[0]) == HEADER
    assert all("," in row["Name"] for row in rows) and any('"' in row["Name"] for row in rows)
    assert 0.15 < sum(row["Age"] == "" for row in rows) / ROWS < 0.25
    assert 0.35 < sum(row["Survived"] == "1" for row in rows) / ROWS < 0.5


# Of the real list of 891 passengers.
REAL_SHARES = {"Pclass": {"1": 0.242, "2": 0.207, "3": 0.551}, "Sex": {"male": 0.648, "female": 0.352},
               "Embarked": {"S": 0.723, "C": 0.189, "Q": 0.086}, "Survived": {"1": 0.384}}
REAL_SURVIVAL = {("1", "female"): 0.968, ("2", "female"): 0.921, ("3", "female"): 0.500, ("1", "male"): 0.369, ("2", "male"): 0.157,
                 ("3", "male"): 0.135}
REAL_MEANS = {"Age": 29.70, "SibSp": 0.523, "Parch": 0.382, "Fare": 32.20}
REAL_FARES = {"1": 84.15, "2": 20.66, "3": 13.68}


def test_the_lists_are_distributed_as_the_real_one(lists):
    with open(lists, newline="", encoding="ascii") as file:
        rows = list(csv.DictReader(file))
    for column, shares in REAL_SHARES.items():
        for value, share in shares.items():
            assert sum(row[column] == value for row in rows) / len(rows) == pytest.approx(share, abs=0.025), (column, value)
    for (kind, sex), share in REAL_SURVIVAL.items():
        found = [row["Survived"] == "1" for row in rows if row["Pclass"] == kind and row["Sex"] == sex]
        assert sum(found) / len(found) == pytest.approx(share, abs=0.09), (kind, sex)
    for column, mean in REAL_MEANS.items():
        assert statistics.mean(float(row[column]) for row in rows if row[column]) == pytest.approx(mean, rel=0.15), column
    for kind, mean in REAL_FARES.items():
        assert statistics.mean(float(row["Fare"]) for row in rows if row["Pclass"] == kind) == pytest.approx(mean, rel=0.2), kind
    assert statistics.pstdev(float(row["Age"]) for row in rows if row["Age"]) == pytest.approx(14.53, rel=0.1)
    assert sum(row["Age"] == "" for row in rows) / len(rows) == pytest.approx(0.199, abs=0.025)
    assert sum(row["Cabin"] != "" for row in rows) / len(rows) == pytest.approx(0.229, abs=0.025)


def test_rows_are_dropped_by_what_pandas_takes_for_missing(application, lists):
    path, = (application.data / "tables").glob("*.csv")
    marks = iter(["NaN", "NA", "nan", "null", "N/A"])
    with open(path, newline="", encoding="ascii") as file:
        missing = sum(row["Age"] == "" for row in csv.DictReader(file))
    text = re.sub(r"(,(?:fe)?male),\d+,", lambda found: f"{found[1]},{mark}," if (mark := next(marks, None)) else found[0],
                  path.read_text(encoding="ascii"))
    path.write_text(text, encoding="ascii")
    run = application.json("run", "workflow.yaml", "--set", "stages.train.workers=1")
    found, = documents(application, run, "findings")
    assert (found["rows"], found["dropped"]) == (ROWS, missing + 5)


def test_each_row_is_learnt_or_judged_by_one_worker_and_the_accuracy_is_in_the_record(application, lists):
    run = application.json("run", "workflow.yaml")
    findings = documents(application, run, "findings")
    with open(lists, newline="", encoding="ascii") as file:
        missing = sum(row["Age"] == "" for row in csv.DictReader(file))
    assert len(findings) == 4
    assert sum(found["rows"] for found in findings) == ROWS and sum(found["dropped"] for found in findings) == missing
    summary, = documents(application, run, "summary")
    assert summary["accuracy"] == pytest.approx(sum(found["right"] for found in findings) / sum(found["tested"] for found in findings),
                                                abs=1e-5)
    assert 0.80 < summary["accuracy"] < 0.95
    record, = application.records(run["run"], "summarise/0")
    assert record["metrics"]["accuracy"] == pytest.approx(summary["accuracy"], abs=1e-5)
    assert sum(application.records(run["run"], f"train/{task}")[0]["units"] for task in range(4)) == ROWS


def test_the_same_seed_grows_the_same_forest(application):
    models = []
    for seed in (42, 42, 7):
        run = application.json("run", "workflow.yaml", "--set", f"stages.train.params.seed={seed}", "--set", "stages.train.workers=1")
        models.append([data for key, data in application.outputs(run["run"]).items() if "/models/" in key])
    assert models[0] == models[1] != models[2]


BAD = {  # what is wrong: (how it comes about, what the error names)
    "a column that is missing": (lambda text: text.replace("Age", "Years", 1), "Age"),
    "no label column": (lambda text: text.replace("Survived", "Alive", 1), "Survived"),
    "a cell that is no number": (lambda text: re.sub(r"(male,\d+,\d),\d,", r"\1,few,", text, count=1), "few"),
    "a hexadecimal": (lambda text: re.sub(r"(male,\d+,\d),\d,", r"\1,0x1F,", text, count=1), "0x1F"),
    "a fare that no forest can take": (lambda text: re.sub(r"(male,\d+,\d,\d,\d+),[\d.]+,", r"\1,1e300,", text, count=1), "1e300"),
    "a sex that is none": (lambda text: re.sub(r",female,(\d)", r",unknown,\1", text, count=1), "unknown"),
    "a label that is none": (lambda text: re.sub(r"\n(\d+),[01](,\d,[^\n]*male,\d)", r"\n\1,2\2", text, count=1), "'2'"),
    "a row that is cut": (lambda text: text.rstrip("\n") + "\n1,0,3\n", "3 cells"),
}


@pytest.mark.parametrize("wrong", BAD)
def test_a_bad_list_fails_its_own_task_and_is_named_with_its_byte(application, lists, wrong):
    spoil, named = BAD[wrong]
    bad = application.data / "tables/zz-bad.csv"
    bad.write_text(spoil(lists.read_text(encoding="ascii")), encoding="ascii")
    run = application.json("run", "workflow.yaml", "--set", "stages.train.on_failure=continue", "--set", "stages.train.workers=2",
                           "--set", "defaults.retries=0", status=1)
    failed, = [record for record in application.records(run["run"], "train/1") if record["status"] != "ok"]
    assert "zz-bad.csv" in failed["error_message"] and named in failed["error_message"], failed["error_message"]
    assert "column" in wrong or "byte" in failed["error_message"]
    assert len(documents(application, run, "findings")) == 1


def test_too_few_rows_to_learn_from_are_said_to_be(application):
    for path in (application.data / "tables").glob("*.csv"):
        path.write_text(HEADER + '\n1,0,3,"Passenger 1, Mr.",male,22,1,0,A 1,7.25,,S\n', encoding="ascii")
    run = application.json("run", "workflow.yaml", "--set", "defaults.retries=0", status=1)
    failed = [record for record in application.records(run["run"], "train/0") if record["status"] != "ok"]
    assert failed[0]["error_type"] == "Titanic.TooFewRows" and "too few" in failed[0]["error_message"]


@pytest.mark.parametrize("setting", ["trees=0", "depth=0", "threads=0", "trees=4294967297", "threads=100000"])
def test_a_bad_parameter_is_named(application, setting):
    run = application.json("run", "workflow.yaml", "--set", f"stages.train.params.{setting}", "--set", "defaults.retries=0", status=1)
    failed = [record for record in application.records(run["run"], "train/0") if record["status"] != "ok"]
    assert setting.split("=")[0] in failed[0]["error_message"]
