# SPDX-License-Identifier: Apache-2.0
"""A disk with no space left is told as what it is, and so is one that makes nothing durable."""
import os
import pathlib
import subprocess

import pytest

from conftest import BINARY, DEADLINE_S, events_of, wait_until


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
def test_a_package_that_does_not_fit_beside_the_store_is_told(flexwatt):
    flexwatt.package("functions", "#!/bin/sh\n" + "# padding\n" * 60000)
    flexwatt.workflow("""
        name: full
        storage: ./data
        function: {package: ./functions}
        stages: {first: {payload: {}}}
    """)
    disk = flexwatt.directory / "disk"
    disk.mkdir()
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", 'mount -t tmpfs -o size=512k tmpfs "$1" && exec "$2" run workflow.yaml', "sh", disk, BINARY],
        env={**flexwatt.env, "FLEXWATT_STORE": str(disk / "s.db")}, cwd=flexwatt.directory, capture_output=True, text=True,
        timeout=DEADLINE_S)
    assert done.returncode == 3 and "'bootstrap': write its copy: No space left on device" in done.stderr, done.stderr


def test_a_log_that_cannot_be_made_durable_is_told_once_and_the_run_goes_on(flexwatt, functions):
    flexwatt.workflow("""
        name: durable
        storage: ./data
        function: {package: ./functions}
        stages: {wait: {handler: make, workers: 4, memory: 1024, outputs: {out: {suffix: .txt}}, params: {count: 1, pause_ms: 1200}}}
    """)
    process = flexwatt.start("run", "workflow.yaml")
    wait_until(lambda: any(event["event"] == "started" for event in events_of(flexwatt)))
    log = pathlib.Path(f"{flexwatt.store}-wal")
    log.rename(log.with_name("kept"))
    log.symlink_to(log.name)  # cannot be opened
    try:
        output, errors = process.communicate(timeout=DEADLINE_S)
    finally:
        process.kill()
    assert process.returncode == 0, errors
    assert errors.count("warning: a power loss may cost more than the last second: ") == 1, errors
    assert "Too many levels of symbolic links" in errors
