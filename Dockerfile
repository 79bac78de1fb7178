# The moderation service. Build: docker build -t loanlint .   Run: see compose.yaml and docs/service.md.
FROM python:3.12-slim AS build
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY pipeline pipeline
COPY data data
COPY models models
RUN python -m venv /opt/loanlint && /opt/loanlint/bin/pip install --no-cache-dir -c constraints.txt '.[service]'

FROM python:3.12-slim
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin loanlint && install -d -o loanlint -g loanlint /data
COPY --from=build /opt/loanlint /opt/loanlint
ENV PATH=/opt/loanlint/bin:$PATH LOANLINT_DB=/data/service.db PYTHONDONTWRITEBYTECODE=1
USER 10001
VOLUME /data
EXPOSE 8000
# /readyz scores a known text with the loaded model and asks the store.
HEALTHCHECK --interval=15s --timeout=5s --start-period=20s CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/readyz', timeout=4)"]
ENTRYPOINT ["loanlint"]
CMD ["serve", "--host", "0.0.0.0", "--port", "8000", "--workers", "2"]
