"""The locks of infra/lock: hashed, complete, within the bounds of pyproject.toml, free of CUDA."""

import ast
import platform
import re
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
LOCK = ROOT / "infra" / "lock"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PYTHONS = ("3.11.13", "3.12.12", "3.13.9")
HERE = platform.python_version()
# Installed by infra/install.sh, and what only its builds for GPUs bring.
NOT_LOCKED = {"torch", "triton"}
# What a user installs for one feature; an AuraError says so.
OPTIONAL = {"mlflow", "openai", "qa_metrics", "trackio", "wandb"}


@cache
def lock(name: str) -> list[tuple[Requirement, list[str]]]:
    """Every requirement of a lock with its hashes."""
    text = (LOCK / f"{name}.txt").read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.lstrip().startswith("#")]
    parts = [re.split(r"\s+--hash=", line.strip()) for line in lines]
    return [(Requirement(requirement), hashes) for requirement, *hashes in parts]


def applies(requirement: Requirement, python: str, extra: str = "") -> bool:
    """Whether it is asked for on this machine by this release of Python."""
    short = python.rpartition(".")[0]
    environment = {"python_version": short, "python_full_version": python, "extra": extra}
    return requirement.marker is None or requirement.marker.evaluate(environment)


def pins(name: str, python: str) -> dict[str, str]:
    """Version by package, on this machine with this release of Python."""
    found = [requirement for requirement, _ in lock(name) if applies(requirement, python)]
    assert len({requirement.name for requirement in found}) == len(found)
    return {each.name: str(each.specifier).removeprefix("==") for each in found}


def declared(name: str) -> Iterator[Requirement]:
    """What pyproject.toml asks for: `runtime`, or an extra and the extras in it."""
    extras = PROJECT["optional-dependencies"]
    for text in PROJECT["dependencies"] if name == "runtime" else extras[name]:
        requirement = Requirement(text)
        if requirement.name == PROJECT["name"]:
            for extra in requirement.extras:
                yield from declared(extra)
        else:
            yield requirement


@pytest.mark.parametrize("name", ["build", "runtime", "dev"])
def test_every_pin_is_exact_and_hashed(name):
    assert lock(name)
    for requirement, hashes in lock(name):
        assert re.fullmatch(r"==[^*,]+", str(requirement.specifier)), requirement
        assert hashes, requirement
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", each) for each in hashes), requirement


@pytest.mark.parametrize("name", ["build", "runtime", "dev"])
def test_no_lock_brings_torch_or_cuda(name):
    names = {requirement.name for requirement, _ in lock(name)}
    assert not [each for each in names if re.match(r"nvidia|cuda|torch$|triton", each)]


@pytest.mark.parametrize("python", PYTHONS)
def test_dev_is_runtime_and_more(python):
    runtime, dev = pins("runtime", python), pins("dev", python)
    assert runtime.items() < dev.items()
    assert pins("build", python)["setuptools"] == runtime["setuptools"]


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("name", ["runtime", "dev"])
def test_the_locks_keep_the_bounds(name, python):
    pinned = pins(name, python)
    asked = [each for each in declared(name) if each.name not in NOT_LOCKED]
    for requirement in asked:
        if applies(requirement, python):
            version = pinned[canonicalize_name(requirement.name)]
            assert requirement.specifier.contains(version), requirement


@pytest.mark.parametrize("name", ["runtime", "dev"])
def test_nothing_is_missing_without_deps(name):
    """Installed with --no-deps, a lock must have whatever its packages ask for."""
    pinned = pins(name, HERE)
    waiting = [*declared("runtime"), *(declared("dev") if name == "dev" else ())]
    seen = set()
    while waiting:
        requirement = waiting.pop()
        package = canonicalize_name(requirement.name)
        if str(requirement) in seen or package == "triton" or not applies(requirement, HERE):
            continue
        seen.add(str(requirement))
        version = metadata.version(package)
        assert requirement.specifier.contains(version), requirement
        # The environment brings a pip of its own.
        assert package in {"torch", "pip"} or pinned[package] == version, "run make test"
        for extra in ("", *requirement.extras):
            needs = map(Requirement, metadata.requires(package) or [])
            waiting += [need for need in needs if applies(need, HERE, extra)]


@pytest.mark.parametrize("package", ["torch", "openai-whisper"])
def test_what_the_lock_is_told_they_need_is_what_they_need(package):
    entries = tomllib.loads((LOCK / "uv.toml").read_text())["dependency-metadata"]
    [told] = [entry["requires-dist"] for entry in entries if entry["name"] == package]
    needs = [each for each in map(Requirement, metadata.requires(package)) if applies(each, HERE)]
    kept = {
        f"{canonicalize_name(each.name)}{each.specifier}"
        for each in needs
        if not re.match(r"nvidia|cuda|triton", each.name)
    }
    assert kept == set(told)


@pytest.mark.parametrize("package", ["flows", "tasks", "aura_core"])
def test_what_aura_imports_is_in_the_runtime(package):
    distributions = metadata.packages_distributions()
    runtime = {requirement.name for requirement, _ in lock("runtime")} | {"torch"}
    ours = {"flows", "tasks", "aura_core"} | OPTIONAL | sys.stdlib_module_names
    for path in (ROOT / package).rglob("*.py"):
        for module in imports(path) - ours:
            found = {canonicalize_name(each) for each in distributions.get(module, ())}
            assert found & runtime, f"{path} imports {module}"


def imports(path: Path) -> set[str]:
    """The top-level packages that a file imports anywhere, also within functions."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found.add(node.module.split(".")[0])
    return found
