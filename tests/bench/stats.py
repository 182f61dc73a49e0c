# SPDX-License-Identifier: GPL-2.0-only
"""Medians and their intervals. Pure."""
import math
import statistics


def median_interval(values, confidence=0.95):
    """(median, low, high): the interval of the median by order statistics, for any distribution.

    With few values no pair of them covers the median that surely: then it is the whole range.
    """
    if not values:
        raise ValueError("no values")
    ordered = sorted(values)
    count = len(ordered)
    rank = 0
    # P(the median lies below the k-th smallest) is that of fewer than k heads in `count` tosses.
    while rank + 1 <= count // 2 and 1 - 2 * _below(count, rank + 1) >= confidence:
        rank += 1
    low = max(rank - 1, 0)
    return statistics.median(ordered), ordered[low], ordered[count - 1 - low]


def _below(count, heads):
    """Probability of fewer than `heads` heads in `count` tosses of a fair coin."""
    return sum(math.comb(count, k) for k in range(heads)) / 2 ** count


def paired(numerators, denominators):
    """Ratios of what was measured in the same round; rounds in which one of the two is missing are left out."""
    return [a / b for a, b in zip(numerators, denominators) if a is not None and b]


def verdict(ratios, higher_is_better=True):
    """'faster', 'slower' or 'no difference': whether 1 lies in the interval of the median ratio."""
    _, low, high = median_interval(ratios)
    if low <= 1 <= high:
        return "no difference"
    return "faster" if (low > 1) == higher_is_better else "slower"
