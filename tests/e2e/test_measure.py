# SPDX-License-Identifier: Apache-2.0
"""flexwatt measure: what a command takes, and that the command does not notice."""
import json
import math
import os
import pathlib
import pty
import re
import signal
import subprocess
import sys
import time

import pytest

from conftest import BINARY, DEADLINE_S, SOURCE, wait_until
from energy_machine import fixture_machine, known_machine
from test_progress import Terminal

BURN = "import time; end = time.monotonic() + {}\nwhile time.monotonic() < end: pass"
QUANTITY = r"\d[\d.]*(?:e-?\d+)?"


def measure(flexwatt, *arguments, status=0, text="", **options):
    """The streams of the command and, apart from them, the report as JSON."""
    path = flexwatt.directory / "report.json"
    done = subprocess.run([str(BINARY), "measure", "--json", "--output", str(path), *map(str, arguments)], env=flexwatt.env,
                          cwd=flexwatt.directory, input=text, capture_output=True, text=True, timeout=DEADLINE_S, **options)
    assert done.returncode == status, f"exit status {done.returncode}\n{done.stderr}"
    return done, json.loads(path.read_text())


def holds(process, what):
    """Whether it has something of that name open: so far it has come."""
    return what in subprocess.run(["ls", "-l", f"/proc/{process.pid}/fd"], capture_output=True, text=True).stdout


def mean(report, name):
    return report["figures"][name]["mean"]


def groups():
    return [path for path in pathlib.Path("/sys/fs/cgroup").glob("**/flexwatt/measure-*")]


def test_the_commands_streams_are_its_own(flexwatt):
    done, _ = measure(flexwatt, "--", "sh", "-c", "cat; echo two >&2", text="one")
    assert done.stdout == "one" and done.stderr == "two\n"


def test_the_report_goes_to_standard_error(flexwatt):
    done = flexwatt("measure", "--", "echo", "result")
    assert done.stdout == "result\n"
    shape = re.sub(QUANTITY + r"(?: (?:ms|s|µJ|mJ|J|W|µg|mg|g|MB))?", "#", done.stderr)
    lines = [line.split()[0] for line in shape.splitlines() if not line.startswith("             ")]
    assert lines == ["echo", "time", "cpu", "memory", "energy", "power", "cost", "carbon"] + ["note:"] * lines.count("note:")
    assert re.search(r"^  cost     \$[\d.]+ as if on Lambda, (x86_64|arm64), prices of 20\d\d-\d\d, eu-central-1, 128 MB \(the smallest that fits the peak\)$",
                     done.stderr, re.M)
    assert re.search(r"^  energy   .* (modelled|measured): \S+$", done.stderr, re.M)
    assert re.search(r" embodied, SCI \S+ [nµm]?g per execution \(eu-central-1:", done.stderr)


@pytest.mark.parametrize("command, status", [
    (["sh", "-c", "exit 7"], 7), (["sh", "-c", "kill -TERM $$"], 128 + signal.SIGTERM), (["sh", "-c", "kill -KILL $$"], 128 + signal.SIGKILL),
    (["true"], 0), (["sh", "-c", "exit 125"], 125)])
def test_the_exit_status_is_the_commands(flexwatt, command, status):
    _, report = measure(flexwatt, "--", *command, status=status)
    assert report["status"] == status and mean(report, "wall_ms") > 0


def test_what_cannot_be_started_is_told_apart(flexwatt):
    flexwatt.write("plain", "no program\n")
    for program, status in (("no-such-program", 127), ("./plain", 126), (str(flexwatt.directory), 126)):
        done = flexwatt("measure", "--", program, status=status)
        assert done.stderr.startswith("error: measure: ") and program in done.stderr and "energy" not in done.stderr


@pytest.mark.parametrize("program, hint", [
    ("no-such-program", "directories of $PATH"), ("./no-such-program", "from the working directory"), ("./lost", "interpreter"),
    ("./plain", "chmod +x ./plain"), ("./", "it is a directory"), ("./plain/within", "is a file")])
def test_what_cannot_be_started_has_its_remedy(flexwatt, program, hint):
    flexwatt.write("plain", "#!/bin/sh\n")
    flexwatt.write("lost", "#!/nowhere/sh\n", 0o755)
    done = flexwatt("measure", "--", program, status=127 if hint in ("directories of $PATH", "from the working directory", "interpreter") else 126)
    assert hint in done.stderr and "after its options" not in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_while_it_opens_what_it_reads_a_signal_ends_it(flexwatt, number):
    """A table that is a pipe whose writer writes nothing: reading it waits, and the command has not been started."""
    data = flexwatt.directory / "tables"
    data.mkdir()
    for path in (SOURCE / "data").glob("*.csv"):
        os.mkfifo(data / path.name)
    writers = [os.open(path, os.O_RDWR) for path in data.iterdir()]
    flexwatt.env["FLEXWATT_DATA"] = str(data)
    process = flexwatt.start("measure", "--", "touch", "started", start_new_session=True)
    wait_until(lambda: holds(process, str(data)))
    process.send_signal(number)
    process.communicate(timeout=DEADLINE_S)
    for fd in writers:
        os.close(fd)
    assert process.returncode == -number and not (flexwatt.directory / "started").exists()


