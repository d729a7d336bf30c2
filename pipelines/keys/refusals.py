"""Why a key version cannot be retired; each says what to do first."""

from pipelines.errors import Kind, Refusal


class VersionUnknown(Refusal):
    """No stored value was ever sealed under this version."""

    code = "key_version_unknown"
    kind = Kind.NOT_FOUND


class VersionCurrent(Refusal):
    """It is what these settings seal with."""

    code = "key_version_current"
    kind = Kind.CONFLICT


class VersionInUse(Refusal):
    """A living process seals with it, or does not say with what."""

    code = "key_version_in_use"
    kind = Kind.CONFLICT


class VersionSealsValues(Refusal):
    """Values are left that only this version opens."""

    code = "key_version_seals_values"
    kind = Kind.CONFLICT


class SealingBusy(Refusal):
    """Transactions that seal values, or another change of the keys, did not end in time."""

    code = "sealing_busy"
    kind = Kind.BUSY
    detail = "Somebody is sealing values or changing the keys just now. Try again in a minute."
