"""Where an adapter runs: its own process on this machine (other interpreters and containers follow the same calls)."""
