# The server with GraphiQL built in; the sandbox runs from the same image (see docker-compose.yml).
FROM node:24-slim AS web
WORKDIR /web
COPY web/package.json web/package-lock.json ./
RUN npm ci --ignore-scripts
COPY web ./
RUN CROSSDOCK_WEB_OUT=/built npx vite build

FROM python:3.13-slim
ENV PYTHONUNBUFFERED=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /app
COPY requirements.lock ./
RUN pip install --no-cache-dir --require-hashes -r requirements.lock
COPY pyproject.toml README.md ./
COPY docs docs
COPY src src
COPY --from=web /built src/server/static/graphiql
RUN pip install --no-cache-dir --no-deps -e .
COPY sandbox sandbox
COPY crossdock.sandbox.toml ./
RUN useradd --uid 10001 --create-home crossdock && mkdir var && chown 10001 var
USER 10001
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s \
  CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/health/live', timeout=2)"]
CMD ["crossdock", "serve", "--config", "/etc/crossdock/crossdock.toml"]
