"""The page of `experiments.benchmarks.ray`, and its costs on paper."""

import numpy as np
import pandas as pd

CORES = (10, 100, 1000)
TAIL = 0.1  # of a run's time, that cores may be idle at its end


def on_paper(image_seconds, image_bytes, shards_per_second, price, gigabits, shard_size):
    """Rows for `CORES`, and what breaks first: ``(rows, limits)``, arithmetic.

    Args:
        image_seconds: processor time of an image, measured.
        image_bytes: of its file.
        shards_per_second: that the driver can hand out, measured.
        price: of a core for an hour, in euros.
        gigabits: that the storage of the images gives per second.

    Returns:
        A dict for each number of cores, and a list of ``(cores, sentence)``, the smallest first.
    """
    rate = 1 / image_seconds
    rows = [
        {
            "cores": f"{cores:,}",
            "images per second": f"{cores * rate:,.0f}",
            "hours per million": f"{1e6 / (cores * rate) / 3600:.2f}",
            "euros per million": f"{1e6 * image_seconds / 3600 * price:.2f}",
            "read, Gbit/s": f"{cores * rate * image_bytes * 8 / 1e9:.2f}",
            "shards per second": f"{cores * rate / shard_size:.2f}",
            f"images for a tail below {TAIL:.0%}": f"{cores * shard_size / TAIL:,.0f}",
        }
        for cores in CORES
    ]
    limits = [
        (gigabits * 1e9 / 8 / image_bytes / rate, f"the storage, if it gives {gigabits:g} Gbit/s (assumed)"),
        (shards_per_second * shard_size / rate, f"the driver, at {shards_per_second:.0f} shards per second (measured)"),
        (
            1e6 * TAIL / shard_size,
            f"a run of a million images, in which a shard is then {TAIL:.0%} of the time: cores wait at its end",
        ),
    ]
    return rows, sorted(limits)


def page(facts):
    """The page, in Markdown, of the dict that `main` measures."""
    from experiments import statistics
    from experiments.page import machine

    one, count = facts["one"], facts["images"]
    lines = [
        {
            "": "one process, all cores",
            "images per second": f"{count / one['seconds']:.1f}",
            "with start": "–",
            "processor ms per image": f"{1000 * one['processor']:.1f}",
            "driver, MB": f"{one['driver']:.0f}",
        }
    ]
    for number, own in facts["actors"].items():
        lines.append({
            "": f"Ray, {number} actor{'s' * (number > 1)} of 1 core",
            "images per second": f"{own['running']:.1f}",
            "with start": f"{count / (own['start'] + own['seconds']):.1f}",
            "processor ms per image": f"{1000 * own['processor']:.1f}",
            "driver, MB": f"{own['driver']:.0f}",
            "largest actor, MB": f"{own['actor']:.0f}",
            "rows, distinct": f"{own['rows']:,}, {own['distinct']:,}",
            "largest difference of a score": f"{difference(own, one):.1g}",
        })  # fmt: skip
    lost, each, size = facts["lost"], facts["actors"][1]["processor"], facts["paper_shard_size"]
    rows, limits = on_paper(each, facts["bytes"], facts["handed out"], facts["price"], facts["gigabits"], size)
    cores, what = limits[0]
    return "\n".join([
        "# Bulk scoring on Ray",
        "",
        f"Written by `{facts['command']}` on {machine()}, load average {facts['load']:.0f}: wall-clock times share the "
        f"machine with whatever else ran; processor times do not count it. {count:,} synthetic images of "
        f"{facts['bytes'] / 1000:.0f} kB, {facts['shard_size']} to a shard; recipe patches, {facts['weights']}, "
        f"{facts['side']}. "
        "*Images per second* of Ray: from the first shard written to the last; *with start*: of the whole call, with "
        "the start of Ray and of the actors. Processor time of Ray is that of the actors after the first shard.",
        "",
        statistics.markdown(pd.DataFrame(lines).fillna("–")),
        "",
        "## A lost node",
        "",
        "Simulated: three nodes of Ray's own cluster utility on this machine, the driver on one, an actor on each of "
        f"the others. One is {'killed' if lost['lost'] else 'NOT killed, since the run was over before,'} after the "
        f"first shard; the other does the rest. {lost['rows']:,} rows, {lost['distinct']:,} distinct, of "
        f"{facts['lost images']:,} images; largest difference of a score to one process {difference(lost, one):.1g}.",
        "",
        "## Many cores, on paper",
        "",
        f"Not measured: arithmetic from the {1000 * each:.1f} ms of processor time per image of one actor, "
        f"{facts['price']:g} euros per core and hour (`--price`, assumed), shards of {size:,}, and "
        f"{facts['handed out']:.0f} shards per second, at which the driver handed out shards of one missing file here.",
        "",
        statistics.markdown(pd.DataFrame(rows)),
        "",
        f"What breaks first, at about {cores:,.0f} cores: {what}. Then: "
        + "; ".join(f"at {n:,.0f}, {text}" for n, text in limits[1:]) + ". Images of a camera are larger than these.",
        "",
    ])  # fmt: skip


def difference(own, one):
    """The largest difference of scores to those of one process, of the images that both scored."""
    scores = one["scores"][: len(own["scores"])]
    return float(np.max(np.abs(np.subtract(own["scores"], scores))))
