"""The networks: one file each, which mirrors a file of `undin.methods`."""

from torch import nn

from undin.training.nets.cmask import Cmask
from undin.training.nets.deep_clustering import DeepClustering
from undin.training.nets.dnn import DNN
from undin.training.nets.lull import Lull
from undin.training.nets.mann import MANN
from undin.training.nets.talker_masks import BLSTMMask, FFMask, LSTMMask

NETS: dict[str, type[nn.Module]] = {
    "dnn": DNN,
    "cmask": Cmask,
    "lull": Lull,
    "mann": MANN,
    "mann-lstm": MANN,
    "mann-dnn": MANN,
    "ff-mask": FFMask,
    "lstm-mask": LSTMMask,
    "blstm-mask": BLSTMMask,
    "deep-clustering": DeepClustering,
}

__all__ = ["NETS"]
