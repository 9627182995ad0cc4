# SPDX-License-Identifier: Apache-2.0
"""A function in Python: what it does is what its payload says."""
import os
import time


class NoSuchCustomer(Exception):
    pass


def greet(event, context):
    print("greeting", event["name"])
    return {"greeting": "hello, " + event["name"], "request": context.aws_request_id, "left": context.get_remaining_time_in_millis()}


def refuse(event, context):
    raise NoSuchCustomer("nobody is called " + event["name"])


def sleep(event, context):
    time.sleep(3600)


def large(event, context):
    return {"text": "x" * event["bytes"]}


def panic(event, context):
    os._exit(3)


def write(event, context):
    with open(event["directory"] + "/report.txt", "w") as file:
        file.write("written by Python")
    return {"file": "report.txt"}


def handler(event, context):
    return globals()[event["do"]](event, context)


def stream(event, context):
    yield '{"text": "'
    for start in range(0, event["bytes"], 1000):
        yield "x" * min(1000, event["bytes"] - start)
    yield '"}'
