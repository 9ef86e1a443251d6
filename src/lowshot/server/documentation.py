"""/docs: the description of the API in Swagger UI, whose files come with the package ``fastapi-offline``."""

from __future__ import annotations

from pathlib import Path

import fastapi_offline

from lowshot.server.page import StaticFiles

_PAGE = b"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>lowshot serve: API</title>
<link rel="stylesheet" href="/docs/swagger-ui.css">
<link rel="icon" href="data:,">
</head>
<body>
<div id="swagger-ui"></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
"""

_START = b"""SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  validatorUrl: null,
  presets: [SwaggerUIBundle.presets.apis, SwaggerUIBundle.SwaggerUIStandalonePreset],
});
"""


def documentation_files() -> StaticFiles:
    """The files of /docs."""
    static = Path(fastapi_offline.__file__).parent / "static"
    contents = {name: (static / name).read_bytes() for name in ("swagger-ui.css", "swagger-ui-bundle.js")}
    return StaticFiles({"index.html": _PAGE, "start.js": _START, **contents})
