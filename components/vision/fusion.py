"""Several predictions of the same pictures made one: weighted means, weights from validation rows, cross-fitting.

The parts are views of one model or models of one attribute. Weights lie on the simplex (none negative, sum 1). What was
fitted on some rows says nothing honest about them: `cross_fitted` gives each half of the rows the other's weights.
"""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

from components.vision import bootstrap, calibration, metrics
from components.vision.metrics import Floats

MEANS = ("arithmetic", "geometric")
# log(p + 1e-4): with it the geometric mean of real submissions was measured (+0.0015 mAP over the arithmetic one);
# without it a single probability of 0 would veto a class.
_FLOOR = 1e-4
_EM_STEPS = 500
_FITTED_DIGITS = 6  # of SLSQP's weights, whose last ones hang on the machine's BLAS
# Weights start as if this many rows had spoken for all parts alike: a handful of rows cannot switch a part off.
PRIOR_ROWS = 20

Fit = Callable[[Floats, Sequence[str]], Floats]


def equal_weights(parts: int) -> Floats:
    """(parts,) float64, all the same."""
    return np.full(parts, 1 / parts)


def weighted_mean(stack: Floats, weights: Floats, mean: str = "arithmetic") -> Floats:
    """Fuses predictions.

    Args:
        stack: (m, n, K) float64 probabilities.
        weights: (m,) on the simplex.
        mean: one of MEANS; the geometric mean is taken of p + 1e-4 and its rows are made to sum to 1.

    Returns:
        (n, K) float64.
    """
    if mean == "arithmetic":
        return _weighted_sum(weights, stack)
    return calibration.softmax(_weighted_sum(weights, np.log(stack + _FLOOR)))


def _weighted_sum(weights: Floats, stack: Floats) -> Floats:
    """(n, K) from (m,) and (m, n, K), term by term: of a BLAS the last bits differ with the kernel that it chooses."""
    return np.asarray((weights[:, None, None] * stack).sum(axis=0))


def fit_weights(stack: Floats, labels: Sequence[str], mean: str = "arithmetic") -> Floats:
    """The weights on the simplex with the lowest log-loss of the classes marked `y`, drawn a little towards equal ones.

    The prior is worth PRIOR_ROWS rows, so few rows give nearly equal weights and none exactly equal ones.

    Args:
        stack: (m, n, K) float64 probabilities.
        labels: n strings of y, m, n.
        mean: one of MEANS; the log-loss is convex in the weights for both.
    """
    truth = metrics.true_classes(labels)
    known = np.flatnonzero(truth >= 0)
    if not len(known) or len(stack) == 1:
        return equal_weights(len(stack))
    if mean == "arithmetic":
        return _fit_mixture(stack[:, known, truth[known]])
    return _fit_log_pool(np.log(stack[:, known] + _FLOOR), truth[known])


def fit_greedy(stack: Floats, labels: Sequence[str], steps: int = 30) -> Floats:
    """Ensemble selection with replacement (Caruana et al. 2004): again and again the part that helps AP most is added.

    Starts with the best part; of equal ones the lower log-loss is taken, then the first. The best state passed is kept.

    Args:
        stack: (m, n, K) float64 probabilities.
        labels: n strings of y, m, n.
        steps: parts drawn.
    """
    counts = np.zeros(len(stack))
    total = np.zeros(stack.shape[1:])
    best: tuple[tuple[float, float], Floats] = ((-np.inf, -np.inf), equal_weights(len(stack)))
    if not len(labels):
        return best[1]
    for step in range(1, steps + 1):
        merits = [_merit((total + part) / step, labels) for part in stack]
        chosen = max(range(len(stack)), key=merits.__getitem__)
        counts[chosen] += 1
        total += stack[chosen]
        if merits[chosen] > best[0]:
            best = merits[chosen], counts / step
    return best[1]


