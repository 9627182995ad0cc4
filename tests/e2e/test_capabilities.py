# SPDX-License-Identifier: Apache-2.0
"""File capabilities: a user without root reads counters, and nothing else that is not the user's."""
import json
import os
import pathlib
import pwd
import shutil
import subprocess
import tempfile

import pytest

from conftest import BINARY, BUILD, DEADLINE_S, SOURCE

NOBODY = 65534
WITH_SBIN = {**os.environ, "PATH": os.environ["PATH"] + ":/usr/sbin:/sbin"}
SCRIPT = SOURCE / "scripts/install-caps"


@pytest.fixture
def place():
    """A directory that every user can reach, with a copy of the program on a file system that keeps capabilities."""
    if os.geteuid() != 0 or not shutil.which("setcap", path=WITH_SBIN["PATH"]):
        pytest.skip("needs root and setcap")
    with tempfile.TemporaryDirectory(prefix="flexwatt-caps-") as directory:
        top = pathlib.Path(directory)
        top.chmod(0o755)
        shutil.copy(BINARY, top / "flexwatt")
        tried = subprocess.run(["setcap", "cap_bpf=p", top / "flexwatt"], env=WITH_SBIN, capture_output=True, text=True, check=False, timeout=DEADLINE_S)
        if tried.returncode != 0:
            pytest.skip(f"capabilities of files cannot be set here: {tried.stderr.strip()}")
        subprocess.run(["setcap", "-r", top / "flexwatt"], env=WITH_SBIN, check=True, timeout=DEADLINE_S)
        shutil.copytree(SOURCE / "data", top / "share")
        (top / "libexec").mkdir()
        shutil.copy(BUILD / "src/function/flexwatt-command", top / "libexec")
        (top / "home").mkdir()
        os.chown(top / "home", NOBODY, NOBODY)
        yield top


def install(place, *options):
    done = subprocess.run([SCRIPT, *options, place / "flexwatt"], capture_output=True, text=True, timeout=DEADLINE_S)
    assert done.returncode == 0, done.stderr
    told = subprocess.run(["getcap", place / "flexwatt"], capture_output=True, text=True, check=True, timeout=DEADLINE_S,
                          env=WITH_SBIN).stdout.split()
    return done.stdout, told[-1] if told else ""


def as_nobody(place, *arguments, status=0):
    environment = {**os.environ, "FLEXWATT_DATA": str(place / "share"), "FLEXWATT_STORE": str(place / "home/store.db"),
                   "FLEXWATT_LIBEXEC": str(place / "libexec"), "ASAN_OPTIONS": "detect_leaks=0:exitcode=99"}
    done = subprocess.run([place / "flexwatt", *arguments], env=environment, cwd=place / "home", user=NOBODY, group=NOBODY, extra_groups=[],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=DEADLINE_S)
    assert done.returncode == status, f"{done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def sysfs(place, *files):
    for name, mode in files:
        path = place / "sys" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("1\n")
        path.chmod(mode)
    return place / "sys"


@pytest.mark.parametrize("files, expected", [
    ([], ""),
    ([("class/powercap/intel-rapl:0/energy_uj", 0o400)], "cap_dac_read_search=p"),
    ([("class/powercap/intel-rapl:0/energy_uj", 0o444)], ""),
    ([("class/hwmon/hwmon3/energy1_input", 0o400)], "cap_dac_read_search=p"),
    ([("bus/event_source/devices/power/type", 0o444)], "cap_perfmon=p"),
    ([("kernel/btf/vmlinux", 0o444)], "cap_perfmon,cap_bpf=p"),
    ([("kernel/btf/vmlinux", 0o444), ("class/powercap/intel-rapl:0/energy_uj", 0o400)], "cap_dac_read_search,cap_perfmon,cap_bpf=p"),
])
def test_only_what_the_counters_ask_for_is_given(place, files, expected):
    (place / "sys").mkdir()
    said, given = install(place, "--sys", sysfs(place, *files))
    assert given == expected and all(name in said for name in expected.removesuffix("=p").split(",") if name)
    assert expected or "none" in said


def test_capabilities_can_be_taken_away_again(place):
    assert install(place, "--all")[1] == "cap_dac_read_search,cap_perfmon,cap_bpf=p"
    assert install(place, "--remove")[1] == "" and install(place, "--remove")[1] == ""


