"""The distance of the default recipe: how far each patch is from the nearest patch of any reference, in several layers
of features, and how unusual that is.

Distances are fused into a score in four steps, all inside the layer, so that what is fitted (`NearestPatch.adapt`) is
saved, explained and exported with it. For an image with the distances ``d_l(p)`` at the places p in the layers l:

1. *What is unusual at this place.* ``a`` is ``d_l`` and, beside it, ``d_l / m_l``: ``m_l(p)`` is half the mean of the
   good images' held-out distances, and half their mean at this place, smoothed.
2. *Smoothing*: ``G(a)``, Gaussian.
3. *Few patches make the score*: ``s``, the logarithm of the mean of the farthest fraction f of ``G(a)``, for each l, a,
   f; ``z``, s in deviations from its mean over the good images, held out.
4. The score is the weighted mean of z. The anomaly map is the same at each place: the weighted mean of
   ``log G(a)(p)`` in the same deviations.

After PatchCore (Roth et al. 2022), as a Siamese comparison; 1 and 4 are ours.
"""

import keras
import numpy as np
from keras import ops

from fsad import cells
from fsad.layers import Comparison, Distance, two_embeddings

MAX_PATCHES = 16384  # reference patches that an image is compared with at a time,
MAX_ENTRIES = 2**26  # and the distances of one image that are held at a time: 268 MB
# Of the usual distance: below, all is alike, since a logarithm would tell the rounding errors of equal images apart.
FLOOR = 0.2
UNUSUAL = 1e-3  # usual distance before any is known, which leaves no distance below the floor


