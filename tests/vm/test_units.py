# SPDX-License-Identifier: Apache-2.0
"""The unit tests that need real control groups, on cgroup v2."""
import os
import re
import subprocess

import pytest

from conftest import BUILD

PROGRAMS = [
    ("test_energy_ebpf", {}), ("test_energy_ebpf_hidden", {}),
    ("test_host_cgroup_live", {}), ("test_host_scope", {}),
    ("test_runtime_sandbox", {}), ("test_runtime_sandbox", {"SANDBOX_TEST_AS": "user"}),
    ("test_runtime_sandbox_life", {}), ("test_runtime_sandbox_life", {"SANDBOX_TEST_AS": "user"}),
    ("test_runtime_sandbox_plain", {"SANDBOX_TEST_AS": "plain"}),
]
AS_ROOT_NOTHING_IS_SKIPPED = {"test_energy_ebpf", "test_energy_ebpf_hidden", "test_host_cgroup_live", "test_runtime_sandbox", "test_runtime_sandbox_life"}

NEEDS_V1 = {"what_cannot_be_ended_keeps_its_user_and_its_tmp"}  # a process that v2 has frozen can be killed: make test has it


@pytest.mark.parametrize("program, env", PROGRAMS, ids=[" ".join([name, *env.values()]) for name, env in PROGRAMS])
def test_unit_tests_pass(program, env):
    done = subprocess.run([BUILD / "tests" / "unit" / program], capture_output=True, text=True, timeout=240, check=False,
                          env={**os.environ, "SANDBOX_PAYLOAD": str(BUILD / "tests" / "unit" / "payload"), **env})
    failed = [line for line in (done.stdout + done.stderr).splitlines() if not re.match(r"\[ *(RUN|OK) ", line)]
    assert done.returncode == 0, "\n".join(failed)
    if program in AS_ROOT_NOTHING_IS_SKIPPED and not env:
        assert set(re.findall(r"\[  SKIPPED \] (\w+)$", done.stdout + done.stderr, re.MULTILINE)) <= NEEDS_V1, "\n".join(failed)
