# The image of docker-compose.yaml: every component of Airflow, with this project inside.
# PYTHON_IMAGE may end with a digest: docs/deployment.md has the command that tells it.
ARG PYTHON_IMAGE=3.12-slim-bookworm

FROM python:${PYTHON_IMAGE} AS packages
COPY requirements-deployment.lock requirements.lock /tmp/
# The installer's lines of the lock, hashes included; it stays in this stage.
RUN python -m venv /opt/venv \
    && sed -n '/^uv==/,/[^\\]$/p' /tmp/requirements.lock > /tmp/uv.lock \
    && pip install --no-cache-dir --require-hashes --requirement /tmp/uv.lock \
    && uv pip install --no-cache --python /opt/venv/bin/python --compile-bytecode \
        --require-hashes --requirement /tmp/requirements-deployment.lock

FROM python:${PYTHON_IMAGE}
ENV PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    PATH="/opt/venv/bin:$PATH" \
    AIRFLOW_HOME=/opt/airflow \
    PYTHONPATH=/opt/airflow/include \
    AIRFLOW__CORE__DAGS_FOLDER=/opt/airflow/dags \
    AIRFLOW__CORE__PLUGINS_FOLDER=/opt/airflow/plugins \
    AIRFLOW__CORE__LOAD_EXAMPLES=False

# Volumes of these folders begin with their owner; all else belongs to root and cannot be changed from inside.
RUN useradd --uid 50000 --gid 0 --home-dir /opt/airflow --create-home airflow \
    && install -d -o 50000 -g 0 -m 700 /opt/airflow/logs /opt/airflow/artifacts

COPY --from=packages /opt/venv /opt/venv
COPY include /opt/airflow/include
COPY plugins /opt/airflow/plugins
COPY dags /opt/airflow/dags

USER 50000
WORKDIR /opt/airflow
# What is written is for this user alone.
ENTRYPOINT ["sh", "-c", "umask 077 && exec airflow \"$@\"", "airflow"]
CMD ["version"]
