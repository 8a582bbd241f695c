"""From how many utterances on a difference means anything, and how its p-value is written."""

from math import ceil, floor, log10

# Fewer cannot tell skill from luck: no p-value, no verdict, no badge.
MIN_UTTERANCES = 10
# A difference is called clear below it.
SIGNIFICANCE = 0.05


def p_floor(resamples: int) -> float:
    """The smallest p-value of a bootstrap: two-sided, one added to count and resamples alike."""
    return 2 / (resamples + 1)


def format_p(p_value: float, resamples: int) -> str:
    """Write a p-value: `= 0.012`, or `< 0.002` where so many resamples cannot give a smaller one.

    Args:
        p_value: above 0, up to 1.
        resamples: of the bootstrap that it comes from.
    """
    least = p_floor(resamples)
    # Rounded up to one digit, so that what is written stays true.
    digits = -floor(log10(least))
    if p_value <= least:
        return f"< {ceil(least * 10**digits) / 10**digits:.{digits}f}"
    return f"= {p_value:.{max(3, digits)}f}"
