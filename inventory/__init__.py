"""The durable state of the chargers, and the site file that describes a building."""
