# One image for every process; the command says which one. It holds no secret and no settings.
FROM python:3.12-slim AS build
WORKDIR /app
RUN python -m venv /venv
ENV PATH=/venv/bin:$PATH PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
COPY requirements.txt ./
# Nothing is installed that is not one of the files known by their hashes (SEC-36).
RUN pip install --require-hashes -r requirements.txt
COPY setup.cfg pyproject.toml ./
COPY models models
COPY pipelines pipelines
COPY web web
COPY workers workers
COPY ops ops
RUN pip install --no-deps --no-build-isolation -e . && pip check && python -m compileall -q models pipelines web workers ops

FROM python:3.12-slim
RUN useradd --system --uid 10001 --home-dir /app --shell /usr/sbin/nologin largesse
WORKDIR /app
COPY --from=build /venv /venv
COPY --from=build /app /app
COPY Procfile ./
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER largesse
EXPOSE 8000
CMD ["python", "-m", "web"]