def test_a_user_measures_as_root_would(place):
    def works(done):
        return {monitor["monitor"]: monitor["works"] for monitor in json.loads(done.stdout)["monitors"]}
    environment = {**os.environ, "FLEXWATT_DATA": str(place / "share")}
    root = works(subprocess.run([place / "flexwatt", "monitors", "--json"], env=environment, capture_output=True, check=True, timeout=DEADLINE_S))
    refused = as_nobody(place, "monitors", "--json")
    before = works(refused)
    install(place, "--all")
    after = works(as_nobody(place, "monitors", "--json"))
    assert after == root
    if root["ebpf"]:
        assert not before["ebpf"] and "scripts/install-caps (cap_bpf and cap_perfmon" in refused.stdout


def test_it_runs_where_a_container_lacks_them(place):
    install(place, "--all")
    done = subprocess.run(["capsh", "--drop=cap_bpf,cap_perfmon,cap_dac_read_search", f"--user={pwd.getpwuid(NOBODY).pw_name}", "--", "-c",
                           f"exec {place}/flexwatt monitors --json"], env={**WITH_SBIN, "FLEXWATT_DATA": str(place / "share")}, capture_output=True,
                          text=True, check=False, timeout=DEADLINE_S)
    assert done.returncode == 0, done.stderr
    ebpf, = (monitor for monitor in json.loads(done.stdout)["monitors"] if monitor["monitor"] == "ebpf")
    assert not ebpf["works"]


def test_what_is_measured_gets_none_of_them(place):
    install(place, "--all")
    done = as_nobody(place, "measure", "--", "grep", "^Cap[PEA]", "/proc/self/status")
    assert [line.split()[1] for line in done.stdout.splitlines()] == ["0000000000000000"] * 3


def test_files_of_others_stay_unread(place):
    (place / "secret.yaml").write_text("password: abc123\n")
    (place / "secret.yaml").chmod(0o600)
    install(place, "--all")
    refused = as_nobody(place, "check", str(place / "secret.yaml"), status=3)
    assert "Permission denied" in refused.stderr and "password" not in refused.stderr
    refused = as_nobody(place, "measure", "--counters-root", str(place), "--output", str(place / "secret.yaml"), "--", "true", status=125)
    assert "Permission denied" in refused.stderr


def test_counters_that_the_user_names_are_read_as_the_user(place):
    zone = sysfs(place, ("class/powercap/intel-rapl:0/energy_uj", 0o400), ("class/powercap/intel-rapl:0/name", 0o444),
                 ("class/powercap/intel-rapl:0/max_energy_range_uj", 0o444)) / "class/powercap/intel-rapl:0"
    (zone / "name").write_text("package-0\n")
    (zone / "energy_uj").write_text("4242424242\n")
    install(place, "--all")
    told = as_nobody(place, "monitors", "--counters-root", str(place), "--json").stdout
    rapl, = (monitor for monitor in json.loads(told)["monitors"] if monitor["monitor"] == "rapl")
    assert not rapl["works"] and "4242424242" not in told
    assert "read as the user" in rapl["hint"] and "install-caps" not in rapl["hint"]


def test_a_users_workers_have_their_namespaces(place):
    """The kernel hides the /proc files of a program with capabilities from its user, which the mapping of ids would fail by."""
    package = place / "home/package"
    package.mkdir()
    shutil.copy(BUILD / "bench/noop", package / "bootstrap")
    (place / "home/data").mkdir()
    os.chown(place / "home/data", NOBODY, NOBODY)
    (place / "home/workflow.yaml").write_text("name: caps\nstorage: ./data\nfunction: {package: ./package}\nstages:\n"
                                              "  one: {handler: noop, workers: 1}\n")
    def notes():
        done = as_nobody(place, "run", "workflow.yaml")
        return [line for line in done.stdout.splitlines() if line.strip().startswith("note:") and "namespaces" in line]
    plain = notes()
    install(place, "--all")
    assert notes() == plain


def test_the_target_of_the_makefile_gives_them_to_the_file_that_it_is_told(place):
    done = subprocess.run(["make", "-s", "-C", SOURCE, "install-caps", f"FILE={place / 'flexwatt'}"], capture_output=True, text=True,
                          timeout=DEADLINE_S, check=False)
    assert done.returncode == 0, done.stderr
    assert str(place / "flexwatt") in done.stdout
    assert subprocess.run(["getcap", place / "flexwatt"], capture_output=True, text=True, check=True, env=WITH_SBIN,
                          timeout=DEADLINE_S).stdout.split()[1:] == install(place)[1].split()
