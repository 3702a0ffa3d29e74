"""Errors that a user can act on: what was wrong, where, what was expected, what to do."""

from __future__ import annotations


class HarnessError(Exception):
    """A mistake outside the code (configuration, file, data); the command line prints it without a traceback."""


class ContractError(HarnessError, ValueError):
    """A value broke one of the contracts of `harness.samples`; the message names the field."""


class NonFiniteError(ContractError):
    """A value that must be finite holds NaN or infinity."""


class DataError(HarnessError):
    """A data set's file is missing, unreadable or contradicts its layout; the message names the file."""


class AlignmentError(HarnessError):
    """Two point sets do not determine the transform that was asked for."""
