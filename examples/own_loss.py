"""A loss of your own in a plug-in file, trained for an epoch beside the plain network.

The file is what you would write once; recipes name it under ``plugins`` and the loss by its name.
"""

import os
import tempfile
from pathlib import Path

from lowshot.benchmark import Engine
from lowshot.pipeline import run_recipe

os.chdir(tempfile.mkdtemp())

Path("my_loss.py").write_text(
    '''
from lowshot.registry import LOSSES
from lowshot.representation.losses import AuxiliaryLoss


@LOSSES.register("entropy", "rewards uncertain predictions (confidence penalty, Pereyra et al. 2017)")
class EntropyLoss(AuxiliaryLoss):
    """Negative entropy of the predicted distribution, averaged over the batch."""

    def formula(self, features, scores, labels, classifier_weight):
        log_p = scores.log_softmax(dim=1)
        return (log_p.exp() * log_p).sum(dim=1).mean()
'''
)
Path("losses.yaml").write_text(
    """
name: losses
plugins: [my_loss.py]
data:
  dataset: glyphs
  options: {classes: 16, train_per_class: 12, test_per_class: 6, image_size: 16}
  preset: small
  transform: {image_size: 16, flip: false}
split: {base: [4, 4], novel: [4, 4], experiments: 3, max_shots: 5}
train: {backbone: resnet10, backbone_options: {stem: small}, epochs: 1, batch_size: 32, lr: 0.05}
representations:
  plain: {}
  entropy: {train: {loss: entropy, loss_weight: 0.1}}
evaluate: {n_shots: [1, 5], methods: {mean: {classifier: nearest_mean}}}
"""
)
run_recipe("losses.yaml", output=Path("results"), engine=Engine("serial"))
