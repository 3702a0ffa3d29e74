"""The pages, scripts that `leaderboards/app.py` names: each draws itself from the shelf and the address."""
