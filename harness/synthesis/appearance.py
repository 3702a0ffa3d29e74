"""What a person's surface looks like: colours and procedural detail, drawn at random per subject."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from harness.synthesis.noise import to_linear

Array = np.ndarray

SKIN = to_linear(
    np.array(
        [
            (226, 195, 172),
            (217, 180, 152),
            (213, 165, 134),
            (196, 144, 110),
            (170, 117, 83),
            (136, 90, 63),
            (103, 67, 48),
            (76, 49, 38),
        ]
    )
)
HAIR = to_linear(
    np.array(
        [
            (34, 29, 27),
            (46, 35, 29),
            (62, 43, 32),
            (86, 58, 39),
            (118, 84, 54),
            (160, 124, 82),
            (120, 62, 36),
            (150, 146, 142),
            (206, 202, 196),
        ]
    )
)
HAIR_SHARE = np.array([0.24, 0.2, 0.16, 0.12, 0.08, 0.06, 0.04, 0.06, 0.04])
IRIS = to_linear(
    np.array([(58, 36, 22), (78, 50, 30), (104, 74, 40), (96, 98, 62), (92, 112, 126), (108, 120, 124), (84, 104, 132)])
)
IRIS_SHARE = np.array([0.3, 0.25, 0.13, 0.1, 0.1, 0.07, 0.05])
LIPSTICK = to_linear(np.array([(150, 40, 50), (176, 66, 78), (128, 48, 58), (196, 96, 92)]))


@dataclass(frozen=True, eq=False)
class Appearance:
    """Colours (linear RGB, (3,)) and amounts (0..1 unless said otherwise) of one person.

    Attributes:
        skin: base colour.
        blush: reddening of cheeks, nose and chin.
        mottle: strength of the slow variation of tone.
        pores: strength of fine variation.
        freckles: density of freckles.
        lip: colour of the lips.
        gloss: how shiny the skin is.
        brow: colour of the brows.
        brow_width: half width, millimetres.
        brow_density: opacity.
        lashes: darkness of the line of lashes.
        eye_shadow: darkening of the upper lid and the sockets.
        iris: colour.
        iris_radius, pupil_radius: millimetres on a 12 mm eyeball.
        gaze: (2,) rotation of the eyes to image-right and up, radians.
        stubble: density of shaved or short beard.
        scalp: how much hair colour shows on the scalp.
        hair: colour of the hair.
        lines: strength of nasolabial and forehead lines.
        seed: (2,) shift of all noise patterns.
    """

    skin: Array
    blush: float
    mottle: float
    pores: float
    freckles: float
    lip: Array
    gloss: float
    brow: Array
    brow_width: float
    brow_density: float
    lashes: float
    eye_shadow: float
    iris: Array
    iris_radius: float
    pupil_radius: float
    gaze: Array
    stubble: float
    scalp: float
    hair: Array
    lines: float
    seed: Array


def _palette(rng: np.random.Generator, colours: Array, share: Array, spread: float) -> Array:
    chosen = colours[rng.choice(len(colours), p=share / share.sum())]
    return (chosen * np.exp(rng.normal(0, spread, 3) * 0.4 + rng.normal(0, spread))).astype(np.float32)


def random_appearance(rng: np.random.Generator) -> Appearance:
    """A person's colours; skin, hair and eyes are drawn together so that the mixtures are common ones."""
    melanin = float(rng.beta(1.1, 1.4))
    place = melanin * (len(SKIN) - 1)
    low = min(int(place), len(SKIN) - 2)
    skin = SKIN[low] + (SKIN[low + 1] - SKIN[low]) * (place - low)
    skin = (skin * np.exp(rng.normal(0, 1, 3) * [0.02, 0.02, 0.05])).astype(np.float32)
    fairness = np.clip(1 - melanin * 1.6, 0.02, 1)
    tint = np.array([1, 1, 1, fairness, fairness, fairness, fairness**2, 0.8, 0.6])
    hair = _palette(rng, HAIR, HAIR_SHARE * tint, 0.15)
    iris = _palette(rng, IRIS, IRIS_SHARE * np.array([1, 1, 0.8, fairness, fairness, fairness, fairness]), 0.12)
    masculine = bool(rng.random() < 0.5)
    brow = np.minimum(hair, HAIR[4]) * rng.uniform(0.6, 1.0)
    return Appearance(
        skin=skin,
        blush=float(rng.uniform(0.1, 1.0)),
        mottle=float(rng.uniform(0.4, 1.0)),
        pores=float(rng.uniform(0.3, 1.0)),
        freckles=float(rng.uniform(0.3, 1.0) if rng.random() < 0.2 * fairness else 0.0),
        lip=_lip_colour(rng, skin, masculine),
        gloss=float(rng.uniform(0.2, 1.0)),
        brow=(0.8 * brow + 0.2 * skin * 0.25).astype(np.float32),
        brow_width=float(rng.uniform(3.4, 5.2) if masculine else rng.uniform(2.4, 4.0)),
        brow_density=float(rng.uniform(0.65, 0.98)),
        lashes=float(rng.uniform(0.25, 0.6) if masculine else rng.uniform(0.5, 1.0)),
        eye_shadow=float(rng.uniform(0.0, 0.6)),
        iris=iris,
        iris_radius=float(rng.uniform(5.6, 6.3)),
        pupil_radius=float(rng.uniform(1.4, 2.6)),
        gaze=rng.normal(0, [0.09, 0.05]).astype(np.float32),
        stubble=float(rng.choice([0, rng.uniform(0.1, 0.5), rng.uniform(0.5, 1.0)], p=[0.4, 0.4, 0.2]) * masculine),
        scalp=float(rng.uniform(0.5, 1.0)),
        hair=hair,
        lines=float(rng.beta(1.2, 2.0)),
        seed=rng.uniform(0, 1, 2).astype(np.float32),
    )


def _lip_colour(rng: np.random.Generator, skin: Array, masculine: bool) -> Array:
    natural = skin * np.array([0.86, 0.55, 0.56]) + np.array([0.03, 0.0, 0.005])
    if not masculine and rng.random() < 0.35:
        paint = LIPSTICK[rng.integers(len(LIPSTICK))]
        natural = natural + (paint - natural) * rng.uniform(0.4, 0.9)
    return (natural * np.exp(rng.normal(0, 0.08))).astype(np.float32)
