"""Names an adapter's mistakes before a leaderboard does: asks it for faces whose truth is known, and looks."""
