"""A pretended CUDA device, for machines without one: tensors that say ``cuda:0`` and are computed on the CPU.

As on CUDA, what mixes devices raises: tensors (but for single numbers in elementwise operations), generators, indices,
``.numpy()``; so do products of whole numbers, and what has no deterministic algorithm where one is asked for. It has
random numbers of its own. What makes the host wait for it in a training step is noted.

It reaches into torch, so that it is bound to one version (:data:`TORCH`), and into all of the process that calls
:func:`enter`: never call it in a process that runs other tests, and end that one by ``os._exit``. It leaves out cuDNN
and fused attention, ``inference_mode`` (it is ``no_grad``), and all that is particular to numbers on a real device.
"""

import copy
import ctypes
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import FrameType, SimpleNamespace
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map, tree_unflatten

TORCH = "2.14.1"
CUDA = torch.device("cuda", 0)

ROOMS = ("/zoo/", "/datamodules/")
aten = torch.ops.aten

# Operations by name. What waits for the device,
WAITS = {
    "_local_scalar_dense", "nonzero", "masked_select", "unique_consecutive", "_unique2", "unique_dim", "equal",
    "repeat_interleave", "bincount", "is_nonzero", "_linalg_eigh", "_linalg_svd",
}  # fmt: skip
# what indexes, and may do so by tensors on the CPU,
INDEXES = {"index", "index_put", "index_put_", "_index_put_impl_", "_unsafe_index"}
# what goes from device to device,
MOVES = {"copy_", "_to_copy", "set_", "lift_fresh", "_copy_from", "_has_compatible_shallow_copy_type"}
# what takes single numbers from the CPU although torch does not tag it as elementwise,
ELEMENTWISE = {
    "where", "masked_fill", "masked_fill_", "lerp", "lerp_", "fill_", "fmod", "remainder", "linspace",
    "_foreach_mul_", "_foreach_div_", "_foreach_add_", "_amp_foreach_non_finite_check_and_unscale_",
}  # fmt: skip
# what CUDA has for floating point alone,
FLOATING = {"mm", "addmm", "bmm", "baddbmm", "mv", "dot", "addmv", "addbmm", "_addmm_activation", "matmul"}
# and what it refuses under deterministic algorithms.
NOT_DETERMINISTIC = {
    "kthvalue", "histc", "grid_sampler_2d_backward", "_adaptive_avg_pool2d_backward", "median", "put_",
    "upsample_bilinear2d_backward", "reflection_pad2d_backward", "nll_loss2d_forward", "max_unpool2d",
}  # fmt: skip


class Record:
    """What the device is like, and what has happened.

    Attributes:
        in_training_step: Whether one is being taken.
        waits: How often the host waited for the device in training steps, by operation and place.
        float64: Whether the device computes in double precision; Apple's do not.
    """

    in_training_step = False
    float64 = True
    waits: Counter[str] = Counter()


def host(content: Any) -> Any:
    """Whatever holds tensors, those that lie on the device brought to the CPU."""
    if isinstance(content, Pretended):
        return content.numbers.detach().clone()
    if isinstance(content, dict):
        return {key: host(value) for key, value in content.items()}
    if isinstance(content, tuple) and hasattr(content, "_fields"):
        return type(content)(*map(host, content))
    return type(content)(map(host, content)) if isinstance(content, list | tuple) else content


def enter() -> None:
    """Lets there be a CUDA device, for the rest of the process."""
    _pretend_driver()
    _pretend_module()
    torch.Tensor.pin_memory = lambda self, device=None: self.clone()  # type: ignore[method-assign]
    torch.Tensor.is_pinned = lambda self, device=None: False  # type: ignore[method-assign]
    torch.Generator = Generator  # type: ignore[misc, assignment]
    torch._C._set_only_lift_cpu_tensors(True)
    nn.Module._apply = _apply  # type: ignore[method-assign]
    save = torch.save
    torch.save = lambda content, *rest, **options: save(host(content), *rest, **options)
    _Mode().__enter__()


