"""The leaderboard: the Streamlit app and published results."""
