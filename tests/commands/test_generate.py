"""``zoo generate`` and ``zoo perplexity``, and how language models come to be counted and exported."""

import io
import json
from pathlib import Path

import pytest
import torch
from conftest import ROOT, Zoo
from lightning import Trainer
from text.ngrams import KENLM
from text.small import TEXT, WORDS, ids, recurrent

import zoo
from datamodules import Corpus
from zoo import weights
from zoo.text import LanguageModel, NGramLM
from zoo.text.recurrent import RNNLM


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Published weights of a small recurrent model, and of one with another vocabulary."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "text.txt").write_text(TEXT * 40)
    data = Corpus(
        str(folder / "text.txt"), unit="characters", lines=False, window=32, batch_size=8, cache=str(folder / "cache")
    )
    torch.manual_seed(0)
    model = RNNLM(
        vocab_size=data.vocab_size, tokenizer=data.tokenizer, embedding_size=16, hidden_size=64, num_layers=1, lr=1e-2
    )
    trainer = Trainer(
        max_epochs=3, accelerator="cpu", logger=False, enable_progress_bar=False, enable_checkpointing=False,
        use_distributed_sampler=False,
    )  # fmt: skip
    trainer.fit(model, datamodule=data)
    card = {"data": {"class_path": "datamodules.Corpus", "init_args": dict(data.hparams)}}
    weights.save(model, folder / "model", card, model.golden(data))
    words = recurrent(WORDS)
    weights.save(words, folder / "words", card, {"input": ids("the", words)})
    return folder


def test_trained_model_knows_its_text(trained: Path) -> None:
    model = zoo.load(trained / "model", kind=LanguageModel)
    assert model.perplexity(TEXT)["bits_per_char"] < 0.2
    assert model.generate("the quick brown fox ", tokens=23, temperature=0) == ["jumps over the lazy dog"]


def test_generate_prints_prompt_and_text(zoo_command: Zoo, trained: Path) -> None:
    arguments = ["--prompt", "the quick", "--tokens", 30, "--temperature", 0.1, "--seed", 2]
    code, out, err = zoo_command("generate", trained / "model", *arguments)
    assert (code, err) == (0, "")
    model = zoo.load(trained / "model", kind=LanguageModel)
    assert out == "the quick" + model.generate("the quick", 30, 0.1, seed=2)[0] + "\n"
    _, out, _ = zoo_command("generate", trained / "model", *arguments, "--num", 3)
    assert out.count("the quick") >= 3
    assert out.count("-" * 20) == 2


def test_generate_reads_standard_input(zoo_command: Zoo, trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("the lazy\n"))
    _, out, _ = zoo_command("generate", trained / "model", "--prompt", "-", "--tokens", 4, "--temperature", 0)
    assert out == "the lazy dog\n"


def test_generate_says_what_it_does_not_know(zoo_command: Zoo, trained: Path) -> None:
    code, _, err = zoo_command("generate", trained / "model", "--prompt", "§ the §", "--tokens", 1)
    assert (code, err) == (0, "zoo: 2 of the prompt's characters are out of the model's vocabulary\n")


def test_perplexity_of_a_file_and_of_a_split(zoo_command: Zoo, trained: Path) -> None:
    (trained / "other.txt").write_text(TEXT)
    code, out, err = zoo_command("perplexity", trained / "model", trained / "other.txt", "--json")
    assert (code, err) == (0, "")
    (row,) = json.loads(out)
    expected = zoo.load(trained / "model", kind=LanguageModel).perplexity(TEXT)
    assert {key: row[key] for key in expected} == pytest.approx(expected, rel=1e-5)
    _, out, _ = zoo_command("perplexity", trained / "model", "--split", "val")
    data = Corpus(str(trained / "text.txt"), unit="characters", lines=False, cache=str(trained / "cache"))
    assert f"{len(data.tokens.ids['val']):,}" in out


def test_mixed_models_are_told_with_each(zoo_command: Zoo, trained: Path) -> None:
    name = f"{trained / 'model'}+{trained / 'model'}"
    _, out, _ = zoo_command("perplexity", name, "--split", "val", "--weights", "0.3", "0.7", "--json")
    single, mixed = json.loads(out)
    assert mixed["name"] == f"{name} (0.300, 0.700)"
    assert mixed["perplexity"] == pytest.approx(single["perplexity"])
    code, _, _ = zoo_command("perplexity", name, "--split", "test", "--fit-weights", "val")
    assert code == 0


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["generate", "cnn_digits"], "'cnn_digits' is no language model but a CNN"),
        (["generate", "char_rnn_shakespear"], "did you mean 'char_rnn_shakespeare'?"),
        (["generate", "{model}", "--temperature", "-1"], "temperature is -1.0, expected 0"),
        (["generate", "{model}", "--top-k", "0"], "top_k is 0"),
        (["generate", "{model}", "--top-p", "2"], "top_p is 2.0"),
        (["generate", "{model}", "--num", "0"], "--num is 0"),
        (["generate", "{model}", "--tokens", "-3"], "tokens is -3"),
        (["generate", "{model}", "--device", "abacus"], "no device 'abacus'; this machine has cpu"),
        (["perplexity", "{model}"], "name a text to measure"),
        (["perplexity", "{model}", "gone.txt"], "no file gone.txt"),
        (["perplexity", "{model}", "."], "is a folder, expected a text file"),
        (["perplexity", "{model}", "gone.txt", "--weights", "1"], "weights are for mixed models"),
        (["perplexity", "{model}+{model}", "--split", "val", "--weights", "0.5", "0.6"], "that sum to one"),
        (["perplexity", "{model}+{words}", "--split", "val"], "models to be mixed need the same vocabulary"),
        (["perplexity", "{model}", "--split", "dev"], "invalid choice: 'dev'"),
    ],
)  # fmt: skip
def test_bad_requests_are_told_in_one_line(zoo_command: Zoo, trained: Path, arguments: list[str], told: str) -> None:
    filled = [argument.format(model=trained / "model", words=trained / "words") for argument in arguments]
    code, _, err = zoo_command(*filled)
    assert code == 2
    assert told in err
    assert len(err.strip().splitlines()) == 1


