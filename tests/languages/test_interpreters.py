# SPDX-License-Identifier: Apache-2.0
"""An interpreter and its environment are found and readable in the sandbox wherever they lie, for root and for a normal user;
what cannot be is said with what to do."""
import json
import os
import pathlib
import shutil
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[0:0] = [str(ROOT / "tests/e2e"), str(ROOT / "tests/languages")]
from conftest import BINARY, DEADLINE_S, Flexwatt, events_of, nothing_stays_behind  # noqa: E402,F401

NOBODY = 65534
SYSTEM = pathlib.Path("/usr/bin/python3")
FUNCTION = '''
import subprocess
import sys

import installed_there


def handler(event, context):
    child = subprocess.run([sys.executable, "-c", "import installed_there; print(installed_there.PLACE)"], capture_output=True, text=True)
    return {"place": installed_there.PLACE, "prefix": sys.prefix, "child": child.stdout.strip(), "stderr": child.stderr[-500:]}
'''

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root's functions run as another user")


def version():
    return subprocess.run([SYSTEM, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"], capture_output=True, text=True,
                          check=True).stdout.strip()


def make_python(prefix):
    """A Python of its own at this prefix, as pyenv and uv have them; the system's, copied."""
    name = f"python{version()}"
    (prefix / "bin").mkdir(parents=True)
    shutil.copy(os.path.realpath(SYSTEM), prefix / "bin" / name)
    (prefix / "bin/python3").symlink_to(name)
    shutil.copytree(f"/usr/lib/{name}", prefix / "lib" / name, symlinks=False, ignore_dangling_symlinks=True,
                    ignore=shutil.ignore_patterns("test", "tests", "idlelib", "ensurepip", "__pycache__", "sitecustomize.py"))
    return prefix / "bin/python3"


def make_venv(directory, python):
    subprocess.run([python, "-m", "venv", "--without-pip", "--symlinks", directory], check=True, timeout=60)
    return directory / "bin/python3"


def install(python, directory=None):
    """Puts a module where this interpreter looks for packages."""
    site = directory or pathlib.Path(subprocess.run(
        [python, "-I", "-c", "import site, sys; print([p for p in site.getsitepackages() if p.startswith(sys.prefix)][0])"],
        capture_output=True, text=True, check=True).stdout.strip())
    site.mkdir(parents=True, exist_ok=True)
    (site / "installed_there.py").write_text(f"PLACE = {str(site)!r}\n")
    return site


class Layout:
    def __init__(self, flexwatt):
        self.flexwatt = flexwatt
        self.home = flexwatt.directory / "home"
        self.home.mkdir()
        self.prefix = self.home / ".pyenv/versions" / version()

    def run(self, interpreter, status=0, **options):
        self.flexwatt.write("code/app.py", FUNCTION)
        python = {"path": "./code", **({"interpreter": str(interpreter)} if interpreter else {})}
        self.flexwatt.workflow(json.dumps({"name": "layout", "storage": "./data", "stages": {"only": {
            "function": {"python": python, "handler": "app.handler"}, "payload": {}, "retries": 0, "memory": 256}}}))
        done = self.flexwatt("run", "workflow.yaml", status=status, **options)
        results = [event["result"] for event in events_of(self.flexwatt) if event.get("result") is not None]
        return results[0] if results else done


@pytest.fixture
def layout(tmp_path):
    return Layout(Flexwatt(tmp_path))


def works(layout, python, site, **options):
    found = layout.run(python, **options)
    assert found == {"place": str(site), "prefix": found["prefix"], "child": str(site), "stderr": ""}
    assert site.is_relative_to(found["prefix"])


def pyenv(layout):
    return make_python(layout.prefix)


def venv_of_the_system(layout):
    return make_venv(layout.home / "venv", SYSTEM)


def venv_of_pyenv(layout):
    return make_venv(layout.home / "project/.venv", make_python(layout.prefix))


def uv(layout):
    """Behind a directory that is a link, as uv names its versions."""
    store = layout.home / ".local/share/uv/python"
    make_python(store / "cpython-3.99.9-linux")
    (store / "cpython-3.99-linux").symlink_to("cpython-3.99.9-linux")
    return make_venv(layout.home / "project/.venv", store / "cpython-3.99-linux/bin/python3")


def linked_from_elsewhere(layout):
    """~/bin/python3, a link to a link."""
    python = make_python(layout.prefix)
    (layout.home / "bin").mkdir()
    (layout.home / "bin/python3.99").symlink_to(python)
    (layout.home / "bin/python3").symlink_to("python3.99")
    return layout.home / "bin/python3"


LAYOUTS = [pyenv, venv_of_the_system, venv_of_pyenv, uv, linked_from_elsewhere]


@pytest.mark.parametrize("make", LAYOUTS)
def test_it_is_found_below_a_private_home(layout, make):
    python = make(layout)
    site = install(python)
    layout.home.chmod(0o700)
    works(layout, python, site)


@as_root
@pytest.mark.parametrize("make", LAYOUTS)
def test_what_only_its_owner_may_read_is_shown_as_his(layout, make):
    """As after an installation under umask 077."""
    python = make(layout)
    site = install(python)
    subprocess.run(["chmod", "-R", "go-rwx", layout.home], check=True)
    works(layout, python, site)


@as_root
def test_a_single_package_that_only_its_owner_may_read_is_shown_as_his(layout):
    python = venv_of_pyenv(layout)
    site = install(python)
    (site / "installed_there.py").chmod(0o600)
    works(layout, python, site)


@as_root
@pytest.mark.parametrize("make", LAYOUTS)
def test_a_normal_user_runs_what_is_in_his_own_home(layout, make):
    if layout.flexwatt.directory.parent.parent.stat().st_mode & 0o005 != 0o005:
        for parent in list(layout.flexwatt.directory.parents)[:2]:
            parent.chmod(0o755)
    layout.flexwatt.directory.chmod(0o755)
    python = make(layout)
    site = install(python)
    layout.home.chmod(0o700)
    place = layout.flexwatt.directory / "program"
    for part in "cli/flexwatt", "function/flexwatt-command":
        (place / part).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(BINARY.parents[1] / part, place / part)
    shutil.copytree(ROOT / "data", place / "data")
    layout.flexwatt.write("code/app.py", FUNCTION)
    subprocess.run(["chown", "-R", f"{NOBODY}:{NOBODY}", layout.flexwatt.directory], check=True)
    layout.flexwatt.env.update(FLEXWATT_DATA=str(place / "data"), FLEXWATT_LIBEXEC=str(place / "function"), HOME=str(layout.home))
    layout.flexwatt.workflow(json.dumps({"name": "layout", "storage": "./data", "stages": {"only": {
        "function": {"python": {"path": "./code", "interpreter": str(python)}, "handler": "app.handler"}, "payload": {},
        "retries": 0, "memory": 256}}}))
    done = subprocess.run([place / "cli/flexwatt", "run", "workflow.yaml"], env=layout.flexwatt.env, cwd=layout.flexwatt.directory,
                          user=NOBODY, group=NOBODY, extra_groups=[], capture_output=True, text=True, timeout=DEADLINE_S)
    found = [event["result"] for event in events_of(layout.flexwatt) if event.get("result") is not None]
    subprocess.run(["chown", "-R", "0:0", layout.flexwatt.directory], check=True)
    assert done.returncode == 0 and [one["place"] for one in found] == [str(site)] == [one["child"] for one in found], done.stderr


def test_the_active_environment_is_taken(layout):
    python = venv_of_the_system(layout)
    layout.flexwatt.env["VIRTUAL_ENV"] = str(python.parents[1])
    works(layout, None, install(python))


def test_else_the_first_python_in_path_also_where_that_only_finds_another(layout):
    """pyenv's shims are scripts that look around in HOME and PATH."""
    python = pyenv(layout)
    shim = layout.flexwatt.write("home/.pyenv/shims/python3", f'#!/bin/sh\nexec "$HOME/{python.relative_to(layout.home)}" "$@"\n', 0o755)
    layout.flexwatt.env.pop("VIRTUAL_ENV", None)
    layout.flexwatt.env.update(HOME=str(layout.home), PATH=f"{shim.parent}:{layout.flexwatt.env['PATH']}")
    works(layout, None, install(python))


def test_an_editable_installation_is_found(layout):
    python = venv_of_the_system(layout)
    source = install(None, layout.home / "src/package")
    (install(python) / "editable.pth").write_text(f"{source}\n")
    (install(python) / "installed_there.py").unlink()
    layout.home.chmod(0o700)
    found = layout.run(python)
    assert found["place"] == found["child"] == str(source)


def test_an_environment_whose_python_is_gone_is_told(layout):
    python = venv_of_pyenv(layout)
    shutil.rmtree(layout.prefix)
    assert "cannot run" in layout.run(python, status=2).stderr
    layout.flexwatt.env["VIRTUAL_ENV"] = str(python.parents[1])
    done = layout.run(None, status=3)
    assert f"a link to {layout.prefix}" in done.stderr and "make the virtual environment anew" in done.stderr


@as_root
def test_what_is_anothers_alone_is_told_with_what_to_do(layout):
    python = venv_of_pyenv(layout)
    site = install(python)
    os.chown(site / "installed_there.py", NOBODY, NOBODY)
    (site / "installed_there.py").chmod(0o600)
    done = layout.run(python, status=3)
    os.chown(site / "installed_there.py", 0, 0)
    assert f"{site / 'installed_there.py'} cannot be read by functions" in done.stderr and "chmod -R a+rX" in done.stderr


def test_node_is_found_below_a_private_home_behind_what_only_finds_it(layout):
    """~/.nvm keeps it in a directory of its version; Volta and asdf have a program in PATH that looks for it."""
    if not shutil.which("node"):
        pytest.skip("no node here: scripts/setup languages")
    import languages
    real = subprocess.run(["node", "-p", "process.execPath"], capture_output=True, text=True, check=True).stdout.strip()
    place = layout.home / ".nvm/versions/node/v99.0.0/bin"
    place.mkdir(parents=True)
    shutil.copy(real, place / "node")
    (layout.home / "bin").mkdir()
    (layout.home / "bin/node").write_text(f'#!/bin/sh\nexec "{place}/node" "$@"\n')
    (layout.home / "bin/node").chmod(0o755)
    layout.home.chmod(0o700)
    directory = layout.flexwatt.directory / "code"
    directory.mkdir()
    function = languages.node(directory)
    (directory / "app.js").write_text("exports.handler = async () => process.execPath;\n")
    layout.flexwatt.env["PATH"] = f"{layout.home}/bin:{layout.flexwatt.env['PATH']}"
    layout.flexwatt.workflow(json.dumps({"name": "layout", "storage": "./data", "stages": {"only": {
        "function": function, "payload": {}, "retries": 0}}}))
    layout.flexwatt("run", "workflow.yaml")
    assert [event["result"] for event in events_of(layout.flexwatt) if event.get("result")] == [str(place / "node")]
