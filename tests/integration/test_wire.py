"""What associations have in common: two who talk on one of them."""

import time
from pathlib import Path

from agent.dicom import wire
from reception import association_to, receiving_node


def test_nobody_waits_for_an_association_that_ends_in_this_moment(tmp_path: Path) -> None:
    """Its peer released it after it was seen to stand: its thread comes to the gate no more."""
    with receiving_node(tmp_path) as node:
        with association_to(node.listener.port) as association:
            assert association.is_established
        association.join(wire.END_SECONDS)
        association.is_established = True  # as it was seen
        began = time.monotonic()
        with wire.answers_for_us(association):
            assert time.monotonic() - began < wire.NEGOTIATION_SECONDS / 3