def test_published_models_speak(zoo_command: Zoo) -> None:
    code, out, err = zoo_command("generate", "char_rnn_shakespeare", "--prompt", "ROMEO:", "--tokens", 200, "--seed", 1)
    assert (code, err) == (0, "")
    assert out.startswith("ROMEO:")
    words = {word.strip(".,;:!?'").lower() for word in out.split()}
    assert words & {"the", "and", "to", "of", "i", "you", "my", "a", "that", "is"}
    _, again, _ = zoo_command("generate", "char_rnn_shakespeare", "--prompt", "ROMEO:", "--tokens", 200, "--seed", 1)
    assert again == out


@pytest.mark.slow
def test_a_network_and_n_grams_know_more_together(zoo_command: Zoo) -> None:
    name, root = "word_lstm_shakespeare+ngram5_shakespeare", ROOT / "data"
    code, out, _ = zoo_command(
        "perplexity", name, "--split", "test", "--weights", 0.9, 0.1, "--data-root", root, "--json"
    )
    assert code == 0
    network, n_grams, both = (row["perplexity_without_oov"] for row in json.loads(out))
    assert both < network < n_grams


@pytest.mark.parametrize("kind", ["arpa", pytest.param("onnx", marks=pytest.mark.slow)])
def test_export_of_language_models(zoo_command: Zoo, tmp_path: Path, kind: str) -> None:
    name = {"arpa": "bigram_shakespeare", "onnx": "char_rnn_shakespeare"}[kind]
    code, _, err = zoo_command("export", name, "--to", kind, tmp_path / f"model.{kind}")
    assert (code, err) == (0, "")
    if kind == "arpa":
        (tmp_path / "text.txt").write_text("to be, or not to be\n")
        figures = []
        for model in (name, tmp_path / "model.arpa"):
            _, out, _ = zoo_command("perplexity", model, tmp_path / "text.txt", "--json")
            figures.append(json.loads(out)[0])
        # An ARPA model takes what stands between spaces for words.
        assert figures[1]["oov"] == 1
        assert figures[0]["oov"] == 0
    code, _, err = zoo_command("export", name, "--to", {"arpa": "onnx", "onnx": "arpa"}[kind], tmp_path / "x")
    assert code == 2
    assert "--to" in err


def test_settings_reach_the_counts(zoo_command: Zoo, tmp_path: Path) -> None:
    """On the command line, with what pruning and smoothing do to a small text."""
    (tmp_path / "text.txt").write_text("the cat sat\nthe dog sat\nthe cat ran\n\n" * 50)
    recipe = (ROOT / "zoo" / "recipes" / "trigram_shakespeare.yaml").read_text()
    (tmp_path / "mine.yaml").write_text(
        recipe.replace("Shakespeare\n  init_args:", "Corpus\n  init_args:\n    path: text.txt")
    )
    code, _, err = zoo_command(
        "fit", "mine.yaml", "--quiet", "--figures=false", "--model.smoothing=add_k", "--model.k=0.01"
    )
    assert (code, err) == (0, "")
    (run,) = (tmp_path / "runs" / "mine").iterdir()
    model = zoo.load(run, kind=NGramLM)
    assert model.table.smoothing == "add_k"
    assert model.generate("the", tokens=2, temperature=0)[0].split()[0] == "cat"
    code, _, err = zoo_command("fit", "mine.yaml", "--quiet", "--figures=false", "--data.lines=false")
    assert (code, "use --data.lines true" in err) == (2, True)
    code, _, err = zoo_command(
        "fit",
        "mine.yaml",
        "--quiet",
        "--figures=false",
        "--data.batches=lanes",
        "--data.batch_size=2",
        "--data.window=4",
    )
    assert (code, "use --data.batches chunks" in err) == (2, True)


def test_perplexity_of_a_recipe_without_weights_reads_like_kenlm(zoo_command: Zoo, tmp_path: Path) -> None:
    code, _, _ = zoo_command("fit", "bigram_shakespeare", "--quiet", "--figures=false", f"--data.root={ROOT / 'data'}")
    assert code == 0
    (run,) = (tmp_path / "runs" / "bigram_shakespeare").iterdir()
    _, out, _ = zoo_command("perplexity", run, "--split", "val", "--json")
    (row,) = json.loads(out)
    assert (row["tokens"], row["oov"]) == (64_653, 530)
    assert (row["perplexity"], row["perplexity_without_oov"]) == pytest.approx(KENLM[2]["val"], abs=1e-4)
