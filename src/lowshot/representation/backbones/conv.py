"""A 3×3 convolution that is fast on a CPU for very small maps."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Conv3x3(nn.Conv2d):
    """A 3×3 convolution with padding 1 and the weights of ``nn.Conv2d``.

    CPU convolutions work along the rows of a map. Small images leave rows of one or two pixels in the last stage of a
    network, for which convolutions reach a few per cent of the processor's matrix throughput, although half of
    ResNet10's weights are there. So on a CPU the 3×3 neighbourhoods of such a map become the rows of a matrix, and the
    convolution is its product with the weights: the same sums, three to ten times as fast at 2×2, and no faster from
    4×4 on.

    Args:
        width_in (int): The number of input channels.
        width (int): The number of output channels.
        stride (int): The stride.
        bias (bool): True adds a bias.
    """

    max_matrix_size = 2  # height and width of the output up to which a matrix product is used

    def __init__(self, width_in: int, width: int, stride: int = 1, bias: bool = False) -> None:
        super().__init__(width_in, width, 3, stride, padding=1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        stride = self.stride[0]
        height, width = ((side - 1) // stride + 1 for side in x.shape[2:])
        if x.device.type != "cpu" or max(height, width) > self.max_matrix_size:
            return super().forward(x)
        padded = F.pad(x.permute(0, 2, 3, 1), (0, 0, 1, 1, 1, 1))
        shifted = [
            padded[:, row : row + stride * height : stride, column : column + stride * width : stride]
            for row in range(3)
            for column in range(3)
        ]
        neighbourhoods = torch.cat(shifted, dim=-1)
        weight = self.weight.permute(0, 2, 3, 1).reshape(self.out_channels, -1)
        return F.linear(neighbourhoods, weight, self.bias).permute(0, 3, 1, 2)
