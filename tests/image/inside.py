"""What the image is made of, held to what it promises."""

from collections.abc import Sequence
from typing import Any

from tests.image.engine import Engine

SEARCH = """
import importlib.util, os, stat, sys
found = {"setuid": [], "writable": [], "named": [], "tools": []}
named = set(sys.argv[1].split(","))
for folder, folders, files in os.walk("/"):
    folders[:] = [name for name in folders if os.path.join(folder, name) not in {"/proc", "/sys", "/dev"}]
    for name in [*files, *folders]:
        path = os.path.join(folder, name)
        state = os.lstat(path)
        if stat.S_ISREG(state.st_mode) and state.st_mode & 0o6000:
            found["setuid"].append(path)
        own = state.st_uid == os.getuid() or state.st_gid == os.getgid() and state.st_mode & 0o020
        if not stat.S_ISLNK(state.st_mode) and (own or state.st_mode & 0o002):
            found["writable"].append(path)
        if name in named:
            found["named"].append(path)
        if name in files and name in {"gcc", "cc", "c++", "ld", "make", "curl", "wget", "git"}:
            found["tools"].append(path)
        if name in {"pip", "pip3"} and folder.startswith(("/usr/local", "/opt")):
            found["tools"].append(path)
stale = []
for name in list(sys.stdlib_module_names) + ["service.serve", "boto3", "botocore.client", "uvicorn", "pydantic"]:
    if name in {"antigravity", "this", "idlelib", "lib2to3", "tkinter", "turtledemo"} or name.startswith("_pyrepl"):
        continue
    try:
        spec = importlib.util.find_spec(name)
    except ImportError:
        continue
    if spec and spec.origin and spec.origin.endswith(".py") and not os.path.exists(spec.cached):
        stale.append(name)
found["uncompiled"] = stale
found["pip"] = [name for name in ("pip", "setuptools", "faster_whisper") if importlib.util.find_spec(name)]
print(found)
"""
"""Runs in the container, as its user: what could be turned against it."""
WRITABLE = {"/var/lib/afterword", "/tmp", "/var/tmp", "/run/lock"}
"""The folder of the service's own, and what every Debian lets anybody write to (a read-only root lets nobody)."""


def looked_into(engine: Engine, image: str, planted: Sequence[str]) -> dict[str, object]:
    """What was seen; ends the program at the first thing that is not as promised."""
    found = engine.described(image)
    config = found["Config"]
    _same("user", config["User"], "10001:10001")
    _same("entry point", config["Entrypoint"], ["afterword"])
    _same("command", config["Cmd"], ["serve"])
    _same("stop signal", config["StopSignal"], "SIGTERM")
    _search(engine, image, planted)
    version = engine.said(image, "--version")
    _same("afterword --version", version.stdout.split()[1:], [config["Labels"]["org.opencontainers.image.version"]])
    unset = engine.said(image, "check", "--offline")
    _same("exit code of check without settings", unset.returncode, 1)
    if "ASSEMBLYAI_API_KEY" not in unset.stdout + unset.stderr or "Traceback" in unset.stderr:
        raise SystemExit(f"check did not say what is missing:\n{unset.stdout}{unset.stderr}")
    refused = engine.said(image)
    _same("exit code of serve without settings", refused.returncode, 1)
    return {
        "size": f"{found['Size'] / 1e6:.0f} MB",
        "of which ours": f"{_ours(engine, image):.0f} MB",
        "compressed": f"{engine.compressed(image) / 1e6:.0f} MB",
        "version": version.stdout.strip(),
        "set-uid programs, compilers, installers, planted secrets, files of its user": "none",
    }


def _search(engine: Engine, image: str, planted: Sequence[str]) -> None:
    names = ",".join({path.rpartition("/")[2] for path in planted})
    said = engine.said(image, "-c", SEARCH, names, entrypoint="python")
    if said.returncode:
        raise SystemExit(said.stderr)
    found: dict[str, Any] = eval(said.stdout, {"__builtins__": {}})
    writable = [path for path in found.pop("writable") if path not in WRITABLE]
    _same("what its user may write to", writable, [])
    for what, paths in found.items():
        _same(what, paths, [])


def _ours(engine: Engine, image: str) -> float:
    """Megabytes that stand above the base: the environment, and the standard library's bytecode."""
    counted = "import os; print(sum(os.lstat(os.path.join(d, f)).st_size for d, _, fs in os.walk('/opt') for f in fs))"
    return int(engine.said(image, "-c", counted, entrypoint="python").stdout) / 1e6


def _same(what: str, found: object, promised: object) -> None:
    if found != promised:
        raise SystemExit(f"{what}: {found!r}, not {promised!r}")
