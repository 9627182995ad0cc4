# SPDX-License-Identifier: Apache-2.0
"""Functions whose program cannot be started: known before the run where it can be, else told once, with the remedy."""
import os
import shutil
import subprocess

import pytest

WORKFLOW = """
    name: start
    storage: ./data
    function: {package: ./broken}
    defaults: {memory: 128, retries: 5}
    stages:
      only: {workers: 1}
"""


def loader_of(program):
    """The interpreter that an ELF file names."""
    return next(word.rstrip("]") for line in subprocess.check_output(["readelf", "-l", program], text=True).splitlines()
                if "program interpreter" in line for word in line.split() if word.startswith("/"))


def program_without_its_loader(path):
    """A real program whose loader is named otherwise, by as many letters."""
    data = open("/bin/true", "rb").read()
    loader = loader_of("/bin/true").encode()
    path.write_bytes(data.replace(loader, b"/" + b"n" * (len(loader) - 1), 1))
    path.chmod(0o755)
    return "/" + "n" * (len(loader) - 1)


@pytest.mark.parametrize("kind", ["script", "script_with_windows_line_ends", "elf", "interpreter_of_the_package"])
def test_an_interpreter_that_is_not_there_is_told_before_anything_starts(flexwatt, kind):
    flexwatt.package("broken", {"script_with_windows_line_ends": "#!/bin/sh\r\n",
                                "interpreter_of_the_package": "#!/var/task/bin/python\n"}.get(kind, "#!/no/such/python\n"))
    interpreter = {"script": "/no/such/python", "script_with_windows_line_ends": r"/bin/sh\r",
                   "interpreter_of_the_package": "/var/task/bin/python"}.get(kind)
    if kind == "elf":
        interpreter = program_without_its_loader(flexwatt.directory / "broken" / "bootstrap")
    flexwatt.workflow(WORKFLOW)
    for command in ("check", "run"):
        done = flexwatt(command, "workflow.yaml", status=2)
        assert f"package './broken': bootstrap cannot start: its interpreter {interpreter} is not there" in done.stderr
        assert "workflow.yaml:4:21" in done.stderr and "hint: " in done.stderr
    assert not flexwatt.store.exists()


def test_an_interpreter_of_the_package_is_found_there(flexwatt):
    flexwatt.package("broken", "#!/var/task/bin/sh\n")
    (flexwatt.directory / "broken" / "bin").mkdir()
    shutil.copy("/bin/sh", flexwatt.directory / "broken" / "bin" / "sh")
    flexwatt.workflow(WORKFLOW)
    flexwatt("check", "workflow.yaml")


def test_nothing_of_a_python_function_is_executed_while_its_client_is_looked_for(flexwatt):
    """That happens outside of any sandbox, as the user."""
    spy = f"open({str(flexwatt.directory / 'seen')!r}, 'a').write(__name__)\n"
    for module in ("sitecustomize.py", "usercustomize.py", "importlib/__init__.py", "site.py", "encodings/__init__.py"):
        flexwatt.write(f"function/{module}", spy)
    flexwatt.workflow("""
        name: start
        storage: ./data
        function: {python: {path: ./function, interpreter: /usr/bin/python3}, handler: main.handle}
        stages:
          only: {workers: 1, retries: 0, payload: {}}
    """)
    flexwatt.write("function/main.py", spy + "def handle(event, context): pass\n")
    flexwatt("run", "workflow.yaml", status=1)  # in the sandbox there is no place for it to write to
    assert not (flexwatt.directory / "seen").exists()
    shutil.rmtree(flexwatt.directory / "function")
    flexwatt.write("function/main.py", "def handle(event, context): pass\n")
    flexwatt.write("function/awslambdaric/__init__.py", "")
    flexwatt("run", "workflow.yaml", status=1)  # it is found there, and is no client


def only_failure(flexwatt):
    run = flexwatt.json("run", "workflow.yaml", status=1)["run"]
    record, = flexwatt.records(run)
    assert (record["status"], record["error_type"]) == ("function_error", "Runtime.InvalidEntrypoint"), record
    return record["error_message"]


@pytest.mark.skipif(os.geteuid() != 0, reason="where there are no namespaces the interpreter is seen")
def test_an_interpreter_that_functions_do_not_see_fails_at_once(flexwatt):
    """It is on this machine, so that it could be anything; five retries would meet it again."""
    interpreter = flexwatt.directory / "python"
    shutil.copy("/bin/sh", interpreter)
    flexwatt.package("broken", f"#!{interpreter}\n")
    flexwatt.workflow(WORKFLOW)
    message = only_failure(flexwatt)
    assert f"its interpreter {interpreter} is not there" in message and "functions see" in message


def test_what_is_no_program_fails_at_once(flexwatt):
    flexwatt.package("broken", "neither\n")
    flexwatt.workflow(WORKFLOW)
    message = only_failure(flexwatt)
    assert "it is neither a program nor a script" in message and "begins with #!" in message


def test_an_interpreter_that_may_not_be_executed_fails_at_once(flexwatt):
    flexwatt.package("broken", "#!/etc/passwd\n")
    flexwatt.workflow(WORKFLOW)
    assert "cannot start" in only_failure(flexwatt)
