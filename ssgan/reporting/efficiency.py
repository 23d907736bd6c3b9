"""How the error falls with labels, and what more of them would bring."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ssgan.reporting.results import Results

MORE = 50
"""Labels, of which a report says what they would bring."""
LEAST_ERROR = 1e-4
"""Of a run without a mistake, whose error has no logarithm: half a mistake among 5,000 images."""

FAR = 700.0
"""No error has a larger logarithm here: its exponential would be none."""


@dataclass(frozen=True)
class PowerLaw:
    """log error = intercept - exponent log labels + normal noise, by least squares over single runs."""

    intercept: float
    exponent: float
    center: float
    """Mean of log labels."""
    spread: float
    """Sum of their squared deviations."""
    sd: float
    """Of the noise, from runs - 2 degrees of freedom."""
    runs: int
    most: int
    """The largest number of labels that was measured."""

    @property
    def quantile(self) -> float:
        """97.5 % of Student's t."""
        from scipy.stats import t

        return float(t.ppf(0.975, self.runs - 2))

    @property
    def exponent_error(self) -> float:
        """The exponent's standard error."""
        return self.sd / math.sqrt(self.spread)

    def error(self, labels: float) -> tuple[float, float, float]:
        """Expected (median) error at a number of labels, and the 95 % interval of this expectation."""
        x = math.log(labels)
        middle = self.intercept - self.exponent * x
        half = self.quantile * self.sd * math.sqrt(1 / self.runs + (x - self.center) ** 2 / self.spread)
        expected, least, most = (math.exp(min(log_error, FAR)) for log_error in (middle, middle - half, middle + half))
        return expected, least, most

    def told(self) -> str:
        """What `MORE` labels would bring."""
        now, (then, least, most) = self.error(self.most)[0], self.error(self.most + MORE)
        law = (
            f"error goes as labels to the power of {-self.exponent:.2f} ± {self.exponent_error:.2f} (standard error); "
        )
        if most >= 1:
            return f"{law}what {MORE} labels more than {self.most} would bring cannot be told from these runs"
        return f"{law}{MORE} labels more than {self.most} would take it from {now:.2%} to {then:.2%} (95 % interval {least:.2%} to {most:.2%})"


def power_law(groups: Sequence[Results]) -> PowerLaw | None:
    """Of the runs of one data set and recipe; None unless three or more runs with two or more numbers of labels have an error."""
    points = [
        (math.log(group.label_budget), math.log(max(entry["test_error"], LEAST_ERROR)))
        for group in groups
        for entry in group.entries
        if group.label_budget and entry.get("test_error") is not None
    ]
    if len(points) < 3 or len({x for x, _ in points}) < 2:
        return None
    x, y = np.array(points).T
    slope, intercept = np.polyfit(x, y, 1)
    sd = math.sqrt(np.square(y - slope * x - intercept).sum() / (len(x) - 2))
    spread = float(np.square(x - x.mean()).sum())
    most = max(group.label_budget or 0 for group in groups)
    return PowerLaw(float(intercept), float(-slope), float(x.mean()), spread, sd, len(x), most)
