# Sets PYTHON to an interpreter in which the zoo is installed, creating .venv where none is given. Sourced by train, test
# and benchmark.
#
# ZOO_PYTHON=python uses an active environment instead, into which the zoo is installed if it is not there yet.
# ZOO_EXTRA names an extra of pyproject.toml to install as well, such as dev.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
extra="${ZOO_EXTRA:+[$ZOO_EXTRA]}"

if [ -n "${ZOO_PYTHON:-}" ]; then
    PYTHON=$(command -v "$ZOO_PYTHON") || { echo "ZOO_PYTHON is '$ZOO_PYTHON', which is no program" >&2; exit 2; }
else
    PYTHON=$PWD/.venv/bin/python
    if [ ! -x "$PYTHON" ]; then
        for candidate in python3 python3.14 python3.13 python3.12 python3.11; do
            if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
                base=$candidate
                break
            fi
        done
        if [ -n "${base:-}" ] && "$base" -c 'import venv, ensurepip' 2>/dev/null; then
            echo "creating .venv with $("$base" --version)"
            "$base" -m venv .venv
        elif command -v uv >/dev/null; then
            echo "creating .venv with uv"
            uv venv --seed --python '>=3.11' .venv
        elif [ -n "${base:-}" ]; then
            echo "$("$base" --version) cannot create virtual environments; install its venv module (Debian: apt install python3-venv) or uv" >&2
            exit 2
        else
            echo "no Python 3.11 or newer found; install one (Debian: apt install python3 python3-venv) or uv" >&2
            exit 2
        fi
    fi
fi

# Installing takes minutes, asking whether it is needed does not: the stamp holds what was installed last.
stamp=$("$PYTHON" -c 'import sys; print(sys.prefix)')/.lightning-zoo$extra
wanted="$PWD $(cksum < pyproject.toml)"
if [ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ]; then
    echo "installing the zoo and what it needs (a few minutes)"
    "$PYTHON" -m pip install --quiet --disable-pip-version-check --editable ".$extra"
    echo "$wanted" > "$stamp"
fi
