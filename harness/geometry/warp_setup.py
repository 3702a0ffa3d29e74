"""Starts NVIDIA Warp quietly; modules with kernels import `wp` from here."""

from __future__ import annotations

import os
from pathlib import Path

import warp as wp

__all__ = ["wp"]


def _start_quietly() -> None:
    """Without Warp's banner, and without the line on a missing driver that its native part writes to descriptor 2."""
    if hasattr(wp.config, "log_level"):
        wp.config.log_level = wp.LOG_ERROR
    else:
        wp.config.quiet = True  # type: ignore[attr-defined]
    saved = os.dup(2)
    try:
        with Path(os.devnull).open("w") as sink:
            os.dup2(sink.fileno(), 2)
            wp.init()
    finally:
        os.dup2(saved, 2)
        os.close(saved)


_start_quietly()
