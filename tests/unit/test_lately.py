"""What a process has just made: by the digest of its input, and never more than a few."""

from agent.lately import Lately


def test_a_value_is_found_by_its_digest_alone() -> None:
    lately: Lately[str] = Lately(2)
    lately.put("a", "made of a")
    assert (lately.get("a"), lately.get("b")) == ("made of a", None)


def test_the_oldest_value_goes_first() -> None:
    lately: Lately[int] = Lately(2)
    for number, digest in enumerate("abca"):
        lately.put(digest, number)
    assert [lately.get(digest) for digest in "abc"] == [3, None, 2]


def test_a_value_that_was_taken_is_gone() -> None:
    lately: Lately[int] = Lately(2)
    lately.put("a", 1)
    assert (lately.take("a"), lately.take("a")) == (1, None)
