# The server with GraphiQL built in; the sandbox runs from the same image (see docker-compose.yml).
FROM node:24-slim AS web
WORKDIR /app
RUN apt-get update && apt-get install -y --no-install-recommends python3 && rm -rf /var/lib/apt/lists/*
COPY web web
RUN python3 web/build.py

FROM python:3.13-slim
ENV PYTHONUNBUFFERED=1 PYTHONPATH=/app/src PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /app
COPY requirements.lock pyproject.toml README.md ./
RUN pip install --no-cache-dir --require-hashes -r requirements.lock
COPY src src
COPY sandbox sandbox
COPY --from=web /app/src/server/static src/server/static
RUN useradd --create-home crossdock && mkdir var && chown crossdock var
USER crossdock
EXPOSE 8000
CMD ["python", "-m", "server.cli", "serve", "--config", "/etc/crossdock/crossdock.toml"]
