"""The sections of a recipe on where features come from: representations, given files, extraction."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from lowshot.recipe.section import Section
from lowshot.recipe.texts import Name, PathPattern, RecipePath

if TYPE_CHECKING:
    from lowshot.features import FeatureFiles

MOST_TRAININGS = 100
"""The largest number of trainings of a representation."""

Views = Literal["one", "flip", "five_crop", "ten_crop", "affine"]
VIEWS_TEXT = "one, flip (twice the time), five_crop (five times), ten_crop (ten times) or affine (thirteen times)"


class ArraysSection(Section):
    """Features and labels in files of other programs."""

    features: PathPattern = Field(description="file of the features; FILE:NAME where it holds several arrays")
    labels: PathPattern = Field(description="file of the labels; FILE:NAME where it holds several arrays")

    @property
    def files(self) -> FeatureFiles:
        """The files, as :meth:`lowshot.features.FeatureStore.open` takes them."""
        from lowshot.features import FeatureFiles

        return FeatureFiles(self.features, self.labels)


def _kind_of_features(value: Any) -> str:
    return "arrays" if isinstance(value, Mapping | ArraysSection) else "file"


GivenFeatures = Annotated[
    Annotated[RecipePath, Tag("file")] | Annotated[ArraysSection, Tag("arrays")], Discriminator(_kind_of_features)
]
"""A features file, or features and labels in files of other programs."""


class RepresentationSection(Section):
    """One representation: trained, pretrained, from a checkpoint, or given as feature files."""

    label: str | None = Field(None, description="name in tables and figures; the key when none")
    train: dict[str, Any] = Field({}, description="settings that differ from the recipe's train section")
    seeds: int = Field(
        1,
        ge=1,
        le=MOST_TRAININGS,
        description="number of trainings, from as many seeds; rows are their mean, with an interval over trainings too",
    )
    backbone: str | None = Field(
        None, description="use this pretrained network as it is: efficientnet_lite0, timm:NAME, torchvision:NAME"
    )
    backbone_options: dict[str, Any] = Field({}, description="options of that backbone, such as {img_size: 224}")
    pretrained: bool | str | None = Field(
        None, description="its weights: true for those that its library publishes, or a file of safetensors or torch"
    )
    preset: str | None = Field(
        None, description="image transforms instead of data.preset; weights for those of the pretrained weights"
    )
    transform: dict[str, Any] = Field({}, description="parameters that differ from data.transform")
    checkpoint: RecipePath | None = Field(None, description="use this checkpoint instead of training one")
    network: Name | None = Field(
        None, description="use the network that another representation of the recipe trains, such as with other views"
    )
    views: Views | None = Field(None, description="views instead of extract.views")
    features: dict[Literal["train", "test"], GivenFeatures] | None = Field(
        None,
        description="use these feature files instead of training and extracting; {features: FILE, labels: FILE} "
        "names arrays of other programs",
    )

    @model_validator(mode="after")
    def _one_source(self) -> RepresentationSection:
        given = [key for key in ("train", "backbone", "checkpoint", "network", "features") if getattr(self, key)]
        if len(given) > 1:
            raise ValueError(
                f"give one of train, backbone, checkpoint, network and features, not {' and '.join(given)}"
            )
        if self.seeds > 1 and (fixed := [key for key in given if key not in ("train", "network")]):
            raise ValueError(
                f"seeds: {self.seeds} trains the network {self.seeds} times, and {fixed[0]} is not trained: leave one "
                "of the two out"
            )
        if self.backbone is not None and not self.pretrained:
            raise ValueError(
                f"backbone {self.backbone!r} without weights makes random features: give pretrained: true or a file of "
                f"weights, or train it (train: {{backbone: {self.backbone!r}}})"
            )
        if self.backbone is None and (self.pretrained or self.backbone_options):
            raise ValueError(
                "pretrained and backbone_options need a backbone beside them; of a training they belong in train"
            )
        if self.features is not None and (self.preset or self.transform or self.views):
            raise ValueError(
                "features that are given have been made from images already: leave preset, transform and views out"
            )
        if self.features is not None and set(self.features) != {"train", "test"}:
            raise ValueError("features needs both train and test")
        return self

    @property
    def given(self) -> dict[str, Path | FeatureFiles]:
        """The feature files of both parts, as :meth:`lowshot.features.FeatureStore.open` takes them; empty if none."""
        return {
            part: given if isinstance(given, Path) else given.files for part, given in (self.features or {}).items()
        }


class ExtractSection(Section):
    """The extraction of features."""

    engine: Literal["auto", "torch", "onnxruntime", "openvino"] = Field(
        "auto", description="what computes the forward pass; auto: the fastest installed one that agrees with torch"
    )
    precision: Literal["auto", "bf16-mixed", "16-mixed", "32-true"] = Field(
        "auto", description="precision of the forward pass; auto: bf16-mixed where it is fast and agrees with float32"
    )
    views: Views = Field("one", description="views of an image whose mean feature is saved: " + VIEWS_TEXT)
    cache: bool = Field(
        True, description="features of images seen before come from the cache folder (data sets of up to 20 000 images)"
    )
    batch_size: int = Field(256, ge=1, description="images per forward pass and process")
    dtype: Literal["float32", "float16"] = Field("float32", description="type on disk; float16 halves the file")
    devices: int = Field(1, ge=1, description="processes that share the images")
