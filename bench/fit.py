"""A straight line through cost against size: is the cost proportional to the data?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass
class Line:
    fixed: float
    slope: float
    worst: float
    """The largest deviation of a point from the line, as a fraction of the point."""


def fits(sizes: list[float] | list[int], costs: list[float]) -> Line:
    """Least squares of relative errors, so that the small sizes count as much as the large ones."""
    x, y = np.array(sizes, float), np.array(costs, float)
    weights = 1 / np.maximum(y, 1e-9)
    matrix = np.column_stack([np.ones_like(x), x]) * weights[:, None]
    (fixed, slope), *_ = np.linalg.lstsq(matrix, y * weights, rcond=None)
    worst = float(np.max(np.abs(fixed + slope * x - y) * weights))
    return Line(float(fixed), float(slope), worst)