def halves(groups: npt.NDArray[np.int64], seed: int) -> npt.NDArray[np.bool_]:
    """(n,) True for one half of the rows; rows of one group are in the same half."""
    known, place = np.unique(np.asarray(groups), return_inverse=True)
    first = np.zeros(len(known), dtype=bool)
    first[np.random.default_rng(seed).permutation(len(known))[: len(known) // 2]] = True
    return np.asarray(first[place])


def cross_fitted(
    stack: Floats, labels: Sequence[str], groups: npt.NDArray[np.int64], fit: Fit, *, mean: str, seed: int
) -> Floats:
    """The weighted mean with weights that never saw the row: each half gets those fitted on the other half.

    Returns:
        (n, K) float64; with equal weights where there are fewer than two groups.
    """
    first = halves(groups, seed)
    fused = weighted_mean(stack, equal_weights(len(stack)), mean)
    if not first.any():
        return fused
    for half in (first, ~first):
        weights = fit(stack[:, ~half], [label for label, inside in zip(labels, half, strict=True) if not inside])
        fused[half] = weighted_mean(stack[:, half], weights, mean)
    return fused


def error_correlation(stack: Floats, labels: Sequence[str]) -> list[list[float | None]]:
    """(m, m) correlation of being wrong, pairwise; None where a part is never or always wrong.

    Models whose errors differ push disputed rows down the ranking when averaged, which is what AP rewards.
    """
    wrong = np.array([metrics.judged(part, labels)[1] == metrics.WRONG for part in stack], dtype=np.float64)
    centred = wrong - wrong.mean(axis=1, keepdims=True)
    spread = np.sqrt((centred**2).sum(axis=1))
    scale = np.outer(spread, spread)
    found = np.divide(centred @ centred.T, scale, out=np.full_like(scale, np.nan), where=scale > 0)
    return [[None if np.isnan(v) else round(float(v), 6) for v in row] for row in found]


def _merit(fused: Floats, labels: Sequence[str]) -> tuple[float, float]:
    ap = bootstrap.exact(fused, labels)
    return (-np.inf if np.isnan(ap) else ap), -calibration.log_loss(fused, labels)


def _fit_mixture(likelihood: Floats) -> Floats:
    """Expectation-maximisation for mixture weights; `likelihood` is (m, n), the probability of the true class."""
    seen = np.maximum(likelihood, 1e-15)
    weights = equal_weights(len(seen))
    for _ in range(_EM_STEPS):
        shares = weights[:, None] * seen
        spoken = (shares / shares.sum(axis=0)).sum(axis=1)
        update = (spoken + PRIOR_ROWS / len(seen)) / (seen.shape[1] + PRIOR_ROWS)
        if np.abs(update - weights).max() < 1e-9:
            break
        weights = update
    return np.asarray(weights / weights.sum())


def _fit_log_pool(logs: Floats, truth: npt.NDArray[np.int64]) -> Floats:
    """Weights of a normalised geometric mean; `logs` is (m, n, K)."""
    parts, rows = len(logs), len(truth)
    of_truth = logs[:, np.arange(rows), truth]
    prior = PRIOR_ROWS / (parts * rows)

    def loss(weights: Floats) -> tuple[float, Floats]:
        pooled = _weighted_sum(weights, logs)
        shift = pooled.max(axis=1)
        powers = np.exp(pooled - shift[:, None])
        total = powers.sum(axis=1)
        expected = (logs * (powers / total[:, None])).sum(axis=2)
        fit = float((shift + np.log(total) - (weights[:, None] * of_truth).sum(axis=0)).mean())
        return fit - prior * float(np.log(weights).sum()), (expected - of_truth).mean(axis=1) - prior / weights

    found = minimize(
        loss,
        equal_weights(parts),
        jac=True,
        method="SLSQP",
        bounds=[(1e-9, 1.0)] * parts,
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1, "jac": np.ones_like},
    )
    weights = np.clip(found.x.round(_FITTED_DIGITS), 0, 1)
    return np.asarray(weights / weights.sum())
