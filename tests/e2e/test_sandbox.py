# SPDX-License-Identifier: Apache-2.0
"""What a function sees and may do inside its sandbox, and which worker serves which task: as a workflow's user has it."""
import json
import os
import pathlib
import re
import shutil

import pytest

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: workers get uids of their own")


def dedented(text):
    lines = text.strip("\n").split("\n")
    indent = min(len(line) - len(line.lstrip()) for line in lines if line.strip())
    return "\n".join(line[indent:] for line in lines)


@pytest.fixture
def inside(flexwatt, scripted):
    """Runs Python text in a sandbox; the value that it left in `answer`."""
    def run(code, params=None, **options):
        flexwatt.write("data/in/a.txt", "input\n")
        stage = {"function": {"package": scripted}, "workers": 1, "memory": 512, "timeout": 30, "retries": 0,
                 "inputs": {"in": {"keys": "in/*.txt"}}, "outputs": {"out": {"suffix": ".json"}},
                 "params": {"code": dedented(code), **(params or {})}, **options}
        flexwatt.workflow(json.dumps({"name": "inside", "storage": "./data", "stages": {"probe": stage}}))
        run = flexwatt.json("run", "workflow.yaml")["run"]
        text, = flexwatt.outputs(run).values()
        return json.loads(text)
    return run


def test_no_credential_and_no_variable_of_the_engine_is_passed_on(flexwatt, inside):
    flexwatt.env.update(AWS_ACCESS_KEY_ID="AKIAEXAMPLE", AWS_SECRET_ACCESS_KEY="secret-1", AWS_SESSION_TOKEN="secret-2",
                        AWS_PROFILE="work", HOME="/root", SSH_AUTH_SOCK="/tmp/agent", MY_TOKEN="secret-3")
    answer = inside("""
        own = open("/proc/self/environ").read().split(chr(0))[:-1]
        answer = {"own": dict(variable.split("=", 1) for variable in own), "others": ""}
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                answer["others"] += open(f"/proc/{pid}/environ").read()
            except OSError:
                pass
    """, environment={"MINE": "yes"})
    assert answer["own"]["MINE"] == "yes" and "MINE=yes" in answer["others"]
    assert set(answer["own"]) == {
        "LANG", "PATH", "LD_LIBRARY_PATH", "TZ", "_HANDLER", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_EXECUTION_ENV",
        "AWS_LAMBDA_FUNCTION_NAME", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "AWS_LAMBDA_FUNCTION_VERSION",
        "AWS_LAMBDA_INITIALIZATION_TYPE", "AWS_LAMBDA_LOG_GROUP_NAME", "AWS_LAMBDA_LOG_STREAM_NAME",
        "AWS_LAMBDA_RUNTIME_API", "LAMBDA_TASK_ROOT", "LAMBDA_RUNTIME_DIR", "MINE"}
    assert "secret-" not in answer["others"] and "FLEXWATT" not in answer["others"]


def test_what_is_not_its_own_cannot_be_read(flexwatt, inside):
    flexwatt("run", flexwatt.workflow("""
        name: before
        storage: ./data
        stages: {touch: {function: {command: [touch, "{output.out}"]}, memory: 128, outputs: {out: {suffix: .txt}}}}
    """, "before.yaml"))  # the store and logs of another run exist
    assert flexwatt.store.exists()
    secret = flexwatt.write("elsewhere/key.txt", "secret")
    closed = flexwatt.write("data/closed.txt", "for root alone", 0o600)
    answer = inside("""
        answer = {"control": attempt(open, event["inputs"]["in"][0]["path"]), "opened": []}
        for path in event["params"]["paths"]:
            for how in (open, os.listdir):
                if attempt(how, path) == "done":
                    answer["opened"].append(path)
        answer["attempts"] = os.listdir(os.path.dirname(os.path.dirname(os.path.dirname(output))))
        answer["processes"] = sorted(int(pid) for pid in os.listdir("/proc") if pid.isdigit())
    """, {"paths": [str(flexwatt.store), str(flexwatt.store.parent / "logs"), str(flexwatt.store.parent), str(secret),
                    str(secret.parent), "/etc/shadow", "/etc/gshadow", f"/proc/{os.getpid()}/environ", "/proc/1/root/etc",
                    f"/proc/{os.getpid()}/root", "/root/.ssh", "/proc/kcore", "/dev/mem", "/dev/kmsg", "/dev/sda",
                    "/sys/fs/cgroup", "/sys/kernel/debug", "/run/docker.sock", "/var/lib", "/var/log", "/mnt"]})
    assert answer["control"] == "done" and closed.exists()
    assert answer["opened"] == []
    assert len(answer["attempts"]) == 1, "of all workers' attempts it sees its own alone"
    assert len(answer["processes"]) <= 2, "itself and the sandbox's first process"


