import base64
import dataclasses
import hashlib
import html
import json
import re
import shutil
import urllib.parse
from pathlib import Path

import numpy as np
import pytest

from fsad import Prediction, inputs, metrics, report
from fsad.inputs import Sample

NASTY = '</script><img src=x onerror="document.title=1">'


def write(fitted, given, path, **options):
    samples = inputs.find(given)
    return report.write(path, fitted, fitted.stream(samples, details=True), len(samples), **options)


def data(path):
    text = re.search(r'id="data">(.*?)</script>', path.read_text(), re.S)[1]
    return json.loads(text)


def test_page_ranks_every_prediction_and_has_nothing_from_outside(fitted, parts, tmp_path):
    predictions = write(fitted, [parts / "test", parts / "none.png"], tmp_path / "r.html", title="line 3")
    assert len(predictions) == 21 and all(p.image is None and p.anomaly_map is None for p in predictions)
    page, items = (tmp_path / "r.html").read_text(), data(tmp_path / "r.html")["items"]
    scores = [item["score"] for item in items if "score" in item]
    assert scores == sorted(scores, reverse=True) and len(items) == 21 and items[-1]["error"] == "no such file"
    assert sum(item.get("used", False) for item in items) == 7  # those the detector was fitted with
    assert not re.search(r'(?:src|href)="?(?:https?:)?//', page) and "line 3" in page
    policy = html.unescape(re.search(r'Content-Security-Policy" content="(.*?)"', page)[1])
    assert policy.startswith("default-src 'none'") and "unsafe" not in policy and 'style="' not in page
    for name in ("style", "script"):  # one of each, and no other may be there
        text = re.search(rf"<{name}>(.*?)</{name}>", page, re.S)[1]
        assert f"{name}-src 'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" in policy
    jpeg = base64.b64decode(items[0]["image"].split(",")[1])
    assert jpeg[:2] == b"\xff\xd8"


def test_names_are_escaped(fitted, tmp_path, rng):
    image, anomaly_map = rng.integers(0, 256, (96, 96, 3), np.uint8), np.zeros((6, 6), np.float32)
    prediction = Prediction(Sample(Path(NASTY)), 0.5, "good", 0.6, 0, anomaly_map, image=image)
    report.write(tmp_path / "r.html", fitted, [prediction], 1, title=NASTY)
    page = (tmp_path / "r.html").read_text()
    assert "<img src=x" not in page and data(tmp_path / "r.html")["items"][0]["name"] == NASTY


def test_a_script_that_got_into_the_page_does_not_run(fitted, parts, tmp_path, browser):
    write(fitted, parts / "test" / "hole", tmp_path / "r.html")
    page = (tmp_path / "r.html").read_text()
    intruders = "<script>document.title = 'run'</script><img src=x onerror=\"document.title = 'run'\">"
    (tmp_path / "r.html").write_text(page.replace("<main>", f"<main>{intruders}"))
    browser.get((tmp_path / "r.html").as_uri())
    assert "fsad report" in browser.title
    assert len([entry for entry in browser.get_log("browser") if "Content Security Policy" in entry["message"]]) >= 2


def opened(browser, path):
    browser.get(path.as_uri())
    assert browser.get_log("browser") == []  # no error, nothing blocked
    return lambda script, *args: browser.execute_script(f"return {script}", *args)


def test_moving_the_threshold_moves_everything(fitted, parts, tmp_path, browser):
    predictions = write(fitted, parts / "test", tmp_path / "r.html")
    ask = opened(browser, tmp_path / "r.html")

    def text(name):
        return ask(f"document.getElementById('{name}').textContent")

    assert int(text("n-defective")) == sum(p.verdict == "defective" for p in predictions)
    limit = sorted(p.score for p in predictions)[2] + 1e-6
    ask("set(arguments[0])", limit)
    assert int(text("n-good")) == 3 and int(text("n-defective")) == 17
    assert len(browser.find_elements("css selector", ".item.defective")) == 17
    assert text("flag").startswith("fsad threshold ") and f"--value={limit:.3g}"[:12] in text("flag")
    cells = [int(c.text) for c in browser.find_elements("css selector", "#confusion td") if c.text.isdigit()]
    assert sum(cells) == 20 - 7  # without those the detector was fitted with
    used = {item["name"] for item in data(tmp_path / "r.html")["items"] if item["used"]}
    tested = [p for p in predictions if p.name not in used]
    labels, scores = [p.sample.label for p in tested], [p.score for p in tested]
    called = [
        [(y, s > limit) for y, s in zip(labels, scores, strict=True)].count((y, c))
        for y in (1, 0)
        for c in (True, False)
    ]
    assert cells == called
    assert text("auroc") == f"AUROC {metrics.auroc(labels, scores):.3f}"


