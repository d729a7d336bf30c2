"""Partners: their secrets and offers, their users' tokens and visits, and what these claim."""
