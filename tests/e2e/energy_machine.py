# SPDX-License-Identifier: Apache-2.0
"""Machines whose energy is known, for whoever runs something on them: by the simulator, which knows the truth, and by a
layout of tests/fixtures/energy."""
import contextlib
import json
import os
import sys
import threading

import pytest
from conftest import BUILD, SOURCE

sys.path.insert(0, str(SOURCE / "tests/tools"))
from energy_truth import Machine  # noqa: E402

WORKFLOW = """
    name: energy
    storage: ./data
    function: {package: ./functions}
    defaults: {memory: 1769, timeout: 30, retries: 0}
    stages:
      burn: {handler: burn, workers: 4, params: {cpu_ms: 300}}
"""


@contextlib.contextmanager
def known_machine(directory, **options):
    """A simulator that runs (options are its command line's); the test is skipped where switches of CPUs cannot be seen."""
    machine = Machine(BUILD, directory, **options)
    try:
        machine.__enter__()
    except RuntimeError as reason:
        if machine.process.returncode == 3:
            pytest.skip(f"switches of CPUs cannot be seen here: {reason}")
        raise
    try:
        yield machine
    finally:
        if machine.process.returncode is None:
            machine.__exit__()


@contextlib.contextmanager
def fixture_machine(name, root, watts):
    """The files of tests/fixtures/energy/NAME; energy_uj of each zone rises by so many watts meanwhile."""
    files = json.loads((SOURCE / "tests/fixtures/energy" / name / "expected.json").read_text())["change"]["files"]
    for top, directories, names in os.walk(SOURCE / "tests/fixtures/energy" / name, followlinks=False):
        target = root / os.path.relpath(top, SOURCE / "tests/fixtures/energy" / name)
        target.mkdir(parents=True, exist_ok=True)
        for link in (entry for entry in [*directories, *names] if os.path.islink(os.path.join(top, entry))):
            (target / link).symlink_to(os.readlink(os.path.join(top, link)))
        for file in (entry for entry in names if not os.path.islink(os.path.join(top, entry))):
            (target / file).write_bytes(open(os.path.join(top, file), "rb").read())
    done, step_s = threading.Event(), 0.002

    def rise():
        joules = 0.0
        while not done.wait(step_s):
            joules += watts * step_s
            for path in (root / file for file in files if file.endswith("energy_uj")):
                with open(path, "r+") as counter:
                    counter.write(f"{5_500_000 + int(joules * 1e6):<20}\n")
    thread = threading.Thread(target=rise, daemon=True)
    thread.start()
    try:
        yield root
    finally:
        done.set()
        thread.join(10)
