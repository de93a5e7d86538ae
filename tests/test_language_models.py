"""Language models: no look ahead, nothing read twice, state that goes on, generation as asked, figures by hand."""

import io
import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import ROOT, Zoo
from lightning import Trainer
from torch import nn

import zoo
from datamodules import Corpus
from datamodules.text.tokenizer import Tokenizer
from zoo import ZooError, weights
from zoo.text.language_model import LanguageModel
from zoo.text.mixture import fit_weights, mix
from zoo.text.recurrent import RNNLM
from zoo.text.transformer import TransformerLM

TEXT = "the quick brown fox jumps over the lazy dog\nand the dog sleeps, it does\n" * 8
CHARACTERS = Tokenizer.fit_characters([TEXT])
WORDS = Tokenizer.fit_words(TEXT.split("\n"))


def recurrent(tokenizer: Tokenizer = CHARACTERS, **arguments: Any) -> RNNLM:
    torch.manual_seed(0)
    sizes: dict[str, Any] = {"embedding_size": 8, "hidden_size": 12, **arguments}
    return awake(RNNLM(vocab_size=tokenizer.vocab_size, tokenizer=tokenizer.json, **sizes))


def transformer(tokenizer: Tokenizer = CHARACTERS, **arguments: Any) -> TransformerLM:
    torch.manual_seed(0)
    sizes: dict[str, Any] = {"width": 16, "num_layers": 2, "num_heads": 2, "window": 32, **arguments}
    return awake(TransformerLM(vocab_size=tokenizer.vocab_size, tokenizer=tokenizer.json, **sizes))


