"""``zoo sample`` and ``zoo interpolate``: a generator makes images, or walks from one to the next."""

import io
from pathlib import Path
from typing import Any

from PIL import Image

from zoo import weights
from zoo.commands.arguments import Arguments
from zoo.commands.outputs import check_folder, check_output, write_output
from zoo.drawing import in_rows, tile
from zoo.errors import ZooError
from zoo.gan.adversarial import Adversarial
from zoo.terminal import say


def sample(argv: list[str]) -> None:
    """Makes images and writes them into one picture and, if asked to, a file each."""
    parser = Arguments("sample", sample.__doc__)
    _add_common(parser)
    parser.add_argument("--num", type=int, default=64, metavar="N", help="number of images (default %(default)s)")
    parser.add_argument("--out", type=Path, default=Path("samples.png"), help="picture (default %(default)s)")
    parser.add_argument("--files", type=Path, metavar="DIR", help="also write each image into this new folder")
    options = parser.parse_args(argv)
    check_output("--out", options.out, ".png")
    if options.files is not None:
        check_folder("--files", options.files)
    model = load_generator(options.name, options.device)
    images = model.sample(options.num, options.seed, options.classes, options.truncation)
    columns = min(len(images), model.columns if not options.classes else 8)
    write_output(options.out, _encode(Image.fromarray(enlarge(tile(in_rows(images.cpu(), columns)))), format="PNG"))
    say(f"wrote {options.out} ({len(images)} images)")
    if options.files is not None:
        options.files.mkdir(exist_ok=True)
        digits = len(str(len(images)))
        for number, image in enumerate(images.cpu(), start=1):
            path = options.files / f"{number:0{digits}d}.png"
            write_output(path, _encode(Image.fromarray(tile(image[None, None])), format="PNG"))
        say(f"wrote {len(images)} files into {options.files}")


def interpolate(argv: list[str]) -> None:
    """Walks through the noise along great circles and back to the start; writes a GIF that goes round."""
    parser = Arguments("interpolate", interpolate.__doc__)
    _add_common(parser)
    parser.add_argument("--num", type=int, default=16, metavar="N", help="walks side by side (default %(default)s)")
    parser.add_argument("--points", type=int, default=5, help="noise vectors that a walk passes (default %(default)s)")
    parser.add_argument("--frames", type=int, default=16, help="steps from one to the next (default %(default)s)")
    parser.add_argument("--out", type=Path, default=Path("walk.gif"), help="GIF to write (default %(default)s)")
    options = parser.parse_args(argv)
    check_output("--out", options.out, ".gif")
    model = load_generator(options.name, options.device)
    steps = model.interpolate(
        options.points, options.frames, options.num, options.seed, options.classes, options.truncation
    ).cpu()
    columns = min(options.num, max(1, round(options.num**0.5)))
    pictures = [Image.fromarray(enlarge(tile(in_rows(images, columns)))) for images in steps]
    content = _encode(pictures[0], format="GIF", save_all=True, append_images=pictures[1:], duration=60, loop=0)
    write_output(options.out, content)
    say(f"wrote {options.out} ({len(pictures)} frames, {options.num} walks)")


def _add_common(parser: Arguments) -> None:
    parser.add_argument("name", help="a published GAN, a run folder or a checkpoint file")
    parser.add_argument(
        "--class", dest="classes", action="append", metavar="NAME",
        help="of models with classes: make images of this one, such as ankle-boot; several take turns",
    )  # fmt: skip
    parser.add_argument("--seed", type=int, metavar="S", help="equal seeds give equal images (default: always others)")
    parser.add_argument(
        "--truncation", type=float, metavar="T",
        help="draw no noise farther than this from zero: more typical, less various",
    )  # fmt: skip
    parser.add_device()


def load_generator(name: str, device: str = "cpu") -> Any:
    """Loads a model that makes images.

    Raises:
        ZooError: It is of another kind, or there is no such device.
    """
    model = weights.load(name, device)
    if not isinstance(model, Adversarial):
        raise ZooError(f"'{name}' makes no images, it is a {type(model).__name__}; 'zoo list gan' shows what does")
    return model


def enlarge(sheet: Any, least: int = 480) -> Any:
    """Repeats the pixels of a small picture ``(height, width, 3)`` so that it can be seen."""
    times = max(1, least // max(sheet.shape[:2]))
    return sheet.repeat(times, 0).repeat(times, 1)


def _encode(image: Image.Image, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, **options)
    return buffer.getvalue()
