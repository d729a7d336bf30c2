"""Tell tenants what happened by HTTP: endpoints, facts, signed deliveries (EC-133, EC-134)."""