@pytest.mark.parametrize("arguments, said", [
    ([], "nothing to measure"), (["--pid", "1", "true"], "one of them"), (["--system", "fast"], "is not a time"),
    (["--repeat", "0", "true"], "whole number"), (["--memory", "64", "true"], "128 to 10240"), (["--repeat", "2", "--system", "1s"], "go with a command"),
    (["--for", "1s", "true"], "--for goes with --pid"), (["--region", "mars-1", "true"], "mars-1"), (["--cpus", "-1", "true"], "no number of CPUs"),
    (["--output", "/nowhere/x", "true"], "/nowhere/x"), (["--pid", "4194304"], "no process 4194304"), (["--sytem", "1s"], "did you mean --system"), (["--system", "1s", "--shares"], "with a command or --pid")])
def test_own_failures_are_125(flexwatt, arguments, said):
    done = flexwatt("measure", *arguments, status=125)
    assert done.stdout == "" and said in done.stderr


@pytest.mark.parametrize("arguments, said, hint", [
    (["--cpus", "9999", "true"], "--cpus 9999: this machine has", "idle power of the whole machine"),
    (["-r", "99999999999999", "true"], "10000 are the most", "--repeat 30"),
    (["--system", "99999999h"], "a year is the longest", "--system 10s"), (["--pid", "1", "--for", "400d"], "a year is the longest", "--for 10s"),
    (["--counters-root", "", "true"], "--counters-root '' is no directory", "holds the host's sys"),
    (["--region", "mars-1", "true"], "no prices for the region 'mars-1'", " eu-central-1 ")])
def test_what_is_beyond_bounds_is_refused_with_a_remedy(flexwatt, arguments, said, hint):
    first, second = flexwatt("measure", *arguments, status=125).stderr.splitlines()[:2]
    assert said in first and second.lstrip().startswith("hint: ") and hint in second and ".csv" not in second


def test_all_cpus_of_the_machine_may_be_its_own(flexwatt):
    measure(flexwatt, "--cpus", str(os.cpu_count()), "true")


def test_repetitions_that_fail_are_counted(flexwatt):
    flexwatt.write("second", "#!/bin/sh\n[ -e been ] && exit 5\ntouch been\n", 0o755)
    _, report = measure(flexwatt, "-r", "3", "./second", status=5)
    assert "2 of 3 repetitions failed, the first of them with status 5" in report["notes"]
    _, report = measure(flexwatt, "-r", "2", "true")
    assert not any("failed" in note for note in report["notes"])


def test_the_systems_report_names_its_methods(flexwatt):
    done = flexwatt("measure", "--system", "200ms", "--json")
    methods = json.loads(done.stderr)["method_version"].split()
    assert methods and all(re.fullmatch(r"\w+/\d+", method) for method in methods)


def test_a_failed_report_is_125_whatever_the_command_ended_with(flexwatt):
    done = flexwatt("measure", "--output", "/dev/full", "--", "sh", "-c", "kill -KILL $$", status=125)
    assert "write the report" in done.stderr


def test_options_after_the_command_are_the_commands(flexwatt):
    done, report = measure(flexwatt, "echo", "--json", "-r", "3")
    assert done.stdout == "--json -r 3\n" and report["measured"] == "echo --json -r 3"


