"""Fixtures of the tests of isolation."""

from tests.isolation.docker_engine import docker_base, docker_host  # noqa: F401
