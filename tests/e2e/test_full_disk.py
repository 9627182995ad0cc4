# SPDX-License-Identifier: Apache-2.0
"""A disk with no space left is told as what it is."""
import os
import subprocess

import pytest

from conftest import BINARY, DEADLINE_S


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
