# SPDX-License-Identifier: Apache-2.0
"""Asks an interpreter what a sandbox must show for it to run there, and compiles our bootstrap for it.

    python3 -I -c … PACKAGE RUNTIME CACHE HANDLER STYLE

It runs as us and outside of any sandbox: isolated, and the package is no place to import from; its handler is read and not run.
"""
import ast
import json
import os
import sys
from importlib.machinery import PathFinder

CONTEXTS = ("StageContext", "StorageContext", "IOManager")


def compile_runtime(runtime, cache):
    """Into a directory that is named by the runtime and the interpreter's bytecode; there whole or not at all."""
    import importlib.util
    import py_compile
    import shutil
    tag = f"{os.path.basename(runtime)[:16]}-{sys.implementation.cache_tag}-{importlib.util.MAGIC_NUMBER.hex()}"
    final = os.path.join(cache, tag)
    if not os.path.isdir(final):
        os.umask(0o022)
        os.makedirs(cache, exist_ok=True)
        fresh = f"{final}.{os.getpid()}"
        for name in os.listdir(os.path.join(runtime, "flexwatt")):
            if name.endswith(".py"):
                py_compile.compile(os.path.join(runtime, "flexwatt", name), os.path.join(fresh, "flexwatt", name + "c"), "flexwatt/" + name,
                                   doraise=True, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
        try:
            os.rename(fresh, final)
        except OSError:  # another was first
            shutil.rmtree(fresh)
    return final


def is_staged(package, handler):
    """Whether the first argument of the handler says StageContext, as its file reads; None where the file does not define it."""
    module, _, name = handler.rpartition(".")
    path = os.path.join(package, module.replace(".", "/"))
    for form in (".py", "/__init__.py"):
        try:
            with open(path + form, "rb") as file:
                tree = ast.parse(file.read())
        except (OSError, SyntaxError, ValueError):
            continue
        for node in tree.body:
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name == name:
                arguments = node.args.posonlyargs + node.args.args
                return bool(arguments) and annotation_of(arguments[0]).rpartition(".")[2] in CONTEXTS
    return None


def annotation_of(argument):
    said = argument.annotation
    if isinstance(said, ast.Constant):
        return str(said.value)
    return getattr(said, "attr", None) or getattr(said, "id", "")


def user_site():
    import site
    found = site.getusersitepackages() if sys.prefix == sys.base_prefix else None
    return found if found and os.path.isdir(found) else None


def roots(user):
    """Directories that hold all of the interpreter, as it names them and as they are."""
    named = [sys.prefix, sys.exec_prefix, sys.base_prefix, sys.base_exec_prefix, os.path.dirname(os.__file__), *sys.path, user or ""]
    found = []
    for path in [os.path.realpath(sys.executable)] + [path for name in named if name for path in (name, os.path.realpath(name))]:
        if os.path.exists(path) and path not in found:
            found.append(path)
    return found


def looked_into(root, user):
    """What the interpreter needs to read, one level into the places that it imports from."""
    yield root
    for path in [os.path.realpath(sys.executable), os.path.dirname(os.__file__), *sys.path, user or ""]:
        if not path.startswith(root.rstrip("/") + "/") and path != root:
            continue
        while len(path) > len(root):
            yield path
            path = os.path.dirname(path)
    for path in [*sys.path, user or ""]:
        if (path == root or path.startswith(root.rstrip("/") + "/")) and os.path.isdir(path):
            for entry in os.scandir(path):
                yield entry.path


def private(root, user):
    """Whether only its owner may read some of it, and what not even he may."""
    owner, closed, foreign = os.stat(root).st_uid, False, None
    for path in looked_into(root, user):
        try:
            status = os.stat(path)
        except OSError:
            continue
        needed = 0o5 if os.path.isdir(path) else 0o4
        if status.st_mode & needed != needed:
            closed = True
            foreign = foreign or (path if status.st_uid != owner else None)
    return closed, foreign


def main(package, runtime, cache, handler, style):
    if sys.version_info < (3, 9):
        return {"old": "%d.%d" % sys.version_info[:2]}
    user = user_site()
    client = PathFinder.find_spec("awslambdaric", [package, *([user] if user else []), *sys.path])
    staged = style == "stage" if style else is_staged(package, handler)
    shown = roots(user)
    owned = []
    for root in shown:
        if not root.startswith("/usr/"):
            closed, foreign = private(root, user)
            if foreign and os.geteuid() == 0:
                return {"unreadable": foreign}
            owned += [root] if closed else []
    options = []
    if sys.prefix != sys.base_prefix:
        options += ["executable=" + sys.executable, "prefix=" + sys.prefix]
    if user:
        options.append("site=" + user)
    if client and client.origin and staged is False:  # else our bootstrap looks at the handler itself
        directory = os.path.dirname(os.path.dirname(client.origin))
        if directory != package:
            shown.append(directory)
        options.append("client=" + ("/var/task" if directory == package else directory))
    elif staged or style:
        options.append("style=" + ("stage" if staged else style))
    return {"executable": os.path.realpath(sys.executable), "options": options, "show": shown, "owned": owned,
            "bootstrap": compile_runtime(runtime, cache)}


print(json.dumps(main(*sys.argv[1:])))
