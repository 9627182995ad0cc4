# SPDX-License-Identifier: Apache-2.0
"""The claim to the name of a run: one object that a single engine can make."""
import pytest

from s3_faults import Fault
from test_storage import COPY, ROWS, flexwatt  # noqa: F401: fixtures


@pytest.fixture
def through(flexwatt, server, proxy):
    """A workflow whose bucket stands behind the proxy."""
    for key, text in ROWS.items():
        flexwatt.put(key, text)
    flexwatt.storage = flexwatt.storage.replace(server.url, proxy.url)
    flexwatt.workflow(COPY.format(storage=flexwatt.storage))
    return flexwatt


def conditions(proxy):
    return [seen.headers.get("If-None-Match") for seen in proxy.requests("PUT", "/.run")]


@pytest.mark.parametrize("status, code", [(500, "InternalError"), (403, "AccessDenied")])
def test_a_claim_that_fails_is_never_made_without_its_condition(through, proxy, status, code):
    proxy.faults.append(Fault("status", method="PUT", path="/.run", times=3, status=status, code=code))
    told = through("run", "workflow.yaml", status=3).stderr
    assert f"the server answers {status} {code}" in told and "prepare the bucket" in told
    assert set(conditions(proxy)) == {"*"}
    assert through.keys("runs/") == []


def test_a_server_that_knows_no_conditions_is_believed_what_it_lists(through, proxy):
    proxy.faults.append(Fault("status", method="PUT", path="/.run", status=501, code="NotImplemented"))
    through("run", "workflow.yaml")
    assert conditions(proxy) == ["*", None]


def test_a_claim_whose_answer_was_lost_is_ours(through, proxy):
    proxy.faults.append(Fault("lose", method="PUT", path="/.run"))
    run = through.json("run", "workflow.yaml")
    assert run["state"] == "ok" and conditions(proxy) == ["*", "*"]
    through("runs", "rm", run["run"])
    assert through.keys("runs/") == []
