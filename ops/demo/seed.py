"""Seed the demo: every slice's file in its order; seeding again changes nothing."""

from models.database import create_database_engine, sessions_of
from ops.demo.seed_books import seed_books
from ops.demo.seed_cards import seed_cards
from ops.demo.seed_credit import seed_credit
from ops.demo.seed_people import seed_people
from ops.demo.seed_tenants import seed_tenants
from ops.demo.seed_user_pools import seed_user_pools

SLICES = (seed_tenants, seed_people, seed_cards, seed_credit, seed_books, seed_user_pools)


def seed_demo(database_url: str) -> None:
    """Run every slice through one connection of the worker's or web's login."""
    engine = create_database_engine(database_url, pool_size=1)
    try:
        sessions = sessions_of(engine)
        for seed_slice in SLICES:
            seed_slice(sessions)
    finally:
        engine.dispose()
