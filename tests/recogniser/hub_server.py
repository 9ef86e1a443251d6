"""A stand-in for the Hugging Face hub on 127.0.0.1, with the few endpoints that pushing and fetching a model need."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub:
    """The models that were pushed.

    Attributes:
        endpoint (str): The address.
        models (dict): Name → file → content.
        created (list): What was asked for when models were created.
        status (int): A status that every request fails with; 0 for none.
    """

    def __init__(self) -> None:
        self.endpoint = ""
        self.models: dict[str, dict[str, bytes]] = {}
        self.created: list[dict[str, Any]] = []
        self.status = 0


class _Handler(BaseHTTPRequestHandler):
    hub: Hub

    def log_message(self, *arguments: Any) -> None: ...

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        path = urlsplit(self.path).path
        if self.hub.status:
            return self._send({"error": "no"}, self.hub.status)
        if path == "/api/repos/create":
            asked = json.loads(body)
            name = f"{asked.get('organization', 'user')}/{asked['name']}"
            self.hub.created.append(asked)
            self.hub.models.setdefault(name, {})
            return self._send({"url": f"{self.hub.endpoint}/{name}", "name": name})
        if path == "/api/validate-yaml":
            return self._send({"errors": [], "warnings": []})
        _, _, _, user, model, action, *_ = path.split("/")
        name = f"{user}/{model}"
        if action == "preupload":
            files = [file["path"] for file in json.loads(body)["files"]]
            return self._send(
                {"files": [{"path": file, "uploadMode": "regular", "shouldIgnore": False} for file in files]}
            )
        assert action == "commit"
        for line in body.splitlines():
            entry = json.loads(line)
            if entry["key"] == "file":
                self.hub.models[name][entry["value"]["path"]] = base64.b64decode(entry["value"]["content"])
        return self._send({"commitUrl": f"{self.hub.endpoint}/{name}/commit/{COMMIT}", "commitOid": COMMIT})

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = urlsplit(self.path).path.strip("/")
        if self.hub.status:
            return self._send({"error": "no"}, self.hub.status)
        parts = path.split("/")
        name = "/".join(parts[2:4] if parts[0] == "api" else parts[:2])
        files = self.hub.models.get(name)
        if files is None:
            return self._send({"error": "Repository not found"}, 404, {"X-Error-Code": "RepoNotFound"})
        if parts[0] != "api":
            content = files.get("/".join(parts[4:]))
            if content is None:
                return self._send({"error": "Entry not found"}, 404, {"X-Error-Code": "EntryNotFound"})
            digest = hashlib.sha256(content).hexdigest()
            return self._send(content, 200, {"ETag": f'"{digest}"', "X-Repo-Commit": COMMIT})
        if parts[4] == "tree":
            return self._send(
                [
                    {"type": "file", "path": file, "size": len(content), "oid": hashlib.sha1(content).hexdigest()}
                    for file, content in files.items()
                ]
            )
        return self._send({"id": name, "sha": COMMIT, "siblings": [{"rfilename": file} for file in files]})

    def _send(self, content: Any, status: int = 200, headers: dict[str, str] | None = None) -> None:
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for key, value in {"Content-Length": str(len(data)), **(headers or {})}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)


@contextlib.contextmanager
def running_hub() -> Iterator[Hub]:
    """A hub that runs within the block."""
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    hub.endpoint = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
