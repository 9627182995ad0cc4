# SPDX-License-Identifier: Apache-2.0
"""scripts/check-imports: this tree is in order, and each thing it is there to find is found in a small made tree."""
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
GUARD = "#pragma once\n"


def check(root):
    return subprocess.run([ROOT / "scripts/check-imports", str(root)], capture_output=True, text=True, timeout=120,
                          check=False)


@pytest.fixture
def tree(tmp_path):
    """Makes a tree of the modules low, high and the given files."""
    def make(files):
        files = {"src/meson.build": "modules = [\n  'base', 'low', 'high',\n]\n", **files}
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path
    return make


def test_this_tree_is_in_order():
    result = check(ROOT)
    assert (result.returncode, result.stdout) == (0, ""), result.stdout + result.stderr


def test_downward_imports_pass(tree):
    root = tree({"src/low/low.h": GUARD, "src/high/high.h": GUARD + '#include "low/low.h"\n',
                 "src/cli/main.c": '#include "high/high.h"\n', "src/base/json.h": GUARD + "#include <jansson.h>\n"})
    result = check(root)
    assert (result.returncode, result.stdout) == (0, ""), result.stdout + result.stderr


def test_an_upward_import_is_found(tree):
    result = check(tree({"src/high/high.h": GUARD, "src/low/low.c": '\n#include "high/high.h"\n'}))
    assert result.returncode == 1
    assert result.stdout == "low/low.c:2: \"high/high.h\" is an upward import: 'high' comes after 'low'\n"


def test_a_cycle_between_headers_is_found(tree):
    result = check(tree({"src/low/a.h": GUARD + '#include "low/b.h"\n', "src/low/b.h": GUARD + '#include "low/c.h"\n',
                         "src/low/c.h": GUARD + '#include "low/a.h"\n'}))
    assert result.returncode == 1
    assert result.stdout == "low/a.h:1: headers include each other: low/a.h -> low/b.h -> low/c.h -> low/a.h\n"


@pytest.mark.parametrize("header, place", [
    ("jansson.h", "low/low.c"), ("libfyaml.h", "base/yaml.h"), ("event2/event.h", "low/low.c"),
    ("sqlite3.h", "base/base.c"), ("openssl/evp.h", "base/other.c")])
def test_a_library_outside_its_place_is_found(tree, header, place):
    result = check(tree({f"src/{place}": f"#include <{header}>\n"}))
    assert result.returncode == 1
    assert f"{place}:1: <{header}> may be included by " in result.stdout


def test_a_header_that_needs_another_before_it_is_found(tree):
    result = check(tree({"src/low/low.h": GUARD + "size_t fw_low_count(void);\n"}))
    assert result.returncode == 1
    assert result.stdout.startswith("low/low.h:1: does not compile on its own: ")


def test_the_sdk_of_functions_uses_no_other_module(tree):
    result = check(tree({"src/base/error.h": GUARD, "src/function/sdk.c": '#include "base/error.h"\n'}))
    assert result.returncode == 1
    assert "function/sdk.c:1: 'function' stands apart" in result.stdout


def test_a_directory_that_is_no_module_is_found(tree):
    result = check(tree({"src/stray/stray.c": ""}))
    assert result.returncode == 1
    assert "stray/:1: not in the list of modules" in result.stdout
