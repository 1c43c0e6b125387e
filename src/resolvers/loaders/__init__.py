"""Every join: one loader each, over aiodataloader. They live for one operation, or one event of a subscription.

`keys` is what they are asked by, `loader` how integrations are asked, `joins` the joins themselves.
"""

from resolvers.loaders.joins import Loaders
from resolvers.loaders.keys import InWarehouse, Number, Same, Structure, Users
from resolvers.loaders.loader import Loader

__all__ = ["InWarehouse", "Loader", "Loaders", "Number", "Same", "Structure", "Users"]
