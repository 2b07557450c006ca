"""Detectors as a web service: images in, verdicts out, one page for people. Needs the extra ``serve``.

``POST /v1/NAME/predict`` takes the bytes of one image, or a form with several under ``images``. ``POST /v1/NAME/learn``
takes corrections, if that is allowed. ``/health`` and ``/metrics`` are for machines, ``/openapi.json`` says it all.
"""

import asyncio
import contextlib
import os
import re
from pathlib import Path
from typing import Annotated

import anyio
import fastapi
import prometheus_client as prometheus
from fastapi.responses import HTMLResponse, JSONResponse, Response

import fsad
from fsad import report
from fsad.files import FsadError
from fsad.images import ImageError, decode_image, pixels_of
from fsad.serve import replies, schemas
from fsad.serve.limits import Limits
from fsad.serve.metrics import Metrics
from fsad.serve.worker import BusyError, Worker

MAX_IMAGES = 32  # of a request,
MAX_PIXELS = 200_000_000  # and pixels of all: 600 MB
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def app(detectors, token=None, learn=False, max_bytes=2**26, rate=50.0, hosts=None, prepare=lambda d: d):
    """The ASGI application.

    Args:
        detectors: dict of names and fitted `fsad.Detector`, loaded from or saved in a folder.
        token, max_bytes, rate, hosts: as in `fsad.serve.limits.Limits`.
        learn: whether corrections are taken.
        prepare: as in `fsad.serve.worker.Worker`.

    Raises:
        ValueError: no detector, or a name that is none.
    """
    if not detectors:
        raise ValueError("Expected at least one detector to serve. Received: none")
    for name in detectors:
        if not NAME.fullmatch(name):
            raise ValueError(f"Expected a name of letters, digits, '.', '_' and '-'. Received: {name!r}")
    workers = {name: Worker(detector, prepare) for name, detector in detectors.items()}
    metrics = Metrics(workers)

    @contextlib.asynccontextmanager
    async def lifespan(service):
        # No more images are decoded at a time than there are cores: of 100 megapixels each is 300 MB.
        service.state.decoding = anyio.CapacityLimiter(os.cpu_count() or 1)
        yield

    service = fastapi.FastAPI(
        title="fsad",
        version=fsad.__version__,
        description=__doc__,
        docs_url=None,  # pages that would load scripts from other hosts
        redoc_url=None,
        lifespan=lifespan,
        responses=schemas.ERRORS,
    )
    service.add_middleware(Limits, token=token, max_bytes=max_bytes, rate=rate, hosts=hosts)

    @service.exception_handler(BusyError)
    async def busy(request, error):
        return JSONResponse({"detail": str(error)}, 503, {"Retry-After": "1"})

    def worker_of(name: str) -> Worker:
        if name not in workers:
            raise fastapi.HTTPException(404, f"Expected a detector among {', '.join(workers)}. Received: {name!r}")
        return workers[name]

    Chosen = Annotated[Worker, fastapi.Depends(worker_of)]

    @service.get("/", include_in_schema=False)
    async def page():
        names = ("page.html", "page.css", "page.js")
        text, style, script = (Path(__file__).with_name(name).read_text(encoding="utf-8") for name in names)
        allowed = report.policy(style, script, "img-src data: blob:", "connect-src 'self'", "frame-ancestors 'none'")
        return HTMLResponse(
            text.replace("/* page.css */", style).replace("/* page.js */", script),
            headers={"Content-Security-Policy": allowed, "Cache-Control": "no-cache"},
        )

    @service.get("/health")
    async def health() -> dict[str, str]:
        """Whether the service is up; needs no token."""
        return {"status": "ok"}

    @service.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
    async def text_of_metrics():
        """Counts, times and scores, for Prometheus."""
        return Response(metrics.text(), media_type=prometheus.CONTENT_TYPE_LATEST)

    @service.get("/v1")
    async def listed() -> list[schemas.Info]:
        """The detectors that are served."""
        return [replies.info(name, worker, learn) for name, worker in workers.items()]

    @service.post(
        "/v1/{name}/predict",
        openapi_extra=schemas.IMAGES,
        response_model=schemas.Predictions,
        response_model_exclude_none=True,
        responses={200: {"content": {"image/png": {}}}},
    )
    async def predict(name: str, worker: Chosen, request: fastapi.Request, images: bool = False):
        """Scores one image, the body, or several, a form with files ``images``.

        With ``Accept: image/png`` and one image: that image, regions outlined, beside its anomaly map.
        """
        with metrics.seconds.labels(name).time():
            names, contents = await _files(request)
            if replies.wants_png(request) and len(names) > 1:
                raise fastapi.HTTPException(400, "Expected one image for a PNG. Received: several")
            pixels = [pixels_of(content) for content in contents]
            if sum(pixels) > MAX_PIXELS:
                raise fastapi.HTTPException(
                    413, f"Expected at most {MAX_PIXELS / 1e6:.0f} megapixels. Received: {sum(pixels) / 1e6:.0f}"
                )
            with worker.room(pixels):
                decoded = await asyncio.gather(
                    *(_decoded(service, *pair) for pair in zip(names, contents, strict=True))
                )
                readable = [image for image in decoded if not isinstance(image, ImageError)]
                if not readable:
                    metrics.count(name, [], len(decoded))
                    raise fastapi.HTTPException(422, "; ".join(map(str, decoded)))
                detector, predictions, changes = await asyncio.wrap_future(worker.submit(readable))
                metrics.count(name, predictions, len(decoded) - len(readable))
                if replies.wants_png(request):
                    if predictions[0].error:
                        raise fastapi.HTTPException(500, predictions[0].error)
                    png = await anyio.to_thread.run_sync(replies.outlined, detector, predictions[0])
                    headers = {"X-Verdict": predictions[0].verdict, "X-Score": f"{predictions[0].score:.6g}"}
                    return Response(png, media_type="image/png", headers=headers)
                answers = await anyio.to_thread.run_sync(
                    replies.listed, names, decoded, detector, predictions, changes, images
                )
            return {"detector": name, "threshold": detector.threshold.value, "predictions": answers}

    if not learn:
        return service

    @service.post("/v1/{name}/learn", openapi_extra=schemas.CORRECTIONS)
    async def teach(name: str, worker: Chosen, request: fastapi.Request) -> dict:
        """Takes corrections: files ``good``, false alarms, and ``defect``, missed parts; ``by``: who says so.

        The detector is fitted anew with them and saved; the answer is the entry of its journal.
        """
        titles, contents, roles, by = await _corrected(request)
        return await _changed(lambda: replies.learned(worker, titles, contents, roles, by))

    @service.post("/v1/{name}/undo")
    async def forget(name: str, worker: Chosen) -> schemas.Info:
        """Forgets what the detector learned last."""
        await _changed(worker.undo)
        return replies.info(name, worker, learn)

    return service