def awake(model: Any) -> Any:
    """With weights that are far from zero, so that all of a network is seen."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return model.eval()


MODELS = {
    "rnn": lambda **a: recurrent(cell="rnn", **a),
    "lstm": lambda **a: recurrent(**a),
    "gru": lambda **a: recurrent(cell="gru", tied=True, **a),
    "transformer": lambda **a: transformer(**a),
}
every_model = pytest.mark.parametrize("kind", MODELS)


def ids(text: str, model: LanguageModel) -> torch.Tensor:
    return torch.tensor(model.tokenizer.encode_text(text))


@every_model
def test_no_step_sees_what_follows(kind: str) -> None:
    network = MODELS[kind]().network
    tokens = torch.randint(CHARACTERS.vocab_size, (2, 20))
    changed = tokens.clone()
    changed[:, 11:] = (changed[:, 11:] + 1) % CHARACTERS.vocab_size
    before, after = network(tokens), network(changed)
    torch.testing.assert_close(before[:, :11], after[:, :11])
    assert not torch.allclose(before[:, 11], after[:, 11])


@every_model
@pytest.mark.parametrize("pieces", [[1] * 30, [7, 1, 22], [30]])
def test_pieces_say_what_the_whole_says(kind: str, pieces: list[int]) -> None:
    network = MODELS[kind]().network
    tokens = torch.randint(CHARACTERS.vocab_size, (3, 30))
    state, found = None, []
    for piece in tokens.split(pieces, dim=1):
        logits, state = network.advance(piece, state)
        found.append(logits)
    torch.testing.assert_close(torch.cat(found, 1), network(tokens), rtol=1e-4, atol=1e-5)


def test_transformer_looks_back_over_its_window_only() -> None:
    """With one layer, since every further one hands on what it has seen."""
    network = transformer(num_layers=1, window=8).network
    tokens = torch.randint(CHARACTERS.vocab_size, (1, 40))
    state = None
    for place in range(40):
        logits, state = network.advance(tokens[:, place : place + 1], state)
        last = network(tokens[:, max(place - 7, 0) : place + 1])[:, -1:]
        torch.testing.assert_close(logits, last, rtol=1e-4, atol=1e-5)


@every_model
def test_score_is_the_probability_of_each_token_after_all_before(kind: str) -> None:
    model = MODELS[kind]()
    tokens = ids(TEXT[:25], model)
    stream = torch.cat([torch.tensor([model.boundary]), tokens])
    # As evaluation does, with ends of lines in place of what is missing.
    lead = torch.full((model.context,), model.boundary)
    stream = torch.cat([lead, stream])
    for place in range(len(tokens)):
        start = place // model.stride * model.stride
        seen = stream[start : len(lead) + 1 + place]
        expected = model(seen[None]).log_softmax(1)[0, tokens[place]]
        torch.testing.assert_close(model.score(tokens)[place], expected, rtol=1e-4, atol=1e-5)


@every_model
@pytest.mark.parametrize("length", [1, 31, 600])
def test_chunks_with_their_contexts_score_like_the_whole(kind: str, length: int) -> None:
    model = MODELS[kind]()
    model.context, model.stride = 16, 16
    tokens = ids(TEXT, model)[: 2 * length]
    cut = len(tokens) // 2 // 16 * 16
    parts = [model.score(tokens[:cut]), model.score(tokens[cut:], tokens[:cut])] if cut else [model.score(tokens)]
    torch.testing.assert_close(torch.cat(parts), model.score(tokens), rtol=1e-4, atol=1e-5)


def test_training_goes_on_from_batch_to_batch() -> None:
    """Chunked as whole: the losses of successive windows are those of one long window."""
    model = recurrent()
    tokens = torch.randint(CHARACTERS.vocab_size, (4, 41))
    losses = []
    for start in range(0, 40, 10):
        window = tokens[:, start : start + 11]
        losses.append(model.training_step((window[:, :-1], window[:, 1:]), 0))
    whole = model.loss(model.network(tokens[:, :-1]), tokens[:, 1:])
    torch.testing.assert_close(torch.stack(losses).mean(), whole)
    model.on_train_epoch_start()
    assert model.state is None
    model.training_step((tokens[:, :-1], tokens[:, 1:]), 0)
    with pytest.raises(ZooError, match=r"3 lanes follow 4; .* use --data\.batches lanes"):
        model.training_step((tokens[:3, :-1], tokens[:3, 1:]), 0)


def test_gradients_end_where_a_batch_begins() -> None:
    model = recurrent()
    tokens = torch.randint(CHARACTERS.vocab_size, (4, 11))
    for _ in range(2):
        model.training_step((tokens[:, :-1], tokens[:, 1:]), 0).backward()
    assert model.state is not None
    assert all(not part.requires_grad for part in model.state)


@every_model
def test_generation_reads_every_token_once(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = MODELS[kind]()
    read: list[int] = []
    features = model.network.features

    def watched(tokens: torch.Tensor, state: Any = None) -> Any:
        read.append(tokens.shape[1])
        return features(tokens, state)

    monkeypatch.setattr(model.network, "features", watched)
    model.generate("the dog", tokens=50)
    assert read == [8] + [1] * 49


@every_model
def test_greedy_text_is_the_likeliest_continuation(kind: str) -> None:
    model = MODELS[kind]()
    expected = [model.boundary, *CHARACTERS.encode_text("the")]
    for _ in range(20):
        logits = model(torch.tensor([expected]))[0]
        logits[CHARACTERS.unknown_id] = -math.inf
        expected.append(int(logits.argmax()))
    (text,) = model.generate("the", tokens=20, temperature=0)
    assert text == CHARACTERS.decode(expected[4:])


@every_model
def test_equal_seeds_give_equal_texts_whoever_is_beside_them(kind: str) -> None:
    model = MODELS[kind]()
    texts = model.generate("a", tokens=30, seed=7, num=3)
    assert model.generate("a", tokens=30, seed=7, num=3) == texts
    assert model.generate("a", tokens=30, seed=7) == texts[:1]
    assert len(set(texts)) == 3
    assert model.generate("a", tokens=30, seed=8)[0] != texts[0]
    for number, text in enumerate(texts):
        assert "".join(model.stream("a", tokens=30, seed=7, number=number)) == text


def test_without_a_seed_texts_differ() -> None:
    model = recurrent()
    assert model.generate(tokens=40) != model.generate(tokens=40)


def test_what_is_no_text_is_never_generated() -> None:
    model = recurrent(WORDS)
    model.network.head.bias.data[[WORDS.unknown_id, WORDS.start_id]] = 50.0
    (text,) = model.generate(tokens=300, seed=0)
    assert "<unk>" not in text
    assert "<s>" not in text


@pytest.mark.parametrize("stop", ["ow", ["zzzz", "ow", "own f"], "the quick brown fox jumps over the lazy dog"])
def test_text_ends_before_a_stop_text(stop: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    model = recurrent()
    tokens = iter(CHARACTERS.encode_text(TEXT))
    monkeypatch.setattr("zoo.text.sampling.Sampling.draw", lambda *_: torch.tensor([next(tokens)]))
    pieces = list(model.stream(tokens=60, stop=stop))
    first = [stop] if isinstance(stop, str) else stop
    assert "".join(pieces) == TEXT[: min(place for text in first if (place := TEXT.find(text)) >= 0)]


def test_what_only_began_like_a_stop_text_is_told() -> None:
    model = recurrent()
    whole = model.generate(tokens=60, seed=1)[0]
    assert model.generate(tokens=60, seed=1, stop=whole[-3:] + "never")[0] == whole


@pytest.mark.parametrize(
    "options", [{"temperature": 0.1}, {"top_k": 1}, {"top_p": 0.05}, {"repetition_penalty": 30.0}], ids=str
)
def test_options_reach_the_text(options: dict[str, Any]) -> None:
    model = recurrent()
    assert model.generate("the", tokens=60, seed=3, **options) != model.generate("the", tokens=60, seed=3)


def test_repetition_penalty_knows_the_prompt() -> None:
    model = transformer()
    assert isinstance(model.network.head, nn.Linear)
    nn.init.zeros_(model.network.head.weight)
    (text,) = model.generate("the quick brown", tokens=6, repetition_penalty=100.0, seed=0)
    assert not set(text) & set("the quick brown")
    assert len(set(text)) == 6


@pytest.mark.parametrize("options", [{"tokens": -1}, {"num": 0}, {"temperature": -1.0}], ids=str)
def test_senseless_requests_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ZooError, match="expected"):
        recurrent().generate(**options)


def test_no_tokens_are_no_text() -> None:
    assert recurrent().generate("the", tokens=0) == [""]


@every_model
def test_figures_are_what_they_are_called(kind: str) -> None:
    model = {"rnn": recurrent, "lstm": recurrent, "gru": recurrent, "transformer": transformer}[kind](WORDS)
    text = "the quick unheard fox\nand the dog\n"
    found = model.perplexity(text)
    tokens = ids(text, model)
    nats = -model.score(tokens).double()
    known = tokens != WORDS.unknown_id
    assert (found["tokens"], found["oov"], found["characters"]) == (9, 1, len(text))
    assert found["perplexity"] == pytest.approx(nats.mean().exp().item(), rel=1e-6)
    assert found["perplexity_without_oov"] == pytest.approx(nats[known].mean().exp().item(), rel=1e-6)
    assert found["bits_per_char"] == pytest.approx(nats.sum().item() / math.log(2) / len(text), rel=1e-6)


def test_measuring_an_empty_text_is_refused() -> None:
    with pytest.raises(ZooError, match="the text holds no token"):
        recurrent().perplexity("")


@every_model
def test_weights_are_all_a_model_needs(kind: str, tmp_path: Path) -> None:
    model = MODELS[kind]()
    weights.save(model, tmp_path / kind, {}, {"input": ids("the dog", model)})
    loaded = zoo.load(tmp_path / kind)
    assert loaded.generate("the", seed=1) == model.generate("the", seed=1)
    assert "tokenizer" not in loaded.hparams
    assert (tmp_path / kind / "card.json").stat().st_size < 2_000


def test_damaged_tokenizer_is_told(tmp_path: Path) -> None:
    model = recurrent()
    model.stored_tokenizer.json[:5] = 7
    weights.save(recurrent(), tmp_path / "x", {}, {"input": ids("the", model)})
    loaded = zoo.load(tmp_path / "x")
    with pytest.raises(ZooError, match="damaged tokenizer"):
        loaded.stored_tokenizer.load_state_dict(model.stored_tokenizer.state_dict())


def test_vocabulary_and_tokenizer_must_agree() -> None:
    with pytest.raises(ZooError, match="vocab_size is 5, but the tokenizer has"):
        RNNLM(vocab_size=5, tokenizer=CHARACTERS.json)
    with pytest.raises(ZooError, match=r"no tokenizer; give it one: tokenizer=data\.tokenizer"):
        RNNLM(vocab_size=5).generate()


def test_mixture_is_the_mean_of_probabilities() -> None:
    log_probs = torch.tensor([[0.5, 0.1, 0.0], [0.1, 0.7, 0.2]]).log()
    expected = torch.tensor([0.25 * 0.5 + 0.75 * 0.1, 0.25 * 0.1 + 0.75 * 0.7, 0.75 * 0.2]).log().double()
    torch.testing.assert_close(mix(log_probs, torch.tensor([0.25, 0.75])), expected)


def test_fitted_weights_are_the_best() -> None:
    torch.manual_seed(0)
    log_probs = torch.rand(3, 500).log()
    best = fit_weights(log_probs)
    assert best.sum().item() == pytest.approx(1)
    reached = mix(log_probs, best).sum()
    for _ in range(20):
        other = (best + 0.05 * torch.randn(3)).clamp(min=1e-3)
        assert mix(log_probs, other / other.sum()).sum() <= reached + 1e-6


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
    model = zoo.load(trained / "model")
    assert model.perplexity(TEXT)["bits_per_char"] < 0.2
    assert model.generate("the quick brown fox ", tokens=23, temperature=0) == ["jumps over the lazy dog"]


def test_generate_prints_prompt_and_text(zoo_command: Zoo, trained: Path) -> None:
    arguments = ["--prompt", "the quick", "--tokens", 30, "--temperature", 0.1, "--seed", 2]
    code, out, err = zoo_command("generate", trained / "model", *arguments)
    assert (code, err) == (0, "")
    assert out == "the quick" + zoo.load(trained / "model").generate("the quick", 30, 0.1, seed=2)[0] + "\n"
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
    expected = zoo.load(trained / "model").perplexity(TEXT)
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
        (["generate", "{model}", "--device", "abacus"], "--device is 'abacus', which cannot be used"),
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


@pytest.mark.parametrize(
    ("build", "told"),
    [
        (lambda: recurrent(cell="lstn"), "there are rnn, lstm, gru; did you mean 'lstm'?"),
        (lambda: TransformerLM(vocab_size=5, width=10, num_heads=4), "width 10 for 4 heads; expected a multiple of 8"),
        (lambda: TransformerLM(vocab_size=5, window=1), "window is 1, expected at least 2"),
        (lambda: recurrent(optimizer="moun"), "there are adamw, adam, sgd, muon; did you mean 'muon'"),
    ],
)  # fmt: skip
def test_senseless_networks_are_refused(build: Any, told: str) -> None:
    with pytest.raises(ZooError) as refused:
        build()
    assert told in str(refused.value)


def test_created_models_have_the_published_tokenizer() -> None:
    model = zoo.create("char_rnn_shakespeare", hidden_size=8)
    published = zoo.load("char_rnn_shakespeare")
    assert model.tokenizer.vocabulary == published.tokenizer.vocabulary
    assert sum(one.numel() for one in model.parameters()) < sum(one.numel() for one in published.parameters())


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
