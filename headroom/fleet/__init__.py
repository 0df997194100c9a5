"""Past one process: workers that hold the chargers' links, one controller per site, and Redis between them."""
