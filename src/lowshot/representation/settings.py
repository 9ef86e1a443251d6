"""The settings of a training, which are the ``train`` section of a recipe. Importing this does not import torch."""

from __future__ import annotations

import math
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator


class TrainSettings(BaseModel):
    """The settings that decide what a training run learns, and a few that only decide how it is run.

    The defaults are those of Hariharan & Girshick (arXiv 1606.02819) for ImageNet, without an auxiliary loss, which is
    their baseline.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=(), allow_inf_nan=False)

    backbone: str = Field(
        "resnet10", description="registry name: resnet10 … resnet101, efficientnet_lite0, timm:NAME, torchvision:NAME"
    )
    backbone_options: dict[str, Any] = Field(
        {}, description="options of the backbone, such as {stem: small}; null clears them"
    )
    pretrained: bool | str = Field(
        False, description="start from published weights (true), or from a file of safetensors or torch"
    )
    loss: str | None = Field(None, description="auxiliary loss added to the cross-entropy; none is the baseline")
    loss_weight: float = Field(0.0, ge=0, description="weight of the auxiliary loss")
    loss_options: dict[str, Any] = Field({}, description="options of the auxiliary loss")
    objective: tuple[dict[str, dict[str, Any]], ...] = Field(
        (), description="objectives beside them, such as [cosine_head, mixup: {alpha: 0.5}]; none is a linear head"
    )

    epochs: int = Field(90, ge=1, description="passes over the training images")
    batch_size: int = Field(256, ge=1, description="images per step, over all processes together")
    lr: float = Field(0.1, gt=0, description="learning rate of SGD")
    momentum: float = Field(0.9, ge=0, lt=1, description="momentum of SGD")
    dampening: float = Field(0.0, ge=0, le=1, description="dampening of the momentum")
    weight_decay: float = Field(1e-4, ge=0, description="L2 penalty on all parameters")
    schedule: Literal["step", "cosine"] = Field("step", description="step: lr × lr_decay every step_size epochs")
    step_size: int = Field(30, ge=1, description="epochs between the steps of schedule step")
    lr_decay: float = Field(0.1, gt=0, le=1, description="factor of one step of schedule step")
    warmup_epochs: int = Field(0, ge=0, description="first epochs that run at warmup_lr")
    warmup_lr: float = Field(0.01, gt=0, description="constant learning rate of the warm-up epochs")

    precision: Literal["auto", "bf16-mixed", "32-true"] = Field(
        "auto", description="auto: bf16-mixed where the processor computes with bfloat16, else 32-true"
    )
    channels_last: bool = Field(True, description="memory format of images and weights; faster, same sums")
    devices: int = Field(1, ge=1, description="processes of this machine; torchrun and SLURM bring their own")
    save_every: int = Field(1, ge=1, description="epochs between checkpoints; the last epoch is always saved")
    keep: int | None = Field(2, ge=1, description="number of newest checkpoints that are kept; none keeps all")
    validate_every: int = Field(1, ge=0, description="epochs between validations, and after the last; 0 is never")
    tensorboard: bool = Field(False, description="also write TensorBoard events (needs the extra 'tensorboard')")

    @field_validator("backbone_options", "loss_options", mode="before")
    @classmethod
    def _null_clears(cls, options: Any) -> Any:
        return {} if options is None else options

    @field_validator("objective", mode="before")
    @classmethod
    def _names_with_parameters(cls, value: Any) -> Any:
        items = [] if value is None else value if isinstance(value, list | tuple) else [value]
        found = [{item: {}} if isinstance(item, str) else item for item in items]
        for item in found:
            if not isinstance(item, dict) or len(item) != 1:
                raise ValueError(
                    "expected a list of names, of which those with parameters are a mapping, such as [cosine_head, "
                    f"mixup: {{alpha: 0.5}}], got {item!r}"
                )
        names = [str(name).lower() for item in found for name in item]
        if twice := [name for name in dict.fromkeys(names) if names.count(name) > 1]:
            raise ValueError(f"{twice[0]} is there twice: give each objective once")
        return tuple({name: params or {} for name, params in item.items()} for item in found)

    @field_validator("backbone_options")
    @classmethod
    def _class_count_comes_from_the_data(cls, options: dict[str, Any]) -> dict[str, Any]:
        if "num_classes" in options:
            raise ValueError("num_classes is taken from the data set and cannot be given")
        return options

    @model_validator(mode="after")
    def _loss_and_weight_go_together(self) -> TrainSettings:
        if self.loss is not None and self.loss_weight == 0:
            raise ValueError(
                f"loss {self.loss!r} has loss_weight 0 and does nothing: give a weight, or loss: null for a baseline"
            )
        if self.loss is None and (self.loss_weight or self.loss_options):
            raise ValueError("loss_weight and loss_options need a loss: name one, or leave them out for a baseline")
        return self

    def fingerprinted(self) -> dict[str, Any]:
        """Return the settings that the weights depend on; a run can continue another only if these agree.

        The settings of logs, checkpoints and processes are left out. ``epochs`` is included only if the learning rate
        depends on it, so that a run on the step schedule can be made longer.
        """
        left_out: set[str] = {"devices", "save_every", "keep", "validate_every", "tensorboard"}
        if self.schedule == "step":
            left_out.add("epochs")
        left_out |= {key for key in ("pretrained", "objective") if not getattr(self, key)}
        return self.model_dump(mode="json", exclude=left_out)

    @property
    def starts_from(self) -> bool | str:
        """The weights that the training starts from: True for published ones, a file, or False for random ones."""
        options = self.backbone_options
        return self.pretrained or options.get("pretrained") or options.get("weights") is not None

    def lr_at(self, epoch: float) -> float:
        """Compute the learning rate, which depends on the epoch alone, so that a resumed run needs no schedule state.

        Warm-up epochs have their own constant rate and count as epochs. ``step`` multiplies by ``lr_decay`` every
        ``step_size`` epochs (Hariharan & Girshick, arXiv 1606.02819); ``cosine`` falls from ``lr`` after the warm-up
        to 0 at the end of the last epoch (Loshchilov & Hutter, arXiv 1608.03983, without restarts).

        Args:
            epoch (float): The number of epochs done, including the done part of the current one.
        """
        if epoch < self.warmup_epochs:
            return self.warmup_lr
        if self.schedule == "step":
            return self.lr * self.lr_decay ** (int(epoch) // self.step_size)
        progress = (epoch - self.warmup_epochs) / (self.epochs - self.warmup_epochs)
        return self.lr * (1 + math.cos(math.pi * progress)) / 2
