"""The comparison in a real browser: a link opens it, one view turns all, and a picked sample is in the address."""

import pytest

pytest.importorskip("playwright", reason="Playwright is not installed: pip install -e .[dev]")

from tests.leaderboards.browser import chromium, serving
from tests.leaderboards.test_pages import key

pytestmark = [pytest.mark.slow, pytest.mark.skipif(chromium() is None, reason="no Chromium on this machine")]
PATIENCE = 120_000  # ms: a busy machine draws four scenes in software
CAMERAS = """() => Object.keys(document.getElementById("figure")._fullLayout || {})
    .filter(name => /^scene\\d*$/.test(name))
    .map(name => JSON.stringify(document.getElementById("figure")._fullLayout[name]._scene.getCamera().eye))"""
"""Where the cameras of all scenes really are, not only where the layout says."""


@pytest.fixture(scope="module")
def leaderboard(ball_pair, tmp_path_factory):
    """Address of a leaderboard that nobody has visited yet."""
    with serving(ball_pair, tmp_path_factory.mktemp("results")) as server:
        yield server.address.rstrip("/")


@pytest.fixture
def page(browser):
    page = browser.context.browser.new_page(viewport={"width": 1300, "height": 2200})
    page.set_default_timeout(PATIENCE)
    yield page
    page.close()


def views(page):
    """The frame with the 3D views, once all four are drawn."""
    page.locator("iframe[title*='linked_view']").wait_for()
    frame = next(frame for frame in page.frames if "linked_view" in frame.url)
    frame.wait_for_function(f"() => ({CAMERAS})().length === 4")
    return frame


def sample_box(page):
    """The field that names the chosen sample."""
    return page.locator("[data-testid=stSelectbox]", has_text="biggest difference first").locator("input")


def link(leaderboard, ball_pair, **more):
    state = {"a": key(ball_pair, "LargerBall"), "b": key(ball_pair, "SmallerBall"), **more}
    return f"{leaderboard}/compare?{'&'.join(f'{name}={value}' for name, value in state.items())}"


def test_link_opens_the_comparison_and_one_view_turns_all(page, leaderboard, ball_pair):
    page.goto(link(leaderboard, ball_pair, sample="ball_1"))
    frame = views(page)
    assert page.get_by_role("link", name="Boards").count(), "the menu is there though the first visit is to this page"
    assert sample_box(page).input_value() == "ball_1"
    before = frame.evaluate(CAMERAS)
    assert len(set(before)) == 1
    box = frame.locator("#figure").bounding_box()
    page.mouse.move(box["x"] + 0.2 * box["width"], box["y"] + 0.25 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.3 * box["width"], box["y"] + 0.3 * box["height"], steps=6)
    page.mouse.up()
    turned = f"before => {{ const now = ({CAMERAS})(); return now[0] !== before && new Set(now).size === 1; }}"
    frame.wait_for_function(turned, arg=before[0])


def test_another_sample_keeps_the_turn_and_stands_in_the_address(page, leaderboard, ball_pair):
    page.goto(link(leaderboard, ball_pair))
    page.locator("iframe[title*='linked_view']").wait_for()
    frame = next(frame for frame in page.frames if "linked_view" in frame.url)
    scene = 'document.getElementById("figure")._fullLayout.scene.camera'
    eye = '{"x":1.5,"y":0.5,"z":1}'
    # turned in the very frame in which the scenes exist, as by an impatient hand
    turn = f'Plotly.relayout("figure", {{"scene.camera": {{...{scene}, eye: {eye}}}}})'
    frame.wait_for_function(f"() => {{ const drawn = ({CAMERAS})().length === 4; if (drawn) {turn}; return drawn; }}")
    same = f"""() => ({CAMERAS})().every(now => Math.hypot(...Object.entries({eye}).map(
        ([axis, place]) => JSON.parse(now)[axis] - place)) < 1e-6)"""
    frame.wait_for_function(same)
    sample_box(page).click()
    page.get_by_role("option", name="ball_1").click()
    page.wait_for_url("**sample=ball_1**")
    page.locator("[data-testid=stStatusWidget]").wait_for(state="hidden")
    frame.wait_for_function(same)


def test_click_in_the_scatter_chooses_the_sample(page, leaderboard, ball_pair):
    page.goto(link(leaderboard, ball_pair, sample="ball_3"))
    views(page)
    page.locator(".js-plotly-plot .scatterlayer .trace").last.locator("path.point").nth(1).click(force=True)
    page.wait_for_url("**sample=ball_1**")
