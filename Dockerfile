# A recogniser as a service: CPU, not root, nothing but Python and lowshot in the image.
#
#   docker build -t lowshot .                       a folder: the page, the API, teaching
#   docker build -t lowshot-onnx --target onnx .    an exported file: the page and the API, no torch
#
# docs/serving.md says how to run it. PyPI's torch for Linux brings several GB for GPUs; --build-arg TORCH_INDEX=URL takes
# torch from another index first, such as that of CPU builds which pytorch.org names.

FROM python:3.12-slim AS build
WORKDIR /source
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY src ./src
RUN python -m venv /opt/lowshot && /opt/lowshot/bin/python -m pip install --no-cache-dir --upgrade "pip>=25.1"

FROM build AS build-onnx
RUN /opt/lowshot/bin/python -m pip install --no-cache-dir -c constraints.txt --group onnx-serve \
    && /opt/lowshot/bin/python -m pip install --no-cache-dir --no-deps . \
    && /opt/lowshot/bin/python -m pip uninstall --yes pip

FROM build AS build-folder
ARG TORCH_INDEX=""
RUN if [ -n "$TORCH_INDEX" ]; then \
        /opt/lowshot/bin/python -m pip install --no-cache-dir -c constraints.txt --index-url "$TORCH_INDEX" torch torchvision; \
    fi \
    && /opt/lowshot/bin/python -m pip install --no-cache-dir -c constraints.txt ".[serve,onnx,check]" \
    && /opt/lowshot/bin/python -m pip uninstall --yes pip

FROM python:3.12-slim AS base
RUN useradd --system --uid 10001 --home-dir /data --create-home lowshot
ENV PATH="/opt/lowshot/bin:$PATH" PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 LOWSHOT_CACHE=/tmp/lowshot
WORKDIR /data
USER 10001:10001
EXPOSE 8080
ENTRYPOINT ["lowshot", "serve"]
CMD ["--help"]

FROM base AS onnx
COPY --from=build-onnx /opt/lowshot /opt/lowshot

FROM base AS folder
COPY --from=build-folder /opt/lowshot /opt/lowshot
