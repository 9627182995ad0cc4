# SPDX-License-Identifier: Apache-2.0
"""The ML application as far as it goes without LightGBM: its data, its components, what it says of bad data and of what is missing."""
import math
import shutil
import struct
import subprocess

import pytest

from conftest import BUILD, SOURCE

EXAMPLE = BUILD / "examples/ml"
PCA = """
    name: components
    storage: ./data
    function: {package: ./functions}
    stages:
      pca:
        inputs:  {digits: {keys: "digits/train.tsv"}}
        outputs: {components: {suffix: .npy}, vectors: {suffix: .npy}}
        params:  {components: 2}
        retries: 0
"""


@pytest.fixture
def application(flexwatt):
    shutil.copy(SOURCE / "examples/ml/workflow.yaml", flexwatt.directory)
    (flexwatt.directory / "functions").mkdir()
    shutil.copy(EXAMPLE / "functions/bootstrap", flexwatt.directory / "functions")
    (flexwatt.data / "digits").mkdir()
    return flexwatt


def drawn(rows, seed):
    return subprocess.run([EXAMPLE / "ml-digits", str(rows), str(seed)], check=True, capture_output=True, timeout=60).stdout


def failure(flexwatt, run, task):
    return next(record for record in flexwatt.records(run["run"], task) if record["status"] != "ok")


def table(data):
    """Rows of a .npy of float64."""
    header = data[10:128].decode()
    rows, columns = map(int, header[header.index("(") + 1:header.index(")")].split(","))
    numbers = struct.unpack(f"<{rows * columns}d", data[128:])
    return [numbers[i:i + columns] for i in range(0, len(numbers), columns)]


def test_the_same_seed_draws_the_same_digits_and_more_rows_begin_with_the_fewer():
    rows = drawn(300, 42)
    assert drawn(300, 42) == rows and drawn(300, 43) != rows and drawn(500, 42).startswith(rows)
    cells = [line.split(b"\t") for line in rows.splitlines()]
    assert {len(line) for line in cells} == {785}
    assert {int(line[0]) for line in cells} == set(range(10))
    assert all(0 <= int(cell) <= 255 for line in cells for cell in line[1:])
    assert 0.05 < sum(int(cell) > 127 for line in cells for cell in line[1:]) / (300 * 784) < 0.4


def test_components_of_a_known_cloud_are_its_axes(application):
    """Points along (3, 4) / 5 with a little across: the mean, both variances and both directions are known."""
    cloud = [(10 + 0.6 * along - 0.8 * across, 20 + 0.8 * along + 0.6 * across)
             for along, across in [(-5, 0), (5, 0), (0, -1), (0, 1)]]
    application.write("data/digits/train.tsv", "".join(f"{i}\t{x!r}\t{y!r}\n" for i, (x, y) in enumerate(cloud)))
    application.workflow(PCA)
    run = application.json("run", "workflow.yaml")
    outputs = {key.split("/")[2]: table(data) for key, data in application.outputs(run["run"]).items() if key.endswith(".npy")}
    (total, *mean), (first, *along), (second, *across) = outputs["vectors"]
    assert mean == pytest.approx([10, 20]) and total == pytest.approx(first + second)
    assert first == pytest.approx(50 / 3) and second == pytest.approx(2 / 3)
    assert along == pytest.approx([0.6, 0.8]) and across == pytest.approx([0.8, -0.6])
    assert [row[0] for row in outputs["components"]] == [0, 1, 2, 3]
    assert [row[1] for row in outputs["components"]] == pytest.approx([-5, 5, 0, 0], abs=1e-9)
    record, = application.records(run["run"], "pca/0")
    assert record["units"] == 4 and math.isclose(record["metrics"]["variance_kept"], 1)


@pytest.mark.parametrize("text, where", [
    ("1\t2\t3\n4\tinky\t6\n", "row 2, column 2, byte 8: 'inky' is no number"),
    ("1\t2\t3\n4\t\t6\n", "row 2, column 2, byte 8: '' is no number"),
    ("1\t2\t3\n4\tnan\t6\n", "row 2, column 2, byte 8: 'nan' is no number"),
    ("1\t2\t3\n4\t1e999\t6\n", "row 2, column 2, byte 8: '1e999' is no number"),
    ("1\t2\t3\n4\t5\n1\t2\t3\n", "row 2, byte 6: 2 cells, the first row has 3"),
    ("1\t2\t3\n4\t5\t6\t7\n", "row 2, byte 6: 4 cells, the first row has 3"),
    ("1\t2\t3\n\n4\t5\t6\n", "row 2, byte 6: 1 cells, the first row has 3"),
    ("1\t2\t3\n10\t5\t6\n", "row 2, column 1, byte 6: '10' is no label"),
    ("1\t2\t3\n-1\t5\t6\n", "row 2, column 1, byte 6: '-1' is no label"),
    ("1\t2\t3\n1.5\t5\t6\n", "row 2, column 1, byte 6: '1.5' is no label"),
    ("", "byte 0: it is empty"),
    ("7\n8\n", "row 1, byte 0: one cell"),
])
def test_bad_data_is_named_by_object_and_byte(application, text, where):
    (application.data / "digits/train.tsv").write_text(text)
    application.workflow(PCA)
    record = failure(application, application.json("run", "workflow.yaml", status=1), "pca/0")
    assert record["error_type"] == "ML.BadData"
    assert "digits/train.tsv: " in record["error_message"] and where in record["error_message"]


