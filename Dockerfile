# Afterword as a container: docs/image.md says how to build, run and check it.
# The base is named once, so that a release can pin it: --build-arg BASE=docker.io/library/python@sha256:...
ARG BASE=docker.io/library/python:3.11-slim-bookworm

# Our own package, as a wheel. The build tool comes from the development lock, hash by hash: a dependency of it that is
# not in this list, or not in the lock, ends the build.
FROM ${BASE} AS wheel
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /source
COPY requirements-dev.lock ./
RUN --mount=type=secret,id=pip,target=/etc/pip.conf \
    awk '/^[a-z]/ { wanted = /^(hatchling|packaging|pathspec|pluggy|tomlkit|trove-classifiers)==/ } wanted' \
        requirements-dev.lock > /tmp/hatchling.lock \
    && python3 -m venv --without-pip /opt/hatchling \
    && python3 -m pip --python /opt/hatchling/bin/python install \
        --require-hashes --only-binary=:all: -r /tmp/hatchling.lock
COPY pyproject.toml README.md LICENSE ./
COPY service ./service
RUN /opt/hatchling/bin/python -m hatchling build -t wheel -d /dist

# The environment that ships. What changes least comes first: the locked packages, then our own.
FROM ${BASE} AS environment
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1 PYTHONDONTWRITEBYTECODE=1
COPY requirements.lock /tmp/
RUN --mount=type=secret,id=pip,target=/etc/pip.conf \
    python3 -m venv --without-pip /opt/afterword \
    && python3 -m pip --python /opt/afterword/bin/python install \
        --no-compile --require-hashes --only-binary=:all: -r /tmp/requirements.lock
COPY --from=wheel /dist /tmp/dist
# Bytecode that is never compared with its source: nothing could write a newer one.
RUN python3 -m pip --python /opt/afterword/bin/python install --no-compile --no-index --no-deps /tmp/dist/*.whl \
    && /opt/afterword/bin/python -m compileall -q --invalidation-mode unchecked-hash /opt/afterword/lib

FROM ${BASE}
# The standard library's bytecode: the official image leaves it out, so that each start and each health check would
# compile what it imports. Then nobody's rights but the user's own: no set-uid programs, and no installer.
RUN python3 -m compileall -q -x '/(test|tests|idlelib|lib2to3|tkinter|turtledemo|site-packages|dist-packages)/' \
        "$(python3 -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')" \
    && find / -xdev -type f -perm /6000 -exec chmod a-s {} + \
    && rm -rf /usr/local/lib/python3.*/site-packages/* /usr/local/lib/python3.*/ensurepip /usr/local/bin/pip* \
    && groupadd --gid 10001 afterword \
    && useradd --no-log-init --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent \
        --shell /usr/sbin/nologin afterword \
    && install -d -o 10001 -g 10001 -m 0750 /var/lib/afterword
COPY --from=environment /opt/afterword /opt/afterword

ENV PATH=/opt/afterword/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
# Where the engines that are folders and files keep theirs; with AWS's nothing is written here.
WORKDIR /var/lib/afterword
USER 10001:10001
EXPOSE 8080
STOPSIGNAL SIGTERM
# Is the process up? No curl, no shell: one request on the port that it was told to listen on.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-ISc", "import http.client, os; c = http.client.HTTPConnection('127.0.0.1', int(os.environ.get('AFTERWORD_PORT') or 8080), timeout=4); c.request('GET', '/healthz'); raise SystemExit(c.getresponse().status != 200)"]
ENTRYPOINT ["afterword"]
CMD ["serve"]

ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="afterword" \
      org.opencontainers.image.description="Every recording that lands gets its transcript, the answers to your prompts, and one event that says so." \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
