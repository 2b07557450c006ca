"""What the service takes and answers, as its OpenAPI page shows it."""

import pydantic


class Region(pydantic.BaseModel):
    """A connected place above the map's threshold, in pixels of the image; the one of the highest peak comes first."""

    box: list[int] = pydantic.Field(description="left, top, width, height")
    area: int
    peak: float
    severity: float
    contour: list[list[int]] = pydantic.Field(description="the outline, points (x, y)")


class Prediction(pydantic.BaseModel):
    """What the detector says of one image; if that could not be read, ``name`` and ``error`` alone."""

    name: str
    score: float | None = pydantic.Field(None, description="higher is more anomalous")
    verdict: str | None = pydantic.Field(None, description="good, defective or unsure")
    confidence: float | None = pydantic.Field(None, description="of the verdict, 0.5 to 1")
    width: int | None = None
    height: int | None = None
    regions: list[Region] | None = None
    drift: list[str] | None = pydantic.Field(None, description="how the latest images differ from those of the fit")
    error: str | None = None
    image: str | None = pydantic.Field(None, description="with ?images=true: a small copy, a data URL")
    map: str | None = pydantic.Field(None, description="with ?images=true: its anomaly map, a data URL")


class Predictions(pydantic.BaseModel):
    detector: str
    threshold: float
    predictions: list[Prediction]


class Info(pydantic.BaseModel):
    """A detector that is served."""

    name: str
    recipe: str
    threshold: float
    unsure: list[float] | None
    how: str = pydantic.Field(description="how the threshold was set")
    good: int = pydantic.Field(description="good images that it was fitted with")
    defective: int
    learned: int = pydantic.Field(description="entries of its journal")
    scored: int = pydantic.Field(description="images since the service started or the detector learned")
    drift: list[str]
    can_learn: bool


class Error(pydantic.BaseModel):
    detail: str


IMAGES = {
    "requestBody": {
        "required": True,
        "content": {
            "image/*": {"schema": {"type": "string", "format": "binary"}},
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["images"],
                    "properties": {"images": {"type": "array", "items": {"type": "string", "format": "binary"}}},
                }
            },
        },
    }
}
_MEANINGS = {
    400: "no image, or too many",
    401: "no token, or another",
    404: "no such detector",
    413: "too large",
    422: "no image could be read, or learned from",
    429: "too many requests",
    503: "busy",
}
ERRORS = {code: {"model": Error, "description": text} for code, text in _MEANINGS.items()}
_FILES = {"type": "array", "items": {"type": "string", "format": "binary"}}
_PROPERTIES = {"good": _FILES, "defect": _FILES, "by": {"type": "string"}}
CORRECTIONS = {
    "requestBody": {
        "required": True,
        "content": {"multipart/form-data": {"schema": {"type": "object", "properties": _PROPERTIES}}},
    }
}
