# The images of docker-compose.yaml: `airflow` is every component, with the project's wheel inside; `demo` adds the
# simulated org. PYTHON_IMAGE may end with a digest: docs/deployment.md has the command that tells it.
ARG PYTHON_IMAGE=3.12-slim-bookworm

FROM python:${PYTHON_IMAGE} AS packages
COPY requirements-deployment.lock requirements-build.lock requirements.lock /tmp/
# The installer's lines of the lock, hashes included; it stays in this stage.
RUN python -m venv /opt/venv \
    && sed -n '/^uv==/,/[^\\]$/p' /tmp/requirements.lock > /tmp/uv.lock \
    && pip install --no-cache-dir --require-hashes --requirement /tmp/uv.lock \
    && uv pip install --no-cache --python /opt/venv/bin/python --compile-bytecode \
        --require-hashes --requirement /tmp/requirements-deployment.lock
# The wheels as `make wheel` builds them. Of what they need, all is there.
COPY pyproject.toml README.md LICENSE CHANGELOG.md constraints.txt /src/
COPY include /src/include
RUN for project in /src /src/include/orgsim; do \
        uv build --no-cache --quiet --wheel --build-constraints /tmp/requirements-build.lock --require-hashes \
            --out-dir /dist "$project" || exit 1; \
    done
RUN uv pip install --no-cache --python /opt/venv/bin/python --compile-bytecode --no-deps --no-index /dist/coa_migration-*.whl

FROM packages AS demo-packages
RUN uv pip install --no-cache --python /opt/venv/bin/python --no-deps --no-index /dist/coa_orgsim-*.whl

FROM python:${PYTHON_IMAGE} AS base
ENV PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    PATH="/opt/venv/bin:$PATH" \
    AIRFLOW_HOME=/opt/airflow \
    AIRFLOW__CORE__DAGS_FOLDER=/opt/airflow/dags \
    AIRFLOW__CORE__LOAD_EXAMPLES=False

# Volumes of these folders begin with their owner; all else belongs to root and cannot be changed from inside.
RUN useradd --uid 50000 --gid 0 --home-dir /opt/airflow --create-home airflow \
    && install -d -o 50000 -g 0 -m 700 /opt/airflow/logs /opt/airflow/artifacts
WORKDIR /opt/airflow
# What is written is for this user alone.
ENTRYPOINT ["sh", "-c", "umask 077 && exec airflow \"$@\"", "airflow"]
CMD ["version"]

FROM base AS demo
COPY --from=demo-packages /opt/venv /opt/venv
USER 50000

FROM base AS airflow
COPY --from=packages /opt/venv /opt/venv
# One thin file a DAG; the wheel registers the page of a run by itself.
COPY dags /opt/airflow/dags
USER 50000
