#!/bin/sh
# Makes .venv with everything of requirements.lock: versions and hashes of what requirements.txt asks for.
# Called by make when it changed. Needs Python 3.11 or newer and nothing else.
set -eu
cd "$(dirname "$0")/.."

suits() {
    # The name may be a shim of a version manager for a Python that is not there: try it.
    "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))' >/dev/null 2>&1
}

python=""
for candidate in ${PYTHON:-} python3 python3.13 python3.12 python3.11 python3.14 python; do
    if suits "$candidate"; then python=$candidate; break; fi
done
if [ -z "$python" ]; then
    echo "No Python from 3.11 to 3.14 was found (python3 is: $(python3 --version 2>&1 || echo missing))." >&2
    echo "Install one, or name it: make PYTHON=/path/to/python3.12 ..." >&2
    exit 1
fi

# Two makes in a fresh clone must not fill the same folder at once.
if command -v flock >/dev/null 2>&1; then
    # It will hold what the local PostgreSQL and Airflow keep.
    (umask 077 && mkdir -p .local)
    exec 9>.local/venv.lock
    flock 9
fi

if ! suits .venv/bin/python; then
    echo "Python environment: .venv by $("$python" --version)" >&2
    rm -rf .venv
    if ! "$python" -m venv .venv 2>.venv.log; then
        # Debian splits venv: without its package python3-venv there is no pip to put inside.
        rm -rf .venv
        "$python" -m venv --without-pip .venv
        if ! "$python" -m pip --version >/dev/null 2>&1; then
            cat .venv.log >&2
            rm -rf .venv .venv.log
            echo "This Python has neither ensurepip nor pip: install its venv package (Debian: python3-venv)." >&2
            exit 1
        fi
    fi
    rm -f .venv.log
fi

if [ ! -x .venv/bin/uv ]; then
    # Its lines of the lock, hashes included: pip checks them.
    sed -n '/^uv==/,/[^\\]$/p' requirements.lock > .venv/uv.lock
    if .venv/bin/python -m pip --version >/dev/null 2>&1; then
        .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement .venv/uv.lock
    else
        "$python" -m pip --python .venv/bin/python install --quiet --disable-pip-version-check \
            --require-hashes --requirement .venv/uv.lock
    fi
fi

echo "Python environment: packages of requirements.lock" >&2
# PyPI answers slowly at times, and a large wheel takes its time on a slow line. Compiled once here, because
# where Python may not write bytecode (read-only images, PYTHONDONTWRITEBYTECODE) each start of Airflow would
# compile thousands of modules again.
UV_HTTP_TIMEOUT="${UV_HTTP_TIMEOUT:-180}" .venv/bin/uv pip install --quiet --compile-bytecode --python .venv/bin/python \
    --require-hashes --requirement requirements.lock

# `import coa`, `import orgsim` and `python -m ...` work everywhere in this environment.
site=$(.venv/bin/python -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])')
echo '../../../../include' > "$site/coa_project.pth"
touch .venv/.complete
