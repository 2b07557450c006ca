"""The support set: a user's few images, selected, read and grouped by part."""

from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from fsad import duplicates, inputs
from fsad.files import sha256

MAX_IMAGES = 400  # of a role that are read; more of them would fill the memory and move the threshold little
ROLES = ("good", "defective")


class Support(NamedTuple):
    """The training images as read: a record, the array ``(n, height, width, 3)`` and the signature of each; ``good``:
    bool ``(n,)``; ``groups`` ``(n,)``."""

    records: list
    images: np.ndarray
    signatures: np.ndarray
    good: np.ndarray
    groups: np.ndarray


def select(good, defect, options, rng, warnings):
    """The samples of each role, at most `MAX_IMAGES`, a dict; a role's folder must not say otherwise."""
    samples = {
        role: [] if given is None else _of_role(given, role, options.group_pattern)
        for role, given in zip(ROLES, (good, defect), strict=True)
    }
    paths = [{s.path.resolve(): s.name for s in every if s.path} for every in samples.values()]
    if both := paths[0].keys() & paths[1].keys():
        name = min(paths[0][path] for path in both)
        raise ValueError(f"Expected each image as good or as defective. Received: {len(both)} as both, such as {name}")
    if options.miss_rate is not None and not samples["defective"]:
        raise ValueError("Expected defective images to aim at a miss rate. Received: none")
    for role, every in samples.items():
        if len(every) > MAX_IMAGES:
            samples[role] = [every[k] for k in np.sort(rng.permutation(len(every))[:MAX_IMAGES])]
            warnings.append(f"Using a random {MAX_IMAGES} of {len(every)} {role} images.")
    return samples


def _of_role(given, role, group_pattern):
    samples = inputs.find(given, group_pattern)
    wrong = [s for s in samples if s.label is not None and s.label != (role == "defective")]
    if wrong:
        raise ValueError(
            f"Expected {role} images only. Received: {wrong[0].name}, which its folder says is {wrong[0].kind}; "
            f"give the folder of the {role} ones"
        )
    return samples


def read(samples, size, warnings, progress):
    """Records, images ``(n, height, width, 3)`` and signatures of every sample that can be read."""
    roles = [role for role in ROLES for _ in samples[role]]
    readings = inputs.read_ahead([s for role in ROLES for s in samples[role]], size, signatures=True)
    records, signatures, unreadable = [], [], []
    images = np.empty((len(roles), *size, 3), np.uint8)  # in place, not stacked: they may fill half of the memory
    bar = tqdm(readings, desc="reading", total=len(roles), unit="image", disable=not progress, leave=False)
    for role, reading in zip(roles, bar, strict=True):
        name, path = reading.sample.name, reading.sample.path
        if reading.error:
            unreadable.append(f"{name}: {reading.error}")
            continue
        digest = None if path is None else sha256(path)
        images[len(records)] = reading.resized
        records.append({"name": name, "role": role, "sha256": digest, "part": reading.sample.part})
        signatures.append(reading.signature)
    if unreadable:
        more = "; ..." if len(unreadable) > 5 else ""
        warnings.append(f"{len(unreadable)} files were left out. " + "; ".join(unreadable[:5]) + more)
    if not records:
        raise ValueError(f"Expected readable images. Received: none. {'; '.join(unreadable[:5])}")
    return records, images[: len(records)], np.stack(signatures)


def group(recipe, options, records, images, signatures, is_good, warnings):
    """Group numbers ``(n,)``: equal for images of one part. Raises ValueError for too few parts."""
    parts, trusted = [record["part"] for record in records], options.group_pattern is not None
    groups = duplicates.groups(signatures, known=parts, trusted=trusted)
    if len(set(groups[is_good])) < 2:
        groups = np.unique(images.reshape(len(images), -1), axis=0, return_inverse=True)[1].reshape(-1)
        if len(set(groups[is_good])) > 1:
            warnings.append("All good images look like the same part; each is treated as a separate part.")
    if len(set(groups[is_good])) < 2:
        raise ValueError(
            f"Expected good images of at least 2 different parts: one is compared with the other to set the "
            f"threshold. Received: {is_good.sum()} images, all near-duplicates of {records[0]['name']}"
        )
    if recipe.trained and is_good.all():
        raise ValueError(f"Expected defective images: the recipe {recipe.name} learns from them. Received: none")
    both = sorted(set(groups[is_good]) & set(groups[~is_good]))
    for number in both[:3]:
        names = [records[k]["name"] for k in np.flatnonzero(groups == number)]
        warnings.append(f"The same image or part is labelled both good and defective: {', '.join(names[:4])}")
    if len(both) > 3:
        warnings.append(f"... and {len(both) - 3} more; fsad check lists all.")
    return groups
