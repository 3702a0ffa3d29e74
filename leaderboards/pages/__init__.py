"""The pages, scripts that `leaderboards/app/main.py` names: each draws itself from the shelf and the address."""
