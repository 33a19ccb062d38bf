"""Label strings to soft targets. A label has one letter a class: one `y`, any number of `m` (fuzzy), the rest `n`.

Where classes do not exclude each other there may be any number of `y`; the label of a regression is a number.
"""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from components.errors import DataError

Floats = npt.NDArray[np.float64]

# Number of m -> (share of y, share of each m). Du4AI's notebook; JosephPai's repository.
_Y60M40 = {0: (1.0, 0.0), 1: (0.6, 0.4), 2: (0.4, 0.3), 3: (0.4, 0.2)}
_JOSEPHPAI = {0: (1.0, 0.0), 1: (0.75, 0.25), 2: (0.8, 0.1), 3: (0.7, 0.1)}


def soft_targets(labels: Sequence[str], policy: str, *, smoothing: float = 0.0, ordinal: bool = False) -> Floats:
    """What a model is asked to answer for each label.

    Args:
        labels: n strings of K letters y, m, n with exactly one y.
        policy: `hard` (y takes all), `y60m40`, `m10` (every m 0.1), `josephpai`, or `ordinal` (SORD, Diaz and Marathe,
            CVPR 2019: `exp(-|i - y|)` over the visible classes; only where the classes are a scale).
        smoothing: eps of `(1 - eps) t + eps / K`, 0..1.
        ordinal: whether the classes are a scale; `ordinal` falls back to `hard` where they are not.

    Returns:
        (n, K) float64, not negative, rows sum to 1.

    Raises:
        DataError: a label without exactly one y, or with other letters; names it.
    """
    return _smoothed(POLICIES["hard" if policy == "ordinal" and not ordinal else policy](_letters(labels)), smoothing)


def task_targets(
    task: str, labels: Sequence[str], policy: str, *, smoothing: float = 0.0, ordinal: bool = False
) -> Floats:
    """Soft targets of any task, (n, K) float64, before `tasks.Task.encode`.

    The policy `ordinal` of the task `ordinal` counts every class as a rank; elsewhere the first one is "invisible".

    Raises:
        DataError: a label that the task cannot have; names it.
    """
    if task == "multi_label":
        return presence(labels, smoothing=smoothing)
    if task == "regression":
        return numbers(labels)
    if task == policy == "ordinal":
        return _smoothed(_ranks(_letters(labels)), smoothing)
    return soft_targets(labels, policy, smoothing=smoothing, ordinal=ordinal)


def presence(labels: Sequence[str], *, smoothing: float = 0.0) -> Floats:
    """For each class by itself: y is 1, n is 0, and m, which might be there, a half.

    Args:
        labels: n strings of K letters y, m, n.
        smoothing: eps of `(1 - eps) t + eps / 2`, 0..1.

    Returns:
        (n, K) float64 in 0..1.
    """
    letters = _letters(labels, exclusive=False)
    shares = (letters == "y") + (letters == "m") * 0.5
    return (1 - smoothing) * shares + smoothing / 2


def numbers(labels: Sequence[str]) -> Floats:
    """(n, 1) float64 of labels that are numbers. Raises DataError naming one that is not."""
    try:
        return np.array([float(label) for label in labels], np.float64).reshape(len(labels), 1)
    except ValueError as error:
        raise DataError(f"{error}: a regression learns from numbers only") from error


def _letters(labels: Sequence[str], *, exclusive: bool = True) -> npt.NDArray[np.str_]:
    num_classes = len(labels[0]) if labels else 0
    for label in labels:
        if len(label) != num_classes or (exclusive and label.count("y") != 1) or set(label) - set("ymn"):
            one = " with exactly one y" if exclusive else ""
            raise DataError(f"label {label!r} cannot be trained on; expected {num_classes} letters of y, m, n{one}")
    return np.array([list(label) for label in labels], dtype="<U1").reshape(len(labels), num_classes)


def _smoothed(shares: Floats, smoothing: float) -> Floats:
    return (1 - smoothing) * shares + smoothing / max(1, shares.shape[1])


def _hard(letters: npt.NDArray[np.str_]) -> Floats:
    return (letters == "y").astype(np.float64)


def _m10(letters: npt.NDArray[np.str_]) -> Floats:
    """The seed does not say what y becomes: here the rest, but never less than an m gets."""
    fuzzy = (letters == "m").sum(axis=1, keepdims=True)
    share = np.minimum(0.1, 1 / (fuzzy + 1))
    return (letters == "m") * share + (letters == "y") * (1 - share * fuzzy)


def _table(shares: dict[int, tuple[float, float]]) -> Callable[[npt.NDArray[np.str_]], Floats]:
    def policy(letters: npt.NDArray[np.str_]) -> Floats:
        y, m = letters == "y", letters == "m"
        fuzzy = m.sum(axis=1)
        # Beyond the table: the last y share, the rest divided among the m.
        of_y = np.array([shares.get(int(k), shares[3])[0] for k in fuzzy]).reshape(-1, 1)
        return y * of_y + m * ((1 - of_y) / np.maximum(1, fuzzy)[:, None])

    return policy


def _ranks(letters: npt.NDArray[np.str_], lowest: int = 0) -> Floats:
    """SORD over the classes from `lowest` on; those before it share nothing with the scale."""
    ranks = np.arange(letters.shape[1])
    truth = (letters == "y").argmax(axis=1)[:, None]
    shares = np.exp(-np.abs(ranks - truth)) * (ranks >= lowest)
    shares = np.where(truth < lowest, ranks == truth, shares)
    return shares / shares.sum(axis=1, keepdims=True)


def _ordinal(letters: npt.NDArray[np.str_]) -> Floats:
    """Index 0 is "invisible", not the lowest rank."""
    return _ranks(letters, lowest=1)


POLICIES: dict[str, Callable[[npt.NDArray[np.str_]], Floats]] = {
    "hard": _hard,
    "y60m40": _table(_Y60M40),
    "m10": _m10,
    "josephpai": _table(_JOSEPHPAI),
    "ordinal": _ordinal,
}
