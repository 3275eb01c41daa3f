"""Reading and building `packed`: byte strings laid end to end."""

from itertools import pairwise


def items(packed):
    """The byte strings, in order; None for a null."""
    nulls = set(packed.nulls)
    bounds = pairwise([0, *packed.ends])
    return [None if at in nulls else packed.data[start:end] for at, (start, end) in enumerate(bounds)]


def pack(strings):
    """A `packed` of byte strings; None becomes a null."""
    # What tests of the function's pure part do not have.
    from wit_world.imports.types import Packed

    data, ends, nulls = bytearray(), [], []
    for at, string in enumerate(strings):
        if string is None:
            nulls.append(at)
        else:
            data += string
        ends.append(len(data))
    return Packed(bytes(data), ends, nulls)
