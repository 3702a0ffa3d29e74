"""Widgets whose value is in the page's address, so that a link restores what was chosen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit


def remembered(name: str, options: Sequence[str], default: str | None = None) -> str:
    """Gives the widget with key `name` its value: what was chosen, else the address's, else the default.

    Args:
        name: the widget's key, and the name in the address.
        options: what can be chosen; anything else is forgotten.
        default: the first option if None.

    Returns:
        The key; call `keep` with it once the widget is drawn.
    """
    state = streamlit.session_state
    if state.get(name) not in options:
        asked = streamlit.query_params.get(name)
        state[name] = asked if asked in options else default or options[0]
    return name


def remembered_all(name: str, options: Sequence[str]) -> str:
    """The same for a widget of which several options may be chosen, none by default."""
    state = streamlit.session_state
    asked = state[name] if name in state else streamlit.query_params.get_all(name)
    state[name] = [value for value in asked if value in options]
    return name


def remembered_flag(name: str) -> str:
    """The same for a switch, off by default."""
    if name not in streamlit.session_state:
        streamlit.session_state[name] = streamlit.query_params.get(name) == "1"
    return name


def keep(name: str, value: Any, default: Any = None) -> None:
    """Writes a value into the address; the default stays out of it, so that addresses are short."""
    wanted = ["1"] if value is True else [value] if isinstance(value, str) else list(value or ())
    if value == default or not wanted:
        if name in streamlit.query_params:
            del streamlit.query_params[name]
    elif streamlit.query_params.get_all(name) != wanted:
        streamlit.query_params[name] = wanted
