"""A benchmark and leaderboard harness for 3D face reconstruction: the public names."""

from harness.adapter import MethodAdapter
from harness.errors import AlignmentError, ContractError, DataError, HarnessError
from harness.samples import Camera, Prediction, Sample, View

__all__ = [
    "AlignmentError",
    "Camera",
    "ContractError",
    "DataError",
    "HarnessError",
    "MethodAdapter",
    "Prediction",
    "Sample",
    "View",
]
