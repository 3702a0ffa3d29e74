"""What finds closest points: chosen within a block and a thread, and refused where it is not there."""

import importlib.util
import threading

import pytest

from harness.errors import HarnessError
from harness.geometry.backend import checked, chosen, using


def test_a_choice_holds_within_its_block():
    assert chosen() == "warp"
    with using("pytorch3d"):
        assert chosen() == "pytorch3d"
        with using("warp"):
            assert chosen() == "warp"
        assert chosen() == "pytorch3d"
    with pytest.raises(KeyError), using("pytorch3d"):
        raise KeyError
    assert chosen() == "warp"


def test_a_choice_does_not_reach_other_threads():
    seen = []
    with using("pytorch3d"):
        thread = threading.Thread(target=lambda: seen.append(chosen()))
        thread.start()
        thread.join()
    assert seen == ["warp"]


def test_what_is_not_there_is_refused():
    assert checked("warp") == "warp"
    with pytest.raises(HarnessError, match="geometry=embree: expected warp or pytorch3d"):
        checked("embree")
    if importlib.util.find_spec("pytorch3d") is None:
        with pytest.raises(HarnessError, match=r"geometry=pytorch3d: .*pip install .*pytorch3d.*geometry=warp"):
            checked("pytorch3d")
