"""Short messages to phones: the port, the company behind it, what it says later."""
