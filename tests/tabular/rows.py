"""Rows of real and of drawn data, the same in every run."""

import torch
from conftest import ROOT
from torch import Tensor

import datamodules


def iris() -> Tensor:
    return datamodules.Iris(whole=True).splits["train"][0]


def digits() -> Tensor:
    return datamodules.Digits().splits["train"][0]


def fashion() -> Tensor:
    return datamodules.FashionMNIST(str(ROOT / "data")).splits["train"][0][:5000]


def blobs(count: int = 2000, width: int = 6, groups: int = 5) -> Tensor:
    generator = torch.Generator().manual_seed(3)
    middles = torch.randn(groups, width, generator=generator) * 4
    rows = torch.randn(count, width, generator=generator)
    return rows + middles[torch.arange(count) % groups]
