"""Shadow mode: a recorded building through any controller; `headroom replay` is the command."""