# Inference tensors and wrapped ones do not go together. Before anything imports it by name.
def _no_grad(mode: Any = True) -> Any:
    return torch.no_grad()(mode) if callable(mode) else torch.no_grad()


torch.inference_mode = _no_grad  # type: ignore[misc, assignment]
torch.autograd.grad_mode.inference_mode = _no_grad  # type: ignore[misc, assignment]

_kept: list[Any] = []  # what C++ points to


def _pretend_driver() -> None:
    """Replaces the entry of a table by which autograd asks for the device's context, which raises without a driver."""
    library = ctypes.CDLL(str(Path(torch.__file__).parent / "lib" / "libtorch_cpu.so"))
    hooks = library._ZN2at6detail12getCUDAHooksEv
    hooks.restype, hooks.argtypes = ctypes.c_void_p, []
    pointer = ctypes.c_void_p.from_address(hooks())
    entries, header, has_primary_context = 110, 2, 4
    address = (pointer.value or 0) - header * ctypes.sizeof(ctypes.c_void_p)
    table = (ctypes.c_void_p * entries)(*list((ctypes.c_void_p * entries).from_address(address)))
    no = ctypes.CFUNCTYPE(ctypes.c_bool, ctypes.c_void_p, ctypes.c_int8)(lambda hooks, index: False)
    table[header + has_primary_context] = ctypes.cast(no, ctypes.c_void_p).value
    _kept.extend([table, no])
    pointer.value = ctypes.addressof(table) + header * ctypes.sizeof(ctypes.c_void_p)
    torch._C._ensureCUDADeviceGuardSet()


def _pretend_module() -> None:
    torch.backends.cudnn.enabled = False
    about = SimpleNamespace(name="Pretended GPU", major=9, minor=0, total_memory=80 << 30, multi_processor_count=132)

    def answer(value: Any) -> Callable[..., Any]:
        return lambda *rest, **options: value

    def seed(number: int) -> None:
        _numbers.manual_seed(int(number))

    def restore(state: Tensor, device: Any = None) -> None:
        _numbers.set_state(state)

    replaced: dict[str, Any] = {
        **dict.fromkeys(("is_available", "is_initialized", "is_bf16_supported"), answer(True)),
        "device_count": answer(1),
        "current_device": answer(0),
        "get_device_name": answer(about.name),
        "get_device_capability": answer((about.major, about.minor)),
        "get_device_properties": answer(about),
        "is_current_stream_capturing": answer(False),
        **dict.fromkeys(("_lazy_init", "set_device", "synchronize", "empty_cache"), answer(None)),
        **dict.fromkeys(("memory_allocated", "max_memory_allocated", "memory_reserved"), answer(0)),
        "reset_peak_memory_stats": answer(None),
        "manual_seed": seed,
        "manual_seed_all": seed,
        "get_rng_state": lambda device=None: _numbers.get_state(),
        "get_rng_state_all": lambda: [_numbers.get_state()],
        "set_rng_state": restore,
        "set_rng_state_all": lambda states: restore(states[0]),
    }
    for name, function in replaced.items():
        setattr(torch.cuda, name, function)
    torch.accelerator.is_available = answer(True)
    torch.accelerator.current_accelerator = answer(torch.device("cuda"))
    torch.accelerator.current_device_index = answer(0)
    torch.accelerator.device_count = answer(1)


# Tensors --------------------------------------------------------------------------------------------------------------


