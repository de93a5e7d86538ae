"""The page that says what is promised says what the tests recorded."""

import json

import pytest

from scripts import reliability

recorded = pytest.mark.skipif(
    not reliability.RECORD.is_file(), reason="no long run is recorded yet; python scripts/reliability.py makes one"
)


@recorded
def test_page_is_what_is_recorded() -> None:
    assert reliability.main(["--check"]) == 0


@recorded
def test_every_promise_was_tried_and_withstood() -> None:
    counts = json.loads(reliability.RECORD.read_text(encoding="utf-8"))["counts"]
    evidence = {name for promise in reliability.PROMISES for name in promise.evidence}
    assert evidence <= counts.keys()
    assert all(counts[name]["tries"] > 0 for name in evidence)
    assert not [name for name in evidence if counts[name]["failures"]]


def test_attacks_are_recorded() -> None:
    record = reliability.attack(1, ["tests/commands/test_publish.py"])
    (count,) = record["counts"].values()
    assert count["tries"] == 9
    assert count["failures"] == 0
    assert {"date", "versions"} == record["of"].keys()
    assert "| `tests/commands/test_publish.py` | 9 | 0 |" in reliability.page(record)
