"""``zoo completion``: what could follow what is typed, for shells. Neither torch nor lightning is imported.

Flags are kept in ``flags.json``, which ``scripts/flags.py`` writes, since asking the parsers takes seconds.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from zoo import registry
from zoo.commands.arguments import Arguments
from zoo.errors import ZooError
from zoo.terminal import say

FLAGS = Path(__file__).with_name("flags.json")
# Each asks for the words that fit the last of those that were typed, a line each; files where there are none.
_SCRIPTS = {
    "bash": """# For ~/.bashrc: source <(zoo completion bash)
_zoo_complete() {
    local IFS=$'\\n' words=("${COMP_WORDS[@]:1:COMP_CWORD}")
    # bash takes --flag=value apart at the sign.
    local typed="${COMP_LINE:0:COMP_POINT}" cut=""
    typed="${typed##* }"
    if [[ "$typed" == *=* ]]; then cut="${typed%%=*}="; fi
    COMPREPLY=($(zoo completion --words="$typed" --before="${words[*]}" 2>/dev/null))
    COMPREPLY=("${COMPREPLY[@]#"$cut"}")
    [[ "${COMPREPLY[0]:-}" == *= ]] && compopt -o nospace
}
complete -o default -F _zoo_complete zoo
""",
    "zsh": """# For ~/.zshrc, after compinit: source <(zoo completion zsh)
_zoo_complete() {
    local -a found
    found=("${(@f)$(zoo completion --words="${words[CURRENT]}" --before="${(F)words[2,CURRENT]}" 2>/dev/null)}")
    found=(${found:#})
    if (( ${#found} )); then compadd -S '' -- $found; else _files; fi
}
compdef _zoo_complete zoo
""",
    "fish": """# For ~/.config/fish/completions/zoo.fish: zoo completion fish > ~/.config/fish/completions/zoo.fish
function __zoo_complete
    set -l typed (commandline -ct)
    set -l before (commandline -opc)[2..-1] "$typed"
    zoo completion --words="$typed" --before=(string join \\n -- $before | string collect) 2>/dev/null
end
complete -c zoo -a '(__zoo_complete)'
""",
}


def completion(argv: list[str]) -> None:
    """Prints a script that lets a shell complete verbs, recipes, runs and flags."""
    parser = Arguments("completion", completion.__doc__)
    parser.add_argument("shell", nargs="?", choices=sorted(_SCRIPTS), help="which shell")
    # What the scripts ask.
    parser.add_argument("--words", nargs="?", const="", help="print what could be meant by this beginning")
    parser.add_argument("--before", default="", help="what was typed until there, a line each")
    options = parser.parse_args(argv)
    if options.words is None:
        if options.shell is None:
            raise ZooError(f"name a shell: {', '.join(sorted(_SCRIPTS))}")
        say(_SCRIPTS[options.shell], end="")
        return
    before = options.before.split("\n")[:-1] if options.before else []
    for word in complete(before, options.words):
        say(word)


def complete(before: Sequence[str], begun: str) -> list[str]:
    """What could be meant.

    Args:
        before: The words behind ``zoo``.
        begun: The beginning of the next one.
    """
    flags = json.loads(FLAGS.read_text(encoding="utf-8"))
    found = flags["verbs"] if not before else _flags(before, flags) if begun.startswith("-") else _names(before, begun)
    return sorted({word for word in found if word.startswith(begun)})


def _flags(before: Sequence[str], flags: dict[str, Any]) -> Iterator[str]:
    """Flags of a verb; of one that trains those of the recipe's model and data, too."""
    verb, *rest = before
    found = flags["verbs"].get(verb)
    if found is None:
        return
    yield from (flag if not values else f"{flag}=" for flag, values in found["flags"].items())
    yield from (f"{flag}={value}" for flag, values in found["flags"].items() for value in values)
    if not found["trains"]:
        return
    yield from (f"{flag}=" for flag in flags["training"])
    for kind, section in (("models", "model"), ("data", "data")):
        name = _class_of(rest, section)
        yield from (f"--{section}.{argument}=" for argument in flags[kind].get(name, ()))
        yield from (f"--{section}={name}" for name in flags[kind])


def _class_of(words: Sequence[str], section: str) -> str | None:
    """The class of model or data that a command names, or its recipe does."""
    named = [word.partition("=")[2] for word in words if word.startswith(f"--{section}=")]
    if named:
        return named[-1].rpartition(".")[2]
    recipe = next((word for word in words if not word.startswith("-")), "")
    try:
        path = registry.entry(recipe).config[section]["class_path"] if recipe else ""
    except (ZooError, KeyError, TypeError, OSError):
        return None
    return str(path).rpartition(".")[2]


def _names(before: Sequence[str], begun: str) -> Iterator[str]:
    """Recipes, or published weights, and runs."""
    verb = before[0]
    if verb == "completion":
        yield from _SCRIPTS
        return
    trains = verb in ("fit", "validate", "test", "backtest", "elbow", "lr-find", "show")
    yield from registry.list_models(pretrained=not trains)
    folder, _, _ = begun.rpartition("/")
    for path in sorted(Path(folder or ".").glob("*/")):
        is_run = (path / "results.json").is_file() or (path / "config.yaml").is_file()
        if folder or path.name == "runs":
            yield str(path) if is_run else f"{path}/"
