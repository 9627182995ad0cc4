# SPDX-License-Identifier: Apache-2.0
"""The slow tier uses what the end-to-end tests use."""
import importlib.util
import pathlib
import sys

_path = pathlib.Path(__file__).resolve().parents[1] / "e2e" / "conftest.py"
_spec = importlib.util.spec_from_file_location("e2e", _path)
e2e = sys.modules["e2e"] = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(e2e)
sys.path.insert(0, str(_path.parents[1] / "tools"))

globals().update({name: value for name, value in vars(e2e).items() if not name.startswith("__")})
