"""Models of others that are put beside those of the zoo, to compare with: fitted, measured, and forgotten."""

from typing import Any

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.metrics import accuracy_score, mean_squared_error

from datamodules import Table

# By the figure that contenders are judged by: what is fitted, and how it is measured.
_BOOSTING: dict[str, tuple[Any, Any]] = {
    "accuracy": (HistGradientBoostingClassifier, accuracy_score),
    "mse": (HistGradientBoostingRegressor, mean_squared_error),
}


def peers_of(metric: str, data: Table) -> dict[str, tuple[float, float | None]]:
    """What gradient boosting (Friedman, 2001), as scikit-learn has it by default, reaches on a table.

    Args:
        metric: The figure that contenders are judged by.
        data: What they learn from.

    Returns:
        By name, in validation and on the test split; nothing where they are not judged by that figure.
    """
    if metric not in _BOOSTING:
        return {}
    kind, measure = _BOOSTING[metric]
    inputs, targets, *weights = (np.asarray(part) for part in data.splits["train"])
    model = kind(random_state=0).fit(inputs, targets.ravel(), *weights)
    reached = [
        float(measure(np.asarray(data.splits[split][1]).ravel(), model.predict(np.asarray(data.splits[split][0]))))
        for split in ("val", "test")
    ]
    return {f"scikit-learn's {kind.__name__}": (reached[0], reached[1])}
