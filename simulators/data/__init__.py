"""Excerpts of measured data that the simulators replay; authors, licences and changes are in ATTRIBUTION.md."""
