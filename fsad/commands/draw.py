"""Draws synthetic images of a part so you can try fsad without your own data.

Good ones, seven kinds of defects, and their masks, in the MVTec AD layout.
"""

from fsad.commands import arguments

TEXTURES = ("metal", "leather", "tile")


def add_arguments(parser):
    parser.add_argument("folder", metavar="FOLDER", help="where to write: a new folder")
    parser.add_argument("--texture", choices=TEXTURES, default="metal", help="texture of the part (default: metal)")
    parser.add_argument(
        "--good", type=arguments.positive, default=64, metavar="N", help="good images, a quarter for test (64)"
    )
    parser.add_argument(
        "--defective", type=arguments.positive, default=8, metavar="N", help="images of each defect (8)"
    )
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="random seed; each seed draws a different part (default: 0)"
    )


def run(options):
    from tqdm import tqdm

    from fsad import synthetic

    with tqdm(total=options.good + 7 * options.defective, desc="drawing", unit="image", leave=False) as bar:
        synthetic.write(
            options.folder, options.texture, options.seed, options.good, options.defective, progress=bar.update
        )
    print(
        f"Synthetic {options.texture} in {options.folder}: {options.good} good images, {options.defective} of each of "
        "7 kinds of defects."
    )
    return 0
