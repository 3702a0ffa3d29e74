"""What each value of a protocol's fields means, in words that fit `Protocol.describe` and `differences`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

WORDS: dict[str, dict[str, str]] = {
    "alignment": {
        "landmarks+icp": "six landmarks, then ICP to the nearest predicted vertices",
        "landmarks+surface": "six landmarks, then a converged fit of the scan's face to the predicted surface",
        "landmarks7": "NoW's seven landmarks",
        "landmarks7+surface": "NoW's seven landmarks, then a converged fit of the scan's face to the predicted surface",
        "landmarks7+dogleg": "NoW's seven landmarks, then its official dog-leg to the predicted surface",
        "unaligned": "nothing: no geometry is compared",
        "in_picture": "nothing: answer and annotation are compared where they are in the picture",
        "keypoints+regional_icp": "seven keypoints, then each region's own ICP to the nearest points of the surface",
        "landmarks51+icp": "up to 51 landmarks, then ICP to the scan's nearest vertices",
    },
    "scale": {
        "rms": "free scale (ratio of RMS radii)",
        "least_squares": "free scale (least squares)",
        "none": "no change of scale",
        "l1": "free scale (ratio of the sums of absolute coordinates)",
    },
    "distance": {
        "vertex": "the nearest predicted vertex",
        "surface": "the nearest point of the predicted surface",
        "other_surface": "the nearest point of the other surface",
        "time": "the end of the call",
        "adjacent_surface": "the other surface, of which only what touches the nearest vertex is looked at",
        "same_point": "the annotated point of the same number",
        "same_pixel": "the annotated label of the same pixel",
        "counterpart": "its counterpart on the predicted surface, which a non-rigid registration finds",
    },
    "direction": {
        "scan_to_prediction": "each scan vertex",
        "prediction_to_scan": "each point of the predicted face",
        "mean": "either face, as the mean of both directions,",
        "sum": "either face, as the sum of both directions,",
        "call": "the start of a call",
        "landmark": "each predicted point",
        "pixel": "each predicted label",
        "mean_of_both": "the scan's vertices and the prediction's, every fourth, both ways averaged,",
    },
    "statistic": {
        "mean": "mean",
        "quantiles": "quantile",
        "rms": "root mean square",
        "median_mean_std": "median, mean and standard deviation of the",
        "median_mean": "median and mean of the",
        "f1": "F1 of the classes",
    },
    "expression": {
        "as_predicted": "the mesh is scored with the expression and pose it was predicted with",
        "neutral": "the mesh is scored with neutral expression and pose",
    },
    "track": {
        "own": "each method finds the face itself",
        "shared": "all methods get the same face box",
        "landmarks": "all methods get the true landmarks",
    },
    "aggregation": {
        "sample>subject>set": "mean over a subject's samples, then over subjects",
        "sample>scan>set": "mean over a scan's samples, then over scans",
        "calls": "all calls of a condition together",
        "sample>set": "mean over all samples",
        "points": "over the points of all samples together",
        "pixels": "over the pixels of all samples together",
    },
    "fallback": {
        "mean_face": "a failed sample counts with the mean face's score",
        "none": "a failed sample leaves the table's value undefined",
        "background": "a failed sample counts as an answer of background everywhere",
        "middle": "a failed sample counts with every point in the middle of the face box",
    },
}


def differing(mine: Mapping[str, Any], theirs: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """The fields in which two protocols differ, but for their names: field, mine in words, theirs in words.

    Args:
        mine: a protocol's fields, `Protocol.values()` or its canonical JSON read back.
        theirs: another's.
    """
    names = [*mine, *(name for name in theirs if name not in mine)]
    return [
        (name.replace("_", " "), _in_words(name, mine), _in_words(name, theirs))
        for name in names
        if name != "name" and (name in mine, mine.get(name)) != (name in theirs, theirs.get(name))
    ]


def _in_words(name: str, values: Mapping[str, Any]) -> str:
    if name not in values:
        return "not applicable"
    value = values[name]
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return ", ".join(str(part) for part in value)
    return WORDS.get(name, {}).get(str(value), str(value))
