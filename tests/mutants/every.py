"""All mutants, in the order in which they are tried."""

from tests.mutants.abuse import ABUSE
from tests.mutants.authority import AUTHORITY
from tests.mutants.coupons import COUPONS
from tests.mutants.discounts import DISCOUNTS
from tests.mutants.favours import FAVOURS
from tests.mutants.mutants import MUTANTS
from tests.mutants.payments import PAYMENTS

EVERY = MUTANTS + ABUSE + AUTHORITY + COUPONS + DISCOUNTS + PAYMENTS + FAVOURS
