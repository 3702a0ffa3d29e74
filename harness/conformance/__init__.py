"""Tests of the contract that authors run on their own class, from any folder.

pytest --pyargs harness.conformance --method path/to/file.py:Class [--device cpu] [--option key=value ...]
"""
