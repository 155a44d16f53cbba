"""The networks: one file each, which mirrors a file of `undin.methods`."""

from torch import nn

from undin.training.nets.dnn import DNN
from undin.training.nets.lull import Lull
from undin.training.nets.mann import MANN

NETS: dict[str, type[nn.Module]] = {
    "dnn": DNN,
    "lull": Lull,
    "mann": MANN,
    "mann-lstm": MANN,
    "mann-dnn": MANN,
}

__all__ = ["NETS"]
