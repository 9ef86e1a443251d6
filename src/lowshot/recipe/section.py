"""The base classes of the sections of a recipe."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class Section(BaseModel):
    """A part of a recipe: unknown keys are errors, values are not changed after they were checked."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


class PartSection(Section):
    """A registered part with its parameters, which may differ from representation to representation."""

    params: dict[str, Any] = Field({}, description="parameters of the part")
    per_representation: dict[str, dict[str, Any]] = Field(
        {}, description="parameters that differ for a representation, by its key"
    )

    def params_for(self, representation: str) -> dict[str, Any]:
        """The part's parameters on one representation."""
        return {**self.params, **self.per_representation.get(representation, {})}
