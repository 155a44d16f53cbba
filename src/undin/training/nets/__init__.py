"""The networks: one file each, named after a file of `undin.methods`, on the contract of `base.Network`."""

from undin.training.nets.base import Network
from undin.training.nets.cmask import Cmask
from undin.training.nets.deep_clustering import DeepClustering
from undin.training.nets.dnn import DNN
from undin.training.nets.lull import Lull
from undin.training.nets.mann import MANN
from undin.training.nets.talker_masks import BLSTMMask, FFMask, LSTMMask
from undin.training.nets.twain import Twain

NETS: dict[str, type[Network]] = {
    "dnn": DNN,
    "cmask": Cmask,
    "lull": Lull,
    "hush": Lull,
    "mann": MANN,
    "mann-lstm": MANN,
    "mann-dnn": MANN,
    "ff-mask": FFMask,
    "lstm-mask": LSTMMask,
    "blstm-mask": BLSTMMask,
    "deep-clustering": DeepClustering,
    "twain": Twain,
}

__all__ = ["NETS", "Network"]
