"""``torch.optim.SGD`` without torch's compiler."""

from __future__ import annotations

import inspect

import torch
from torch.optim import Optimizer


class SGD(torch.optim.SGD):
    """``torch.optim.SGD``, with the same numbers and the same state.

    Some methods of torch's optimisers import its compiler when they are first called, to keep it away from themselves.
    That takes longer than many a short run; here, nothing is compiled, and they are called as they are.
    """

    add_param_group = inspect.unwrap(Optimizer.add_param_group)
    load_state_dict = inspect.unwrap(Optimizer.load_state_dict)
    state_dict = inspect.unwrap(Optimizer.state_dict)
    step = torch.no_grad()(inspect.unwrap(torch.optim.SGD.step))
    zero_grad = inspect.unwrap(Optimizer.zero_grad)