def test_an_attempt_cannot_see_its_neighbours_attempts(flexwatt, scripted):
    code = dedented("""
        import glob
        root = os.path.dirname(os.path.dirname(os.path.dirname(output)))
        with open(output + "/mine.txt", "w") as file:
            file.write("secret")
        deadline = time.monotonic() + 1
        answer = set()
        while time.monotonic() < deadline:
            answer.update(path for path in glob.glob(root + "/*/*/*/mine.txt") if not path.startswith(output))
            time.sleep(0.05)
        answer = sorted(answer)
    """)
    flexwatt.workflow(json.dumps({"name": "neighbours", "storage": "./data", "stages": {"look": {
        "function": {"package": scripted}, "workers": 3, "memory": 512, "outputs": {"out": {}}, "params": {"code": code}}}}))
    run = flexwatt.json("run", "workflow.yaml")["run"]
    records = flexwatt.records(run, "look")
    assert len({record["worker"] for record in records}) > 1, "they ran beside each other"
    assert [json.loads(text) for text in flexwatt.outputs(run).values()] == [[]] * 3


def test_nothing_outside_its_attempt_and_tmp_can_be_written(flexwatt, inside):
    answer = inside("""
        def write(path):
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))
        places = ["/", "/usr", "/usr/bin", "/etc", "/opt", "/dev", "/var", "/var/task", "/run", "/root", "/home", "/proc",
                  "/sys", "/sys/devices/system/cpu", os.path.dirname(event["inputs"]["in"][0]["path"]),
                  event["inputs"]["in"][0]["path"] + "/../.."]
        answer = {"made": [place for place in places if attempt(write, place + "/planted") == "done"],
                  "input": attempt(write, event["inputs"]["in"][0]["path"]),
                  "bootstrap": attempt(write, "/var/task/bootstrap"),
                  "chmod": attempt(os.chmod, event["inputs"]["in"][0]["path"], 0o666),
                  "remove": attempt(os.unlink, event["inputs"]["in"][0]["path"]),
                  "tmp": attempt(write, "/tmp/mine"), "own": attempt(write, output + "/mine")}
    """)
    assert answer["made"] == []
    assert answer["tmp"] == "done" and answer["own"] == "done"
    for what in ("input", "bootstrap", "chmod", "remove"):
        assert answer[what] in ("EROFS", "EACCES", "EPERM"), what
    assert (flexwatt.data / "in/a.txt").read_text() == "input\n"


def test_kernel_interfaces_are_closed(inside):
    answer = inside("""
        def write(path):
            os.write(os.open(path, os.O_WRONLY), b"1")
        paths = ["/proc/sys/kernel/core_pattern", "/proc/sys/vm/drop_caches", "/proc/sys/net/ipv4/ip_forward",
                 "/proc/sysrq-trigger", "/proc/irq/default_smp_affinity", "/sys/power/state",
                 "/sys/kernel/uevent_helper", "/sys/class/powercap/intel-rapl/enabled", "/sys/fs/cgroup/cgroup.procs",
                 "/dev/kmsg", "/dev/mem", "/dev/loop0", "/dev/kvm"]
        answer = [path for path in paths if attempt(write, path) == "done"]
    """)
    assert answer == []


def test_system_calls_that_lead_out_are_refused(inside):
    answer = inside("""
        numbers = {"bpf": 321, "perf_event_open": 298, "keyctl": 250, "ptrace": 101, "io_uring_setup": 425, "userfaultfd": 323,
                   "mount": 165, "pivot_root": 155, "chroot": 161, "setns": 308, "init_module": 175, "kexec_load": 246,
                   "open_by_handle_at": 304, "reboot": 169, "process_vm_readv": 310}
        answer = {name: system_call(number, 0, 0, 0, 0, 0, 0) for name, number in numbers.items()}
        for flag in (0x10000000, 0x00020000, 0x40000000, 0x20000000): # user, mounts, network, processes
            answer[f"unshare {flag:#x}"] = system_call(272, flag)
            answer[f"clone {flag:#x}"] = system_call(56, flag | 17, 0, 0, 0, 0)
        answer["setuid"] = system_call("setuid", 0)
        answer["nice"] = attempt(os.setpriority, os.PRIO_PROCESS, 0, -10)
        answer["raw socket"] = attempt(socket.socket, socket.AF_INET, socket.SOCK_RAW, 1)
    """) if os.uname().machine == "x86_64" else pytest.skip("the numbers are those of x86-64")
    allowed = {name: result for name, result in answer.items() if result not in ("EPERM", "EACCES")}
    assert not allowed


