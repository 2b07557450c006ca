"""What a detector says of one image."""

import dataclasses

import numpy as np

from fsad.answers import Answer
from fsad.inputs import Sample


@dataclasses.dataclass(frozen=True, eq=False)
class Prediction:
    """What a detector says of one image.

    ``sample``: the `fsad.inputs.Sample`, with the label that its folder gives; ``score``: dissimilarity, higher is
    more anomalous; ``verdict``: ``"good"``, ``"defective"`` or, if the threshold has a band, ``"unsure"``;
    ``confidence`` of the verdict in [0.5, 1]; ``nearest``: number of the nearest reference, of thinned ones by what is
    left of each; ``condition``: `fsad.drift.numbers` of the image; ``anomaly_map``: float32 ``(h, w)``, where the
    image differs; ``answer``: a `fsad.answers.Answer`, the reference patch nearest to where it differs most, None
    where no patches are compared; ``error``: why the image could not be scored, and then all of these are None. With
    details, while streaming: ``regions``, a tuple of `fsad.regions.Region`, None where the maps of a recipe have no
    scale; ``aligned``: whether the image locked on the reference image, None where the detector does not align;
    ``image``, uint8 RGB at full size, and ``signature``, by which near-duplicates are recognised.
    """

    sample: Sample
    score: float | None = None
    verdict: str | None = None
    confidence: float | None = None
    nearest: int | None = None
    anomaly_map: np.ndarray | None = dataclasses.field(default=None, repr=False)
    answer: Answer | None = None
    regions: tuple | None = None
    condition: np.ndarray | None = dataclasses.field(default=None, repr=False)
    aligned: bool | None = None
    error: str | None = None
    image: np.ndarray | None = dataclasses.field(default=None, repr=False)
    signature: np.ndarray | None = dataclasses.field(default=None, repr=False)

    @property
    def name(self) -> str:
        """Path of the image, or ``array N``."""
        return self.sample.name

    def bare(self) -> "Prediction":
        """The same without map, image and signature, to keep by the thousand."""
        return dataclasses.replace(self, anomaly_map=None, image=None, signature=None)
