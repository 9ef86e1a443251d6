"""Any image model of the timm library as a backbone: ``timm:resnet18``, ``timm:convnext_tiny``, …"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lowshot.data.preprocessing import Preprocessing
from lowshot.errors import InputError, did_you_mean
from lowshot.registry import BACKBONES
from lowshot.representation.backbones.base import Backbone, Head, is_sketch, without_weight_sources
from lowshot.representation.backbones.class_names import imagenet_names
from lowshot.representation.published import EMBEDDED, hub_file, url_file
from lowshot.representation.weights import load_state, read_weights

_FILES = ("model.safetensors", "pytorch_model.bin")
_HEADS = ("head.fc", "head", "fc", "classifier")


BIBTEX = """
@misc{wightman2019timm,
  author = {Wightman, Ross},
  title = {{PyTorch} Image Models},
  year = {2019},
  url = {https://github.com/huggingface/pytorch-image-models},
}
"""


@BACKBONES.register(
    "timm", "any timm model, timm:NAME, with its pooled features, pretrained or not", takes_argument=True, bibtex=BIBTEX
)
def timm_model(model: str, num_classes: int, pretrained: bool | str = False, **options: Any) -> Backbone:
    """Build a timm model with lowshot's linear classifier instead of its head.

    Args:
        model (str): A timm name, with or without a tag for its weights (``resnet18`` or ``resnet18.a1_in1k``).
        num_classes (int): The number of columns of the scores.
        pretrained (bool or str): True starts from timm's weights, which are taken from the hub's cache or fetched; a
            text is the file of a state dict, with the names that timm or the authors of the model give its weights.
        options (dict): Other parameters of ``timm.create_model``, such as ``img_size`` or ``drop_path_rate``; but none
            of those that say where weights come from.

    Raises:
        InputError: timm has no such model, the model refuses the options, it has no published weights or they are
            gated, or a file is of another architecture.
        LowshotError: The weights could not be fetched.
    """
    import timm

    name = f"timm:{model}"
    if not timm.is_model(model):
        raise InputError(f"timm {timm.__version__} has no model {model!r}. {_suggestion(model)}")
    own = without_weight_sources(options)
    if elsewhere := sorted(options.keys() - own.keys()):
        raise InputError(
            f"backbone {name!r}: timm's option {elsewhere[0]!r} is not taken; weights are given by pretrained: true or "
            "pretrained: FILE"
        )
    try:
        # Weights that will be replaced need not be drawn, which takes most of the time.
        with torch.device("meta") if pretrained else contextlib.nullcontext():
            network: Any = timm.create_model(model, pretrained=False, num_classes=0, **own)
    except Exception as error:  # the model is given any options, and may fail on them in any way
        reason = " ".join(str(error).split()) or type(error).__name__
        if "Invalid pretrained tag" in reason:
            raise InputError(f"timm {timm.__version__} has no weights {model!r}. {_suggestion(model)}") from None
        raise InputError(f"backbone {name!r} cannot be built with options {options}: {reason}") from error
    head, source = None, None
    if pretrained is True:
        _check_published(model, network.pretrained_cfg)
    if pretrained and not is_sketch():
        if own.get("in_chans", 3) != 3:
            raise InputError(f"backbone {name!r}: lowshot's images have three channels; leave in_chans out")
        published = pretrained is True
        path = _published_file(model, network.pretrained_cfg) if published else Path(str(pretrained))
        names = _class_names(network.pretrained_cfg) if published else None
        network, classifier = _with_weights(network, model, read_weights(path), f"weights {path}", own, published)
        source = "hub" if published else str(pretrained)
        if classifier is not None and (names is not None or not published):
            head = Head.of_linear(classifier, None if names is None else partial(list, names))
    # The head of a few models widens the features once more; num_features is then the width before it.
    feature_dim: Any = getattr(network, "head_hidden_size", None) or getattr(network, "num_features", None)
    if feature_dim is None:
        raise InputError(
            f"backbone {name!r} with options {options} has no single vector of features: leave features_only out"
        )
    backbone = Backbone(network, feature_dim, num_classes)
    backbone.preprocessing = _preprocessing(network, own)
    backbone.source = source
    backbone.head = head if head is not None and head.weight.shape[1] == feature_dim else None
    return backbone


def _preprocessing(network: Any, options: Mapping[str, Any]) -> Preprocessing | None:
    """The preprocessing that timm states for a model; None where it states none, or none for colour images."""
    import timm.data

    if not getattr(network, "pretrained_cfg", None):
        return None
    config = timm.data.resolve_model_data_config(network)
    if (size := options.get("img_size")) is not None:
        config["input_size"] = (3, *(size if isinstance(size, list | tuple) else (size, size)))
    return Preprocessing.from_timm(config)


def _suggestion(model: str) -> str:
    """The names that an unknown one may have been meant for."""
    import timm

    if model.partition(":")[0] in ("hf-hub", "hf_hub"):
        return (
            "Repositories of the hub that timm does not list are not read: fetch their file of weights, and give it "
            "with the name of its architecture (backbone: timm:NAME, pretrained: FILE)."
        )
    stem = model.partition(".")[0]
    if timm.is_model(stem):
        tagged = timm.list_pretrained(f"{stem}.*")
        return f"{stem!r} has the weights {', '.join(tagged)}." if tagged else f"{stem!r} has no published weights."
    return did_you_mean(model, timm.list_models())


def _class_names(config: Mapping[str, Any]) -> list[str] | None:
    """The names of the classes of published weights; None where they are of something else than a part of ImageNet."""
    from timm.data import ImageNetInfo, infer_imagenet_subset

    subset = infer_imagenet_subset(dict(config))
    if subset is None:
        return None
    if int(config["num_classes"]) == 1000:
        return imagenet_names()
    info = ImageNetInfo(subset)
    return [info.index_to_description(label) for label in range(info.num_classes())]


def _published_file(model: str, config: Mapping[str, Any]) -> Path:
    """The file of the weights that timm has published of a model.

    Raises:
        InputError: Access is refused.
        LowshotError: They are not in a cache, and could not be fetched.
    """
    name = f"timm:{model}"
    if repository := config.get("hf_hub_id"):
        repository, _, revision = str(repository).partition("@")
        own = config.get("hf_hub_filename")
        return hub_file(name, repository, [own] if own else _FILES, revision or None)
    return url_file(name, str(config["url"]))


def _check_published(model: str, config: Mapping[str, Any]) -> None:
    """Refuse a model of which timm has published no weights."""
    import timm

    if config.get("hf_hub_id") or config.get("url"):
        return
    raise InputError(
        f"timm has published no weights of {model!r}: give a file (pretrained: FILE), or take {EMBEDDED}, or one that "
        f"has some. {did_you_mean(model, timm.list_pretrained())}"
    )


def _with_weights(
    sketch: Any, model: str, state: dict[str, Tensor], source: str, options: Mapping[str, Any], published: bool
) -> tuple[Any, nn.Linear | None]:
    """Build a model with some weights, by timm's own rules for older names and other image sizes.

    Args:
        sketch (Module): The model without its head, on device "meta".
        model (str): The name of the model.
        state (dict): The tensor of each name.
        source (str): The noun for the weights in error messages.
        options (mapping): The options of the model.
        published (bool): True for the weights that timm publishes of this model.

    Returns:
        The model without its head, and the classifier of the weights; None where they have none.

    Raises:
        InputError: The weights are of another architecture, or hold NaN or infinity.
    """
    import timm

    name, config = f"timm:{model}", sketch.pretrained_cfg
    rows = int(config["num_classes"]) if published else _rows(state, config.get("classifier"))
    overlay = {"state_dict": dict(state), "num_classes": rows}
    if not published:
        overlay["label_offset"] = 0
    try:
        # With the classifier, because timm loads weights without it leniently.
        network: Any = timm.create_model(
            model, pretrained=True, num_classes=rows, pretrained_cfg_overlay=overlay, **options
        )
        classifier = network.get_classifier() if rows else None
        network = _without_head(network, sketch, model, options)
    except Exception as error:  # models of timm may fail on weights that are not theirs in any way
        headless = {key: value for key, value in state.items() if key.rpartition(".")[0] not in _HEADS}
        load_state(sketch, headless, source, name)  # says which names and shapes do not fit
        raise InputError(f"{source} does not fit {name}: {' '.join(str(error).split())[:300]}") from error
    network.pretrained_cfg = config
    if broken := [key for key, value in network.state_dict().items() if not value.isfinite().all()]:
        raise InputError(f"{source} holds NaN or infinity in {broken[0]}: fetch it again, or take another file")
    return network, classifier if isinstance(classifier, nn.Linear) else None


def _without_head(network: Any, sketch: Any, model: str, options: Mapping[str, Any]) -> Any:
    """A model as timm builds it without a classifier, which is what a checkpoint of it will be loaded into."""
    import timm

    network.reset_classifier(0)
    if repr(network) == repr(sketch):
        return network
    state = network.state_dict()
    network = timm.create_model(model, pretrained=False, num_classes=0, **options)
    network.load_state_dict({key: state[key] for key in network.state_dict()})
    return network


def _rows(state: Mapping[str, Tensor], classifier: Any) -> int:
    """The number of classes of the classifier in a file of weights; 0 where it has none."""
    own = [classifier] if isinstance(classifier, str) else list(classifier or ())
    keys = [f"{name}.weight" for name in (*own, *_HEADS)]
    return next((len(state[key]) for key in keys if key in state and state[key].ndim == 2), 0)
