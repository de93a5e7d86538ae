"""``zoo elbow``: how many groups there are, and what it cannot count."""

import re
from pathlib import Path

import pytest
import sklearn.cluster
from tabular.rows import iris

from zoo.commands.elbow import knee


def test_elbow_finds_how_many_groups_there_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from zoo.cli import main

    monkeypatch.chdir(tmp_path)
    assert main(["elbow", "kmeans_iris", "--k", "1..6", "--quiet"]) == 0
    printed = capsys.readouterr().out
    (run,) = (tmp_path / "runs" / "kmeans_iris").iterdir()
    assert (run / "figures" / "elbow.png").stat().st_size > 5_000
    for count in (1, 3, 6):
        theirs = sklearn.cluster.KMeans(count, n_init=10, random_state=0).fit(iris().numpy())
        (line,) = (line.split() for line in printed.splitlines() if line.split()[:1] == [str(count)])
        assert float(line[1]) == pytest.approx(theirs.inertia_, rel=2e-3)
    assert re.search(r"knee +[23]\n", printed)


@pytest.mark.parametrize(
    ("counts", "inertias", "at"),
    [([1, 2, 3, 4], [100, 20, 15, 12], 2), ([1, 2, 3], [30, 20, 10], None), ([1, 2], [9, 3], None)],
)
def test_knee_is_where_the_curve_bends(counts: list[int], inertias: list[float], at: int | None) -> None:
    assert knee(counts, inertias) == at


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["kmeans_iris", "--k", "5..2"], "--k is '5..2', expected two numbers"),
        (["kmeans_iris", "--k", "many"], "--k is 'many', expected two numbers"),
        (["pca_iris"], "PCA has no clusters to count"),
        (["kmeans_iris", "--k", "151..152"], "151 clusters of 150 rows"),
    ],
)
def test_elbow_names_bad_input(
    arguments: list[str], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from zoo.cli import main

    monkeypatch.chdir(tmp_path)
    assert main(["elbow", *arguments]) == 2
    assert says in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
