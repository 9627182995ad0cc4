# SPDX-License-Identifier: Apache-2.0
"""Log records as on AWS Lambda: one handler on the root logger, as lines of text or, with AWS_LAMBDA_LOG_FORMAT=JSON, of JSON."""
import os
import sys
import time


def install(logging):
    """Called when the function has imported the module, and not before: it is slow to load."""

    class LambdaFormatter(logging.Formatter):
        converter = time.gmtime

        def format(self, record):
            from flexwatt import _runtime
            record.aws_request_id = _runtime.request_id
            return super().format(record)

    class JsonFormatter(logging.Formatter):
        converter = time.gmtime

        def format(self, record):
            import json
            from flexwatt import _runtime
            line = {"timestamp": self.formatTime(record, "%Y-%m-%dT%H:%M:%SZ"), "level": record.levelname,
                    "message": record.getMessage(), "logger": record.name, "requestId": _runtime.request_id}
            if record.exc_info:
                line["stackTrace"] = self.formatException(record.exc_info).splitlines()
            return json.dumps(line, default=str) + "\n"

    class LambdaHandler(logging.Handler):
        def emit(self, record):
            sys.stdout.write(self.format(record))

    handler = LambdaHandler()
    if os.environ.get("AWS_LAMBDA_LOG_FORMAT") == "JSON":
        handler.setFormatter(JsonFormatter())
    else:
        handler.setFormatter(LambdaFormatter("[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t%(aws_request_id)s\t%(message)s\n",
                                             "%Y-%m-%dT%H:%M:%S"))
    logging.root.addHandler(handler)
    level = os.environ.get("AWS_LAMBDA_LOG_LEVEL")
    if level in ("DEBUG", "INFO", "WARN", "ERROR"):
        logging.root.setLevel(level)