class Pretended(torch.Tensor):
    """A tensor that says that it lies on the device.

    Attributes:
        numbers: The tensor on the CPU that holds its numbers.
    """

    numbers: Tensor

    @staticmethod
    def __new__(cls, inner: Tensor) -> Self:
        wrapper = torch.Tensor._make_wrapper_subclass(
            cls, inner.size(), strides=inner.stride(), storage_offset=inner.storage_offset(), dtype=inner.dtype,
            layout=inner.layout, device=CUDA, requires_grad=False,
        )  # fmt: skip
        wrapper.numbers = inner
        return wrapper

    def __init__(self, inner: Tensor) -> None:
        pass

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        return _execute(func, args, kwargs or {})

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name, kwargs = getattr(func, "__name__", ""), kwargs or {}
        with torch._C.DisableTorchFunctionSubclass():
            if getattr(func, "__self__", None) is torch.Tensor.data:
                return _get_data(*args) if name == "__get__" else _set_data(*args)
            if name in _OWN_FUNCTIONS:
                return _OWN_FUNCTIONS[name](*args, **kwargs)
            return func(*args, **kwargs)

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        if id(self) in memo:
            return memo[id(self)]
        if not self.is_leaf:
            raise RuntimeError("Only Tensors created explicitly by the user (graph leaves) support deepcopy")
        with torch.no_grad():
            new = Pretended(self.numbers.clone())
        new.requires_grad_(self.requires_grad)
        for key, value in self.__dict__.items():
            if key not in ("numbers", "grad"):
                new.__dict__[key] = copy.deepcopy(value, memo)
        if self.grad is not None:
            new.grad = copy.deepcopy(self.grad, memo)
        memo[id(self)] = new
        return new

    def __repr__(self, **_: Any) -> str:  # type: ignore[override]
        return f"{torch.Tensor.__repr__(self.numbers)} on cuda:0"

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise RuntimeError("a pretended tensor was pickled, expected it to be written by torch.save")


def _get_data(tensor: Pretended, *_: Any) -> Tensor:
    return tensor.detach()


def _set_data(tensor: Pretended, new: Tensor) -> None:
    if not isinstance(new, Pretended):
        raise RuntimeError("numbers on the CPU were assigned to a tensor on cuda:0")
    torch.Tensor.data.__set__(tensor, new)  # type: ignore[attr-defined]
    tensor.numbers = new.numbers


def _to_numpy(tensor: Pretended, *_: Any, **__: Any) -> None:
    raise TypeError(f"can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu() first. [{_place()}]")


def _tolist(tensor: Pretended) -> Any:
    _note_wait("tolist")
    return tensor.numbers.tolist()


def _attention(
    query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None, dropout_p: float = 0.0,
    is_causal: bool = False, scale: float | None = None, enable_gqa: bool = False,
) -> Tensor:  # fmt: skip
    math = aten._scaled_dot_product_attention_math
    return math(query, key, value, attn_mask, dropout_p, is_causal, None, scale=scale)[0]


_OWN_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "numpy": _to_numpy,
    "__array__": _to_numpy,
    "tolist": _tolist,
    "is_pinned": lambda *_: False,
    "scaled_dot_product_attention": _attention,
    "__deepcopy__": Pretended.__deepcopy__,
    "__format__": lambda tensor, form: format(tensor.item(), form) if tensor.dim() == 0 else repr(tensor),
}


class _Mode(TorchDispatchMode):
    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _execute(func, args, kwargs or {})


# Generators -----------------------------------------------------------------------------------------------------------

_Generator = torch.Generator
_numbers = _Generator().manual_seed(torch.initial_seed() % 2**63)
_on_device: dict[int, torch.Generator] = {}  # by address, and so kept alive


def _address(generator: Any) -> int:
    return generator._cdata


class Generator(_Generator):
    """``torch.Generator(device)``, which draws on the CPU and says that it lies where it was asked for."""

    claimed: torch.device

    def __new__(cls, device: str | torch.device = "cpu") -> Self:
        self = _Generator.__new__(cls)
        self.claimed = torch.device(device)
        if self.claimed.type == "cuda":
            _on_device[_address(self)] = self
        return self

    def __init__(self, device: str | torch.device = "cpu") -> None:
        pass

    @property
    def device(self) -> torch.device:  # type: ignore[override]
        return CUDA if self.claimed.type == "cuda" else self.claimed


# Operations -----------------------------------------------------------------------------------------------------------


