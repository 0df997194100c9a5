"""What the building will draw: predictions with intervals, and how good they were."""
