"""Controls whose state stands in the page's address: a link restores what was chosen."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import streamlit
from streamlit.delta_generator import DeltaGenerator

FEW = 6  # options that fit beside each other


def choose(
    label: str,
    options: Sequence[str],
    name: str,
    place: DeltaGenerator | None = None,
    words: Callable[[str], str] | Mapping[str, str] = str,
    few: int = FEW,
) -> str:
    """One of the options: that of the address, else the first.

    Args:
        label: above the control.
        options: at least one, all different.
        name: of the state in the address.
        place: where to draw; the page itself by default.
        words: what to show for an option.
        few: with more options than this they are in a list to unfold.
    """
    place = place or streamlit.container()
    key = f"choice {name}"
    asked = streamlit.query_params.get(name)
    chosen = asked if asked in options else options[0]
    shown = words if callable(words) else words.__getitem__
    streamlit.session_state[key] = chosen  # the address leads, so going back in the browser works
    if len(options) > few:
        place.selectbox(label, options, key=key, format_func=shown, on_change=partial(_keep, key, name))
    else:
        place.segmented_control(label, options, key=key, format_func=shown, on_change=partial(_keep, key, name))
    return str(chosen)


def choose_several(
    label: str, options: Sequence[str], name: str, usual: Sequence[str], words: Mapping[str, str]
) -> list[str]:
    """Some of the options in their order: those of the address, else `usual`; never none."""
    key = f"choices {name}"
    asked = streamlit.query_params.get_all(name)
    chosen = [option for option in options if option in asked] or list(usual)
    streamlit.session_state[key] = chosen
    streamlit.multiselect(label, options, key=key, format_func=words.__getitem__, on_change=partial(_keep, key, name))
    return chosen


def _keep(key: str, name: str) -> None:
    """Writes what was just chosen into the address."""
    chosen = streamlit.session_state[key]
    if chosen:
        streamlit.query_params[name] = chosen
    else:
        streamlit.query_params.pop(name, None)
