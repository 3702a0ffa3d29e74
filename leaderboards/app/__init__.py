"""The script that Streamlit starts; not beside `pages`, or Streamlit would open these without it."""
