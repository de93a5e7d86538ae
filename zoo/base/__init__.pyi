from .classification import Classification as Classification
from .gradient_free import GradientFree as GradientFree
from .module import ZooModule as ZooModule
from .muon import Muon as Muon
from .muon import MuonWithAdamW as MuonWithAdamW
