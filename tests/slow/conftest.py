# SPDX-License-Identifier: Apache-2.0
"""The slow tier uses what the end-to-end tests use."""
import importlib.util
import pathlib
import sys

_path = pathlib.Path(__file__).resolve().parents[1] / "e2e" / "conftest.py"
_spec = importlib.util.spec_from_file_location("e2e", _path)
e2e = sys.modules["e2e"] = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(e2e)

flexwatt, functions, nothing_stays_behind = e2e.flexwatt, e2e.functions, e2e.nothing_stays_behind
