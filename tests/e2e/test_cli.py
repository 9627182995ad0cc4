# SPDX-License-Identifier: Apache-2.0
"""The command line itself: help, usage errors, streams."""
import subprocess

import pytest

from conftest import BINARY

COMMANDS = ["run", "check", "runs", "show", "measure", "monitors"]


def test_help_lists_every_command(flexwatt):
    text = flexwatt("--help").stdout
    for command in COMMANDS:
        assert f"flexwatt {command} " in text


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(flexwatt, command):
    text = flexwatt(command, "--help").stdout
    assert text.startswith(f"flexwatt {command}")
    assert all(line == line.rstrip() for line in text.splitlines())
    assert "example:\n  flexwatt " + command in text


def test_no_command_is_wrong_usage(flexwatt):
    done = flexwatt(status=2)
    assert done.stdout == "" and "flexwatt run" in done.stderr


@pytest.mark.parametrize("arguments, message, hint", [
    (["rnu"], "error: unknown command 'rnu'", "did you mean 'flexwatt run'?"),
    (["run"], "run: WORKFLOW is missing", "flexwatt run WORKFLOW"),
    (["run", "w.yaml", "--jsno"], "run: unknown option --jsno", "did you mean --json?"),
    (["run", "a", "b"], "run: too many arguments", ""),
    (["run", "w.yaml", "--memory", "lots"], "--memory needs a whole number of 1 or more, not 'lots'", ""),
    (["run", "w.yaml", "--storage"], "run: --storage needs an argument", ""),
    (["run", "w.yaml", "--from", "a"], "--from goes with --resume", ""),
    (["show"], "show: RUN is missing", ""),
    (["runs", "remove"], "runs: unknown word 'remove'", "runs rm RUN"),
    (["runs", "rm"], "runs rm: RUN is missing", "flexwatt runs lists them"),
    (["runs", "prune"], "say which runs may go", "--keep N"),
    (["runs", "prune", "--older", "soon"], "--older 'soon' is not an age", "--older 30d"),
    (["runs", "--keep", "3"], "--keep and --older go with prune", ""),
])
def test_wrong_usage_is_one_error_with_a_hint(flexwatt, arguments, message, hint):
    done = flexwatt(*arguments, status=2)
    assert done.stdout == ""
    assert message in done.stderr and hint in done.stderr
    assert done.stderr.count("error:") == 1


def test_no_runs_yet_is_no_error(flexwatt):
    assert flexwatt("runs").stdout == "no runs yet\n"
    assert flexwatt.json("runs") == []
    assert not flexwatt.store.exists()


def test_show_without_a_store_says_what_makes_one(flexwatt):
    done = flexwatt("show", "k3f", status=3)
    assert "flexwatt run WORKFLOW makes the store" in done.stderr


def test_a_full_standard_output_is_an_error(flexwatt):
    with open("/dev/full", "w") as full:
        done = subprocess.run([BINARY, "--help"], env=flexwatt.env, stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 3 and "standard output" in done.stderr
