"""Draws synthetic images of a part so you can try fsad without your own data.

Good ones, seven kinds of defects, and their masks, in the MVTec AD layout.
"""

TEXTURES = ("metal", "leather", "tile")


def add_arguments(parser):
    parser.add_argument("folder", metavar="FOLDER", help="where to write; nothing may be there yet")
    parser.add_argument("--texture", choices=TEXTURES, default="metal", help="of the part (default: metal)")
    parser.add_argument("--good", type=int, default=64, metavar="N", help="good images, a quarter to test/good (64)")
    parser.add_argument("--defective", type=int, default=8, metavar="N", help="images of each kind of defect (8)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="another seed draws another part (0)")


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
