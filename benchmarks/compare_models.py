"""What `benchmarks/compare.py` compares: each process imports it anew."""

from __future__ import annotations

from typing import Any

import torch


class Elementwise(torch.nn.Module):
    """Slow without vector instructions: a real slowdown, by the option `cpp.simdlen=1`."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.tanh(x) * torch.sigmoid(x)


def elementwise() -> tuple[torch.nn.Module, tuple[torch.Tensor, ...]]:
    return Elementwise(), (torch.randn(1 << 20),)


class Mlp(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = torch.nn.Linear(256, 512), torch.nn.Linear(512, 256)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.second(torch.relu(self.first(x)))


def mlp() -> tuple[torch.nn.Module, tuple[torch.Tensor, ...]]:
    return Mlp(), (torch.randn(256, 256),)


def llama() -> tuple[Any, tuple[()], dict[str, Any]]:
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        hidden_size=256,
        intermediate_size=512,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=4,
        vocab_size=1024,
    )
    return LlamaForCausalLM(config), (), {"input_ids": torch.ones(1, 64).long(), "use_cache": False}


class Convolutions(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = torch.nn.Conv2d(3, 16, 3, padding=1)
        self.second = torch.nn.Conv2d(16, 16, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.second(torch.relu(self.first(x))))


def convolutions() -> tuple[torch.nn.Module, tuple[torch.Tensor, ...]]:
    return Convolutions(), (torch.randn(2, 3, 64, 64),)
