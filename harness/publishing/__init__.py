"""Published runs: immutable folders with a run's numbers, its scores per sample and what they were made with."""

from harness.publishing.entries import Problem, find_entries, read_entry
from harness.publishing.publisher import publish
from harness.publishing.schema import Entry
from harness.publishing.verifier import Verification, verify

__all__ = ["Entry", "Problem", "Verification", "find_entries", "publish", "read_entry", "verify"]
