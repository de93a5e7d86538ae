"""The ``zoo`` command: a dict of verbs. Imports neither torch nor lightning; each verb imports what it needs."""

import sys
from importlib import import_module

from zoo import __version__, renamed, terminal
from zoo.allocation import keep_freed_memory
from zoo.errors import ZooError, did_you_mean, foreseen, in_brief
from zoo.terminal import say

VERBS = {
    "list": ("zoo.commands.listing:list_recipes", "list the recipes and what their published weights reach"),
    "show": ("zoo.commands.listing:show", "show a recipe and its card"),
    "fit": ("zoo.commands.train:fit", "train a recipe"),
    "validate": ("zoo.commands.train:validate", "measure on the validation split"),
    "test": ("zoo.commands.train:test", "measure on the test split"),
    "auto": ("zoo.commands.compare:auto", "find the model for your own data, within a time that you name"),
    "compare": ("zoo.commands.compare:compare", "train recipes on the same data, or take runs, and rank them"),
    "sweep": ("zoo.commands.sweep:sweep", "search the settings of a recipe, by many trainings"),
    "backtest": ("zoo.commands.backtest:backtest", "train and measure fold by fold, rolling forward"),
    "lr-find": ("zoo.commands.lr_find:lr_find", "learning-rate range test of a recipe"),
    "elbow": ("zoo.commands.elbow:elbow", "cluster into more and more groups, and see where it stops to pay"),
    "embed": ("zoo.commands.embed:embed", "draw data in the plane, by PCA or k-means"),
    "classify": ("zoo.commands.classify:classify", "name what is in pictures, or of which kind texts are"),
    "predict": ("zoo.commands.predict:predict", "ask a model of a table about rows of another"),
    "forecast": ("zoo.commands.forecast:forecast", "continue a series, with prediction intervals"),
    "generate": ("zoo.commands.generate:generate", "let a language model go on with a text"),
    "perplexity": ("zoo.commands.perplexity:perplexity", "measure language models, alone or mixed, on a text"),
    "sample": ("zoo.commands.sample:sample", "let a GAN make images"),
    "interpolate": ("zoo.commands.sample:interpolate", "let a GAN walk from image to image"),
    "import-keras": ("zoo.commands.import_keras:import_keras", "turn a Keras MobileNetV2 into weights of the zoo"),
    "export": ("zoo.commands.export:export", "export a model to ONNX, an n-gram model to ARPA"),
    "runs": ("zoo.commands.runs:runs", "list what was trained, and remove what may go"),
    "doctor": ("zoo.commands.doctor:doctor", "say what is installed, what there is to compute with, and what is wrong"),
    "completion": ("zoo.commands.completion:completion", "let a shell complete what is typed"),
    "publish": ("zoo.commands.publish:publish", "turn a run into published weights"),
}

# A longer line is not read to its end.
_LONGEST = 600
# Exit codes that shells know: ended by Ctrl-C (signal 2), and because nobody reads the output any more (signal 13).
INTERRUPTED, HUNG_UP = 130, 141


def main(argv: list[str] | None = None) -> int:
    """Runs the command line; bad input is told in one line and gives exit code 2.

    Args:
        argv: Arguments after ``zoo``; the process's own if left out.

    Returns:
        The exit code.
    """
    if argv is None:
        keep_freed_memory()
    arguments = list(sys.argv[1:] if argv is None else argv)
    traceback = "--traceback" in arguments
    arguments = [argument for argument in arguments if argument != "--traceback"]
    with terminal.guarded(), terminal.once():
        try:
            code = _run(arguments)
            with terminal.printing():
                sys.stdout.flush()
            return code
        except KeyboardInterrupt:
            return INTERRUPTED
        except SystemExit as stop:
            # Lightning ends what Ctrl-C stopped with a code of its own.
            if isinstance(stop.__context__, KeyboardInterrupt):
                return INTERRUPTED
            raise
        except BrokenPipeError:
            terminal.hang_up()
            return HUNG_UP
        except Exception as error:
            if traceback:
                raise
            told = foreseen(error) or _unexpected(error)
            # What was given may be a file's whole content, by mistake.
            terminal.tell("\n".join(in_brief(line, _LONGEST) for line in told.split("\n")))
            return getattr(error, "exit_code", 2)


def _run(arguments: list[str]) -> int:
    verb, *rest = arguments or ["--help"]
    if verb in ("-h", "--help", "help"):
        say(_usage())
        return 0
    if verb in ("-V", "--version"):
        say(f"zoo {__version__}")
        return 0
    verb = renamed.todays(verb, renamed.VERBS)
    if verb not in VERBS:
        raise ZooError(f"no verb '{verb}'{did_you_mean(verb, VERBS)}; 'zoo --help' shows all")
    module, _, function = VERBS[verb][0].partition(":")
    return getattr(import_module(module), function)(renamed.todays_arguments(rest)) or 0


def _usage() -> str:
    verbs = "\n".join(f"  {verb:12s} {summary}" for verb, (_, summary) in VERBS.items())
    return (
        "usage: zoo VERB [arguments]     zoo VERB --help     zoo --version\n\n"
        "Models for PyTorch Lightning that people can trust, read, train and import.\n\n"
        f"{verbs}\n\n"
        "Any verb takes --traceback, which shows where an error came from."
    )


def _unexpected(error: Exception) -> str:
    """One line about what the zoo did not foresee, and how to see more."""
    said = " ".join(str(error).split())
    return (
        f"unexpected {type(error).__name__}: {said}; --traceback shows where; if what was given is right, it is a "
        "fault of the zoo: please report it"
    )


if __name__ == "__main__":
    sys.exit(main())
