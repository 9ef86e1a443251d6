"""A GPU for machines without one: torch's FakeTensorMode, whose tensors carry their values along.

FakeTensorMode says of every operation what a GPU would: tensors on different devices are refused, and results get
their device, shape and dtype. It computes nothing, so code that reads a number from the device could not go on.
Therefore the same operation runs on CPU tensors beside it. What is tested runs unchanged, branches on true numbers,
and ends in results that can be compared with those of a CPU.

Not covered: kernels, their memory and speed, cuDNN, streams, pinned memory and several GPUs. ``make gpu`` runs the same
tests on a real GPU.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, Self

import pytest
import torch
from torch._subclasses.fake_tensor import (
    DataDependentOutputException,
    DynamicOutputShapeException,
    FakeTensor,
    FakeTensorMode,
    UnsupportedOperatorException,
)
from torch.utils._python_dispatch import _disable_current_modes
from torch.utils._pytree import tree_flatten, tree_leaves, tree_map_only, tree_unflatten

from tests.devices.kernels import KERNELS
from tests.devices.real import close

CPU, META, CUDA = torch.device("cpu"), torch.device("meta"), torch.device("cuda", 0)

# In inference mode those of the second line arrive whole.
PRODUCTS = frozenset({"mm", "addmm", "bmm", "baddbmm", "mv", "addmv", "convolution"})
PRODUCTS |= {"linear", "matmul", "conv2d", "lstm", "lstm_cell"}

# These alone take indices or sources from another device. Pointwise operations also take scalars of the CPU.
MIXING = frozenset(
    {"copy_", "fill_", "index_put_", "index_put", "_index_put_impl_", "_has_compatible_shallow_copy_type"}
)


class FakedGPU(FakeTensorMode):
    """A dispatch mode in which device "cuda" exists.

    Tensors on the CPU are ordinary ones; those on the device are FakeTensors with the attribute ``value``.

    Attributes:
        operations (Counter): How often each operation ran on the device.
        cpu_products (Counter): How often each matrix product or convolution ran on the CPU meanwhile.
        doubles (Counter): For each operation the size of its largest float64 result on the device.
    """

    # FakeTensorMode would initialise CUDA if this were False, and asks torch.cuda.is_available.
    avoid_device_init = True

    def __init__(self) -> None:
        super().__init__(allow_fallback_kernels=False)
        self.operations: Counter[str] = Counter()
        self.cpu_products: Counter[str] = Counter()
        self.doubles: Counter[str] = Counter()
        self.in_autograd = False
        self._within_fake = False
        self._new: set[int] = set()
        self._leaves: dict[int, Any] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if self._within_fake:  # FakeTensorMode calls itself for the parts of an operation
            return super().__torch_dispatch__(func, types, args, kwargs)
        name = func._opname
        if name == "device":
            return self._device_for_cpp(args[0])
        if self.in_autograd:  # autograd makes tensors where it was told that others are
            args, kwargs = tree_map_only(torch.device, lambda on: CUDA if on == META else on, (args, kwargs))
        leaves = tree_leaves((args, kwargs))
        tensors = [leaf for leaf in leaves if isinstance(leaf, torch.Tensor)]
        if not any(map(_on_device, tensors)) and not any(_is_cuda(leaf) for leaf in leaves):
            if name in PRODUCTS and tensors[0].device == CPU:
                self.cpu_products[name] += 1
            return func(*args, **kwargs)
        _check(func, tensors, args, kwargs)
        faked = self._faked_results(func, types, args, kwargs)
        values = self._value_results(func, args, kwargs)
        self.operations[name] += 1
        # In inference mode a view of a tensor from outside of it is none of its tensors, while all other results are.
        outside = func.is_view and not tensors[0].is_inference()
        with torch.inference_mode(False) if outside else contextlib.nullcontext():
            joined = self._joined(name, faked, values, tensors)
        differentiable = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)
        self._new = {id(leaf) for leaf in tree_leaves(joined)} if differentiable and name != "detach" else set()
        return joined

    def _device_for_cpp(self, tensor: torch.Tensor) -> torch.device:
        """The device of a tensor for torch's C++ code; Python code is always told the true one.

        Autograd would wait for the streams of a GPU, of which there are none; told "meta" it does all the rest. It asks
        about parameters, which :meth:`meet` makes it do beforehand, about new results, and in the backward pass and the
        functions that have one of their own.
        """
        if not _on_device(tensor):
            return tensor.device
        if self.in_autograd or id(tensor) in self._new:
            self._new.discard(id(tensor))
            return META
        return CUDA

    def meet(self, module: torch.nn.Module, inputs: Any) -> None:
        """Let autograd ask for the device of a module's parameters."""
        for parameter in module.parameters() if torch.is_grad_enabled() else ():
            if parameter.requires_grad and _on_device(parameter) and id(parameter) not in self._leaves:
                self._new.add(id(parameter))
                self._leaves[id(parameter)] = parameter, torch.autograd.graph.get_gradient_edge(parameter)

    def _faked_results(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        """The results without values; None where these depend on values, or FakeTensorMode does not know them."""

        def fake(tensor: torch.Tensor) -> torch.Tensor:
            return tensor if _on_device(tensor) else self._wear(CPU, tensor)

        args, kwargs = tree_map_only(torch.Tensor, fake, (args, kwargs))
        self._within_fake = True
        try:
            return super().__torch_dispatch__(func, types, args, kwargs)
        except (DataDependentOutputException, DynamicOutputShapeException, UnsupportedOperatorException):
            return None
        finally:
            self._within_fake = False

    def _value_results(self, func: Any, args: Any, kwargs: Any) -> Any:
        args, kwargs = tree_map_only(torch.Tensor, _value, (args, kwargs))
        args, kwargs = tree_map_only(torch.device, lambda device: CPU, (args, kwargs))
        return KERNELS.get(func._opname, func)(*args, **kwargs)

    def _joined(self, name: str, faked: Any, values: Any, arguments: list[torch.Tensor]) -> Any:
        """Values with the device that the fake results say; arguments that were changed in place as themselves."""
        known = {id(_value(tensor)): tensor for tensor in arguments}
        device = next((tensor.device for tensor in arguments if _on_device(tensor)), None)

        def join(value: Any, fake: Any) -> Any:
            if not isinstance(value, torch.Tensor):
                return value if fake is None else fake
            on = device if fake is None else fake.device
            same = known.get(id(value))
            if same is not None and same.device == on:
                return same
            if same is not None:  # moved
                value = value.clone()
            if on == CPU:
                return value
            if value.dtype == torch.float64:
                self.doubles[name] = max(self.doubles[name], value.numel())
            return self._wear(on, value, value)

        leaves, structure = tree_flatten(values)
        fakes = [None] * len(leaves) if faked is None else tree_leaves(faked)
        if isinstance(fakes[0], torch.Tensor):  # further results, such as saved statistics, may differ by device
            assert (fakes[0].shape, fakes[0].dtype) == (leaves[0].shape, leaves[0].dtype), name
        return tree_unflatten([join(value, fake) for value, fake in zip(leaves, fakes, strict=True)], structure)

    def _wear(self, device: torch.device, like: torch.Tensor, value: torch.Tensor | None = None) -> FakeTensor:
        with _disable_current_modes():
            meta = torch.empty_strided(like.shape, like.stride(), dtype=like.dtype, device="meta")
            tensor = FakeTensor(self, meta, device)
        tensor.value = value
        return tensor


class Faked:
    """A faked GPU as the fixture ``gpu`` gives it: ``with gpu:`` is a block in which torch finds a GPU."""

    def __init__(self) -> None:
        self.mode = FakedGPU()

    def __enter__(self) -> Self:
        self._stack = contextlib.ExitStack()
        self._stack.enter_context(_torch_with_a_gpu(self.mode))
        self._stack.enter_context(self.mode)
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def check_work(self, *, float64: bool = False, on_cpu: int = 0) -> None:
        """Fail unless the device computed all products but ``on_cpu``, none of them in float64 unless that is True."""
        assert any(self.mode.operations[name] for name in PRODUCTS), "nothing was multiplied on the device"
        assert self.mode.cpu_products.total() <= on_cpu, f"on the CPU instead: {self.mode.cpu_products}"
        doubles = {name for name in self.mode.doubles if name in PRODUCTS}
        assert float64 or not doubles, f"in float64 on the device: {doubles}"

    def check_close(self, found: Any, expected: Any, *, bfloat16: bool = False) -> None:
        """Fail unless two arrays agree. A GPU rounds other operations to bfloat16 than a CPU does."""
        close(found, expected, 0.01 if bfloat16 else 1e-4)


@contextlib.contextmanager
def _torch_with_a_gpu(mode: FakedGPU) -> Iterator[None]:
    """torch says that there is one GPU, and does nothing where it would call its driver."""
    answers = {
        "is_available": True,
        "is_bf16_supported": True,
        "device_count": 1,
        "current_device": 0,
        "get_device_capability": (9, 0),
        "get_device_name": "faked",
        "is_initialized": True,
        **dict.fromkeys(("set_device", "synchronize", "empty_cache")),
    }
    generator = torch.Generator()
    run = torch.autograd._engine_run_backward

    def apply(cls: type, *args: Any, **kwargs: Any) -> Any:
        return super(torch.autograd.Function, cls).apply(*args, **kwargs)

    def in_autograd(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            before, mode.in_autograd = mode.in_autograd, True
            try:
                return function(*args, **kwargs)
            finally:
                mode.in_autograd = before

        return call

    with (
        contextlib.ExitStack() as stack,
        pytest.MonkeyPatch.context() as patch,
        torch.backends.cudnn.flags(enabled=False),
    ):
        stack.callback(torch.nn.modules.module.register_module_forward_pre_hook(mode.meet).remove)
        patch.setattr(torch.autograd, "_engine_run_backward", in_autograd(run))
        patch.setattr(torch.autograd.Function, "apply", classmethod(in_autograd(apply)))
        for name, answer in answers.items():
            patch.setattr(torch.cuda, name, lambda *args, answer=answer, **kwargs: answer)
        patch.setattr(torch.cuda, "manual_seed_all", generator.manual_seed)
        patch.setattr(torch.cuda, "get_rng_state", lambda *device: generator.get_state())
        patch.setattr(torch.cuda, "set_rng_state", lambda state, *device: generator.set_state(state))
        patch.setattr(torch.nn.Module, "_apply", _swapping(torch.nn.Module._apply))
        patch.setattr(torch.Tensor, "pin_memory", torch.Tensor.clone)  # loaders pin in other threads, too
        # A checkpoint holds values.
        patch.setattr(FakeTensor, "__reduce_ex__", lambda tensor, protocol: tensor.value.__reduce_ex__(protocol))
        patch.setattr(FakeTensor, "__deepcopy__", _deepcopy, raising=False)
        patch.setattr(torch, "load", _disable_current_modes()(torch.load))
        yield


def _swapping(apply: Callable[..., Any]) -> Callable[..., Any]:
    """``Module._apply``, which keeps the identity of parameters on a real GPU, and of FakeTensors only by swapping."""

    def swapping(module: torch.nn.Module, function: Any, recurse: bool = True) -> Any:
        before = torch.__future__.get_swap_module_params_on_conversion()
        torch.__future__.set_swap_module_params_on_conversion(True)
        try:
            return apply(module, function, recurse)
        finally:
            torch.__future__.set_swap_module_params_on_conversion(before)

    return swapping


def _deepcopy(tensor: FakeTensor, memo: dict[int, Any]) -> torch.Tensor:
    if id(tensor) not in memo:
        copy = tensor.detach().clone()
        memo[id(tensor)] = (
            torch.nn.Parameter(copy, tensor.requires_grad) if isinstance(tensor, torch.nn.Parameter) else copy
        )
    return memo[id(tensor)]


def _check(func: Any, tensors: list[torch.Tensor], args: Any, kwargs: Any) -> None:
    """Refuse what a GPU refuses and FakeTensorMode lets pass."""
    name = func._opname
    generator = kwargs.get("generator")
    if generator is not None and generator.device.type != "cuda":
        raise RuntimeError(f"{name}: expected a 'cuda' device type for generator but found '{generator.device}'")
    devices = {tensor.device.type for tensor in tensors}
    if name in ("index", "_unsafe_index"):  # indices may be on the CPU, not the other way round
        if not _on_device(args[0]):
            raise RuntimeError(f"{name}: indices on the GPU of a tensor on the CPU")
    elif len(devices) > 1 and name not in MIXING and torch.Tag.pointwise not in func.tags:
        raise RuntimeError(f"{name}: expected all tensors to be on the same device, found {sorted(devices)}")
    if name == "_fused_sgd_" and any(a.stride() != b.stride() for a, b in zip(args[0], args[1], strict=True)):
        raise RuntimeError(f"{name}: params and grads must have the same strides")
    if name in PRODUCTS and not all(tensor.is_floating_point() for tensor in tensors):
        raise RuntimeError(f'"{name}_cuda" not implemented for whole numbers')


def _on_device(tensor: torch.Tensor) -> bool:
    return isinstance(tensor, FakeTensor)


def _value(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.value if isinstance(tensor, FakeTensor) else tensor


def _is_cuda(argument: Any) -> bool:
    return isinstance(argument, torch.device) and argument.type == "cuda"
