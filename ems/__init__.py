"""Pure decisions: which current each EVSE may draw, and why."""
