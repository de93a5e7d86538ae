"""Draws runs of gradient descent side by side: their paths over the loss surface, and their loss by epoch and second.

Usage: python scripts/descent.py runs/linear_{batch,stochastic,minibatch}/TIME --diverging runs/linear_batch/TIME, where
the diverging run is one of: zoo fit linear_batch --model.lr 0.5 --trainer.max_epochs 8
"""

import argparse
import io
import sys
from pathlib import Path
from typing import Any

from zoo import registry, weights
from zoo.commands.origin import find_data
from zoo.commands.outputs import check_outputs, write_output
from zoo.errors import ZooError
from zoo.tabular.descent import Surface
from zoo.tabular.drawing import Descent, draw_descents

ROOT = Path(__file__).parent.parent


def read(run: Path) -> tuple[str, Descent, Surface]:
    """The name of a run, with its learning rate, its path, and the surface of the data that it was trained on.

    Raises:
        ZooError: The folder is no run that recorded a path, or was not trained to its end.
    """
    checkpoint = weights.read_checkpoint(run / "checkpoints" / "last.ckpt")
    path, results = checkpoint.get("descent"), registry.read_results(run)
    if path is None or not len(path):
        raise ZooError(f"{run} recorded no path; expected a run of LinearRegression with one feature")
    if "fit" not in results:
        raise ZooError(f"{run} is not trained to its end; go on with: zoo fit {run}")
    data: Any = find_data(str(run))
    name = f"{results['recipe']}: {data.batch_size} a step, rate {checkpoint['hyper_parameters']['lr']:g}"
    return name, Descent(path, results["fit"]["epochs"]), Surface.of(*data.splits["train"])


def main() -> int:
    """Reads the runs and writes the picture."""
    parser = argparse.ArgumentParser(description="Draws runs of gradient descent side by side.", allow_abbrev=False)
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="run folders, all on the same data")
    parser.add_argument("--diverging", nargs="*", type=Path, default=[], metavar="RUN", help="runs to draw apart")
    parser.add_argument("--plot", type=Path, default=ROOT / "docs" / "descent.png", help="file to write")
    arguments = parser.parse_args()
    try:
        check_outputs(None, arguments.plot)
        found, apart = ([read(run) for run in runs] for runs in (arguments.runs, arguments.diverging))
        if len({surface for _, _, surface in (*found, *apart)}) > 1:
            raise ZooError("the runs were trained on different data; expected the same, to compare their paths")
    except ZooError as error:
        print(f"descent: {error}", file=sys.stderr)
        return 2
    picture = io.BytesIO()
    descents, diverging = ({name: descent for name, descent, _ in runs} for runs in (found, apart))
    draw_descents(found[0][2], descents, diverging).savefig(picture)
    write_output(arguments.plot, picture.getvalue())
    print(f"picture   {arguments.plot}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
