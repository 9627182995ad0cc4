# SPDX-License-Identifier: Apache-2.0
"""Nothing hangs in the guest, and a hang explains itself: a test past its deadline shows on the console where every process
stands (state, what it waits in, its kernel stack) and where Python does, and fails. When the guest's whole time is up, no
other test begins. Should even the test's end not come, the guest ends with the counts so far."""
import faulthandler
import os
import pathlib
import signal
import threading
import time

import pytest

TEST_S = 150   # the longest test takes 31 s where nothing else runs
END_S = 45     # for the teardown of a test that was cut off
WHOLE_S = 480  # since the kernel's start; scripts/test-vm waits a minute more

counts = {"passed": 0, "failed": 0, "skipped": 0}


def console(text):
    """Past pytest's capture: what is said when something hangs must not wait for its end."""
    with open("/dev/console", "w", encoding="utf-8") as out:
        out.write(text)


def uptime_s():
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def text_of(path):
    try:
        return path.read_text(encoding="utf-8", errors="replace").replace("\0", " ").strip()
    except OSError:
        return ""


def state_of(thread):
    """Its name, state and place in the kernel; the stack only where it does not run."""
    stat = text_of(thread / "stat")
    name, _, rest = stat.partition("(")[2].rpartition(")")
    state = rest.split()[0] if rest else "?"
    line = f"    {thread.name} {name} {state} in {text_of(thread / 'wchan') or '?'}"
    stack = [entry.partition("] ")[2].split("+")[0] for entry in text_of(thread / "stack").splitlines()]
    return f"{line}: {' < '.join(stack[:8])}\n"


def is_kernels(process):
    return not text_of(process / "cmdline")


def where_everything_stands():
    text = f"  uptime {uptime_s():.0f} s, load {text_of(pathlib.Path('/proc/loadavg'))}\n"
    for process in sorted(pathlib.Path("/proc").glob("[0-9]*"), key=lambda path: int(path.name)):
        threads = list(process.glob("task/[0-9]*"))
        if is_kernels(process):
            # A thread of the kernel's own, or a process that is ending: worth a line when it neither sleeps nor idles.
            text += "".join(state_of(thread) for thread in threads
                            if text_of(thread / "stat").rpartition(")")[2].split()[:1] in (["D"], ["R"], ["Z"]))
            continue
        text += f"  {process.name}: {text_of(process / 'cmdline')[:160]} (group {text_of(process / 'cgroup')})\n"
        text += "".join(state_of(thread) for thread in threads)
    return text + last_of_the_kernel()


def last_of_the_kernel():
    lines = []
    fd = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)
    try:
        while True:
            lines.append("  " + os.read(fd, 8192).decode(errors="replace").partition(";")[2].partition("\n")[0])
    except OSError:
        return "\n".join(["  the kernel's last words:", *lines[-20:], ""])  # EAGAIN: that was the last one
    finally:
        os.close(fd)


class Watch(threading.Thread):
    """One thread for the whole session; begin and end are called for every test."""

    def __init__(self):
        super().__init__(daemon=True)
        self.changed = threading.Condition()
        self.test, self.deadline, self.cut = None, None, False

    def begin(self, test):
        with self.changed:
            self.test, self.cut = test, False
            self.deadline = min(uptime_s() + TEST_S, max(WHOLE_S, uptime_s() + 1))
            self.changed.notify()

    def end(self):
        with self.changed:
            self.test = self.deadline = None
            self.changed.notify()

    def run(self):
        with self.changed:
            while True:
                if self.deadline is None or self.deadline > uptime_s():
                    self.changed.wait(self.deadline and self.deadline - uptime_s())
                elif not self.cut:
                    self.cut, self.deadline = True, uptime_s() + END_S
                    self.tell()
                    os.kill(os.getpid(), signal.SIGALRM)
                else:
                    self.give_up()

    def tell(self):
        console(f"\nguest: {self.test} is past its deadline; everything stands here:\n{where_everything_stands()}")
        with open("/dev/console", "w", encoding="utf-8") as out:
            faulthandler.dump_traceback(out, all_threads=True)

    def give_up(self):
        counts["failed"] += 1
        console(f"\nguest: {self.test} does not end even so:\n{where_everything_stands()}"
                f"===== {', '.join(f'{number} {name}' for name, number in counts.items() if number)} in {uptime_s():.0f}s =====\n")
        os._exit(1)


watch = Watch()


def cut_off(_signal, _frame):
    pytest.fail("past its deadline: the console shows where everything stood", pytrace=True)


def pytest_sessionstart():
    signal.signal(signal.SIGALRM, cut_off)
    watch.start()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item):
    watch.begin(item.nodeid)
    yield
    watch.end()


def pytest_runtest_setup(item):
    if uptime_s() >= WHOLE_S:
        pytest.fail(f"not begun: the guest's {WHOLE_S} s are over", pytrace=False)


def pytest_runtest_logreport(report):
    if report.when == "call" or report.outcome != "passed":
        counts[report.outcome] += 1
