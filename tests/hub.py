"""A hub's cache with weights that were drawn here, and a stand-in for the hub on this machine."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import timm
import torch
from safetensors.torch import save, save_file

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def drawn_weights(model: str, seed: int = 0) -> dict[str, torch.Tensor]:
    """Random weights of a timm model, its classifier among them."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network: Any = timm.create_model(model, pretrained=False)
    return {name: value.contiguous() for name, value in network.state_dict().items()}


def fill_cache(cache: Path, model: str) -> dict[str, torch.Tensor]:
    """Put weights of a timm model into a hub's cache, as a download leaves them, and return them."""
    repository = timm.get_pretrained_cfg(model).hf_hub_id
    folder = cache / f"models--{repository.replace('/', '--')}"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text(COMMIT)
    (folder / "snapshots" / COMMIT).mkdir(parents=True)
    weights = drawn_weights(model)
    save_file(weights, folder / "snapshots" / COMMIT / "model.safetensors")
    return weights


@contextmanager
def stand_in(answers: dict[str, Any]) -> Iterator[str]:
    """A hub on this machine; yields its address.

    Args:
        answers (dict): For each model: a status, a status and the hub's error code, ``"silence"``, or weights.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self._answer(body=False)

        def do_GET(self) -> None:
            self._answer(body=True)

        def _answer(self, body: bool) -> None:
            answer = next((one for model, one in answers.items() if f"/timm/{model}/" in self.path), 404)
            if answer == "silence":
                time.sleep(20)
                return
            if isinstance(answer, dict) and self.path.endswith("model.safetensors"):
                content = save(answer)
                self.send_response(200)
                self.send_header("X-Repo-Commit", COMMIT)
                self.send_header("ETag", '"digest"')
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                if body:
                    self.wfile.write(content)
                return
            status, code = answer if isinstance(answer, tuple) else (answer, "")
            self.send_response(status if isinstance(status, int) else 404)
            if code:
                self.send_header("X-Error-Code", code)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
