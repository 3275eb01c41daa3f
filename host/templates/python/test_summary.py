"""`python3 -m unittest discover -s python/{{name}}`"""

import unittest
from functools import reduce

from summary import with_number


class Summaries(unittest.TestCase):
    def test_the_order_of_numbers_does_not_matter(self):
        for numbers in ([b"3", b"-1", b"4"], [b"4", b"3", b"-1"]):
            self.assertEqual(reduce(with_number, numbers, None), (3, 6, -1, 4))

    def test_what_is_no_number_is_refused(self):
        for value in (b"many", b"", b"\xff", str(2**63).encode()):
            with self.assertRaises(ValueError):
                with_number(None, value)


if __name__ == "__main__":
    unittest.main()