async def _changed(change):
    try:
        return await anyio.to_thread.run_sync(change)
    except ModuleNotFoundError as error:
        raise fastapi.HTTPException(501, f"Learning needs {error.name}, which is not installed here") from error
    except (FsadError, ValueError, OSError, RuntimeError) as error:
        raise fastapi.HTTPException(422, str(error)) from error


async def _files(request):
    """``(names, contents)`` of the files of a request: its body, or those of a form."""
    if request.headers.get("content-type", "").startswith("multipart/form-data"):
        async with request.form(max_files=MAX_IMAGES) as form:
            files = [file for file in form.getlist("images") if not isinstance(file, str)]
            names, contents = [file.filename or "image" for file in files], [await file.read() for file in files]
    else:
        names, contents = ["image"], [await request.body()]
    if not any(contents):
        raise fastapi.HTTPException(400, "Expected an image, or a form with files images. Received: none")
    return names, contents


async def _corrected(request):
    """``(names, contents, roles, by)`` of a form with corrections."""
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        raise fastapi.HTTPException(400, "Expected a form with files good or defect. Received: another content")
    files = []
    async with request.form(max_files=MAX_IMAGES) as form:
        for role in ("good", "defect"):
            for file in form.getlist(role):
                if isinstance(file, str):
                    raise fastapi.HTTPException(400, f"Expected files {role}. Received: text")
                files.append((file.filename or "image", await file.read(), role))
        by = form.get("by")
    if not files:
        raise fastapi.HTTPException(400, "Expected files good or defect. Received: none")
    titles, contents, roles = zip(*files, strict=True)
    return titles, contents, roles, by if isinstance(by, str) and by else None


async def _decoded(service, name, content):
    """An image, or the error."""
    try:
        return await anyio.to_thread.run_sync(decode_image, content, name, limiter=service.state.decoding)
    except ImageError as error:
        return error
