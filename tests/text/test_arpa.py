"""ARPA files: as KenLM writes and reads them, back as they went, and malformed ones named by line."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch

import zoo
from datamodules.text.tokenizer import SENTENCES, Tokenizer
from zoo import ZooError, weights
from zoo.text.ngram import NGramLM

from .ngrams import KENLM, count, shakespeare, small_text, tokenizer, words_of_shakespeare


def test_arpa_file_is_that_of_kenlm(tmp_path: Path) -> None:
    kenlm = pytest.importorskip("kenlm", reason="needs: pip install '.[kenlm]'")
    model = NGramLM(vocab_size=tokenizer().vocab_size, tokenizer=tokenizer().json, order=3)
    model.table = words_of_shakespeare(3)
    model.save_arpa(tmp_path / "trigram.arpa")
    header = (tmp_path / "trigram.arpa").open().read(200)
    assert sum(int(line.partition("=")[2]) for line in header.splitlines() if line.startswith("ngram")) == 936_518
    theirs = kenlm.Model(str(tmp_path / "trigram.arpa"))
    vocabulary, known = tokenizer().vocabulary, shakespeare("val")
    lines = " ".join(vocabulary[token] for token in known.tolist()).split("</s>")
    total = sum(theirs.score(line.strip()) for line in lines if line.strip())
    assert 10 ** (-total / len(known)) == pytest.approx(KENLM[3]["val"][0], abs=1e-3)


@pytest.mark.parametrize("smoothing", ["kneser_ney", "add_k", "maximum_likelihood"])
def test_arpa_comes_back_as_it_went(tmp_path: Path, smoothing: Any) -> None:
    words = Tokenizer.fit_words(["a b c d e f"])
    model = NGramLM(vocab_size=words.vocab_size, tokenizer=words.json, order=3, smoothing=smoothing)
    model.table.fill(count(small_text(size=9), 3, words.vocab_size).levels(), [])
    model.save_arpa(tmp_path / "model.arpa")
    read = NGramLM.from_arpa(tmp_path / "model.arpa")
    assert read.tokenizer.vocabulary == words.vocabulary
    expected, found = model.score(small_text(seed=5)), read.score(small_text(seed=5))
    possible = expected.isfinite()
    torch.testing.assert_close(found[possible], expected[possible], rtol=1e-6, atol=1e-6)
    assert bool((found[~possible] < -200).all())
    assert read.generate("a b", seed=0, tokens=20) == model.generate("a b", seed=0, tokens=20)
    weights.save(read, tmp_path / "model", {}, {"input": small_text(seed=5)})
    assert torch.equal(zoo.load(tmp_path / "model", kind=NGramLM).score(small_text(seed=5)), found)


def test_characters_of_an_arpa_file_may_be_spaces(tmp_path: Path) -> None:
    letters = Tokenizer.fit_characters(["a b"], special=SENTENCES)
    model = NGramLM(vocab_size=letters.vocab_size, tokenizer=letters.json, order=2)
    text = torch.tensor(letters.encode_text("a b\nb a\n"))
    model.table.fill(count(text, 2, letters.vocab_size).levels(), [])
    model.save_arpa(tmp_path / "model.arpa")
    assert "\u2581" in (tmp_path / "model.arpa").read_text(encoding="utf-8")
    assert NGramLM.from_arpa(tmp_path / "model.arpa").tokenizer.vocabulary == letters.vocabulary


_ARPA = """\\data\\
ngram 1=4
ngram 2=2

\\1-grams:
-1.0 <unk> 0
0 <s> -0.3
-0.5 </s>
-0.6 a -0.2

\\2-grams:
-0.3 <s> a
-0.4 a </s>

\\end\\
"""


def test_arpa_files_of_others_are_read(tmp_path: Path) -> None:
    """Spaces instead of tabs, words in any order, no back-off where there is none."""
    path = tmp_path / "other.arpa"
    path.write_text(f"written by hand\n\n{_ARPA}".removeprefix("written by hand\n\n"))
    model = NGramLM.from_arpa(path)
    tokens = torch.tensor(model.tokenizer.encode_text("a\nx\n"))
    expected = torch.tensor([-0.3, -0.4, -0.3 - 1.0, -0.5], dtype=torch.float64) * math.log(10)
    torch.testing.assert_close(model.score(tokens), expected)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("\\data\\", "data", "line 1: expected \\data\\; is this an ARPA file"),
        ("ngram 2=2", "ngram 3=2", "line 3: found 'ngram 3=2', expected 'ngram 2=COUNT'"),
        ("ngram 2=2", "ngram 2=5", "found 2 2-grams, the header says 5"),
        ("-0.6 a -0.2", "-0.6 a b c", "line 9: expected a log-probability, 1 words"),
        ("-0.6 a -0.2", "0.6 a -0.2", "line 9: expected a log-probability"),
        ("-0.6 a -0.2", "nan a -0.2", "line 9: expected a log-probability"),
        ("-0.4 a </s>", "-0.4 b </s>", "2-grams hold 'b', which is no 1-gram"),
        ("-0.4 a </s>", "-0.3 <s> a", "an n-gram of order 2 is listed twice"),
        ("\\end\\", "", "expected \\end\\"),
        ("\\2-grams:", "\\3-grams:", "found '\\\\3-grams:', expected \\2-grams:"),
    ],
)
def test_malformed_arpa_is_named_by_line(tmp_path: Path, old: str, new: str, told: str) -> None:
    path = tmp_path / "bad.arpa"
    path.write_text(_ARPA.replace(old, new, 1))
    with pytest.raises(ZooError) as refused:
        NGramLM.from_arpa(path)
    assert told in str(refused.value)


def test_missing_arpa_is_told(tmp_path: Path) -> None:
    with pytest.raises(ZooError, match=r"cannot read .*gone\.arpa"):
        NGramLM.from_arpa(tmp_path / "gone.arpa")
