#!/bin/sh
# `make test-pythons`: the unit tests under every Python from 3.11 to 3.14 that this machine has, each in an
# environment of its own in .local/pythons. PYTHONS='3.12 3.13' takes these only.
set -eu
cd "$(dirname "$0")/.."
uv=$PWD/.venv/bin/uv
tried=""
for version in ${PYTHONS:-3.11 3.12 3.13 3.14}; do
    python=""
    # The name on the PATH may be a shim of a version manager for a Python that is not chosen: try it.
    for candidate in "python$version" "${PYENV_ROOT:-$HOME/.pyenv}/versions/$version".*/bin/python; do
        if "$candidate" -c pass >/dev/null 2>&1; then python=$candidate; break; fi
    done
    if [ -z "$python" ]; then
        echo "Python $version: not on this machine, not tried."
        continue
    fi
    place=.local/pythons/$version
    "$uv" venv --quiet --clear --python "$python" "$place"
    UV_HTTP_TIMEOUT="${UV_HTTP_TIMEOUT:-180}" "$uv" pip install --quiet --python "$place/bin/python" \
        --requirement requirements.txt --constraint constraints.txt
    "$place/bin/python" -m pytest -q tests/unit
    tried="$tried $version"
done
echo "Tried:${tried:- none}"
test -n "$tried"
