# SPDX-License-Identifier: Apache-2.0
"""An engine that is killed at a chosen event of its run's log. `e2e` is tests/e2e/conftest.py, as the caller's conftest names it."""
import re
import time

from e2e import kill, query


def last_event(flexwatt):
    rows = query(flexwatt, "select max(seq) from event")
    return rows[0][0] or 0 if rows else 0


def kill_at(flexwatt, sequence):
    """Starts a run and kills its engine as soon as that event is in the log; where it stood then."""
    process = flexwatt.start("run", "workflow.yaml")
    deadline = time.monotonic() + 120
    while last_event(flexwatt) < sequence and process.poll() is None:
        assert time.monotonic() < deadline, "waited too long"
    kill(process)
    process.communicate()
    return last_event(flexwatt)


def visible(flexwatt, run):
    """What a run left, by task and not by attempt."""
    seen = [(re.sub(r"^(\w+/\d+)\.\d+/", r"\1/", key), text) for key, text in flexwatt.outputs(run).items()]
    assert len({key for key, _ in seen}) == len(seen), "two attempts of a task are visible"
    return dict(seen)