@pytest.mark.alone
def test_time_cpu_and_memory_are_those_of_the_command(flexwatt):
    _, report = measure(flexwatt, "--", sys.executable, "-c", "x = bytearray(100 << 20)\n" + BURN.format(0.5))
    cpu_ms = mean(report, "cpu_user_ms") + mean(report, "cpu_system_ms")
    assert 500 <= mean(report, "wall_ms") < 20000
    assert cpu_ms <= mean(report, "wall_ms") * 1.05
    assert cpu_ms == pytest.approx(mean(report, "cpu_percent") / 100 * mean(report, "wall_ms"), rel=0.02)
    assert 100 <= mean(report, "memory_peak_mb") < 200
    assert report["price"]["memory_mb"] == max(128, -(-mean(report, "memory_peak_mb") // 1)) and report["price"]["smallest_that_fits"]
    assert mean(report, "faults_minor") > 100 << 20 >> 12 >> 2


@pytest.mark.alone  # opens directories that other tests are in
@pytest.mark.parametrize("user", ["root", "nobody"])
def test_processes_whose_parents_have_gone_are_counted(flexwatt, user):
    """A child of a child that ended: its CPU time comes to nobody who waits for it."""
    if user == "nobody" and os.geteuid() != 0:
        pytest.skip("only root can become somebody else")
    program = flexwatt.write("burn.py", "import time\nwhile time.process_time() < 0.3: pass", 0o755)
    script = f"(/usr/bin/python3 {program} & echo $! > pid) ; while kill -0 $(cat pid) 2>/dev/null; do sleep 0.05; done"
    opened = {path: path.stat().st_mode for path in (flexwatt.directory, *flexwatt.directory.parents) if user == "nobody" and path != path.parent}
    for path, mode in opened.items():
        path.chmod(mode | (0o777 if path == flexwatt.directory else 0o055))
    try:
        _, report = measure(flexwatt, "--", "sh", "-c", script, user=65534 if user == "nobody" else None)
    finally:
        for path, mode in opened.items():
            path.chmod(mode)
    for path in flexwatt.directory.iterdir():
        os.chown(path, os.geteuid(), -1)
    assert mean(report, "cpu_user_ms") + mean(report, "cpu_system_ms") > 100
    assert user == "root" or any("control group" in note for note in report["notes"])


def test_every_figure_has_its_unit_and_every_joule_its_source(flexwatt):
    _, report = measure(flexwatt, "--", "sleep", "0.1")
    assert all(figure["unit"] for figure in report["figures"].values())
    model = [energy for energy in report["energy"] if energy["source"] == "model"]
    assert {energy["domain"] for energy in model} == {"package", "dram"}
    for energy in report["energy"]:
        assert energy["method"].startswith(energy["source"]) and re.search("measured|modelled", energy["flags"])
    for energy in model:
        assert energy["low"] <= energy["joules"]["mean"] <= energy["high"]
    watts = mean(report, "joules") / mean(report, "wall_ms") * 1000
    assert mean(report, "average_w") == pytest.approx(watts) and mean(report, "peak_w") >= watts * 0.999
    assert mean(report, "operational_gco2e") > 0 and mean(report, "embodied_gco2e") > 0
    assert mean(report, "sci_gco2e") == pytest.approx(mean(report, "operational_gco2e") + mean(report, "embodied_gco2e"))
    assert report["grid"]["gco2e_per_kwh"] > 0 and report["grid"]["year"] > 2020


@pytest.mark.parametrize("ignored", [[], [signal.SIGPIPE, signal.SIGHUP, signal.SIGXFSZ]])
def test_the_command_starts_with_the_signals_limits_and_descriptors_that_it_would_have_without(flexwatt, ignored):
    def prepare():
        for number in (signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_DFL)
        for number in ignored:
            signal.signal(number, signal.SIG_IGN)
    look = ["sh", "-c", "grep -E '^Sig(Blk|Ign|Cgt)' /proc/self/status; grep . /proc/self/limits; nice; ls /proc/self/fd; cat /proc/self/oom_score_adj; ulimit -n"]
    plain = subprocess.run(look, env=flexwatt.env, cwd=flexwatt.directory, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True,
                           preexec_fn=prepare, restore_signals=False, timeout=DEADLINE_S)
    done = subprocess.run([str(BINARY), "measure", "--", *look], env=flexwatt.env, cwd=flexwatt.directory, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, preexec_fn=prepare, restore_signals=False, timeout=DEADLINE_S)
    assert done.returncode == 0 and done.stdout == plain.stdout


def test_repetitions_give_means_with_confidence(flexwatt):
    done, report = measure(flexwatt, "-r", "4", "--memory", "1769", "--", "sh", "-c", "echo run")
    assert done.stdout == "run\n" * 4 and report["repetitions"] == 4
    wall = report["figures"]["wall_ms"]
    assert len(wall["values"]) == 4 and wall["mean"] == pytest.approx(sum(wall["values"]) / 4)
    deviation = (sum((value - wall["mean"]) ** 2 for value in wall["values"]) / 3) ** 0.5
    assert wall["ci95"] == pytest.approx(3.1824463 * deviation / 2, rel=1e-6)
    assert report["price"] == {"memory_mb": 1769, "smallest_that_fits": False, "basis": report["price"]["basis"], "region": "eu-central-1"}
    assert "±" in flexwatt("measure", "-r", "2", "--", "true").stderr


@pytest.mark.parametrize("memory_mb", [128, 1769, 10240])
def test_dollars_are_those_of_the_price_list(flexwatt, memory_mb):
    _, report = measure(flexwatt, "--memory", memory_mb, "--", "sleep", "0.123")
    prices = [line.split(",") for line in (SOURCE / "data/prices.csv").read_text().splitlines() if line.startswith("eu-central-1,")]
    (_, _, gb_second, request, *_), = (line for line in prices if f", {line[1]}, " in report["price"]["basis"])
    billed_s = math.ceil(mean(report, "wall_ms")) / 1000
    assert mean(report, "total_usd") == pytest.approx(billed_s * memory_mb / 1024 * float(gb_second) + float(request), rel=1e-9)


def test_the_first_failure_of_the_repetitions_is_the_status(flexwatt):
    script = flexwatt.write("once", "#!/bin/sh\n[ -e done ] && exit 0\ntouch done\nexit 9\n", 0o755)
    measure(flexwatt, "-r", "3", "--", script, status=9)


def test_ctrl_c_goes_to_the_command_and_the_report_still_comes(flexwatt):
    script = "trap 'echo caught; exit 5' INT\necho ready\nwhile :; do sleep 0.05; done"
    process = flexwatt.start("measure", "-r", "9", "--", "sh", "-c", script, start_new_session=True)
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)  # to measure alone: it is handed on
    output, report = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 5 and output == "caught\n"
    assert re.search("^  energy ", report, re.M) and "interrupted after 1 of 9 repetitions" in report


def test_ctrl_c_of_a_terminal_reaches_the_command_once(flexwatt):
    """The terminal signals the whole group: measure must not hand it on a second time."""
    script = "import signal, time\nn = []\nsignal.signal(signal.SIGINT, lambda *_: n.append(1))\nprint('ready', flush=True)\n" \
             "end = time.monotonic() + 60\nwhile not n and time.monotonic() < end: time.sleep(0.05)\ntime.sleep(0.5)\nprint('signals', len(n), flush=True)"
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(flexwatt.directory)
        os.execve(BINARY, [str(BINARY), "measure", "--watch", "--", sys.executable, "-c", script], dict(flexwatt.env, TERM="xterm"))
    output, sent, deadline = b"", False, time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        try:
            more = os.read(terminal, 4096)
        except OSError:
            break
        output += more
        if b"ready" in output and not sent:
            os.write(terminal, b"\x03")
            sent = True
        if not more:
            break
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0 and b"signals 1" in output and b"energy" in output


def test_watch_is_live_on_a_terminal_and_quiet_elsewhere(flexwatt):
    quiet = flexwatt("measure", "--watch", "--", "sleep", "1.2")
    assert "\r" not in quiet.stderr and not re.search(r"cpu \d+ %  memory", quiet.stderr)
    terminal = Terminal(flexwatt, "measure", "--watch", "--", "sleep", "1.2")
    assert terminal.end(DEADLINE_S) == 0
    assert re.search(r"[\d.]+ (ms|s)  [\d.]+ W  [\d.]+ m?J( \(modelled\))?  cpu \d+ %  memory [\d.]+ MB", terminal.text)
    assert "energy" in terminal.text


def test_watch_in_a_narrow_terminal_leaves_nothing_behind(flexwatt):
    terminal = Terminal(flexwatt, "measure", "--watch", "--output", "report", "--", "sleep", "1.7", columns=30)
    assert terminal.end(DEADLINE_S) == 0
    assert terminal.text.count("memory") >= 2 and "".join(terminal.screen()).strip() == ""


def test_a_process_that_runs_is_measured_until_it_ends(flexwatt):
    process = subprocess.Popen([sys.executable, "-c", BURN.format(1)])
    _, report = measure(flexwatt, "--pid", process.pid)
    process.wait()
    assert 100 < mean(report, "wall_ms") < 20000 and mean(report, "joules") > 0 and report["price"] is None
    assert report["measured"] == f"process {process.pid} and its children" and "status" not in report


def test_unique_and_proportional_memory_come_on_request(flexwatt):
    hold = "x = bytearray(60 << 20)\nimport time\ntime.sleep(60)"
    process = subprocess.Popen([sys.executable, "-c", hold])
    try:
        wait_until(lambda: int(re.search(r"VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{process.pid}/status").read_text())[1]) > 60 << 10)
        _, report = measure(flexwatt, "--pid", process.pid, "--for", "300ms", "--shares")
        told = flexwatt("measure", "--pid", process.pid, "--for", "300ms", "--shares").stderr
    finally:
        process.kill()
        process.wait()
    assert 60 <= mean(report, "memory_uss_mb") <= mean(report, "memory_pss_mb") < 200
    assert re.search(r"memory .* its own alone \(USS\), .* \(PSS\)", told)
    _, report = measure(flexwatt, "--shares", "--", sys.executable, "-c", hold.replace("60)", "1.3)"))
    assert mean(report, "memory_uss_mb") >= 60


