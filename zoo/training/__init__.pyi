from .callbacks import EpochLines as EpochLines
from .callbacks import SeedEpochs as SeedEpochs
from .checkpoints import LastCheckpoint as LastCheckpoint
from .cli import ZooCLI as ZooCLI
from .duration import StopAfter as StopAfter
from .figures import Figures as Figures
from .precision import ReconsiderPrecision as ReconsiderPrecision
