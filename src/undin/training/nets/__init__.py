"""The networks: one file each, which mirrors a file of `undin.methods`."""

from torch import nn

from undin.training.nets.dnn import DNN
from undin.training.nets.hush import Hush

NETS: dict[str, type[nn.Module]] = {"dnn": DNN, "hush": Hush}

__all__ = ["NETS"]
