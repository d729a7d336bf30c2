"""The command `largesse` (`python -m ops`): run a stack, look after it, give it work."""

import click

from ops.commands.auditing import audit
from ops.commands.books import books
from ops.commands.coupons import coupons
from ops.commands.describing import openapi
from ops.commands.discount_batches import COMMANDS as OF_BATCHES
from ops.commands.discounts import discounts
from ops.commands.distributing import distribute, draw
from ops.commands.ending import EXIT_CODES, Commands
from ops.commands.engine import letters, queues
from ops.commands.erasing import erase
from ops.commands.jobs import jobs
from ops.commands.keys import keys
from ops.commands.looking import doctor, migrate, prove
from ops.commands.opening import balance_sheet
from ops.commands.partners import partners
from ops.commands.people import user
from ops.commands.purchases import purchases
from ops.commands.referrals import referrals
from ops.commands.running import demo, up
from ops.commands.showcase import showcase
from ops.commands.user_pools import pools
from ops.commands.working import import_cards, submit, token, watch


@click.group(cls=Commands, epilog=EXIT_CODES)
def main() -> None:
    """Largesse: coupons, discount codes and gift cards, fulfilled."""


for command in (
    up,
    demo,
    showcase,
    migrate,
    doctor,
    prove,
    audit,
    import_cards,
    balance_sheet,
    submit,
    watch,
    jobs,
    pools,
    books,
    discounts,
    referrals,
    coupons,
    partners,
    purchases,
    distribute,
    draw,
    token,
    queues,
    letters,
    user,
    erase,
    keys,
    openapi,
):
    main.add_command(command)

for command in OF_BATCHES:
    discounts.add_command(command)

if __name__ == "__main__":
    main(prog_name="largesse")
