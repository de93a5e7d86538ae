"""The recipes for people's own data, by family, the cheapest first. Imports nothing that takes time."""

from collections.abc import Sequence
from typing import NamedTuple

from zoo.errors import ZooError


class Try(NamedTuple):
    """A recipe as it is put beside others.

    Attributes:
        recipe: Its name, or a YAML file.
        flags: What is asked of it beyond what all are asked.
        suffix: What tells it from the recipe as it is.
    """

    recipe: str
    flags: tuple[str, ...] = ()
    suffix: str = ""

    @property
    def name(self) -> str:
        """What the leaderboard calls it."""
        return self.recipe + self.suffix


class Field(NamedTuple):
    """What ``zoo auto`` trains on one kind of data.

    Attributes:
        needs: The flag that names the data.
        suffix: What the file's name ends in; nothing if that does not matter.
        recipes: The recipes.
        logged: Those of them that are tried on the logarithm of the data, too, unless a transformation is asked for.
        ridged: Those of them that are tried with a penalty on coefficients, chosen by the data, before without: of two
            that cannot be told apart the first is used, and on other rows the penalty helps more often than it harms.
        one_step: Those that forecast a single step, and are tried only if no more are asked for.
        predicts: Of a table, whether it is for ``classes``, for a ``number`` or for ``nothing``.
        unasked: Recipes for the same data that are trained by their names only: they teach more than they reach, or
            take long.
        use: What to type with the ``run`` that won, and for the ``horizon`` of a series, whose ``intervals`` are said,
            too.
    """

    needs: str
    suffix: str
    recipes: tuple[str, ...]
    use: str
    logged: tuple[str, ...] = ()
    ridged: tuple[str, ...] = ()
    one_step: tuple[str, ...] = ()
    predicts: str | None = None
    unasked: tuple[str, ...] = ()

    def tries(self, flags: Sequence[str]) -> list[Try]:
        """What is trained, the cheapest first.

        Args:
            flags: Those of ``zoo fit``, which hold for all.
        """
        found = []
        for recipe in self.recipes:
            if recipe in self.one_step and value_of("--data.horizon", flags) != "1":
                continue
            if recipe in self.ridged and value_of("--model.penalty", flags) is None:
                found.append(Try(recipe, ("--model.penalty=auto",), "-ridge"))
            found.append(Try(recipe))
            if recipe in self.logged and value_of("--data.transform", flags) is None:
                found.append(Try(recipe, ("--data.transform=log",), "-log"))
        return found


_PREDICT = "zoo predict {run} rows.csv --csv out.csv"

FAMILIES = {
    "vision": (
        Field(
            "--data.root",
            "",
            (
                "mobilenetv2_folder",
                "efficientnet_lite0_folder",
                "efficientnet_lite1_folder",
                "efficientnet_lite2_folder",
            ),
            "zoo classify {run} photo.jpg",
            unasked=("mobilenetv2_finetuned_folder",),
        ),
    ),
    "series": (
        Field(
            "--data.path",
            "",
            (
                "linear_csv",
                "theta_csv",
                "ets_csv",
                "seasonal_naive_csv",
                "naive_csv",
                "sarima_csv",
                "gru_csv",
                "lstm_csv",
                "causal_conv_csv",
                "wavenet_csv",
                "stateful_lstm_csv",
            ),
            "zoo forecast {run} --horizon {horizon} {intervals}",
            logged=("linear_csv", "theta_csv", "ets_csv", "sarima_csv"),
            one_step=("stateful_lstm_csv",),
        ),
    ),
    "text": (
        Field("--data.path", ".csv", ("sentiment_csv",), 'zoo classify {run} --text "..."'),
        Field("--data.path", "", ("char_rnn_text",), 'zoo generate {run} --prompt "..."'),
    ),
    "tabular": (
        Field(
            "--data.path",
            "",
            ("logistic_table", "dense_table"),
            _PREDICT,
            predicts="classes",
            unasked=("backprop_table",),
        ),
        Field(
            "--data.path",
            "",
            ("linear_table", "dense_regression_table"),
            _PREDICT,
            ridged=("linear_table",),
            predicts="number",
        ),
        # What learns without a target is judged by nothing that could be compared.
        Field("--data.path", "", ("pca_table", "kmeans_table"), _PREDICT, predicts="nothing"),
    ),
}


def field_of(family: str, flags: Sequence[str]) -> Field:
    """What to train on the data that flags name.

    Args:
        family: Such as ``vision``.
        flags: Those of ``zoo fit``.

    Raises:
        ZooError: None names the data.
    """
    needs = FAMILIES[family][0].needs
    named = value_of(needs, flags)
    if named is not None:
        fields = [one for one in FAMILIES[family] if named.lower().removesuffix(".gz").endswith(one.suffix)]
        predicts = _predicts(named, flags) if fields[0].predicts is not None else None
        return next(one for one in fields if one.predicts == predicts)
    raise ZooError(f"'zoo auto {family}' needs to know your data: {needs} ...")


def _predicts(path: str, flags: Sequence[str]) -> str:
    """Whether classes or a number of a table are to be predicted, as flags or the file tell.

    Raises:
        ZooError: Nothing tells what to predict.
        DataError: The file cannot be read, or its column may hold either.
    """
    from datamodules.tabular.kinds import predicts_of
    from datamodules.tabular.sheet import read_sheet

    target, said = value_of("--data.target", flags), value_of("--data.predicts", flags)
    if target is None:
        raise ZooError("'zoo auto tabular' needs to know which column to predict: --data.target ...")
    if said is not None and said not in ("classes", "number"):
        raise ZooError(f"--data.predicts is {said!r}, expected classes or number")
    return said or predicts_of(read_sheet(path, lambda header: [target]), target)


def value_of(name: str, flags: Sequence[str]) -> str | None:
    """What flags say of one of them, as ``--name=value`` or ``--name value``; None if they do not name it."""
    for place, flag in enumerate(flags):
        asked, equals, value = flag.partition("=")
        if asked == name:
            return value if equals or place + 1 == len(flags) else flags[place + 1]
    return None


def own_recipes() -> set[str]:
    """The recipes for people's own data, of all families."""
    return {name for fields in FAMILIES.values() for field in fields for name in (*field.recipes, *field.unasked)}
