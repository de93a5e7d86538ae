"""What a GPU computes in, by what torch says of it: tests pretend its answers, and compute nothing on it."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from conftest import Zoo

from zoo.base.module import ZooModule
from zoo.errors import ZooError
from zoo.tabular import KMeans, LinearRegression
from zoo.text import RNNLM, NGramLM
from zoo.training.precision import check_precision, float32_products, settle_tf32
from zoo.vision import CNN

GPU = torch.device("cuda", 0)


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Pretends a GPU of some generation."""

    def pretend(capability: tuple[int, int], name: str) -> None:
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device=None: capability)
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda device=None: name)
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: capability >= (8, 0))

    return pretend


def trainer(precision: str, device: torch.device = GPU) -> Any:
    return SimpleNamespace(precision=precision, strategy=SimpleNamespace(root_device=device))


@pytest.mark.parametrize("precision", ["bf16-mixed", "bf16-true"])
def test_bfloat16_is_refused_where_a_gpu_imitates_it(precision: str, gpu: Any) -> None:
    gpu((7, 5), "Tesla T4")
    with pytest.raises(ZooError) as refusal:
        check_precision(trainer(precision))
    assert str(refusal.value) == ("Tesla T4 does not compute in bfloat16; use --trainer.precision 32-true, or 16-mixed")


@pytest.mark.parametrize("precision", ["32-true", "16-mixed"])
def test_other_precisions_are_everywhere(precision: str, gpu: Any) -> None:
    gpu((7, 5), "Tesla T4")
    check_precision(trainer(precision))


def test_bfloat16_is_taken_where_there_is_some(gpu: Any) -> None:
    gpu((8, 0), "NVIDIA A100")
    check_precision(trainer("bf16-mixed"))
    gpu((7, 5), "Tesla T4")
    check_precision(trainer("bf16-mixed", torch.device("cpu")))


@pytest.mark.parametrize(
    ("kind", "expected"), [(CNN, True), (RNNLM, True), (NGramLM, False), (KMeans, False), (LinearRegression, False)]
)
def test_networks_that_gain_are_trained_in_tf32(kind: type[ZooModule], expected: bool, gpu: Any) -> None:
    gpu((8, 0), "NVIDIA A100")
    model: Any = SimpleNamespace(takes_tf32=kind.takes_tf32)
    assert settle_tf32(None, model, GPU, trains=True) is expected
    assert settle_tf32(None, model, GPU, trains=False) is False, "what is measured is not rounded unasked"
    assert settle_tf32(True, model, GPU, trains=False) is True
    assert settle_tf32(False, model, GPU, trains=True) is False


def test_gpu_without_tf32_rounds_nothing(gpu: Any) -> None:
    gpu((7, 5), "Tesla T4")
    assert settle_tf32(None, CNN(), GPU, trains=True) is False
    with pytest.raises(ZooError, match=r"^Tesla T4 has no TF32; leave --tf32 true out$"):
        settle_tf32(True, CNN(), GPU, trains=True)


def test_what_torch_is_set_to_is_set_back() -> None:
    def settings() -> tuple[str, bool]:
        return torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32

    before = settings()
    with float32_products(True):
        assert settings() == ("high", True)
        with float32_products(False):
            assert settings() == ("highest", False)
        assert settings() == ("high", True)
    assert settings() == before


def test_tf32_is_refused_on_a_cpu_in_one_line(zoo_command: Zoo) -> None:
    code, out, error = zoo_command("fit", "cnn_digits", "--trainer.accelerator=cpu", "--tf32=true")
    assert (code, out) == (2, "")
    assert error == "zoo: a device of type cpu has no TF32; leave --tf32 true out\n"
