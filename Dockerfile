# The image of docker-compose.yaml: every component of Airflow, with this project inside.
FROM python:3.12-slim-bookworm

ENV PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    PATH="/opt/venv/bin:$PATH" \
    AIRFLOW_HOME=/opt/airflow \
    PYTHONPATH=/opt/airflow/include \
    AIRFLOW__CORE__DAGS_FOLDER=/opt/airflow/dags \
    AIRFLOW__CORE__PLUGINS_FOLDER=/opt/airflow/plugins \
    AIRFLOW__CORE__LOAD_EXAMPLES=False

RUN useradd --uid 50000 --gid 0 --home-dir /opt/airflow --create-home airflow \
    && mkdir -p /opt/airflow/logs /opt/airflow/artifacts \
    && chown -R 50000:0 /opt/airflow && chmod -R g+rwX /opt/airflow

COPY requirements.txt requirements-celery.txt constraints.txt /tmp/
RUN python -m venv /opt/venv \
    && pip install --no-cache-dir "$(sed -n 's/^\(uv==[^ ]*\).*/\1/p' /tmp/requirements.txt)" \
    && uv pip install --no-cache --python /opt/venv/bin/python --compile-bytecode \
        -r /tmp/requirements.txt -r /tmp/requirements-celery.txt -c /tmp/constraints.txt \
    && rm /tmp/*.txt

COPY --chown=50000:0 include /opt/airflow/include
COPY --chown=50000:0 plugins /opt/airflow/plugins
COPY --chown=50000:0 dags /opt/airflow/dags

USER 50000
WORKDIR /opt/airflow
ENTRYPOINT ["airflow"]
CMD ["version"]
