"""The networks: one file each, which mirrors a file of `undin.methods`."""

from torch import nn

from undin.training.nets.cmask import Cmask
from undin.training.nets.dnn import DNN
from undin.training.nets.lull import Lull

NETS: dict[str, type[nn.Module]] = {"dnn": DNN, "cmask": Cmask, "lull": Lull}

__all__ = ["NETS"]
