"""Payments at Stripe: sessions, what is learned of them, refunds, disputes and events."""
