"""REST: what operators, meters and pages see and say. A client of the service like any other."""
