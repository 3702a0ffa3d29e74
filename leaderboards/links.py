"""Addresses of the pages, relative to the leaderboard."""

from __future__ import annotations

from html import escape
from urllib.parse import urlencode


def address(page: str, **query: str | None) -> str:
    """A page's address with its state; entries that are None or empty are left out."""
    state = urlencode({name: value for name, value in query.items() if value})
    return f"{page}?{state}" if state else page


def link(text: str, page: str, **query: str | None) -> str:
    """A link in HTML; the text is escaped."""
    return f'<a href="{escape(address(page, **query))}" target="_self">{escape(text)}</a>'
