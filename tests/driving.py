"""Runs what asks to be evaluated, with a function that evaluates it at once."""

from __future__ import annotations

from harness.geometry import dogleg as stepwise


def dogleg(evaluate, start, **settings):
    """The dog-leg's result, with a function of the parameters for what it is sent."""
    descent = stepwise.dogleg(start, **settings)
    parameters = next(descent)
    while True:
        try:
            parameters = descent.send(evaluate(parameters))
        except StopIteration as stop:
            return stop.value
