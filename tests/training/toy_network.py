"""A little network with every kind of layer that graphs have trouble with."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from undin.methods.base import Card
from undin.methods.learned import Learned
from undin.training.nets import Network


@dataclass(frozen=True)
class ToyConfig:
    sr: int = 16000
    n_fft: int = 64
    hop_length: int = 32
    window: str = "sqrt_hann"
    lookahead: int = 2
    output: str = "mask"


class Toy(Learned):
    id = "toy"
    Config = ToyConfig
    card = Card(summary="a toy", source="none")


class ToyNet(Network):
    """Convolution over time, GRU, two layers of LSTM, a running sum and a linear head: each with its state."""

    def __init__(self, config: ToyConfig) -> None:
        super().__init__(config)
        self.output = config.output.removesuffix(" complex")
        self.n_freq, self.n_out = config.n_fft // 2 + 1, 1 if config.output == "mask" else 2
        self.conv = nn.Conv2d(1, 3, (3, 3), padding=(0, 1))
        self.gru = nn.GRU(3 * self.n_freq, 24, batch_first=True)
        self.lstm = nn.LSTM(24, 16, 2, batch_first=True)
        self.head = nn.Linear(16, self.n_out * self.n_freq)

    def initial_state(self, batch: int) -> dict[str, Tensor]:
        shapes = {"past": (2, self.n_freq), "gru": (1, 24), "h": (2, 16), "c": (2, 16), "sum": (1,)}
        return {name: torch.zeros(batch, *shape) for name, shape in shapes.items()}

    def forward(self, X: Tensor, state: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        power = (X.square().sum(1) + 1e-9).log()  # (B, T, F)
        power = torch.cat([state["past"], power], 1)
        x = self.conv(power[:, None]).relu().transpose(1, 2).flatten(2)
        x, gru = self.gru(x, state["gru"].transpose(0, 1).contiguous())
        x, (h, c) = self.lstm(x, tuple(state[name].transpose(0, 1).contiguous() for name in ("h", "c")))
        total = state["sum"][:, None] + torch.cumsum(x.mean(-1, keepdim=True), 1)
        M = torch.sigmoid(self.head(x) + 0.01 * total)
        M = torch.stack(torch.split(M, self.n_freq, -1), 1)
        new = {"past": power[:, -2:], "sum": total[:, -1]}
        new |= {name: s.transpose(0, 1) for name, s in (("gru", gru), ("h", h), ("c", c))}
        return (M * X if self.output == "spectrum" else M), new
