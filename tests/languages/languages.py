# SPDX-License-Identifier: Apache-2.0
"""How each language's test function is built: once for its sources and tools, kept below $XDG_CACHE_HOME/flexwatt/languages."""
import hashlib
import os
import pathlib
import shutil
import subprocess

HERE = pathlib.Path(__file__).resolve().parent
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "flexwatt" / "languages"


def once(name, sources, version, build):
    """The directory that build(directory) filled; it is there whole or not at all."""
    digest = hashlib.sha256(" ".join(version).encode())
    for source in sources:
        digest.update((HERE / name / source).read_bytes())
    made = CACHE / f"{name}-{digest.hexdigest()[:16]}"
    if not made.is_dir():
        fresh = made.with_name(f".{made.name}-{os.getpid()}")
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(parents=True)
        for source in sources:
            shutil.copy(HERE / name / source, fresh)
        build(fresh)
        fresh.rename(made)
    return made


def run(*command, cwd, **environment):
    done = subprocess.run(command, cwd=cwd, env={**os.environ, **environment}, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=500)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    return done.stdout.strip()


def node_modules():
    """aws-lambda-ric by npm, as the lock file has it with its hashes; its client is compiled here, against the node that is here."""
    headers = {"npm_config_nodedir": "/usr"} if pathlib.Path("/usr/include/node/node.h").exists() else {}
    version = [run("node", "--version", cwd="/")]
    return once("node", ["package.json", "package-lock.json"], version,
                lambda place: run("npm", "ci", "--no-audit", "--no-fund", cwd=place, **headers)) / "node_modules"


def go_bootstrap():
    """aws-lambda-go as go.sum has it; with the oldest Go that we know of, Debian 12's, or a later one."""
    version = [run("go", "version", cwd="/")]
    return once("go", ["main.go", "go.mod", "go.sum"], version,
                lambda place: run("go", "build", "-trimpath", "-tags", "lambda.norpc", "-ldflags", "-s -w", "-o", "bootstrap", ".",
                                  cwd=place, CGO_ENABLED="0", GOTOOLCHAIN="local", GOFLAGS="-mod=readonly")) / "bootstrap"


def link(source, target):
    try:
        os.link(source, target)
    except OSError:  # of another file system
        shutil.copy2(source, target)


def python(directory):
    shutil.copy(HERE / "python/app.py", directory)
    return {"python": {"path": str(directory), "interpreter": "/usr/bin/python3"}, "handler": "app.handler"}


def node(directory):
    shutil.copy(HERE / "node/app.js", directory)
    shutil.copytree(node_modules(), directory / "node_modules", symlinks=True, copy_function=link)
    return {"node": str(directory), "handler": "app.handler"}


def go(directory):
    shutil.copy(go_bootstrap(), directory / "bootstrap")
    return {"package": str(directory)}


def shell(directory):
    shutil.copy(HERE / "shell/bootstrap", directory / "bootstrap")
    return {"package": str(directory)}
