"""What is known of a key: count, sum, least and greatest. Whatever order numbers come in, it comes to the same."""

# What a table's `bigint` holds.
LIMIT = 2**63


def with_number(summary, value):
    """The summary with one number more; ValueError where `value` is none, or the sum too large."""
    try:
        # Digits alone: Python would take `1_000`, too.
        number = int(value.decode().replace("_", "?"))
    except (UnicodeDecodeError, ValueError):
        raise ValueError(f"`{value.decode('utf-8', 'replace')}` is no whole number") from None
    count, total, least, greatest = summary or (0, 0, number, number)
    if not -LIMIT <= min(number, total + number) <= max(number, total + number) < LIMIT:
        raise ValueError("the sum is too large")
    return (count + 1, total + number, min(least, number), max(greatest, number))