def test_no_privilege_can_be_gained(flexwatt, inside):
    tool = flexwatt.data / "in" / "read-as-root"
    tool.parent.mkdir(parents=True)
    shutil.copy(shutil.which("cat"), tool)
    tool.chmod(0o4755)
    answer = inside("""
        status = dict(line.split(":", 1) for line in open("/proc/self/status").read().splitlines())
        answer = {name: status[name].split() for name in status if name.startswith("Cap") or name in
                  ("NoNewPrivs", "Seccomp", "Uid", "Gid", "Groups")}
        for name, command in (("ours", event["params"]["tool"]), ("su", "/usr/bin/su")):
            done = subprocess.run([command, "/etc/shadow"], stdin=subprocess.DEVNULL, capture_output=True, text=True)
            answer[name] = {"status": done.returncode, "out": done.stdout, "err": done.stderr}
        answer["works"] = subprocess.run([event["params"]["tool"], event["inputs"]["in"][0]["path"]], capture_output=True,
                                         text=True).stdout
    """, {"tool": str(tool)})
    assert all(int(value[0], 16) == 0 for name, value in answer.items() if name.startswith("Cap")), answer
    assert answer["NoNewPrivs"] == ["1"] and answer["Seccomp"] == ["2"]
    assert len(set(answer["Uid"])) == 1 and int(answer["Uid"][0]) > 1000 and answer["Groups"] == []
    assert answer["works"] == "input\n", "the program runs, but not as root"
    for who in ("ours", "su"):
        assert answer[who]["status"] != 0 and answer[who]["out"] == "", who


def test_no_descriptor_of_the_engine_is_inherited(inside):
    answer = inside("""
        answer = {int(fd): os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")
                  if os.path.exists(f"/proc/self/fd/{fd}") or int(fd) < 3}
    """)
    assert answer.pop("0") == "/dev/null"
    assert answer.pop("1").startswith("pipe:") and answer.pop("2").startswith("pipe:")
    assert all(target.startswith(("socket:", "/proc/")) for target in answer.values()), answer
    assert sum(target.startswith("socket:") for target in answer.values()) == 1, "its own connection"


def test_a_daemon_lives_as_long_as_its_worker_and_no_longer(flexwatt, scripted):
    """As on Lambda: what a function leaves running is still there when its warm worker is used again, and dies with it."""
    code = dedented("""
        if event["task"] == 0 and os.fork() == 0:
            os.setsid()
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            while True:
                time.sleep(0.05)
        answer = sum(pid.isdigit() for pid in os.listdir("/proc"))
    """)
    stage = {"function": {"package": scripted}, "memory": 512, "outputs": {"out": {}}, "params": {"code": code}}
    flexwatt.workflow(json.dumps({"name": "daemon", "storage": "./data", "stages": {
        "first": stage, "again": {**stage, "after": ["first"], "params": {"code": code.replace("== 0 and", "== 9 and")}},
        "other": {**stage, "after": ["again"], "memory": 640, "params": {"code": code.replace("== 0 and", "== 9 and")}}}}))
    run = flexwatt.json("run", "workflow.yaml")["run"]
    workers = {record["stage"]: record["worker"] for record in flexwatt.records(run)}
    seen = {key.split("/")[0]: json.loads(text) for key, text in flexwatt.outputs(run).items()}
    assert workers["first"] == workers["again"] != workers["other"]
    assert seen["again"] == seen["other"] + 1, "the daemon is seen by its own worker alone"


@pytest.mark.parametrize("memory", [128, 3009, 5308])
def test_visible_cpus_follow_lambdas_steps(inside, memory):
    answer = inside("""
        answer = {"affinity": len(os.sched_getaffinity(0)), "online": open("/sys/devices/system/cpu/online").read(),
                  "nproc": int(subprocess.run(["nproc"], capture_output=True).stdout)}
    """, memory=memory)
    step = next(cpus for limit, cpus in ((3008, 2), (5307, 3), (7076, 4)) if memory <= limit)
    expected = min(step, len(os.sched_getaffinity(0)))
    assert answer == {"affinity": expected, "online": f"0-{expected - 1}\n" if expected > 1 else "0\n", "nproc": expected}


@pytest.mark.alone
def test_cpu_is_memory_divided_by_1769(flexwatt, functions):
    flexwatt.workflow("""
        name: quota
        storage: ./data
        function: {package: ./functions}
        stages: {burn: {handler: burn, memory: 442, params: {cpu_ms: 300}}}
    """)
    record, = flexwatt.records(flexwatt.json("run", "workflow.yaml")["run"])
    assert record["duration_ms"] > 0.9 * 300 / (442 / 1769) - 100
    assert record["throttled_ms"] > 0 and record["cpu_percent"] < 40


