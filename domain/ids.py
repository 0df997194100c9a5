"""Identifiers, told apart by type so that a meter's id can never be passed for a feeder's."""

from typing import NewType

SiteId = NewType("SiteId", str)
FeederId = NewType("FeederId", str)
ChargerId = NewType("ChargerId", str)
"""A charger's identity on the wire: the last URL segment, percent-decoded."""
EvseId = NewType("EvseId", str)
MeterId = NewType("MeterId", str)
DecisionId = NewType("DecisionId", str)
