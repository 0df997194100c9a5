"""Who may do what: tokens, OIDC, page sessions, drivers' links, and the gate that every request passes."""
