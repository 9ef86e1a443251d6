"""Parts of the OpenAPI description: the problems of a route, and bodies with photos."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from lowshot.server.problems import MEDIA_TYPE, FileError, ProblemBody

_WORDS = {
    400: "The body is malformed.",
    401: "The token is missing or wrong.",
    403: "Another Host or Origin, or the server is read-only.",
    404: "There is no such class, photo or address.",
    408: "The body did not arrive in time.",
    409: "The recogniser is not in a state for this, such as one that knows no class.",
    413: "The body is too large, or holds too many photos.",
    415: "The body is neither multipart nor an image.",
    422: "A photo, a name or a value cannot be used.",
    503: "Too many requests wait, or the folder cannot be written: ask again later.",
}

_FILES = {"type": "array", "items": {"type": "string", "format": "binary"}}


def fails(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The ``responses`` of a route that may fail with these statuses."""
    return {
        status: {
            "description": _WORDS[status],
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemBody"}}},
        }
        for status in sorted(statuses)
    }


def described(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI description of an application, with the schema of problems."""
    if app.openapi_schema is None:
        found = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
        schemas = found["components"]["schemas"]
        for model in (FileError, ProblemBody):
            schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
            schema.pop("$defs", None)
            schemas[model.__name__] = schema
        for route in (one for methods in found["paths"].values() for one in methods.values()):
            if "application/json" in route["responses"].get("422", {}).get("content", {}):
                del route["responses"]["422"]  # FastAPI's own, of routes whose parameters may be any text
        app.openapi_schema = found
    return app.openapi_schema


def multipart(**fields: Any) -> dict[str, Any]:
    """The ``openapi_extra`` of a route with a multipart body of these fields beside ``photos``."""
    schema = {"type": "object", "required": ["photos"], "properties": {**fields, "photos": _FILES}}
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}}


PHOTOS_BODY = multipart()
"""Photos in multipart, or one image as it is."""

PHOTOS_BODY["requestBody"]["content"]["image/*"] = {"schema": {"type": "string", "format": "binary"}}
