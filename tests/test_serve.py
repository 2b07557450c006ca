import socket
import threading
import time

import cv2
import numpy as np
import pytest

import fsad
from fsad.images import read_image

pytest.importorskip("fastapi", reason="needs the extra serve")
from fastapi.testclient import TestClient

from fsad import serve
from fsad.serve.worker import MAX_WAITING, MAX_WAITING_PIXELS, BusyError, Worker


@pytest.fixture
def detector(saved):
    return fsad.load(saved)


@pytest.fixture(scope="module")
def client(saved_once):
    with TestClient(serve.app({"parts": fsad.load(saved_once)})) as client:
        yield client


def test_scores_as_the_library_does(client, fitted, parts):
    paths = sorted((parts / "test").glob("*/001.png"))[:3]
    predictions = fitted.inspect(paths)
    answer = client.post("/v1/parts/predict", content=paths[0].read_bytes()).json()
    assert answer["detector"] == "parts" and answer["threshold"] == fitted.threshold.value
    (first,) = answer["predictions"]
    assert (
        first["score"] == pytest.approx(predictions[0].score, abs=1e-3) and first["verdict"] == predictions[0].verdict
    )
    assert [r["box"] for r in first["regions"]] == [list(r.box) for r in predictions[0].regions]
    assert first["name"] == "image" and first["width"] == 96 and "error" not in first and "map" not in first
    files = [("images", (path.name, path.read_bytes())) for path in paths]
    files.insert(1, ("images", ("broken.png", b"no image")))
    answers = client.post("/v1/parts/predict?images=true", files=files).json()["predictions"]
    assert [a["name"] for a in answers] == [paths[0].name, "broken.png", paths[1].name, paths[2].name]
    assert answers[1] == {"name": "broken.png", "error": "not a PNG, JPEG, BMP, TIFF or WebP image"}
    assert answers[3]["score"] == pytest.approx(predictions[2].score, abs=1e-3)
    assert answers[3]["image"].startswith("data:image/jpeg") and answers[3]["map"].startswith("data:image/png")


def test_a_png_shows_the_image_beside_its_map(client, parts):
    path = parts / "test" / "hole" / "001.png"
    answer = client.post("/v1/parts/predict", content=path.read_bytes(), headers={"Accept": "image/png"})
    image = cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_COLOR)
    assert image.shape == (96, 192, 3) and answer.headers["x-verdict"] in ("good", "defective")
    files = [("images", path.read_bytes())] * 2
    assert client.post("/v1/parts/predict", files=files, headers={"Accept": "image/png"}).status_code == 400


@pytest.mark.parametrize(
    "path, content, status, message",
    [
        ("other", b"x", 404, "Expected a detector among parts. Received: 'other'"),
        ("parts", b"", 400, "Expected an image, or a form with files images. Received: none"),
        ("parts", b"no image", 422, "image: not a PNG"),
    ],
)
def test_errors(client, path, content, status, message):
    answer = client.post(f"/v1/{path}/predict", content=content)
    assert answer.status_code == status and message in answer.json()["detail"]


def test_machines_are_told(client, parts):
    client.post("/v1/parts/predict", content=(parts / "test" / "hole" / "001.png").read_bytes())
    assert client.get("/health").json() == {"status": "ok"}
    (info,) = client.get("/v1").json()
    assert info["name"] == "parts" and info["good"] == 18 and info["defective"] == 7 and info["scored"] >= 1
    assert not info["can_learn"] and client.post("/v1/parts/learn").status_code == 404
    text = client.get("/metrics").text
    assert 'fsad_drift{change="darker",detector="parts"} 0.0' in text and "fsad_request_seconds_bucket" in text
    assert 'fsad_images_total{detector="parts",verdict="defective"}' in text
    paths = client.get("/openapi.json").json()["paths"]
    assert {"/v1", "/v1/{name}/predict", "/health", "/metrics"} == paths.keys()
    assert "image/*" in paths["/v1/{name}/predict"]["post"]["requestBody"]["content"]


def test_learns_saves_and_forgets(detector, parts):
    alarm = (parts / "test" / "hole" / "001.png").read_bytes()
    with TestClient(serve.app({"parts": detector}, learn=True)) as client:
        score = lambda: client.post("/v1/parts/predict", content=alarm).json()["predictions"][0]["score"]  # noqa: E731
        before = score()
        entry = client.post("/v1/parts/learn", files={"good": ("alarm.png", alarm)}, data={"by": "Ada"}).json()
        assert (
            entry["by"] == "Ada"
            and entry["images"][0]["name"] == "alarm.png"
            and len(entry["images"][0]["sha256"]) == 64
        )
        assert score() < before and fsad.load(detector.folder).fitted.journal == (entry,)
        again = client.post("/v1/parts/learn", files={"good": ("alarm.png", alarm)})
        assert again.status_code == 422 and "alarm.png: expected an image that is new" in again.json()["detail"]
        assert client.post("/v1/parts/learn", data={"by": "Ada"}).status_code == 400
        assert client.post("/v1/parts/undo").json()["learned"] == 0
        assert score() == pytest.approx(before, abs=1e-3) and fsad.load(detector.folder).fitted.journal == ()
        assert client.post("/v1/parts/undo").status_code == 422