@keras.saving.register_keras_serializable("fsad")
class NearestPatch(Distance):
    """How far the patches of an image are from the nearest patch of a reference, wherever that lies.

    Cosine distance ``1 - a.b`` of unit vectors: in [0, 1] for features that are not negative.

    Input: reference and image, each ``(batch, h, w, C)``: the unit vectors of L layers side by side. Output ``(batch,
    1)``, in [0, 1]: the mean over the layers of the distance of the farthest patches. Not symmetric: what the
    reference has and the image lacks does not count. `compare`, with all references, gives the score.

    Args:
        channels: of each layer, a list with the sum C; None: one layer.
        fractions: of the patches, the farthest, that make a score. A pair is compared by the last.
        window: cells per side that a patch is the average of, 1 or 2, in steps of one cell. Maps are of the cells: a
            cell is as far as the patches it is part of are on the average.
        smoothing: standard deviation of the Gaussian in cells; 0 for none.
        usual: whether distances are also divided by what is usual at their place (step 1).
        tile: ``(rows, columns)`` of the cells that make a score, where a map is larger: s is then the largest over
            tiles that overlap by half. What is small in a large image would else drown. None: the whole map.
        roi: ``(H, W)`` of 0 and 1, nested lists: which cells count. Others have no part in scores, nor in what is
            smoothed into those that count, and the least value of a map. None: all.

    Attributes:
        usual_map: ``(H, W, L)``, m; ``mean``, ``deviation`` and ``weight`` of z, each ``(F,)``, in the order layer, a,
            f. Before `adapt` they are `UNUSUAL`, 0, 1 and 1 / F.
    """

    gives_map = True

    def __init__(
        self, channels=None, fractions=(0.01, 0.03), window=1, smoothing=1.0, usual=True, tile=None, roi=None, **kwargs
    ):
        super().__init__(**kwargs)
        fractions = tuple(np.atleast_1d(fractions).tolist())
        if not fractions or not all(0 < fraction <= 1 for fraction in fractions):
            raise ValueError(f"Expected fractions of patches in (0, 1]. Received: {fractions}")
        if window not in (1, 2):
            raise ValueError(f"Expected a window of 1 or 2 cells. Received: {window}")
        if smoothing < 0:
            raise ValueError(f"Expected a smoothing of at least 0 cells. Received: {smoothing}")
        self.channels = None if channels is None else [int(c) for c in channels]
        self.fractions, self.window, self.smoothing, self.usual = fractions, window, float(smoothing), usual
        self.tile = None if tile is None else tuple(int(cells) for cells in tile)
        self.roi = roi

    def build(self, input_shape):
        height, width, channels = input_shape[1][1:]
        if sum(self.channels or [channels]) != channels:
            raise ValueError(f"Expected embeddings of {sum(self.channels)} channels. Received: {channels}")
        self.channels = self.channels or [channels]
        self.cells = height + self.window - 1, width + self.window - 1
        count = len(self.channels)
        numbers = count * (1 + self.usual) * len(self.fractions)

        def state(name, shape, value):
            initializer = keras.initializers.Constant(value)
            return self.add_weight(name=name, shape=shape, initializer=initializer, trainable=False, dtype="float32")

        self.usual_map = state("usual_map", (*self.cells, count), UNUSUAL)
        self.mean, self.deviation = state("mean", (numbers,), 0.0), state("deviation", (numbers,), 1.0)
        self.weight = state("weight", (numbers,), 1 / numbers)
        self._smooth = [cells.gaussian(size, self.smoothing) for size in self.cells]
        self._in_tile = cells.tiles(self.cells, self.tile or self.cells)
        self.inside = None
        if self.roi is not None:
            self.inside = np.asarray(self.roi, np.float32)
            if self.inside.shape != self.cells or not self.inside.any():
                raise ValueError(f"Expected a roi of {self.cells} cells, some of them 1. Received: {self.inside.shape}")
            self._share = np.maximum(self.smoothed(self.inside[None, :, :, None])[0], 1e-3)  # of a cell's smoothing
            known = self.inside.ravel()[self._in_tile] > 0
            self._in_tile = self._in_tile[known.any(1)]
            if len(self._in_tile) == 1:
                self._in_tile = self._in_tile[:, known[known.any(1)][0]]

    def call(self, inputs):
        reference, image = (self._by_layer(e) for e in two_embeddings(inputs))
        farthest = []
        for first, second in zip(reference, image, strict=True):
            first, second = (ops.reshape(e, (-1, e.shape[1] * e.shape[2], e.shape[3])) for e in (first, second))
            likeness = ops.matmul(second, ops.transpose(first, (0, 2, 1)))  # (B, P, P)
            farthest.append(self._farthest(ops.maximum(1.0 - ops.max(likeness, axis=2), 0.0)))
        return (sum(farthest) / len(farthest))[:, None]

    def compare(self, embeddings, references, units=(), reduction="mean"):
        """Compares maps of patches ``(B, h, w, C)`` with references ``(R, h', w', C)``, all with all.

        The patches of all references are one pool in which each patch of an image finds its nearest, so there is no
        ``reduction``, and there are no ``units``.

        Returns:
            A `Comparison`; its score, and its map ``(B, H, W)``, are in deviations of the good images from their mean.
        """
        per_reference, maps = self._distances(embeddings, references, each=True)
        shown = self.anomaly_map(maps)
        return Comparison(self.score(maps), per_reference, shown, self.answer(embeddings, references, shown))

    def answer(self, embeddings, references, anomaly_map):
        """The reference patch that answers for the patch where a map is highest, ``(B, 4)`` as in `Comparison`."""
        rows, columns = embeddings.shape[1:3]
        # By `top_k`: Keras's `argmax` looks at bits, which ONNX cannot.
        cell = ops.top_k(ops.reshape(anomaly_map, (-1, self.cells[0] * self.cells[1])), 1)[1][:, 0]
        row = ops.minimum(cell // self.cells[1], rows - 1)
        column = ops.minimum(cell % self.cells[1], columns - 1)
        patches = ops.reshape(embeddings, (-1, rows * columns, embeddings.shape[3]))
        place = row * columns + column
        patch = ops.take_along_axis(patches, place[:, None, None], axis=1)[:, 0]
        # Unit vectors of each layer side by side: the product is the sum of their cosines.
        likeness = ops.matmul(patch, ops.transpose(ops.reshape(references, (-1, references.shape[3]))))
        likeness, best = (value[:, 0] for value in ops.top_k(likeness, 1))
        distance = ops.maximum(1.0 - likeness / len(self.channels), 0.0)
        numbers = ops.stack([ops.cast(best, "float32"), distance], axis=1)
        return ops.concatenate([ops.take(self.centres((rows, columns)), place, axis=0), numbers], axis=1)

    def centres(self, grid):
        """x and y, in [0, 1] of an image's sides, of the centres of its patches, ``(rows columns, 2)``, numpy.

        Args:
            grid: ``(rows, columns)`` of the patches: of all, or of every second one per side where they overlap.
        """
        centres = []
        for number, size in zip(grid, self.cells, strict=True):
            step = self.window if number < size - self.window + 1 else 1
            centres.append((step * np.arange(number) + self.window / 2) / size)
        y, x = centres
        return np.stack(np.meshgrid(x, y), -1).reshape(-1, 2).astype(np.float32)

    def distances(self, embeddings, references):
        """What is fused: the distance of each cell to the nearest patch of all references, ``(B, H, W, L)``."""
        return self._distances(embeddings, references, each=False)[1]

    def _distances(self, embeddings, references, each):
        count, height, width = references.shape[:3]
        patches = embeddings.shape[1] * embeddings.shape[2]
        # In groups: the memory does not grow with the references.
        step = max(1, min(MAX_PATCHES, MAX_ENTRIES // patches) // (height * width))
        maps, farthest = [], []
        for some, others in zip(self._by_layer(embeddings), self._by_layer(references), strict=True):
            flat = ops.reshape(some, (-1, some.shape[3]))
            parts = [_nearest(flat, others[k : k + step], each) for k in range(0, count, step)]
            nearest = ops.concatenate(parts, axis=1)  # (B P, R), or one column for each group of references
            if each:
                by_reference = ops.transpose(ops.reshape(nearest, (-1, patches, count)), (0, 2, 1))
                farthest.append(self._farthest(ops.reshape(by_reference, (-1, patches))))
            maps.append(ops.reshape(ops.min(nearest, axis=1), (-1, *embeddings.shape[1:3])))
        per_reference = ops.reshape(sum(farthest) / len(farthest), (-1, count)) if each else None
        return per_reference, self._cells(ops.stack(maps, axis=-1))

    def features(self, maps, usual_map=None):
        """The numbers s of distances ``(B, H, W, L)``: ``(B, F)``; ``usual_map`` in place of the layer's own."""
        by_number = ops.transpose(self._both(maps, usual_map), (0, 3, 1, 2))
        flat = ops.reshape(by_number, (-1, self.cells[0] * self.cells[1]))
        tiles, places = self._in_tile.shape
        if self._in_tile.size != self.cells[0] * self.cells[1]:
            flat = ops.reshape(ops.take(flat, self._in_tile.ravel(), axis=1), (-1, places))
        counts = [max(1, round(fraction * places)) for fraction in self.fractions]
        farthest = ops.top_k(flat, max(counts))[0]
        s = ops.stack([ops.log(ops.mean(farthest[:, :count], axis=1)) for count in counts], axis=-1)
        s = ops.max(ops.reshape(s, (-1, tiles, len(counts))), axis=1)
        return ops.reshape(s, (-1, self.mean.shape[0]))

    def score(self, maps):
        """Distances ``(B, H, W, L)`` -> scores ``(B,)``."""
        z = (self.features(maps) - self.mean) / self.deviation
        return ops.sum(z * self.weight, axis=-1) / ops.sum(self.weight)

    def anomaly_map(self, maps):
        """Distances ``(B, H, W, L)`` -> what each cell says, ``(B, H, W)``, in the units of the score."""
        shape = (-1, len(self.fractions))
        mean, deviation, weight = (ops.reshape(v, shape) for v in (self.mean, self.deviation, self.weight))
        weight = ops.sum(weight, axis=1) / ops.sum(weight)
        z = (ops.log(self._both(maps)) - mean[:, 0]) / deviation[:, 0]  # of the smallest fraction: the fewest places
        values = ops.sum(z * weight, axis=-1)
        if self.inside is None:
            return values
        least = ops.min(ops.where(self.inside > 0, values, np.float32(1e9)), axis=(1, 2), keepdims=True)
        return ops.where(self.inside > 0, values, least)

    def _both(self, maps, usual_map=None):
        """``G(a)``, not below the floor, of distances ``(B, H, W, L)``: ``(B, H, W, 2 L)``, or L without the usual."""
        usual_map = ops.convert_to_tensor(self.usual_map if usual_map is None else usual_map)
        floor = FLOOR * ops.mean(usual_map, axis=(0, 1))
        if self.usual:
            floor = ops.reshape(ops.stack([floor, FLOOR * ops.ones_like(floor)], axis=-1), (-1,))
            maps = ops.reshape(ops.stack([maps, maps / usual_map], axis=-1), (-1, *self.cells, 2 * len(self.channels)))
        (height, width), count = self.cells, maps.shape[3]
        if self.inside is not None:
            maps = maps * self.inside[None, :, :, None]
        if self.smoothing:  # by matrices, which every runtime has, and which know the border
            down = ops.matmul(self._smooth[0], ops.reshape(maps, (-1, height, width * count)))
            across = ops.matmul(self._smooth[1], ops.reshape(down, (-1, width, count)))
            maps = ops.reshape(across, (-1, height, width, count))
        if self.inside is not None:
            maps = maps / self._share * self.inside[None, :, :, None]
        return ops.maximum(maps, floor)

    def _by_layer(self, embeddings):
        ends = np.cumsum(self.channels).tolist()
        return [embeddings[..., end - size : end] for end, size in zip(ends, self.channels, strict=True)]

    def _cells(self, distances):
        if self.window == 2:
            for axis in (1, 2):
                size = distances.shape[axis]
                first, last = (ops.take(distances, [k], axis=axis) for k in (0, size - 1))
                left, right = (ops.concatenate(p, axis=axis) for p in ([first, distances], [distances, last]))
                distances = (left + right) / 2
        return distances

    def _farthest(self, distances):
        count = max(1, round(self.fractions[-1] * distances.shape[1]))
        return ops.mean(ops.top_k(distances, count)[0], axis=1)

    def adapt(self, usual_map, mean, deviation, weight):
        """Sets the fitted numbers, as `fsad.fusion.fit` finds them."""
        values = {"usual_map": usual_map, "mean": mean, "deviation": deviation, "weight": weight}
        for name, value in values.items():
            getattr(self, name).assign(value)

    def smoothed(self, maps):
        """``G`` alone of ``(n, H, W, L)``, numpy."""
        down = np.einsum("ij,njwl->niwl", self._smooth[0], maps)
        return np.einsum("ij,nhjl->nhil", self._smooth[1], down)

    def get_config(self):
        own = {
            name: getattr(self, name)
            for name in ("channels", "fractions", "window", "smoothing", "usual", "tile", "roi")
        }
        return {**super().get_config(), **own}


def _nearest(flat, references, each):
    """Patches ``(N, C)`` to the nearest of each reference ``(r, h', w', C)``, ``(N, r)``, or of all, ``(N, 1)``."""
    count, height, width, channels = references.shape
    likeness = ops.matmul(flat, ops.transpose(ops.reshape(references, (count * height * width, channels))))
    likeness = ops.max(
        ops.reshape(likeness, (-1, count if each else 1, height * width * (1 if each else count))), axis=2
    )
    return ops.maximum(1.0 - likeness, 0.0)  # rounding must not make it negative