def test_tmp_is_private_and_of_the_size_asked(inside):
    marker = pathlib.Path("/tmp") / f"flexwatt-marker-{os.getpid()}"
    marker.write_text("outside")
    try:
        answer = inside("""
            size = os.statvfs("/tmp")
            answer = {"mb": size.f_bavail * size.f_frsize >> 20, "marker": os.path.exists(event["params"]["marker"]),
                      "type": [line.split()[2] for line in open("/proc/mounts") if line.split()[1] == "/tmp"]}
        """, {"marker": str(marker)}, tmp=64)
    finally:
        marker.unlink()
    assert 60 <= answer["mb"] <= 65 and not answer["marker"]
    assert "tmpfs" not in answer["type"], "on disk: it does not count as memory"


def workers_of(flexwatt, stages):
    """Runs stages one after the other; the worker of each, and which started cold."""
    names = list(stages)
    for before, name in zip(names, names[1:]):
        stages[name]["after"] = [before]
    flexwatt.workflow(json.dumps({"name": "pool", "storage": "./data", "function": {"package": "./functions"},
                                  "stages": {name: {"handler": "noop", "memory": 128, **stage} for name, stage in
                                             stages.items()}}))
    records = {record["stage"]: record for record in flexwatt.records(flexwatt.json("run", "workflow.yaml")["run"])}
    for record in records.values():
        assert re.fullmatch(r"w\d+-[0-9a-f]{8}", record["worker"])
    return ({name: record["worker"] for name, record in records.items()},
            {name for name, record in records.items() if record["cold_start_ms"] is not None})


def test_a_warm_worker_serves_the_same_package_whatever_the_handler(flexwatt, functions):
    workers, cold = workers_of(flexwatt, {"a": {}, "b": {"handler": "result"}, "c": {"workers": 1}})
    assert workers["a"] == workers["b"] == workers["c"] and cold == {"a"}


def test_plain_functions_of_one_package_share_a_warm_worker_per_handler(flexwatt, scripted):
    """Their handler is part of their environment; the stage's name is not."""
    stages = {"a": {}, "b": {}, "c": {"handler": "other"}, "d": {}}
    for stage in stages.values():
        stage.update(function={"package": scripted}, payload={"params": {"code": "answer = 1"}}, **{"handler": "one", **stage})
    workers, cold = workers_of(flexwatt, stages)
    assert workers["a"] == workers["b"] == workers["d"] != workers["c"] and cold == {"a", "c"}


@pytest.mark.parametrize("change", [{"memory": 256}, {"environment": {"MODE": "other"}}, {"tmp": 64}, {"network": "none"}],
                         ids=lambda change: next(iter(change)))
def test_a_worker_of_another_configuration_is_another_worker(flexwatt, functions, change):
    workers, cold = workers_of(flexwatt, {"a": {}, "b": change, "c": {}})
    assert workers["a"] == workers["c"] != workers["b"], "the first stays warm beside it"
    assert cold == {"a", "b"}


def test_a_changed_package_is_another_worker(flexwatt, functions):
    shutil.copytree(flexwatt.directory / "functions", flexwatt.directory / "changed")
    with open(flexwatt.directory / "changed" / "bootstrap", "ab") as bootstrap:
        bootstrap.write(b"\0")
    shutil.copytree(flexwatt.directory / "functions", flexwatt.directory / "copied")
    workers, _ = workers_of(flexwatt, {"a": {}, "b": {"function": {"package": "./changed"}},
                                       "c": {"function": {"package": "./copied"}}})
    assert workers["b"] != workers["a"] == workers["c"], "the digest counts, not the name"


def test_workers_that_fail_are_not_used_again(flexwatt, functions):
    workers, cold = workers_of(flexwatt, {"a": {}, "b": {"handler": "daemonise"}, "c": {}})
    assert workers["a"] == workers["c"] and cold == {"a"}
    flexwatt.workflow(json.dumps({"name": "dying", "storage": "./data", "function": {"package": "./functions"}, "stages": {
        "try": {"handler": "die", "memory": 128, "retries": 2}}}))
    run = flexwatt.json("run", "workflow.yaml", status=1)["run"]
    records = flexwatt.records(run, "try")
    assert len(records) == 3 == len({record["worker"] for record in records})


def test_the_oldest_idle_workers_make_room(flexwatt, functions):
    """Idle workers keep their memory: more of them than fit, and the oldest goes first."""
    total_mb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20
    count = (total_mb - 512) // 7000
    if not 1 <= count <= 8:
        pytest.skip(f"{total_mb} MB of memory: not two and not up to nine workers of 7000 MB")
    stages = {f"s{i}": {"memory": 7000 + i} for i in range(count + 1)}
    stages.update(last={"memory": 7000 + count}, first={"memory": 7000})
    workers, cold = workers_of(flexwatt, stages)
    assert workers["last"] == workers[f"s{count}"] and "last" not in cold
    assert workers["first"] != workers["s0"] and "first" in cold, "the oldest had been ended"
