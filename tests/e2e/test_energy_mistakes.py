# SPDX-License-Identifier: Apache-2.0
"""docs/energy-mistakes.md and the tests named mistake_NN_… tell of the same."""
import re
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2]
NAME = r"mistake_(\d\d)_\w+"


def rows():
    """Number, cells and named tests of each row of the page."""
    for line in (SOURCE / "docs/energy-mistakes.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if cells[0].isdigit():
            yield int(cells[0]), cells, re.findall(rf"`({NAME})`", cells[-1])


def defined():
    """Tests that are run: of C those in a list of tests, of Python those that pytest collects."""
    names = set()
    for path in (SOURCE / "tests").rglob("test_*.c"):
        text = path.read_text()
        listed = re.findall(r"(?:FW_TESTS|FW_TEST_MAP)\((.*)\)", text, re.S) + re.findall(r"cmocka_unit_test\w*\((\w+)", text)
        names |= {found[0] for text in listed for found in re.finditer(NAME, text)}
    for path in (SOURCE / "tests").rglob("test_*.py"):
        names |= {found[1] for found in re.finditer(rf"^def test_({NAME})\(", path.read_text(), re.M)}
    return names


def test_every_row_has_tests_that_exist_and_bear_its_number():
    for number, cells, tests in rows():
        assert len(cells) == 5 and all(cells), f"row {number} is not whole"
        assert tests, f"row {number} names no test"
        for name, digits in tests:
            assert int(digits) == number, f"row {number} names {name}"
            assert name in defined(), f"row {number}: no test {name}"


def test_every_test_of_a_mistake_has_its_row():
    told = {name for _, _, tests in rows() for name, _ in tests}
    missing = defined() - told
    assert not missing, f"docs/energy-mistakes.md has no row with {', '.join(sorted(missing))}"


def test_all_mistakes_are_there_once_and_in_order():
    assert [number for number, _, _ in rows()] == list(range(1, 36))
