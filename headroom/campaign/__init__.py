"""A building under faults: the live service in virtual time, a world that goes wrong, and judges who do not listen."""
