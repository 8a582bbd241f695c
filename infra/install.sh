#!/usr/bin/env bash
# Install the locked versions of infra/lock: infra/install.sh PYTHON VENV runtime|dev
#
# A lock is complete, so nothing else is looked up (--no-deps). torch is in none: its build
# depends on the machine. uv installs, pip where uv cannot.
set -euo pipefail

python=$1
venv=$2
lock_name=$3
torch_version=2.13.0
cpu_wheels=https://download.pytorch.org/whl/cpu
locks=$(dirname "$0")/lock

say() { printf 'install: %3d s  %s\n' "$SECONDS" "$*"; }

fail() {
    echo "error: $*" >&2
    exit 2
}

make_venv() {
    command -v "$python" >/dev/null || fail "no $python: install Python 3.11 or later"
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        fail "$("$python" --version) is too old: set PYTHON to Python 3.11 or later (make PYTHON=python3.12 ...)"
    [ -x "$venv/bin/python" ] || "$python" -m venv "$venv" ||
        fail "cannot make $venv; on Debian: apt-get install python3-venv"
}

# A stalled connection is tried again after the timeout, of which there may be several.
with_pip() {
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --timeout 30 "$@"
}

with_uv() {
    "$venv/bin/uv" pip install --quiet --python "$venv/bin/python" "$@"
}

# Without build isolation: what has no wheel is built by the locked setuptools.
install_locked() {
    local options=(--no-deps --no-build-isolation "$@")
    with_uv "${options[@]}" || { say "uv could not: pip takes over" && with_pip "${options[@]}"; }
}

# The default build on Linux brings several GB of CUDA libraries: only a machine with a GPU gets it.
install_torch() {
    local found
    if found=$("$venv/bin/python" -c 'from importlib.metadata import version; print(version("torch"))' 2>/dev/null); then
        [ "${found%+*}" = "$torch_version" ] || say "torch $found stays; the tested one is $torch_version"
        return
    fi
    if nvidia-smi -L >/dev/null 2>&1; then
        say "torch $torch_version and its CUDA libraries (several GB) ..."
        with_uv "torch==$torch_version" || with_pip "torch==$torch_version"
    elif [ "$(uname -s)" != Linux ]; then
        say "torch $torch_version ..."
        with_pip --no-deps "torch==$torch_version"
    else
        say "torch $torch_version for CPUs (0.2 GB) ..."
        with_pip --no-deps "torch==$torch_version+cpu" 2>/dev/null ||
            with_pip --no-deps --index-url "$cpu_wheels" "torch==$torch_version" ||
            fail "no CPU build of torch in reach of pip: see its message above." \
                "Install a torch by hand, then run this again: $venv/bin/pip install torch==$torch_version"
    fi
}

# uv leaves it to the first process that imports a file, and where Python may not write
# (PYTHONDONTWRITEBYTECODE, a read-only image) every process would compile all it imports.
compile_bytecode() {
    local seldom='/(tests?|sympy|networkx|fontTools|transformers/models|torch/(_inductor|testing)|ray/(rllib|serve|llm))/'
    "$venv/bin/python" -m compileall -q -j 0 -x "$seldom" "$venv"/lib/python*/site-packages >/dev/null || true
}

make_venv
say "one to two minutes on a new machine with a fast connection, seconds later on"
say "uv, to install the rest ..."
with_pip --require-hashes --requirement "$locks/build.txt"
say "$(grep -c '^[a-z0-9]' "$locks/$lock_name.txt") locked libraries ($lock_name.txt) ..."
install_locked --require-hashes --requirement "$locks/$lock_name.txt"
compile_bytecode &
install_torch
install_locked --editable "$(dirname "$locks")/.."
say "bytecode ..."
wait
say "the pinned models (0.25 GB) ..."
"$venv/bin/python" -m aura_core.models.pinned
say "done in $SECONDS s"