def test_an_older_report_stays_until_there_is_a_new_one(flexwatt):
    older = flexwatt.write("report.json", "an older report\n" + "x" * 100000)
    before = older.read_bytes()
    flexwatt("measure", "--json", "--output", older, "--region", "nowhere-1", "--", "true", status=125)
    flexwatt("measure", "--json", "--output", older, "--counters-root", "/nowhere", "--", "true", status=125)
    assert older.read_bytes() == before
    flexwatt("measure", "--json", "--output", older, "--", "true")
    assert json.loads(older.read_text())["measured"] == "true"


@pytest.mark.parametrize("zombie", [False, True])
def test_of_a_process_that_ends_what_was_seen_of_it_is_told(flexwatt, counters, zombie):
    """Its parent waits for it at once, so that nothing is left to read, or not at all."""
    burn = "import time\nwhile time.process_time() < 0.8: pass"
    start = ("import signal, subprocess, sys\nif sys.argv[1] == 'gone': signal.signal(signal.SIGCHLD, signal.SIG_IGN)\n"
             f"print(subprocess.Popen([sys.executable, '-c', {burn!r}]).pid, flush=True)\nsys.stdin.read()")
    parent = subprocess.Popen([sys.executable, "-c", start, "zombie" if zombie else "gone"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    measuring = flexwatt.start("measure", "--json", "--pid", int(parent.stdout.readline()), "--counters-root", counters.root)
    _, text = measuring.communicate(timeout=DEADLINE_S)
    parent.communicate()
    assert measuring.returncode == 0, text
    report = json.loads(text)
    cpu_ms = mean(report, "cpu_user_ms") + mean(report, "cpu_system_ms")
    assert 200 < cpu_ms < 900 and mean(report, "memory_peak_mb") > 1
    assert any("before its end" in note for note in report["notes"]) != zombie
    assert mean(report, "joules_low") <= mean(report, "joules") <= mean(report, "joules_high")
    for energy in report["energy"]:
        if energy["source"] != "tdp":
            assert energy["low"] <= energy["joules"]["mean"] <= energy["high"], energy


@pytest.mark.alone
def test_a_process_is_measured_for_a_while(flexwatt):
    process = subprocess.Popen([sys.executable, "-c", BURN.format(60)])
    try:
        _, report = measure(flexwatt, "--pid", process.pid, "--for", "1500ms")
        assert process.poll() is None
    finally:
        process.kill()
        process.wait()
    assert 1500 <= mean(report, "wall_ms") < 10000 and mean(report, "cpu_percent") > 5 and mean(report, "memory_peak_mb") > 1


def test_a_process_that_has_ended_is_not_measured_although_nobody_has_waited_for_it(flexwatt):
    process = subprocess.Popen(["true"])
    wait_until(lambda: pathlib.Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z")
    failed = flexwatt("measure", "--pid", process.pid, status=125)
    process.wait()
    assert f"process {process.pid} has ended; its parent has not waited for it yet" in failed.stderr and "hint: " in failed.stderr


@pytest.mark.parametrize("arguments", [
    ["--repeat", "2", "--pid", "1"], ["--for", "3s", "--", "true"], ["--memory", "1", "--", "true"], ["--cpus", "x", "--", "true"],
    ["-r", "x", "--", "true"], ["--pid", "0"], ["--system", "3q"], ["--pid"], [], ["--nonsense"], ["--region", "mars", "--", "true"],
    ["--pid", "1", "--system", "2s"], ["--output", "/nowhere/report", "--", "true"], ["--pid", "4194304"],
])
def test_wrong_usage_is_one_error_with_a_hint(flexwatt, arguments):
    failed = flexwatt("measure", *arguments, status=125)
    error, hint = failed.stderr.splitlines()
    assert error.startswith("error: measure: ") and hint.startswith("  hint: ") and len(hint) > 20


def test_the_estimate_by_tdp_says_what_it_is_of(flexwatt):
    printed = flexwatt("measure", "--", "true").stderr
    line, = (line for line in printed.splitlines() if line.split()[0] == "tdp")
    assert "modelled; for comparison, in no total: TDP of the whole processor" in line and " ok" not in line
    _, report = measure(flexwatt, "--", "true")
    tdp, = (energy for energy in report["energy"] if energy["source"] == "tdp")
    assert tdp["note"] in line and all("note" not in energy for energy in report["energy"] if energy["source"] != "tdp")


@pytest.mark.alone
def test_the_whole_system_is_measured_for_a_while(flexwatt):
    _, report = measure(flexwatt, "--system", "1500ms")
    assert "per execution" not in flexwatt("measure", "--system", "100ms").stderr
    assert report["measured"] == "the whole system" and 1500 <= mean(report, "wall_ms") < 10000
    assert 0 <= mean(report, "cpu_percent") <= 100 * os.cpu_count() * 1.05 and mean(report, "joules") > 0
    assert report["price"] is None and mean(report, "memory_peak_mb") > 10


@pytest.mark.alone
def test_nothing_is_left_behind(flexwatt):
    measure(flexwatt, "-r", "2", "--", "true")
    flexwatt("measure", "--", "no-such-program", status=127)
    mine = [path for path in groups() if not pathlib.Path(f"/proc/{path.name.split('.')[1].split('-')[0]}").exists()]
    assert mine == []


@pytest.mark.alone
def test_a_process_that_outlives_the_command_is_said_and_left_alone(flexwatt):
    done, report = measure(flexwatt, "--", "sh", "-c", "sleep 60 > /dev/null 2>&1 < /dev/null & echo $!")
    pid = int(done.stdout)
    os.kill(pid, 0)
    os.kill(pid, signal.SIGKILL)
    assert mean(report, "wall_ms") < 20000
    if not any("control group" in note for note in report["notes"]):
        assert any(note.startswith("1 process of the command still runs") for note in report["notes"])
    deadline = time.monotonic() + DEADLINE_S
    while pathlib.Path(f"/proc/{pid}").exists() and pathlib.Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z" and time.monotonic() < deadline:
        time.sleep(0.01)
    measure(flexwatt, "--", "true")  # removes the group that was kept
    test_nothing_is_left_behind(flexwatt)


@pytest.fixture
def counters(tmp_path):
    """A machine whose package draws 10 W at rest and 20 W more for each busy CPU, its memory 1 W."""
    with known_machine(tmp_path / "machine", floor=10, core=20, dram_floor=1) as machine:
        yield machine


def test_counters_give_measured_joules_by_domain(flexwatt, counters):
    def shown_j():
        return int((counters.zone() / "energy_uj").read_text()) / 1e6
    before = shown_j()
    _, report = measure(flexwatt, "--counters-root", counters.root, "--", sys.executable, "-c", BURN.format(1))
    all_j = shown_j() - before
    measured = {energy["domain"]: energy for energy in report["energy"] if energy["flags"].startswith("measured")}
    assert set(measured) == {"package", "dram"} and all("rapl" in energy["source"] for energy in measured.values())
    assert 0 < measured["package"]["joules"]["mean"] <= all_j and measured["package"]["high"] <= all_j * 1.1
    assert 0 < measured["dram"]["joules"]["mean"] <= 3 * mean(report, "wall_ms") / 1000
    assert measured["package"]["dynamic_j"] > 0 and measured["package"]["idle_j"] >= 0
    assert mean(report, "joules") == pytest.approx(sum(energy["joules"]["mean"] for energy in measured.values()))
    assert mean(report, "joules_low") <= mean(report, "joules") <= mean(report, "joules_high")


def test_the_true_joules_of_a_command_lie_in_the_interval(flexwatt, counters):
    """True by the simulator: what the tree's CPU time drew, and the floor for as long as it ran, as all CPUs are its own."""
    script = f"read go; {sys.executable} -c '{BURN.format(0.7)}'; {sys.executable} -c '{BURN.format(0.3)}'; sleep 0.2"
    process = subprocess.Popen([str(BINARY), "measure", "--json", "--counters-root", str(counters.root), "--", "sh", "-c", script],
                               env=flexwatt.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    children = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children")
    wait_until(lambda: any(pathlib.Path(f"/proc/{pid}/comm").read_text() == "sh\n" for pid in children.read_text().split()))
    shell, = (pid for pid in children.read_text().split() if pathlib.Path(f"/proc/{pid}/comm").read_text() == "sh\n")
    assert counters(f"watch {shell} command")
    _, text = process.communicate("go\n", timeout=DEADLINE_S)
    assert process.returncode == 0, text
    report = json.loads(text)
    counters.__exit__()
    tree = counters.truth.summary["trees"]["command"]
    package, = (energy for energy in report["energy"] if energy["domain"] == "package" and energy["flags"].startswith("measured"))
    true_j = tree["dynamic_j"] + 10 * mean(report, "wall_ms") / 1000
    late_j = counters.truth.summary["latest_ns"] / 1e9 * (10 + 20 * os.cpu_count())  # of that a reader cannot know
    assert package["low"] - late_j <= true_j <= package["high"] + late_j, (package, true_j, late_j)
    assert package["high"] - package["low"] < 4 * true_j, "an interval that says nothing"


def test_what_is_known_of_idle_power_serves_the_next(flexwatt, counters):
    def package_of(root=counters.root):
        _, report = measure(flexwatt, "--counters-root", root, "--", sys.executable, "-c", BURN.format(0.5))
        return next(energy for energy in report["energy"] if energy["domain"] == "package" and energy["flags"].startswith("measured"))
    def width(energy):
        return (energy["high"] - energy["low"]) / energy["joules"]["mean"]
    package_of()
    path = flexwatt.store.parent / "floor.json"
    kept = json.loads(path.read_text())
    domain = next(domain for domain in kept["books"]["domains"] if domain["domain"] == "package")
    domain |= {"floor_basis": "quiet", "floor_w": 10.0, "floor_half_w": 0.1, "floor_age_s": 0}
    path.write_text(json.dumps(kept))
    known = package_of()
    assert width(known) < 0.5, known
    kept_again = next(domain for domain in json.loads(path.read_text())["books"]["domains"] if domain["domain"] == "package")
    assert kept_again["floor_basis"] != "unknown" and kept_again["floor_w"] == pytest.approx(10, rel=0.5)
    path.write_text("{not json")
    package_of()
    assert json.loads(path.read_text())["books"]


def test_the_true_joules_of_a_process_lie_in_the_interval(flexwatt, counters):
    """It waits, works when it is told to, and ends: true is what its CPU time drew and the floor, as all CPUs are its own."""
    work = "import sys, time\nsys.stdin.readline()\nend = time.process_time() + 0.8\nwhile time.process_time() < end: pass"
    process = subprocess.Popen([sys.executable, "-c", work], stdin=subprocess.PIPE, text=True)
    try:
        assert counters(f"watch {process.pid} process")
        measuring = flexwatt.start("measure", "--json", "--pid", process.pid, "--counters-root", counters.root)
        wait_until(lambda: holds(measuring, "pidfd"))
        seen = time.monotonic()
        wait_until(lambda: time.monotonic() > seen + 0.3)
        process.stdin.write("go\n")
        process.stdin.flush()
        _, text = measuring.communicate(timeout=DEADLINE_S)
    finally:
        process.kill()
        process.communicate()
    counters.__exit__()
    report = json.loads(text)
    package, = (energy for energy in report["energy"] if energy["domain"] == "package" and energy["flags"].startswith("measured"))
    cpu_s = (mean(report, "cpu_user_ms") + mean(report, "cpu_system_ms")) / 1000
    assert cpu_s == pytest.approx(counters.truth.summary["trees"]["process"]["cpu_s"], abs=0.1)
    true_j = counters.truth.summary["trees"]["process"]["dynamic_j"] + 10 * mean(report, "wall_ms") / 1000
    late_j = counters.truth.summary["latest_ns"] / 1e9 * (10 + 20 * os.cpu_count())
    assert package["low"] - late_j <= true_j <= package["high"] + late_j, (package, true_j, late_j)
    assert package["high"] - package["low"] < 4 * true_j, "an interval that says nothing"


def test_counters_of_the_whole_system_are_handed_to_nobody(flexwatt, counters):
    flexwatt.env["FLEXWATT_COUNTERS_ROOT"] = str(counters.root)
    _, report = measure(flexwatt, "--system", "1s")
    package, = (energy for energy in report["energy"] if energy["domain"] == "package" and energy["flags"].startswith("measured"))
    counters.__exit__()
    late_j = counters.truth.summary["latest_ns"] / 1e9 * (10 + 20 * os.cpu_count())
    seconds, cpu_s = mean(report, "wall_ms") / 1000, (mean(report, "cpu_user_ms") + mean(report, "cpu_system_ms")) / 1000
    assert package["source"] == "rapl" and package["idle_j"] is None
    assert 10 * seconds * 0.95 <= package["joules"]["mean"] <= (10 + 20 * os.cpu_count()) * seconds * 1.05
    assert package["joules"]["mean"] == pytest.approx(10 * seconds + 20 * cpu_s, rel=0.25, abs=late_j)  # clock ticks against switches
    assert package["low"] <= package["joules"]["mean"] <= package["high"]


@pytest.mark.parametrize("trouble", ["stick intel-rapl:0", "garble intel-rapl:0", "vanish intel-rapl:0"])
def test_what_a_lost_counter_of_the_system_had_counted_stays_with_a_bound(flexwatt, counters, trouble):
    process = flexwatt.start("measure", "--json", "--system", "4s", "--counters-root", counters.root)
    wait_until(lambda: holds(process, "signalfd"))
    begun = time.monotonic()
    wait_until(lambda: time.monotonic() > begun + 1.5)
    assert counters(trouble)
    _, text = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0, text
    report = json.loads(text)
    package, = (energy for energy in report["energy"] if energy["domain"] == "package" and energy["flags"].startswith("measured"))
    seconds, cpu_s = mean(report, "wall_ms") / 1000, (mean(report, "cpu_user_ms") + mean(report, "cpu_system_ms")) / 1000
    assert package["low"] < 10 * seconds + 20 * cpu_s < package["high"], (package, seconds, cpu_s)
    assert package["joules"]["mean"] > 5 and "gap" in package["flags"].split() and "ok" not in package["flags"].split()
    assert any(note.startswith("package-0 (rapl) was not read whole: ") for note in report["notes"])


def test_the_interval_of_the_system_holds_the_truth(flexwatt, counters):
    """Ten times a moment: a counter that shows an older update is in the doubt; what the simulator is late with is beside it."""
    reports = [measure(flexwatt, "--system", "150ms", "--counters-root", counters.root)[1] for _ in range(10)]
    counters.__exit__()
    late_j = counters.truth.summary["latest_ns"] / 1e9 * (10 + 20 * os.cpu_count())
    for report in reports:
        package, = (energy for energy in report["energy"] if energy["domain"] == "package" and energy["flags"].startswith("measured"))
        seconds, cpu_s = mean(report, "wall_ms") / 1000, (mean(report, "cpu_user_ms") + mean(report, "cpu_system_ms")) / 1000
        true_j, ticks_j = 10 * seconds + 20 * cpu_s, 20 * os.cpu_count() * 0.02
        assert package["low"] - late_j - ticks_j <= true_j <= package["high"] + late_j + ticks_j, (package, true_j, late_j)
        assert package["high"] - package["low"] < true_j


def test_a_moment_that_is_too_short_has_no_measured_joules_and_says_so(flexwatt, counters):
    _, report = measure(flexwatt, "--system", "1ms", "--counters-root", counters.root)
    if mean(report, "wall_ms") < 2:
        assert not any(energy["flags"].startswith("measured") for energy in report["energy"])
        assert any("tells nothing of less than" in note for note in report["notes"])


@pytest.mark.parametrize("what", [["--", sys.executable, "-c", BURN.format(0.5)], ["--system", "500ms"]], ids=["command", "system"])
def test_joules_of_a_guest_are_told_as_one_grade_lower(flexwatt, tmp_path, what):
    """Its counter tells neither its name nor its range: as a hypervisor passes it through."""
    with fixture_machine("guest-counter-alone", tmp_path / "guest", watts=20) as root:
        _, report = measure(flexwatt, "--counters-root", root, *what)
    package, = (energy for energy in report["energy"] if energy["domain"] == "package" and energy["flags"].startswith("measured"))
    assert package["joules"]["mean"] > 0 and "virtual" in package["flags"].split() and "ok" not in package["flags"].split()


def test_a_command_shorter_than_its_sensor_is_modelled_with_the_reason(flexwatt, tmp_path):
    """A mean of a second: with two of them something could be told."""
    chip = tmp_path / "sys/class/hwmon/hwmon0"
    chip.mkdir(parents=True)
    for name, text in (("name", "power_meter"), ("power1_average", "50000000"), ("power1_average_interval", "1000"), ("power1_label", "Grace Power Socket 0")):
        (chip / name).write_text(text + "\n")
    _, report = measure(flexwatt, "--counters-root", tmp_path, "-r", "5", "--", "true")
    assert all(energy["flags"].startswith("modelled") for energy in report["energy"])
    assert any(note.startswith("modelled, for the counters of hwmon are in no total: ") and "every 1 s only" in note for note in report["notes"])
    assert min(report["figures"]["wall_ms"]["values"]) < 900  # the wait for a sensor is not the command's


def test_packages_of_which_one_is_missing_are_not_told_as_the_machine(flexwatt, tmp_path):
    for package in (0, 1):
        zone = tmp_path / f"sys/class/powercap/intel-rapl:{package}"
        zone.mkdir(parents=True)
        (zone / "name").write_text(f"package-{package}\n")
        (zone / "max_energy_range_uj").write_text("262143328850\n")
        (zone / "energy_uj").write_text("" if package else "1000000\n")
    _, report = measure(flexwatt, "--counters-root", tmp_path, "--", "true")
    assert not any(energy["flags"].startswith("measured") for energy in report["energy"])
    note, = (note for note in report["notes"] if note.startswith("modelled, "))
    assert "package-1 is missing" in note and "stands in" in note


@pytest.mark.parametrize("file", ["sys/class/powercap/intel-rapl:0/energy_uj", "sys/class/powercap/intel-rapl:0/name",
                                  "sys/class/hwmon/hwmon0/name", "proc/stat"])
def test_a_pipe_among_the_counters_holds_nobody_up(flexwatt, tmp_path, file):
    for name, text in (("intel-rapl:0/energy_uj", "1\n"), ("intel-rapl:0/name", "package-0\n"), ("intel-rapl:0/max_energy_range_uj", "262143328850\n")):
        path = tmp_path / "sys/class/powercap" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    path = tmp_path / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    os.mkfifo(path)
    _, report = measure(flexwatt, "--counters-root", tmp_path, "--", "true")
    assert report["status"] == 0 and mean(report, "joules") > 0


def test_a_counters_root_that_is_not_there_is_our_own_failure(flexwatt):
    failed = flexwatt("measure", "--counters-root", "nowhere", "--", "true", status=125)
    assert "nowhere" in failed.stderr and "holds the host's sys" in failed.stderr
