"""What each value of a protocol's fields means, in words that fit `Protocol.describe` and `differences`."""

from __future__ import annotations

WORDS: dict[str, dict[str, str]] = {
    "alignment": {
        "landmarks+icp": "six landmarks, then ICP to the nearest predicted vertices",
        "landmarks+surface": "six landmarks, then a converged fit of the scan's face to the predicted surface",
    },
    "scale": {
        "rms": "free scale (ratio of RMS radii)",
        "least_squares": "free scale (least squares)",
        "none": "no change of scale",
    },
    "distance": {
        "vertex": "the nearest predicted vertex",
        "surface": "the nearest point of the predicted surface",
    },
    "direction": {"scan_to_prediction": "each scan vertex"},
    "statistic": {"mean": "mean"},
    "expression": {
        "as_predicted": "the mesh is scored with the expression and pose it was predicted with",
        "neutral": "the mesh is scored with neutral expression and pose",
    },
    "track": {
        "own": "each method finds the face itself",
        "shared": "all methods get the same face box",
        "landmarks": "all methods get the true landmarks",
    },
    "aggregation": {"sample>subject>set": "mean over a subject's samples, then over subjects"},
    "fallback": {
        "mean_face": "a failed sample counts with the mean face's score",
        "none": "a failed sample leaves the table's value undefined",
    },
}