def test_a_batch_of_what_waits_gives_each_its_own(fitted, parts):
    images = [read_image(path) for path in sorted((parts / "test").glob("*/000.png"))]
    worker = Worker(fitted)
    futures = [worker.submit(images[:2]), *(worker.submit([image]) for image in images[2:])]
    scores = [p.score for future in futures for p in future.result(60)[1]]
    assert np.allclose(scores, fitted.score(sorted((parts / "test").glob("*/000.png"))), atol=1e-3)
    with worker.room([96 * 96]):
        for pixels in ([1] * MAX_WAITING, [MAX_WAITING_PIXELS]):
            with pytest.raises(BusyError, match=f"at most {MAX_WAITING} images"), worker.room(pixels):
                pass
    assert worker.waiting == 0
    with pytest.raises(ValueError, match=r"letters, digits"):
        serve.app({"a/b": fitted})


def test_a_request_that_is_given_up_does_not_stop_the_others(fitted, parts):
    image = read_image(parts / "test" / "hole" / "000.png")
    worker = Worker(fitted)
    given_up = worker.submit([image])
    given_up.cancel()
    assert worker.submit([image]).result(60)[1][0].score == pytest.approx(fitted.score(image)[0], abs=1e-3)


def test_what_others_change_meanwhile_stays(detector, parts):
    worker = Worker(detector)
    other = fsad.load(detector.folder)
    other.set_threshold(value=3.5, unsure=0)
    other.learn(good=parts / "test" / "good" / "003.png", progress=False)
    other.save(detector.folder)
    worker.undo()
    assert fsad.load(detector.folder).fitted.journal == () and worker.detector.threshold.value == 3.5


def test_images_that_would_fill_the_memory_are_refused_unread(client, monkeypatch):
    monkeypatch.setattr(serve, "MAX_PIXELS", 1000)
    _, png = cv2.imencode(".png", np.zeros((100, 100), np.uint8))
    answer = client.post("/v1/parts/predict", content=png.tobytes())
    assert answer.status_code == 413 and "megapixels" in answer.json()["detail"]


@pytest.fixture
def address(detector):
    """Of a service with a token in a thread, as a browser reaches it."""
    uvicorn = pytest.importorskip("uvicorn")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    app = serve.app({"parts": detector}, token="sesame", learn=True, hosts=("127.0.0.1",))
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    for _ in range(200):
        if server.started:
            break
        time.sleep(0.05)
    yield f"http://127.0.0.1:{port}/"
    server.should_exit = True
    thread.join(20)


def until(browser, condition, seconds=60):
    for _ in range(10 * seconds):
        if browser.execute_script(f"return {condition}"):
            return
        time.sleep(0.1)
    raise AssertionError(f"not in {seconds} s: {condition}")


@pytest.mark.parametrize("width", [pytest.param(1400, marks=pytest.mark.slow), 390])
def test_the_page_scores_and_learns(browser, address, parts, width):
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500},
    )
    try:
        browser.get(address)
        until(browser, "!$('login').hidden")
        browser.find_element("id", "token").send_keys("sesame\n")
        until(browser, "detectors.length === 1 && $('login').hidden")
        paths = sorted((parts / "test").glob("*/001.png"))
        browser.find_element("id", "files").send_keys("\n".join(map(str, paths)))
        until(browser, f"items.length === {len(paths)} && !busy && !queue.length")
        verdicts = browser.execute_script("return items.map(item => item.prediction.verdict)")
        assert browser.execute_script("return Number($('n-defective').textContent)") == verdicts.count("defective") > 0
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width  # nothing sticks out
        first = verdicts.index("defective")
        browser.execute_script(f"items[{first}].element.querySelector('.marks button').click()")
        assert browser.execute_script("return $('marked').textContent") == "1 correction marked"
        browser.find_element("id", "teach").click()
        until(browser, "$('messages').textContent.startsWith('Learned') && !busy && !queue.length")
        after = browser.execute_script(f"return items[{first}].prediction")
        assert after["verdict"] == "good" and browser.execute_script("return current().learned") == 1
        browser.find_element("id", "undo").click()
        until(browser, "$('messages').textContent.startsWith('Forgotten') && !busy && !queue.length")
        assert browser.execute_script("return items.map(item => item.prediction.verdict)") == verdicts
        severe = [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
        assert all("401" in entry["message"] for entry in severe), severe  # the page asks before it has the token
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
