"""A building to try things on: chargers, cars, a CSMS, load, and time that can run fast."""
