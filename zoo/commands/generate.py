"""``zoo generate``: a language model goes on with a text."""

from typing import Any

from zoo import weights
from zoo.base.processor import find_device
from zoo.commands.arguments import Arguments
from zoo.commands.inputs import check_text, read_standard_input
from zoo.errors import ZooError
from zoo.terminal import say, warn
from zoo.text.generation import MOST_TEXTS
from zoo.text.language_model import LanguageModel
from zoo.text.ngram import NGramLM


def generate(argv: list[str]) -> None:
    """Continues a text, piece by piece as it is drawn.

    The text is printed with its prompt. Between several texts there is a line of dashes.
    """
    parser = Arguments("generate", generate.__doc__)
    parser.add_argument("name", help="a published language model, a run folder, a checkpoint file or an ARPA file")
    parser.add_argument("--prompt", default="", metavar="TEXT", help="what to continue; - reads it from standard input")
    parser.add_argument("--tokens", type=int, default=300, metavar="N", help="tokens to add (default %(default)s)")
    parser.add_argument(
        "--temperature", type=float, default=1.0, metavar="T",
        help="below 1 prefers what is likely, 0 takes the likeliest token (default %(default)s)",
    )  # fmt: skip
    parser.add_argument("--top-k", type=int, metavar="K", help="draw from the K likeliest tokens only")
    parser.add_argument(
        "--top-p", type=float, metavar="P", help="draw from the likeliest tokens only that together have probability P"
    )
    parser.add_argument(
        "--repetition-penalty", type=float, default=1.0, metavar="R",
        help="multiply the log-probability of tokens that have occurred: above 1 they become rarer (for words)",
    )  # fmt: skip
    parser.add_argument(
        "--stop", action="append", default=[], metavar="TEXT", help="end before this text; may be given several times"
    )
    parser.add_argument("--seed", type=int, metavar="S", help="equal seeds give equal texts (default: always another)")
    parser.add_argument("--num", type=int, default=1, metavar="N", help="number of texts (default %(default)s)")
    parser.add_device()
    options = parser.parse_args(argv)
    if not 1 <= options.num <= MOST_TEXTS:
        raise ZooError(f"--num is {options.num}, expected 1 to {MOST_TEXTS:,}")
    model = load_language_model(options.name, options.device)
    prompt = (
        read_standard_input().removesuffix("\n") if options.prompt == "-" else check_text(options.prompt, "--prompt")
    )
    _warn_of_unknown(model, prompt)
    for number in range(options.num):
        if number:
            say("-" * 20)
        say(prompt, end="", flush=True)
        pieces = model.stream(
            prompt, options.tokens, options.temperature, options.top_k, options.top_p,
            options.repetition_penalty, options.stop, options.seed, number,
        )  # fmt: skip
        for place, piece in enumerate(pieces):
            # A word does not begin with the space that parts it from the prompt.
            joined = place == 0 and prompt[-1:].isalnum() and piece[:1].isalnum() and not is_characters(model)
            say(f" {piece}" if joined else piece, end="", flush=True)
        say(flush=True)


def is_characters(model: LanguageModel) -> bool:
    """Whether pieces of words follow each other without spaces."""
    return model.tokenizer.is_characters or model.tokenizer.unknown_id is None


def load_language_model(name: str, device: str = "cpu") -> Any:
    """Loads a model that goes on with texts.

    Raises:
        ZooError: It is of another kind, or there is no such device.
    """
    place = find_device(device)
    model = NGramLM.from_arpa(name).to(place) if name.endswith(".arpa") else weights.load(name, place)
    if not isinstance(model, LanguageModel):
        raise ZooError(
            f"'{name}' is no language model but a {type(model).__name__}; 'zoo list' shows the family of each model"
        )
    return model


def _warn_of_unknown(model: LanguageModel, prompt: str) -> None:
    unknown = model.tokenizer.unknown_id
    count = 0 if unknown is None else model.tokenizer.encode_text(prompt).count(unknown)
    if count:
        kind = "characters" if model.tokenizer.is_characters else "words"
        warn(f"{count} of the prompt's {kind} are out of the model's vocabulary")
