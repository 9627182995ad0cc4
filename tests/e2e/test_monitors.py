# SPDX-License-Identifier: Apache-2.0
"""flexwatt monitors: what can be measured here, and of what cannot, why."""
import contextlib
import fcntl
import json
import os
import pathlib
import pty
import re
import shutil
import struct
import subprocess
import termios
import time

import pytest

from conftest import BINARY, DEADLINE_S, SOURCE
from powercap import powercap


def on_terminal(flexwatt, columns, *arguments):
    """What a person sees on a terminal of that width, without colours."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("4H", 40, columns, 0, 0))
    process = subprocess.Popen([str(BINARY), "monitors", *map(str, arguments)], env=dict(flexwatt.env, TERM="xterm"), stdin=theirs, stdout=theirs)
    os.close(theirs)
    seen = b""
    try:
        while chunk := os.read(ours, 65536):
            seen += chunk
    except OSError:  # EIO: the other side has been closed
        pass
    os.close(ours)
    assert process.wait(DEADLINE_S) == 0
    return re.sub(r"\x1b\[\d*m", "", seen.decode()).replace("\r\n", "\n")


def powercap_of(directory, packages):
    for number in range(packages):
        zone = directory / f"sys/class/powercap/intel-rapl:{number}"
        zone.mkdir(parents=True)
        for name, text in ("name", f"package-{number}"), ("energy_uj", str(1000 + number)), ("max_energy_range_uj", "262143328850"):
            (zone / name).write_text(text + "\n")
    return directory


def test_the_table_names_machine_monitors_and_what_they_give(flexwatt):
    lines = flexwatt("monitors").stdout.splitlines()
    assert re.fullmatch(r".+, \d+ CPUs, (x86_64|aarch64|arm64)(, guest of \w+)?, Linux \S+", lines[0])
    assert re.match(r"joules of what is measured here: by (the model|counters)", lines[1])
    assert lines[2].split() == ["monitor", "works", "here"]
    assert "  a wider terminal shows: gives" in lines
    rows = {found[1]: found[2] for line in lines[3:] if (found := re.match(r"  (\w+) +(yes|no) +\S", line))}
    assert rows["system"] == "yes" and {"model", "tdp"} <= set(rows)


def test_the_json_has_at_least_fifty_metrics_with_units(flexwatt):
    told = flexwatt.json("monitors")
    assert {monitor["monitor"] for monitor in told["monitors"]} >= {"system", "model", "tdp"}
    assert all(re.fullmatch(rf"{monitor['monitor']}/\d+", monitor["method"]) for monitor in told["monitors"])
    assert len(told["metrics"]) >= 50
    for name, metric in told["metrics"].items():
        assert metric["unit"], name
        assert metric["value"] is None or isinstance(metric["value"], str if metric["unit"] == "name" else (int, float)), name
    share = told["metrics"]["cpu_percent"]["value"]
    assert share is None or 0 <= share <= 100


def test_every_monitor_says_what_it_found_or_why_it_does_not_work(flexwatt):
    told = flexwatt.json("monitors")["monitors"]
    table = flexwatt("monitors").stdout
    words = " ".join(table.split())
    for monitor in told:
        assert monitor["detail"], monitor["monitor"]
        assert re.search(rf"^  {monitor['monitor']} +{'yes' if monitor['works'] else 'no'} ", table, re.M)
        assert monitor["works"] or monitor["detail"] in words


def test_counters_of_energy_that_are_not_there_say_what_would_enable_them(flexwatt):
    told = {monitor["monitor"]: monitor for monitor in flexwatt.json("monitors")["monitors"]}
    for name in "rapl", "hwmon":
        monitor = told[name]
        assert monitor["gives"].startswith("energy (measured")
        if not monitor["works"]:
            assert "/sys/class/" in monitor["detail"] or "zone" in monitor["detail"] or "sensor" in monitor["detail"], monitor
    if not told["rapl"]["works"]:
        assert told["rapl"].get("hint"), told["rapl"]


def test_it_says_where_joules_will_come_from(flexwatt):
    told = flexwatt.json("monitors")
    measured = [counter["domain"] for counter in told["joules"]["counters"]]
    assert told["joules"]["package"] == ("measured" if "package" in measured else "modelled")
    assert told["machine"]["kernel"] == os.uname().release
    report = json.loads(flexwatt("measure", "--json", "--", "sleep", "0.5").stderr)
    assert {row["domain"] for row in report["energy"] if row["flags"].startswith("measured")} <= set(measured)


@pytest.mark.parametrize("columns", [80, 120])
@pytest.mark.parametrize("packages", [1, 200])
def test_lines_keep_the_width_of_the_terminal(flexwatt, columns, packages):
    root = powercap_of(flexwatt.directory / "host", packages)
    lines = on_terminal(flexwatt, columns, "--counters-root", root).splitlines()
    assert max(map(len, lines)) <= columns and 10 < len(lines) < 50
    assert (lines[2].split() == ["monitor", "works", "gives", "here"]) == (columns == 120)
    assert max(map(len, flexwatt("monitors", "--counters-root", root).stdout.splitlines())) <= 80


def test_many_counters_are_told_by_number_and_listed_in_order(flexwatt):
    root = powercap_of(flexwatt.directory / "host", 200)
    headline = re.sub(r"\s+", " ", flexwatt("monitors", "--counters-root", root).stdout.split("  monitor  ")[0])
    assert "by counters (64 packages by rapl), shared by CPU time from" in headline
    names = [counter["name"] for counter in flexwatt.json("monitors", "--counters-root", root)["joules"]["counters"]]
    assert names == sorted(names, key=lambda name: int(name.split("-")[1])) and len(names) == 64


def test_packages_are_named_before_their_memory(flexwatt):
    told = flexwatt("monitors", "--counters-root", SOURCE / "tests/fixtures/energy/server-psys-psys1").stdout
    assert "by counters (2 packages by rapl, 2 dram by rapl)" in " ".join(told.split())


def test_what_is_left_out_is_told_for_a_few_zones_only(flexwatt):
    root = powercap_of(flexwatt.directory / "host", 40)
    for zone in (root / "sys/class/powercap").iterdir():
        (zone / "max_energy_range_uj").unlink()
    rapl = {monitor["monitor"]: monitor for monitor in flexwatt.json("monitors", "--counters-root", root)["monitors"]}["rapl"]
    assert rapl["detail"].count("tells no range") == 8 and "the like of 32 more" in rapl["detail"]


def test_the_page_on_energy_knows_every_monitor(flexwatt):
    page = (SOURCE / "docs/energy.md").read_text()
    for monitor in flexwatt.json("monitors")["monitors"]:
        assert f"| `{monitor['monitor']}` |" in page, monitor["monitor"]


def test_missing_tables_are_an_error_of_the_environment(flexwatt):
    flexwatt.env["FLEXWATT_DATA"] = str(flexwatt.directory / "nowhere")
    refused = flexwatt("monitors", status=3)
    assert refused.stdout == "" and "nowhere" in refused.stderr


@pytest.mark.parametrize("arguments", [["extra"], ["--unknown"]])
def test_wrong_usage(flexwatt, arguments):
    assert flexwatt("monitors", *arguments, status=2).stderr.startswith("error: ")


def without_types(flexwatt, *arguments):
    """Runs where the kernel's types are hidden, as in a container that does not see them."""
    if os.geteuid() != 0:
        pytest.skip("needs root: a mount namespace")
    hide = "test ! -d /sys/kernel/btf || mount -t tmpfs none /sys/kernel/btf; exec \"$@\""
    done = subprocess.run(["unshare", "-m", "sh", "-c", hide, "sh", BINARY, *arguments], env=flexwatt.env, cwd=flexwatt.directory,
                          capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_where_the_kernel_tells_no_types_all_but_bpf_works(flexwatt, functions):
    ebpf, = (monitor for monitor in without_types(flexwatt, "monitors", "--json")["monitors"] if monitor["monitor"] == "ebpf")
    assert not ebpf["works"] and "vmlinux" in ebpf["detail"]
    flexwatt.workflow("""
        name: plain
        storage: ./data
        function: {package: ./functions}
        stages: {burn: {workers: 2, params: {cpu_ms: 50}}}
    """)
    run = without_types(flexwatt, "run", "workflow.yaml", "--json")
    assert run["state"] == "ok" and not run["environment"]["backend"]["monitors"]["ebpf"]["works"]
    record, = flexwatt.records(run["run"], "burn/0")
    assert record["cpu_user_ms"] + record["cpu_system_ms"] >= 40 and record["energy"]


def test_the_sampler_has_a_processor_of_its_own_and_keeps_its_files_open(flexwatt, functions, powercap):
    flexwatt.workflow("""
        name: long
        storage: ./data
        function: {package: ./functions}
        stages: {burn: {params: {cpu_ms: 1500}}}
    """)
    run = flexwatt.start("run", "workflow.yaml", "--counters-root", flexwatt.directory / "host")
    seen, deadline = [], time.monotonic() + DEADLINE_S
    while run.poll() is None and len(seen) < 5:
        assert time.monotonic() < deadline
        with contextlib.suppress(OSError):
            seen += sampler_of(run.pid)
        time.sleep(0.1)
    run.communicate(timeout=DEADLINE_S)
    assert run.returncode == 0 and len(seen) == 5, "fewer looks than asked for: the run was too short"
    assert all(cpus.isdigit() for cpus, _ in seen), f"allowed on {seen[0][0]}: more than one"
    assert len({counters for _, counters in seen}) == 1 and seen[0][1], "the same open descriptors at every look"


def sampler_of(pid):
    """[(the CPUs that it may use, open files of counters)], or nothing before it is there and after."""
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        if (task / "comm").read_text() == "energy\n":
            cpus, = re.findall(r"Cpus_allowed_list:\s+(\S+)", (task / "status").read_text())
            opened = {descriptor.name: os.readlink(descriptor) for descriptor in pathlib.Path(f"/proc/{pid}/fd").iterdir()}
            return [(cpus, tuple(sorted(item for item in opened.items() if item[1].endswith("energy_uj"))))]
    return []


@pytest.mark.parametrize("monitor, path", [("rapl", "powercap"), ("hwmon", "hwmon")])
def test_a_file_where_a_directory_is_expected_is_no_virtual_machine(flexwatt, monitor, path):
    flexwatt.write(f"host/sys/class/{path}", "plain\n")
    told = {each["monitor"]: each for each in flexwatt.json("monitors", "--counters-root", flexwatt.directory / "host")["monitors"]}[monitor]
    assert told["detail"] == f"/sys/class/{path} is no directory" and "no sysfs" in told["hint"] and "virtual" not in told["hint"]


@pytest.mark.parametrize("machine, is_left_out", [("client-psys-mmio", False), ("amd-power-core", True)])
def test_the_trees_own_processor_says_what_its_counters_hold(flexwatt, machine, is_left_out):
    root = flexwatt.directory / "host"
    shutil.copytree(SOURCE / "tests/fixtures/energy/client-psys-mmio", root, symlinks=True)
    shutil.copy(SOURCE / "tests/fixtures/energy" / machine / "proc/cpuinfo", root / "proc/cpuinfo")
    rapl = {each["monitor"]: each for each in flexwatt.json("monitors", "--counters-root", root)["monitors"]}["rapl"]
    assert ("counts one core alone" in rapl["detail"]) == is_left_out


def test_what_a_total_holds_beside_packages_says_so(flexwatt):
    told = flexwatt.json("monitors", "--counters-root", SOURCE / "tests/fixtures/energy/hwmon-power")
    hwmon = {each["monitor"]: each for each in told["monitors"]}["hwmon"]
    assert "uncore (added: the package's sensor is without it)" in hwmon["detail"]


def test_the_hint_of_wrong_usage_ends_without_a_blank(flexwatt):
    assert "flexwatt monitors\n" in flexwatt("monitors", "extra", status=2).stderr
