# The moderation service. Build: docker build -t loanlint .   Run: see compose.yaml and docs/service.md.
FROM python:3.12-slim AS build
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY pipeline pipeline
COPY data data
COPY models models
RUN python -m venv /opt/loanlint && /opt/loanlint/bin/pip install --no-cache-dir -c constraints.txt '.[service,fast]'
# Compiled here once and for any processor of this kind; else every start would take half a minute more.
ENV NUMBA_CPU_NAME=generic NUMBA_CACHE_DIR=/opt/loanlint/compiled
WORKDIR /
RUN /opt/loanlint/bin/python -c "from pipeline.compiled import load_compiled; load_compiled().score(['贷款'])"

FROM python:3.12-slim
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin loanlint && install -d -o loanlint -g loanlint /data
COPY --from=build /opt/loanlint /opt/loanlint
ENV PATH=/opt/loanlint/bin:$PATH LOANLINT_DB=/data/service.db PYTHONDONTWRITEBYTECODE=1 NUMBA_CPU_NAME=generic NUMBA_CACHE_DIR=/tmp/loanlint
USER 10001
VOLUME /data
EXPOSE 8000
# /readyz scores a known text with the loaded model and asks the store.
HEALTHCHECK --interval=15s --timeout=5s --start-period=20s CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/readyz', timeout=4)"]
# The root is read-only, and numba reads nothing from where it may not write: what was compiled and its tables (34 MB) go to /tmp first.
ENTRYPOINT ["/bin/sh", "-c", "mkdir -p $NUMBA_CACHE_DIR && cp -R /opt/loanlint/compiled/. $NUMBA_CACHE_DIR; exec loanlint \"$@\"", "loanlint"]
CMD ["serve", "--host", "0.0.0.0", "--port", "8000", "--workers", "2"]
