"""Who charges when not all can."""
