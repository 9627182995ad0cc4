# SPDX-License-Identifier: Apache-2.0
"""The loop of the bootstrap: events in, answers and errors out, as AWS Lambda's own clients give them.

Everything here is imported while the host answers the first request for an event.
"""
import json
import os
import sys
import time

INVOCATION = "/2018-06-01/runtime/invocation/"
INIT_ERROR = "/2018-06-01/runtime/init/error"
CODE = os.path.dirname(__file__)  # frames of ours are no part of a function's stack
ERROR_TYPE = "Lambda-Runtime-Function-Error-Type"
ERROR_BODY = "Lambda-Runtime-Function-Error-Body"

request_id = ""  # of the running invocation, for log records


class Fault(Exception):
    """A failure with an error type that is not the name of a class."""

    def __init__(self, error_type, message):
        super().__init__(message)
        self.error_type = error_type


class Identity:
    """Of a mobile application; flexwatt has none."""

    cognito_identity_id = None
    cognito_identity_pool_id = None


class Context:
    """The second argument of a handler, with the attributes that AWS documents."""

    def __init__(self, headers):
        environment = os.environ.get
        self.function_name = environment("AWS_LAMBDA_FUNCTION_NAME")
        self.function_version = environment("AWS_LAMBDA_FUNCTION_VERSION")
        self.memory_limit_in_mb = environment("AWS_LAMBDA_FUNCTION_MEMORY_SIZE")
        self.log_group_name = environment("AWS_LAMBDA_LOG_GROUP_NAME")
        self.log_stream_name = environment("AWS_LAMBDA_LOG_STREAM_NAME")
        self.aws_request_id = headers.get("lambda-runtime-aws-request-id", "")
        self.invoked_function_arn = headers.get("lambda-runtime-invoked-function-arn")
        self.tenant_id = headers.get("lambda-runtime-aws-tenant-id")
        self.client_context = json_of(headers.get("lambda-runtime-client-context"))
        self.identity = Identity()
        identity = json_of(headers.get("lambda-runtime-cognito-identity")) or {}
        self.identity.cognito_identity_id = identity.get("cognitoIdentityId")
        self.identity.cognito_identity_pool_id = identity.get("cognitoIdentityPoolId")
        self._deadline_ms = int(headers.get("lambda-runtime-deadline-ms", 0))

    def get_remaining_time_in_millis(self):
        return max(self._deadline_ms - int(time.time() * 1000), 0)

    def log(self, message):
        sys.stdout.write(message)


def json_of(text):
    return json.loads(text) if text else None


def describe(error):
    """AWS's error document; the stack begins with the function's own frames."""
    import traceback
    frames = traceback.extract_tb(error.__traceback__)
    own = [i for i, frame in enumerate(frames) if not is_ours(frame.filename)]
    frames = frames[own[0]:] if own else []
    return {"errorMessage": message_of(error), "errorType": type_of(error), "requestId": request_id,
            "stackTrace": [encodable(line) for line in traceback.format_list(frames)]}


def message_of(error):
    try:
        return encodable(str(error))
    except Exception as why:
        return f"its message cannot be told: __str__ raised {type(why).__name__}"


def type_of(error):
    """An error type of its own is a text in `error_type`; else it is the name of the class."""
    try:
        said = error.error_type
    except Exception:
        said = None
    return encodable(said if isinstance(said, str) and said else type(error).__name__)


def encodable(text):
    """A text that has half a character (a surrogate, of a file name for one) shows it by its number."""
    return text.encode("utf-8", "backslashreplace").decode()


def is_ours(filename):
    return filename.startswith(("<frozen importlib", "flexwatt/", CODE))


def print_error(document):
    lines = [f"[ERROR] {document['errorType']}: {document['errorMessage']}"]
    if document["stackTrace"]:
        lines += ["Traceback (most recent call last):", "".join(document["stackTrace"]).rstrip()]
    say("\n".join(lines))


def say(line):
    """Into the log, if the function has left it open."""
    try:
        print(line)
    except (OSError, ValueError):
        pass


def flush():
    for file in (sys.stdout, sys.stderr):
        try:
            file.flush()
        except (AttributeError, OSError, ValueError):  # closed, or taken away, by the function
            pass


def post(host, path, body, headers=""):
    """An answer that is refused is the host's affair: it has judged the invocation by then."""
    check(path, *host.call("POST", path, body, f"Content-Type: application/json\r\n{headers}"))


def check(path, status, _, reply):
    if status >= 400:
        say(f"[WARN] the host refused {path}: {status} {reply.decode(errors='replace').strip()}")


def post_error(host, path, error):
    document = describe(error)
    print_error(document)
    try:
        post(host, path, json.dumps(document).encode(), f"{ERROR_TYPE}: {header_type(document)}\r\n")
    except OSError as lost:
        say(f"[WARN] the host was not told: {lost}")