def test_line_ends_of_windows_and_no_last_one_are_read(application):
    (application.data / "digits/train.tsv").write_bytes(b"1\t2\t3\r\n4\t5.5\t-6e1\r\n7\t8\t9")
    application.workflow(PCA)
    run = application.json("run", "workflow.yaml")
    assert [record["units"] for record in application.records(run["run"], "pca/0")] == [3]


@pytest.mark.parametrize("components", [0, -1, 3])
def test_more_components_than_columns_cannot_be(application, components):
    (application.data / "digits/train.tsv").write_text("1\t2\t3\n4\t5\t6\n7\t8\t0\n")
    application.workflow(PCA)
    run = application.json("run", "workflow.yaml", "--set", f"stages.pca.params.components={components}", status=1)
    record = failure(application, run, "pca/0")
    assert record["error_type"] == "ML.BadParameter" and f"components: {components} " in record["error_message"]


def components(application, rows):
    application.write("data/digits/train.tsv", "".join("\t".join(map(str, row)) + "\n" for row in rows))
    application.workflow(PCA)
    run = application.json("run", "workflow.yaml")
    outputs = {key.split("/")[2]: table(data) for key, data in application.outputs(run["run"]).items() if key.endswith(".npy")}
    return run, outputs["vectors"], outputs["components"]


def test_columns_that_never_change_have_no_part_in_the_components(application):
    rows = [(0, 5, 1, 7), (1, 5, 2, 7), (2, 5, 4, 7), (3, 5, 9, 7)]
    _, ((total, *mean), (first, *vector), (second, *_)), found = components(application, rows)
    assert mean == pytest.approx([5, 4, 7]) and total == pytest.approx(first) == pytest.approx(38 / 3)
    assert vector == pytest.approx([0, 1, 0], abs=1e-12) and second == pytest.approx(0, abs=1e-9)
    assert [row[1] for row in found] == pytest.approx([-3, -2, 0, 5])


def test_rows_that_are_all_the_same_have_components_of_nothing(application):
    run, vectors, found = components(application, [(label, 4, 5, 6) for label in range(3)])
    assert [row[0] for row in vectors] == pytest.approx([0, 0, 0], abs=1e-12)
    assert [cell for row in found for cell in row[1:]] == pytest.approx([0] * 6, abs=1e-9)
    record, = application.records(run["run"], "pca/0")
    assert record["metrics"]["variance_kept"] == 1


def test_fewer_rows_than_columns_have_no_more_components_than_rows_less_one(application):
    _, ((total, *_), (first, *_), (second, *_)), found = components(application, [(1, 0, 0, 0, 0, 3), (2, 2, 0, 0, 0, 3)])
    assert total == pytest.approx(first) == pytest.approx(2) and second == pytest.approx(0, abs=1e-9)
    assert [row[1] for row in found] == pytest.approx([-1, 1])


def test_one_row_has_no_components_and_its_object_is_named(application):
    (application.data / "digits/train.tsv").write_text("1\t2\t3\n")
    application.workflow(PCA)
    record = failure(application, application.json("run", "workflow.yaml", status=1), "pca/0")
    assert record["error_type"] == "ML.BadData" and "digits/train.tsv: it has one row" in record["error_message"]


def test_without_lightgbm_the_error_says_what_to_do(application):
    for name in ("train", "test"):
        (application.data / f"digits/{name}.tsv").write_bytes(drawn(200, 1))
    run = application.json("run", "workflow.yaml", "--set", "defaults.retries=0", status=1)
    record = failure(application, run, "train/0")
    assert record["error_type"] == "ML.NoLightGBM"
    assert "lib_lightgbm.so" in record["error_message"] and "scripts/lightgbm" in record["error_message"]


def test_a_second_object_is_refused_and_named(application):
    for name in ("a", "b"):
        (application.data / f"digits/{name}.tsv").write_text("1\t2\t3\n4\t5\t6\n7\t8\t0\n")
    application.workflow(PCA.replace("train.tsv", "*.tsv"))
    record = failure(application, application.json("run", "workflow.yaml", status=1), "pca/0")
    assert record["error_type"] == "ML.BadData" and "digits/b.tsv: " in record["error_message"]