def _place() -> str:
    """The innermost line of the project that is running."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        for room in ROOMS:
            if room in frame.f_code.co_filename:
                return f"{room[1:]}{frame.f_code.co_filename.rpartition(room)[2]}:{frame.f_lineno}"
        frame = frame.f_back
    return "outside the project"


def _fault(text: str) -> None:
    raise RuntimeError(f"{text} [{_place()}]")


def _note_wait(name: str) -> None:
    if Record.in_training_step:
        Record.waits[f"{name} in {_place()}"] += 1


class _Call(NamedTuple):
    """An operation that is about to be executed.

    Attributes:
        func: The operation.
        name: Its name.
        args: Arguments by position.
        kwargs: Arguments by name.
        flat: All of both, tensors out of lists.
        device: Where its result is asked to lie.
    """

    func: Any
    name: str
    args: Any
    kwargs: dict[str, Any]
    flat: list[Any]
    device: torch.device | None

    @property
    def pretended(self) -> bool:
        """Whether it reads anything from the device."""
        return any(isinstance(one, Pretended) for one in self.flat)

    @property
    def to_host(self) -> bool:
        """Whether it brings something to the CPU."""
        return self.device is not None and self.device.type == "cpu"


def _execute(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    flat, structure = tree_flatten((args, kwargs))
    device = None if kwargs.get("device") is None else torch.device(kwargs["device"])
    call = _Call(func, func.__name__.partition(".")[0], args, kwargs, flat, device)
    makes = device is not None and device.type == "cuda"
    on_device = makes or (call.pretended and not call.to_host)
    _check_generators(call, on_device)
    if not call.pretended and not makes:
        return func(*args, **kwargs)
    if call.pretended and call.name not in MOVES:
        _check_devices(call)
    _check_algorithm(call)
    _note_waits(call)

    inner = [one.numbers if isinstance(one, Pretended) else one for one in flat]
    its_args, its_kwargs = tree_unflatten(inner, structure)
    if device is not None:
        its_kwargs = {**its_kwargs, "device": torch.device("cpu")}
    its_kwargs.pop("pin_memory", None)
    if call.name == "_to_copy":
        its_kwargs.pop("non_blocking", None)
    draws = torch.Tag.nondeterministic_seeded in func.tags and not any(isinstance(one, _Generator) for one in flat)
    if call.name in _OWN:
        found = _OWN[call.name](*its_args, **its_kwargs)
    elif on_device and draws:
        found = _with_own_numbers(lambda: func(*its_args, **its_kwargs))
    else:
        found = func(*its_args, **its_kwargs)
    if call.to_host:
        return found
    if not Record.float64 and any(
        isinstance(one, Tensor) and one.dtype == torch.float64 for one in tree_flatten(found)[0]
    ):
        _fault(f"{call.func}: the device has no float64")
    if call.name == "copy_" and not isinstance(args[0], Pretended):
        return args[0]
    return _wrapped(call, found)


def _wrapped(call: _Call, found: Any) -> Any:
    """Results as tensors on the device; what was written to stays the tensor that it was."""
    written = [one for one in call.flat if isinstance(one, Pretended)] if call.func._schema.is_mutable else []
    same = {id(one.numbers): one for one in written}
    for one in written:
        if one.shape != one.numbers.shape:  # transpose_, squeeze_ and the like: the wrapper has to learn of it
            with torch._C.DisableTorchFunctionSubclass():
                torch.Tensor.data.__set__(one, Pretended(one.numbers))  # type: ignore[attr-defined]

    def wrap(one: Any) -> Any:
        if not isinstance(one, Tensor):
            return one
        return same[id(one)] if id(one) in same else Pretended(one)

    return tree_map(wrap, found)


def _with_own_numbers(call: Callable[[], Any]) -> Any:
    """Draws from the random numbers of the device."""
    before = torch.default_generator.get_state()
    torch.default_generator.set_state(_numbers.get_state())
    try:
        return call()
    finally:
        _numbers.set_state(torch.default_generator.get_state())
        torch.default_generator.set_state(before)


def _check_generators(call: _Call, on_device: bool) -> None:
    for one in call.flat:
        if isinstance(one, _Generator):
            wanted, there = ("cuda" if on_device else "cpu"), ("cuda" if _address(one) in _on_device else "cpu")
            if wanted != there:
                _fault(f"{call.func}: Expected a '{wanted}' device type for generator but found '{there}'")


def _check_devices(call: _Call) -> None:
    others = [one for one in call.flat if isinstance(one, Tensor) and not isinstance(one, Pretended)]
    if not others:
        return
    if call.name in INDEXES:
        if not isinstance(call.args[0], Pretended):
            _fault(f"{call.func}: indices should be on the CPU as the indexed tensor is, found cuda:0")
        values = call.args[2] if len(call.args) > 2 else None
        if isinstance(values, Tensor) and not isinstance(values, Pretended) and values.dim():
            _fault(f"{call.func}: Expected all tensors to be on the same device, but the values are on cpu")
        return
    shapes = [tuple(one.shape) for one in others if one.dim()]
    if shapes or not (torch.Tag.pointwise in call.func.tags or call.name in ELEMENTWISE):
        _fault(f"{call.func}: Expected all tensors to be on the same device, but found cuda:0 and cpu {shapes}")
    for place, argument in enumerate(call.func._schema.arguments):
        if argument.alias_info is not None and argument.alias_info.is_write:
            value = call.args[place] if place < len(call.args) else call.kwargs.get(argument.name)
            if isinstance(value, Tensor) and not isinstance(value, Pretended):
                _fault(f"{call.func}: writes from cuda:0 into a tensor on cpu")


def _check_algorithm(call: _Call) -> None:
    tensors = [one for one in call.flat if isinstance(one, Pretended)]
    if call.name in FLOATING and not all(one.is_floating_point() or one.is_complex() for one in tensors):
        _fault(f"{call.func}: not implemented on CUDA for whole numbers")
    weighted = call.name == "bincount" and len(call.args) > 1 and isinstance(call.args[1], Tensor)
    if (call.name in NOT_DETERMINISTIC or weighted) and torch.are_deterministic_algorithms_enabled():
        _fault(f"{call.func} does not have a deterministic implementation on CUDA")


def _note_waits(call: _Call) -> None:
    if not call.pretended:
        return
    copies = call.name == "copy_" and isinstance(call.args[1], Pretended) and not isinstance(call.args[0], Pretended)
    if call.name in WAITS:
        _note_wait(call.name)
    elif copies or (call.name == "_to_copy" and call.to_host):
        _note_wait("copy to the CPU")
    elif call.name in INDEXES:
        masks = tree_flatten(call.args[1])[0]
        if any(isinstance(one, Pretended) and one.dtype == torch.bool for one in masks):
            _note_wait("boolean mask")


# Kernels that torch has for the device alone --------------------------------------------------------------------------


def _lstm_cell(a: Tensor, b: Tensor, cell: Tensor, c: Tensor | None = None, d: Tensor | None = None) -> Any:
    gates = a + b if c is None or d is None else a + c + b + d
    i, f, g, o = gates.chunk(4, 1)
    i, f, g, o = i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()
    cell = f * cell + i * g
    return o * cell.tanh(), cell, torch.cat([i, f, g, o], 1)


def _lstm_cell_backward(
    by_hidden: Tensor | None, by_cell: Tensor | None, before: Tensor, after: Tensor, gates: Tensor, has_bias: bool
) -> Any:
    i, f, g, o = gates.chunk(4, 1)
    t = after.tanh()
    by_hidden = torch.zeros_like(after) if by_hidden is None else by_hidden
    by_cell = by_hidden * o * (1 - t * t) + (0 if by_cell is None else by_cell)
    by_gates = torch.cat(
        [
            by_cell * g * i * (1 - i),
            by_cell * before * f * (1 - f),
            by_cell * i * (1 - g * g),
            by_hidden * t * o * (1 - o),
        ],
        1,
    )
    return by_gates, by_cell * f, by_gates.sum(0) if has_bias else None


def _gru_cell(a: Tensor, b: Tensor, hidden: Tensor, c: Tensor | None = None, d: Tensor | None = None) -> Any:
    if c is not None and d is not None:
        a, b = a + c, b + d
    (ar, az, an), (br, bz, bn) = a.chunk(3, 1), b.chunk(3, 1)
    r, z = (ar + br).sigmoid(), (az + bz).sigmoid()
    n = (an + r * bn).tanh()
    return (1 - z) * n + z * hidden, torch.cat([r, z, n, hidden, bn], 1)


def _gru_cell_backward(by_hidden: Tensor, kept: Tensor, has_bias: bool) -> Any:
    r, z, n, hidden, bn = kept.chunk(5, 1)
    by_z = by_hidden * (hidden - n) * z * (1 - z)
    by_n = by_hidden * (1 - z) * (1 - n * n)
    by_r = by_n * bn * r * (1 - r)
    by_a, by_b = torch.cat([by_r, by_z, by_n], 1), torch.cat([by_r, by_z, by_n * r], 1)
    return by_a, by_b, by_hidden * z, by_a.sum(0) if has_bias else None, by_b.sum(0) if has_bias else None


def _rms_norm(x: Tensor, shape: Any, weight: Tensor | None, epsilon: float | None) -> Any:
    dimensions = tuple(range(-len(shape), 0))
    wide = x.float() if x.dtype in (torch.bfloat16, torch.float16) else x
    epsilon = torch.finfo(wide.dtype).eps if epsilon is None else epsilon
    scale = (wide.square().mean(dimensions, keepdim=True) + epsilon).rsqrt()
    found = wide * scale
    return (found if weight is None else found * weight).to(x.dtype), scale


def _rms_norm_backward(by_out: Tensor, x: Tensor, shape: Any, scale: Tensor, weight: Tensor | None, mask: Any) -> Any:
    dimensions = tuple(range(-len(shape), 0))
    normal, by_out = x.to(scale.dtype) * scale, by_out.to(scale.dtype)
    by_weight = None
    if weight is not None:
        by_weight = (by_out * normal).flatten(0, x.dim() - len(shape) - 1).sum(0).to(weight.dtype)
        by_out = by_out * weight
    by_x = scale * (by_out - normal * (by_out * normal).mean(dimensions, keepdim=True))
    return by_x.to(x.dtype), by_weight


_OWN: dict[str, Callable[..., Any]] = {
    "_thnn_fused_lstm_cell": _lstm_cell,
    "_thnn_fused_lstm_cell_backward_impl": _lstm_cell_backward,
    "_thnn_fused_gru_cell": _gru_cell,
    "_thnn_fused_gru_cell_backward": _gru_cell_backward,
    "_fused_rms_norm": _rms_norm,
    "_fused_rms_norm_backward": _rms_norm_backward,
}


# Modules and files ----------------------------------------------------------------------------------------------------


def _apply(self: nn.Module, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> nn.Module:
    """``nn.Module._apply`` that moves parameters and keeps their identity, as torch does from CPU to CUDA."""
    if recurse:
        for child in self.children():
            child._apply(fn)
    for key, parameter in self._parameters.items():
        if parameter is None:
            continue
        with torch.no_grad():
            moved = fn(parameter)
            gradient = None if parameter.grad is None else fn(parameter.grad)
        if isinstance(parameter, Pretended) == isinstance(moved, Pretended):
            parameter.data = moved
        else:
            fresh = nn.Parameter(moved, parameter.requires_grad)
            parameter.grad = None
            try:
                torch.utils.swap_tensors(parameter, fresh)
            except RuntimeError:  # something else holds it
                self._parameters[key] = fresh
        now = self._parameters[key]
        if gradient is not None and now is not None:
            now.grad = gradient
    for key, buffer in self._buffers.items():
        if buffer is not None:
            self._buffers[key] = fn(buffer)
    return self
