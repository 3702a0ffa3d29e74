"""A Plotly figure whose 3D scenes are turned together: Streamlit's own chart cannot link their cameras."""

from __future__ import annotations

from pathlib import Path

import plotly
import plotly.graph_objects as go
from streamlit.components.v1 import declare_component


def linked_chart(figure: go.Figure, key: str) -> None:
    """Draws the figure; turning one scene turns all, and stays when another figure comes under the same key."""
    # Plotly's script is served from the installed package, under a name that index.html refers to. Declared here since
    # Streamlit registers only what is declared while a page is drawn
    declare_component("plotly", path=str(Path(plotly.__file__).parent / "package_data"))
    linked = declare_component("linked", path=str(Path(__file__).parent / "linked"))
    linked(figure=figure.to_json(), height=int(figure.layout.height), key=key, default=None)
