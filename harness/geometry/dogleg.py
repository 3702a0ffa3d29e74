"""Powell's dog-leg for small least-squares problems, with the constants and the stop of NoW's official program."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import AlignmentError

Array = NDArray[Any]

_CG_TOLERANCE = 1e-5  # of the residual, relative to the right side
_CG_ITERATIONS = 2000
_SMALLEST_STEP = 1e-15  # relative to the parameters; also the smallest gradient


@dataclass(frozen=True, eq=False)
class Quadratic:
    """A sum of squares and what is known of it at one place.

    Attributes:
        energy: the sum of squared residuals r.
        descent: (P,) -J^T r.
        normal_matrix: (P, P) J^T J.
    """

    energy: float
    descent: Array
    normal_matrix: Array


@dataclass(frozen=True, eq=False)
class Descent:
    """Where the dog-leg ended.

    Attributes:
        parameters: (P,) of the last accepted step.
        energy: there.
        trace: (steps + 1, 1 + P) energy and parameters at the start and after each accepted step.
        evaluations: how often the energy was computed.
    """

    parameters: Array
    energy: float
    trace: Array
    evaluations: int

    @property
    def steps(self) -> int:
        """How many steps were accepted."""
        return len(self.trace) - 1


def dogleg(
    start: Array, radius: float = 0.1, tolerance: float = 1e-4, max_iterations: int = 200
) -> Generator[Array, Quadratic, Descent]:
    """Minimises a sum of squares as chumpy 0.70 does for NoW.

    The trust region is a ball in the parameters as they are, whatever their units. Gauss-Newton steps come from
    conjugate gradients with a relative tolerance of 1e-5, so they are loose. A step is kept if it lowers the energy;
    the run ends when a kept step lowers it by less than `tolerance` of itself, long before it has converged.

    Yields parameters, is sent the energy and its derivatives there, and returns where it ended.

    Args:
        start: (P,).
        radius: of the trust region at the start.
        tolerance: relative decrease below which the last step was taken.
        max_iterations: accepted steps at most.

    Raises:
        AlignmentError: the energy is not a number.
    """
    place = np.asarray(start, dtype=np.float64)
    here = yield place
    trace, evaluations, stop = [np.append(here.energy, place)], 1, False
    if not np.isfinite(here.energy):
        raise AlignmentError(f"the sum of squared distances is {here.energy} before the first step")
    while not stop and len(trace) <= max_iterations and np.abs(here.descent).max() >= _SMALLEST_STEP:
        legs, accepted = _Legs(here), False
        while not (stop or accepted):
            step = legs.step(radius)
            if step is None or np.linalg.norm(step) <= _SMALLEST_STEP * np.linalg.norm(place):
                stop = True
                break
            there = yield place + step
            evaluations += 1
            accepted = there.energy < here.energy
            radius = _next_radius(radius, _gain(here, there, step), float(np.linalg.norm(step)))
            if accepted:
                stop = (here.energy - there.energy) / here.energy < tolerance
                place, here = place + step, there
                trace.append(np.append(here.energy, place))
            stop = stop or bool(radius <= _SMALLEST_STEP * np.linalg.norm(place))
    return Descent(place, here.energy, np.array(trace), evaluations)


def _gain(here: Quadratic, there: Quadratic, step: Array) -> float:
    """The decrease in energy over the one that the quadratic model promised."""
    promised = float(2 * here.descent @ step - step @ here.normal_matrix @ step)
    return (here.energy - there.energy) / promised if promised else 0.0


def _next_radius(radius: float, gain: float, length: float) -> float:
    if gain > 0.9:
        return max(radius, 2.5 * length)
    return 0.25 * radius if not gain >= 0.05 else radius


class _Legs:
    """The two legs of the path along which a step may go: steepest descent, then on to the Gauss-Newton step."""

    def __init__(self, model: Quadratic) -> None:
        g, a = model.descent, model.normal_matrix
        self._model = model
        curvature = float(g @ a @ g)
        self._steepest = g * (float(g @ g) / curvature) if curvature > 0 else None
        self._newton: Array | None = None

    def step(self, radius: float) -> Array | None:
        """(P,) as far along the legs as the radius allows; None where the residuals do not depend on anything."""
        if self._steepest is None:
            return None
        steepest = self._steepest
        length = float(np.linalg.norm(steepest))
        if length >= radius:
            return steepest * (radius / length)
        if self._newton is None:
            self._newton = _conjugate_gradients(self._model.normal_matrix, self._model.descent)
        newton = self._newton
        if np.linalg.norm(newton) <= radius:
            return newton
        second = newton - steepest
        room = radius**2 - length**2
        root = np.sqrt(second @ second * radius**2 + (newton @ steepest) ** 2 - (newton @ newton) * length**2)
        return steepest + room / (second @ steepest + root) * second


def _conjugate_gradients(matrix: Array, right: Array) -> Array:
    """Solves matrix @ x = right as loosely as SciPy's `cg` does for the official program, operation by operation.

    SciPy's own takes a millisecond for seven unknowns, as long as a tenth of the points' distances.
    """
    x, residual, direction = np.zeros_like(right), right.copy(), np.zeros_like(right)
    enough, before = _CG_TOLERANCE * np.linalg.norm(right), 1.0
    for iteration in range(_CG_ITERATIONS):
        if np.sqrt(residual @ residual) < enough:
            break
        now = float(residual @ residual)
        direction = residual + (now / before) * direction if iteration else residual.copy()
        image = matrix @ direction
        length = now / float(direction @ image)
        x, residual, before = x + length * direction, residual - length * image, now
    return x
