"""LightningDataModules: each delivers one source of data in raw units and states its facts.

The classes are imported on first use, so that ``import datamodules`` costs nothing, from where ``__init__.pyi`` says.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
