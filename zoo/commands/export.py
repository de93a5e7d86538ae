"""``zoo export``: a model for programs without PyTorch."""

import json
import logging
import warnings
from importlib.util import find_spec
from pathlib import Path

import torch

from datamodules.files import write_whole, written_whole
from zoo import weights
from zoo.base.module import ZooModule
from zoo.commands.arguments import Arguments
from zoo.errors import ZooError
from zoo.series.classics.classic import Classic
from zoo.terminal import say
from zoo.text.ngram import NGramLM


def export(argv: list[str]) -> None:
    """Exports a model: to ONNX, raw inputs in, the model's outputs out, any batch size; n-gram models to ARPA.

    Of a model of text also its tokenizer, which Hugging Face's library reads, and --data.tokenizer_file.
    """
    parser = Arguments("export", export.__doc__)
    parser.add_argument("name", help="a published model, a run folder or a checkpoint file")
    parser.add_argument("--to", choices=["onnx", "arpa", "tokenizer"], required=True, help="format")
    parser.add_argument("out", metavar="OUT", type=Path, help="file to write")
    options = parser.parse_args(argv)
    if options.out.is_dir():
        raise ZooError(f"{options.out} is a folder, expected a file to write")
    if not options.out.parent.is_dir():
        raise ZooError(f"no folder {options.out.parent} to write {options.out.name} into")
    model = weights.load(options.name)
    if options.to == "tokenizer":
        tokenizer = getattr(model, "tokenizer", None)
        if tokenizer is None:
            raise ZooError(f"'{options.name}' is a {type(model).__name__}, which reads no text and has no tokenizer")
        write_whole(options.out, tokenizer.json.encode())
    elif options.to == "arpa":
        if not isinstance(model, NGramLM):
            raise ZooError(
                f"ARPA is for n-gram models, and '{options.name}' is a {type(model).__name__}; use --to onnx"
            )
        model.save_arpa(options.out)
    elif isinstance(model, NGramLM):
        raise ZooError(f"'{options.name}' is a table of n-grams, which ONNX cannot hold; use --to arpa")
    elif any(isinstance(part, Classic) for part in model.modules()):
        raise ZooError(
            f"'{options.name}' follows every history anew by what it estimated, which ONNX cannot hold; forecast with "
            "'zoo forecast', or from Python"
        )
    else:
        export_onnx(model, options.out)
    say(f"wrote {options.out} ({options.out.stat().st_size:,} bytes)")


def export_onnx(model: ZooModule, out: Path) -> None:
    """Writes a model as ONNX, normalisation included, class names in its metadata.

    Raises:
        ZooError: The packages that exporting takes are not installed.
    """
    missing = [package for package in ("onnx", "onnxscript") if find_spec(package) is None]
    if missing:
        raise ZooError(f"exporting needs {' and '.join(missing)}; install with: pip install onnx onnxscript")
    example = model.example_input()
    # A batch of one would be taken for a constant.
    example = example.expand(2, *example.shape[1:]).contiguous()
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            model.eval(),
            (example,),
            input_names=["input"],
            output_names=["output"],
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            dynamo=True,
            verbose=False,
        )
    if program is None:
        raise ZooError(f"{type(model).__name__} could not be exported to ONNX")
    if getattr(model, "classes", None):
        program.model.metadata_props["classes"] = json.dumps(model.classes)
    with written_whole(out) as scratch:
        program.save(scratch, external_data=False)
