"""Forget one person on request, wherever the one who asks may."""
