#!/usr/bin/env bash
# Make the virtual environment and install everything: infra/install.sh PYTHON VENV
set -euo pipefail

python=$1
venv=$2
torch_version=2.13.0

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

pip_install() {
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check "$@"
}

installed_torch() {
    "$venv/bin/python" -c 'from importlib.metadata import version; print(version("torch"))' 2>/dev/null
}

# The default build brings several GB of CUDA libraries that a machine without a GPU cannot use.
install_torch() {
    if nvidia-smi -L >/dev/null 2>&1; then
        pip_install torch
    else
        pip_install "torch==$torch_version+cpu" 2>/dev/null ||
            { [ "$(uname -s)" = Linux ] && pip_install --retries 0 --timeout 20 \
                --index-url https://download.pytorch.org/whl/cpu "torch==$torch_version" 2>/dev/null; } ||
            pip_install torch
    fi
}

make_venv
[ -n "$(installed_torch)" ] || { echo "installing torch ..." && install_torch; }
constraint=$(mktemp)
trap 'rm -f "$constraint"' EXIT
echo "torch==$(installed_torch)" >"$constraint"
echo "installing aura and its libraries (minutes on a new machine) ..."
pip_install --constraint "$constraint" --editable '.[dev]'
echo "fetching the pinned models ..."
"$venv/bin/python" -m aura_core.models.fetch
