"""Counts are taken anew while that is quick, and remembered in proportion to what they cost."""

import threading
from dataclasses import dataclass

from agent.status.remembered import QUICK_SECONDS, TIMES_AS_LONG, Remembered


@dataclass
class Clock:
    """Time that passes while somebody counts, and when it is told to."""

    seconds: float = 0.0
    takes: float = 0.0
    counted: int = 0

    def __call__(self) -> float:
        return self.seconds

    def count(self) -> int:
        self.seconds += self.takes
        self.counted += 1
        return self.counted


def test_what_is_quick_is_counted_every_time() -> None:
    clock = Clock(takes=QUICK_SECONDS)
    remembered = Remembered(clock.count, clock=clock)
    assert [remembered(), remembered(), remembered()] == [1, 2, 3]


def test_what_takes_long_is_remembered_in_proportion() -> None:
    clock = Clock(takes=0.5)
    remembered = Remembered(clock.count, clock=clock)
    assert [remembered(), remembered()] == [1, 1]
    clock.seconds += 0.99 * TIMES_AS_LONG * 0.5
    assert remembered() == 1
    clock.seconds += 0.02 * TIMES_AS_LONG * 0.5
    assert remembered() == 2


def test_an_answer_of_nothing_is_an_answer() -> None:
    calls = []
    clock = Clock()

    def nothing() -> None:
        calls.append(1)
        clock.seconds += 1.0

    remembered = Remembered(nothing, clock=clock)
    assert remembered() is remembered() is None
    assert len(calls) == 1


def test_an_error_is_not_remembered() -> None:
    clock = Clock()
    answers = iter([1, 2])

    def moody() -> int:
        clock.seconds += 1.0
        answer = next(answers)
        if answer == 1:
            raise OSError
        return answer

    remembered = Remembered(moody, clock=clock)
    try:
        remembered()
    except OSError:
        assert remembered() == 2
    else:
        raise AssertionError("the error was lost")


def test_of_several_that_ask_at_once_one_counts() -> None:
    entered, go_on = threading.Event(), threading.Event()
    clock = Clock(takes=1.0)

    def slow() -> int:
        entered.set()
        assert go_on.wait(5)
        return clock.count()

    remembered = Remembered(slow, clock=clock)
    threads = [threading.Thread(target=remembered) for _ in range(3)]
    for thread in threads:
        thread.start()
    assert entered.wait(5)
    go_on.set()
    for thread in threads:
        thread.join(5)
    assert clock.counted == 1
