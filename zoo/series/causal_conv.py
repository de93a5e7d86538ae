"""Dilated causal convolutions, plain as in the notes or gated as in WaveNet (van den Oord et al., 2016)."""

from collections.abc import Iterable
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.errors import ZooError
from zoo.series.forecaster import Output
from zoo.series.initialisation import keras_initialise
from zoo.series.trained import TrainedForecaster


class CausalConv1d(nn.Conv1d):
    """A convolution that is padded with zeros on the left only, so that no output sees a later input.

    With a stride the last output still belongs to the last input.

    Shape:
        - Input: ``(N, in_channels, T)``.
        - Output: ``(N, out_channels, ceil(T / stride))``.
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int, dilation: int = 1, stride: int = 1
    ) -> None:
        super().__init__(in_channels, out_channels, kernel_size, stride, dilation=dilation)

    def forward(self, inputs: Tensor) -> Tensor:
        """The padded convolution."""
        return self.convolve(inputs, self.dilation[0], self.stride[0])

    def convolve(self, inputs: Tensor, dilation: int, stride: int) -> Tensor:
        """The padded convolution with another dilation and stride than its own."""
        missing = dilation * (self.kernel_size[0] - 1) - (inputs.shape[2] - 1) % stride
        return F.conv1d(F.pad(inputs, (missing, 0)), self.weight, self.bias, stride, dilation=dilation)


class GatedBlock(nn.Module):
    """WaveNet's block: ``tanh(filter) * sigmoid(gate)``, of which one part is added to the input, another skips ahead.

    Args:
        channels: Width.
        kernel_size: Size of the kernels.
        dilation: Distance of the places they look at.
        is_last: Leave out what is added to the input, since no layer follows.

    Shape:
        - Input: ``(N, channels, T)``.
        - Output: twice ``(N, channels, T)``: for the next block, and what skips ahead.
    """

    def __init__(self, channels: int, kernel_size: int, dilation: int, is_last: bool) -> None:
        super().__init__()
        self.dilated = CausalConv1d(channels, 2 * channels, kernel_size, dilation)
        self.skip = nn.Conv1d(channels, channels, 1)
        self.residual = None if is_last else nn.Conv1d(channels, channels, 1)

    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Input of the next block, and what skips ahead."""
        gated = self.gate(self.dilated(inputs))
        return inputs if self.residual is None else inputs + self.residual(gated), self.skip(gated)

    def thin(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Likewise from undilated inputs, at every second step counted from the last; of what skips ahead the last."""
        gated = self.gate(self.dilated.convolve(inputs, 1, 2))
        kept = inputs[:, :, (inputs.shape[2] - 1) % 2 :: 2]
        return kept if self.residual is None else kept + self.residual(gated), self.skip(gated[:, :, -1:])

    @staticmethod
    def gate(features: Tensor) -> Tensor:
        """``tanh(filter) * sigmoid(gate)`` of both halves of the channels."""
        signal, gate = features.chunk(2, 1)
        return signal.tanh() * gate.sigmoid()


class CausalConvNet(nn.Module):
    """Causal convolutions whose dilation doubles layer by layer, so that few layers see far.

    Args:
        num_series: Number of series, ``C``.
        horizon: Steps ahead, ``H``; 1 for a sequence.
        channels: Width of every layer.
        kernel_size: Size of the kernels.
        receptive_field: Steps that an output shall see at least; as many layers as that takes are built.
        gated: Use :class:`GatedBlock` behind a projection, instead of plain convolutions with ReLU.
        stride: Of the first plain convolution, with output ``vector``: all further ones look at every ``stride``-th of
            its places only. More than ``kernel_size`` would skip values.
        output: ``vector`` or ``sequence``.
        in_features: Numbers a step; ``num_series`` if left out.

    Shape:
        - Input: ``(N, T, in_features)``, any ``T``.
        - Output: ``(N, H, C)`` for a vector; ``(N, T, C)`` for a sequence, whose step ``t`` has seen inputs ``<= t``.

    Attributes:
        receptive_field: Steps that an output does see.

    Raises:
        ZooError: The arguments contradict each other.
    """

    def __init__(
        self,
        num_series: int = 1,
        horizon: int = 1,
        channels: int = 32,
        kernel_size: int = 2,
        receptive_field: int = 64,
        gated: bool = False,
        stride: int = 1,
        output: Output = "vector",
        in_features: int | None = None,
    ) -> None:
        super().__init__()
        in_features = num_series if in_features is None else in_features
        if kernel_size < 2 or receptive_field < 2:
            raise ZooError(
                f"kernel_size is {kernel_size} and receptive_field {receptive_field}, expected at least 2 each; "
                "use a longer --data.window if none is named"
            )
        if stride < 1 or (stride > 1 and (gated or output == "sequence")):
            raise ZooError(
                f"stride {stride} leaves out steps, which output {output!r}{' and gated blocks' if gated else ''} "
                "cannot; use stride 1, or output 'vector' without gates"
            )
        dilations: list[int] = []
        seen = 1
        while seen < receptive_field:
            # Behind a stride neighbours are ``stride`` steps apart; dilation begins anew, or places would be skipped.
            behind = len(dilations) - (stride > 1)
            dilations.append(2 ** max(behind, 0))
            seen += (kernel_size - 1) * dilations[-1] * (stride if dilations[1:] else 1)
        self.receptive_field, self.horizon, self.output, self.stride = seen, horizon, output, stride
        self.project = nn.Conv1d(in_features, channels, 1) if gated else None
        self.layers = nn.ModuleList()
        for number, dilation in enumerate(dilations):
            if gated:
                self.layers.append(GatedBlock(channels, kernel_size, dilation, number == len(dilations) - 1))
            else:
                width, step = (channels, 1) if number else (in_features, stride)
                self.layers.append(CausalConv1d(width, channels, kernel_size, dilation, step))
        self.mix = nn.Conv1d(channels, channels, 1) if gated else None
        self.head = nn.Linear(channels, horizon * num_series)
        keras_initialise(self)

    def forward(self, inputs: Tensor) -> Tensor:
        """The forecasts."""
        if self.output == "vector":
            last = self.last_features(inputs[:, -self.receptive_field :])
            return self.head(last).unflatten(1, (self.horizon, -1))
        return self.head(self.features(inputs))

    def features(self, inputs: Tensor) -> Tensor:
        """What the convolutions see at every step, ``(N, T, channels)``; fewer steps with a stride."""
        hidden = inputs.transpose(1, 2)
        if self.project is None or self.mix is None:
            for layer in self.layers:
                hidden = layer(hidden).relu()
            return hidden.transpose(1, 2)
        hidden = self.project(hidden)
        skipped = torch.zeros_like(hidden)
        for block in self.layers:
            hidden, skip = block(hidden)
            skipped = skipped + skip
        return self.mix(skipped.relu()).relu().transpose(1, 2)

    def last_features(self, inputs: Tensor) -> Tensor:
        """What they see at the last step, ``(N, channels)``, from the steps alone that it depends on.

        A layer whose successor is dilated twice as far is needed at every second place; once the others are gone, the
        successor's places are neighbours. So the layers shrink by half instead of all being as long as the window.
        """
        hidden = inputs.transpose(1, 2)
        if self.project is None or self.mix is None:
            for number, layer in enumerate(cast(Iterable[CausalConv1d], self.layers)):
                is_first_with_stride = number == 0 and self.stride > 1
                hidden = layer.convolve(hidden, 1, self.stride if is_first_with_stride else 2).relu()
            return hidden[:, :, -1]
        hidden, skipped = self.project(hidden), inputs.new_zeros(())
        for block in cast(Iterable[GatedBlock], self.layers):
            hidden, skip = block.thin(hidden)
            skipped = skipped + skip
        return self.mix(skipped.relu()).relu()[:, :, -1]


class CausalConv(TrainedForecaster):
    """Forecasts with :class:`CausalConvNet`. See :class:`TrainedForecaster` for the arguments not listed.

    Args:
        channels: Width of every layer.
        kernel_size: Size of the kernels.
        receptive_field: Steps that an output shall see at least; ``window`` if left out.
        gated: Gated blocks with skip connections, as in WaveNet, instead of plain convolutions.
        stride: Of the first convolution, for output ``vector`` without gates.

    Shape:
        - Input: ``(N, T, C)``, any ``T``.
        - Output: ``(N, H, C)`` for a vector, ``(N, T, C)`` for a sequence.
    """

    # Longer sequences are cut where no gradient is wanted, which bounds the memory and changes nothing.
    LONG = 2**16

    network: CausalConvNet

    def __init__(
        self,
        window: int = 64,
        channels: int = 32,
        kernel_size: int = 2,
        receptive_field: int | None = None,
        gated: bool = False,
        stride: int = 1,
        **options: Any,
    ) -> None:
        super().__init__(window=window, **options)
        self.network = CausalConvNet(
            self.out_features, self.horizon, channels, kernel_size, receptive_field or window, gated, stride,
            self.output, self.in_features,
        )  # fmt: skip

    def forward(self, inputs: Tensor) -> Tensor:
        """Forecasts in the series' own unit; a long sequence part by part, in the memory that one of them takes."""
        inputs = self.take(inputs)
        steps = inputs.shape[1]
        if self.output == "vector" or torch.is_grad_enabled() or steps <= self.LONG:
            return super().forward(inputs)
        # Written in place, since parts that lie about between the layers' memory would keep it from being used again.
        dtype = torch.promote_types(torch.promote_types(torch.float32, self.std.dtype), inputs.dtype)
        forecasts = inputs.new_empty(inputs.shape, dtype=dtype)
        for start in range(0, steps, self.LONG):
            before, stop = min(start, self.network.receptive_field - 1), start + self.LONG
            forecasts[:, start:stop] = super().forward(inputs[:, start - before : stop])[:, before:]
        return forecasts