def header_type(document):
    """Headers are ASCII; the document has the name as it is."""
    return "".join(c for c in document["errorType"] if " " < c <= "~") or "Function.Error"


def init_fault(handler, error):
    """The names that AWS gives to failures while a function's code is loaded."""
    module = handler.rpartition(".")[0]
    if isinstance(error, SyntaxError):
        where = f"{os.path.basename(error.filename or module)}, line {error.lineno}"
        return Fault("Runtime.UserCodeSyntaxError", f"Syntax error in module '{module}': {error.msg} ({where})")
    if isinstance(error, (ImportError, PermissionError)):
        hint = f"; its user may not read {error.filename}: chmod -R a+rX" if isinstance(error, PermissionError) else ""
        return Fault("Runtime.ImportModuleError", f"Unable to import module '{module}': {error}{hint}")
    return error


def report_init(host, handler, error):
    fault = init_fault(handler, error)
    post_error(host, INIT_ERROR, fault if fault is error else fault.with_traceback(error.__traceback__))
    return 1


def dump(answer):
    try:
        return json.dumps(answer, ensure_ascii=False, allow_nan=False).encode("utf-8", "surrogatepass")
    except (TypeError, ValueError, RecursionError) as error:
        raise Fault("Runtime.MarshalError", f"Unable to marshal response: {error}") from None


def read_event(body):
    try:
        return json.loads(body)
    except ValueError as error:
        raise Fault("Runtime.UnmarshalError", f"Unable to unmarshal input: {error}") from None


def send(host, data):
    """False when the host hears no more: what is too large is refused on its way, and judged by then."""
    try:
        host.socket.sendall(data)
        return True
    except (BrokenPipeError, ConnectionResetError):
        return False


def stream(host, path, pieces):
    """A generator's answer, piece by piece; what fails on the way is told after the last one."""
    host.send_head(path)
    trailer = ""
    try:
        for piece in pieces:
            data = encode_piece(piece)
            if data and not send(host, b"%x\r\n%b\r\n" % (len(data), data)):
                break
    except Exception as error:
        import base64
        document = describe(error)
        print_error(document)
        encoded = base64.b64encode(json.dumps(document).encode()).decode()
        trailer = f"{ERROR_TYPE}: {header_type(document)}\r\n{ERROR_BODY}: {encoded}\r\n"
    send(host, f"0\r\n{trailer}\r\n".encode())
    check(path, *host.receive())


def encode_piece(piece):
    if isinstance(piece, str):
        return piece.encode()
    if isinstance(piece, (bytes, bytearray, memoryview)):
        return bytes(piece)
    raise Fault("Runtime.MarshalError", f"Unable to marshal response: a generator's pieces are text or bytes, this one is {type(piece).__name__}")


def check_ran(result):
    """What `async def` or a `yield` gives has not run yet, and nobody would run it."""
    if hasattr(result, "__await__"):
        result.close()
        raise Fault("Function.NotRun", "the handler is a coroutine, which nothing awaits: call asyncio.run() in a plain function")
    if hasattr(result, "__next__") or hasattr(result, "__anext__"):
        raise Fault("Function.NotRun", "the handler is a generator (it has a yield), which nothing would run: a stage's answer is its outputs")
    return result


def call_staged(host, function, event, context):
    from flexwatt.stage import StageContext
    if not isinstance(event, dict) or event.get("flexwatt") != 1:
        raise Fault("Function.Event", "the handler takes a StageContext, but the event is a plain one: give the stage no payload")
    stage = StageContext(event, context, host.name)
    try:
        return stage._answer(check_ran(function(stage)))
    finally:
        stage._close()


def invoke(host, function, staged, headers, body):
    global request_id
    context = Context(headers)
    request_id = context.aws_request_id
    trace = headers.get("lambda-runtime-trace-id")
    if trace:
        os.environ["_X_AMZN_TRACE_ID"] = trace
    path = INVOCATION + request_id
    try:
        event = read_event(body)
        if staged:
            answer = call_staged(host, function, event, context)
        else:
            answer = function(event, context)
        if hasattr(answer, "__next__"):
            send_answer = stream
        else:
            answer, send_answer = dump(answer), post
    except Exception as error:
        return post_error(host, path + "/error", error)
    try:
        send_answer(host, path + "/response", answer)
    except OSError as lost:
        host.close()  # the next event comes on a connection of its own
        say(f"[WARN] the host broke off: {lost}")


def serve(host, function, staged, next_path):
    """The first request for an event has been sent."""
    while True:
        status, headers, body = host.receive()
        if status != 200:
            say(f"[ERROR] the host answers GET next with {status}")
            return 1
        invoke(host, function, staged, headers, body)
        flush()
        host.send("GET", next_path)
