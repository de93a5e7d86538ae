"""Names of months in several languages; no name means different months in two of them."""

import re
import unicodedata
from collections.abc import Iterable

_NAMES = {
    "en": "January February March April May June July August September October November December",
    "de": "Januar Februar März April Mai Juni Juli August September Oktober November Dezember",
    "fr": "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
    "es": "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
    "it": "gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre dicembre",
    "pt": "janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro dezembro",
    "nl": "januari februari maart april mei juni juli augustus september oktober november december",
}
_SHORT = {
    "en": "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec",
    "de": "Jan Feb Mär Apr Mai Jun Jul Aug Sep Okt Nov Dez",
    "fr": "janv févr mars avr mai juin juil août sept oct nov déc",
    "es": "ene feb mar abr may jun jul ago sep oct nov dic",
    "it": "gen feb mar apr mag giu lug ago set ott nov dic",
    "pt": "jan fev mar abr mai jun jul ago set out nov dez",
    "nl": "jan feb mrt apr mei jun jul aug sep okt nov dec",
}
# Other ways to write them.
_OTHERS = {
    "en": {"sept": 9},
    "de": {"mrz": 3, "maerz": 3, "janner": 1, "sept": 9},
    "fr": {"jan": 1, "fev": 2, "sep": 9},
}
_OTHERS["es"] = {"sept": 9}


def _plain(name: str) -> str:
    """A name in small letters without accents."""
    return "".join(sign for sign in unicodedata.normalize("NFD", name.lower()) if not unicodedata.combining(sign))


_KNOWN = {
    language: _OTHERS.get(language, {})
    | {_plain(name): place + 1 for names in (_NAMES, _SHORT) for place, name in enumerate(names[language].split())}
    for language in _NAMES
}
_NUMBERS = {name: number for names in _KNOWN.values() for name, number in names.items()}


def number_of(name: str) -> int:
    """The month of a name in any language, 1 to 12; 0 if it is none."""
    return _NUMBERS.get(_plain(name), 0)


def language_of(names: Iterable[str]) -> str:
    """The language that knows the most of some names, accents told apart; the first one of several."""
    exact = {name.lower() for name in names}
    plain = set(map(_plain, exact))

    def known(language: str) -> tuple[int, int]:
        written = f"{_NAMES[language]} {_SHORT[language]}".lower().split()
        return len(exact.intersection(written)), len(plain & _KNOWN[language].keys())

    return max(_KNOWN, key=known)


def write_month(number: int, language: str, like: str) -> str:
    """The name of a month, as long as another one and in letters as large."""
    name = (_NAMES if len(like) > 4 else _SHORT)[language].split()[number - 1]
    return name.upper() if like.isupper() else name.lower() if like.islower() else name.capitalize()


def in_english(text: str) -> str:
    """A text in which names of months are English, and have no point behind them."""

    def translated(found: re.Match[str]) -> str:
        number = number_of(found[1])
        return write_month(number, "en", "long name" if _is_long(found[1]) else "Jan") if number else found[0]

    return re.sub(r"([^\W\d_]{3,10})(\.?)", translated, text)


def _is_long(name: str) -> bool:
    return any(_plain(name) in _plain(names).split() for names in _NAMES.values())
