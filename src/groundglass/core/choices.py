"""The words a user chooses from, each list once.

Nothing but words: the command line needs them for its help, before anything slow is imported.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

#: The bundle used when none is named.
DEFAULT_BUNDLE = "demonstration"

#: The classes that phantoms are made of, as the networks order them.
PhantomLabel = Literal["CP", "NCP", "healthy"]

#: Public data sets with an importer, in the order in which they are shown.
DatasetName = Literal[
    "covid-ct-md",
    "cc-ccii",
    "covidx-ct",
    "mosmed",
    "stoic2021",
    "cov19-ct-db",
    "ucsd-covid-ct",
    "finding-lungs",
    "lung-volumes",
    "lesion-slices",
    "folders",
]


#: How urgent a study is to a node.
PriorityName = Literal["routine", "urgent", "emergency"]


class Precision(StrEnum):
    """The number format the networks compute in.

    AUTO is bf16 where the processor multiplies bf16 in hardware, else f32. What was really used is
    in the result's provenance.
    """

    AUTO = "auto"
    F32 = "f32"
    BF16 = "bf16"