def test_filters_and_keyboard(fitted, parts, tmp_path, browser):
    from selenium.webdriver.common.keys import Keys

    write(fitted, [parts / "test", parts / "none.png"], tmp_path / "r.html")
    ask = opened(browser, tmp_path / "r.html")

    def count():
        return len(browser.find_elements("css selector", ".item"))

    assert count() == 20
    browser.find_element("css selector", "#by-kind option[value=hole]").click()
    assert count() == 2
    browser.find_element("css selector", "#by-kind option").click()
    assert browser.find_element("id", "error-list").get_attribute("textContent").endswith("no such file")
    first = browser.find_element("css selector", ".item")
    first.send_keys(Keys.ENTER)
    assert ask("document.getElementById('big').open")
    before = ask("document.getElementById('big-name').textContent")
    assert ask("document.querySelector('#big-ref-frame img').naturalWidth") == 96
    assert ask("document.querySelectorAll('#big .circle').length") == 2  # the patch, and the one that answers
    browser.switch_to.active_element.send_keys(Keys.ARROW_RIGHT)
    assert ask("document.getElementById('big-name').textContent") != before
    width = ask("document.querySelector('#big-frame img').clientWidth")
    browser.switch_to.active_element.send_keys("z")
    ask("new Promise(done => setTimeout(done, 100))")
    assert ask("document.querySelector('#big-frame img').clientWidth") > 2 * width
    browser.switch_to.active_element.send_keys(Keys.ESCAPE)
    assert not ask("document.getElementById('big').open")
    slider = browser.find_element("id", "slider")
    value = ask("threshold")
    slider.send_keys(Keys.ARROW_RIGHT)
    assert ask("threshold") > value


def test_decisions_become_a_table_of_corrections(fitted, parts, tmp_path, browser):
    good, bad = parts / "test" / "good" / "003.png", parts / "test" / "hole" / "001.png"
    predictions = {p.name: p for p in write(fitted, [good, bad], tmp_path / "r.html", threshold=-9)}
    ask = opened(browser, tmp_path / "r.html")
    ask("open(visible.findIndex(item => item.name === arguments[0]))", str(good))
    assert browser.find_element("id", "file").get_attribute("href") == good.as_uri()
    assert not browser.find_element("id", "missed").is_displayed()
    browser.find_element("id", "false-alarm").click()
    href = browser.find_element("id", "download").get_attribute("href")
    assert urllib.parse.unquote(href).endswith(f'path,decision\n"{good}",false alarm\n')
    assert "marked: false alarm" in ask("document.getElementById('gallery').textContent")
    assert len(predictions) == 2 and len(ask("document.querySelectorAll('.worst')")) == 2


def test_outlines_of_regions_and_of_known_defects(fitted, parts, tmp_path, browser):
    write(fitted, parts / "test", tmp_path / "r.html")
    items = data(tmp_path / "r.html")["items"]
    assert all(len(item["known"]) > 0 for item in items if item["kind"] == "hole")
    assert all(not item["known"] for item in items if item["kind"] == "good")
    assert any(item["regions"] for item in items)
    values = [value for item in items for outline in item["regions"] + item["known"] for value in outline]
    assert min(values) >= 0 and max(values) <= 1000
    opened(browser, tmp_path / "r.html")
    assert len(browser.find_elements("css selector", "#gallery .known")) >= 2


@pytest.mark.slow
def test_two_thousand_images_do_not_freeze_it(fitted, parts, tmp_path, browser):
    (prediction,) = fitted.stream(parts / "test" / "hole" / "001.png", details=True)
    rng = np.random.default_rng(0)
    many = (dataclasses.replace(prediction, score=float(s)) for s in rng.random(2000))
    report.write(tmp_path / "r.html", fitted, many, 2000)
    ask = opened(browser, tmp_path / "r.html")
    assert len(browser.find_elements("css selector", ".item")) < 400  # the rest comes as one scrolls
    browser.execute_script("window.scrollTo(0, document.body.scrollHeight)")
    ask("new Promise(done => setTimeout(done, 300))")
    assert len(browser.find_elements("css selector", ".item")) > 100


@pytest.mark.parametrize("width", [1200, 400])
def test_nothing_sticks_out_sideways(fitted, parts, tmp_path, browser, width):
    long = tmp_path / ("a_very_long_name_without_any_space_" * 5 + ".png")
    shutil.copy(parts / "test" / "hole" / "001.png", long)
    write(fitted, [long, parts / "test"], tmp_path / "r.html", title=str(long))
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride",
                            {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500})  # fmt: skip
    ask = opened(browser, tmp_path / "r.html")
    assert ask("document.documentElement.scrollWidth") <= width
    ask("open(0)")
    assert ask("document.getElementById('big').scrollWidth <= document.getElementById('big').clientWidth")
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
