"""Every table by its class, and the metadata of all models; a test holds the list complete."""

from sqlalchemy import MetaData

from models import (
    approvals,
    cards,
    drafts,
    jobs,
    key_versions,
    ledger,
    mails,
    oversight,
    people,
    tasks,
    tenants,
)
from models.base import Base, TableClass

CLASSES: dict[str, TableClass] = {
    tasks.Task.__tablename__: TableClass.PLUMBING,
    tasks.ScheduleRun.__tablename__: TableClass.PLUMBING,
    tasks.IdempotencyKey.__tablename__: TableClass.PLUMBING,
    tasks.Process.__tablename__: TableClass.PLUMBING,
    tasks.PausedQueue.__tablename__: TableClass.PLUMBING,
    cards.VendorAccount.__tablename__: TableClass.PLUMBING,
    people.User.__tablename__: TableClass.TENANT,
    key_versions.KeyVersion.__tablename__: TableClass.PLUMBING,
    key_versions.Resealing.__tablename__: TableClass.PLUMBING,
    people.SignIn.__tablename__: TableClass.SHARED,
    people.SignInFailures.__tablename__: TableClass.PLUMBING,
    people.Authenticator.__tablename__: TableClass.SHARED,
    people.RecoveryCode.__tablename__: TableClass.SHARED,
    people.ApiKey.__tablename__: TableClass.TENANT,
    mails.OutgoingMail.__tablename__: TableClass.SHARED,
    mails.PasswordReset.__tablename__: TableClass.SHARED,
    mails.Registration.__tablename__: TableClass.SHARED,
    mails.Invitation.__tablename__: TableClass.TENANT,
    tenants.Brand.__tablename__: TableClass.SHARED,
    tenants.BrandRoute.__tablename__: TableClass.SHARED,
    cards.CardPool.__tablename__: TableClass.SHARED,
    cards.Card.__tablename__: TableClass.SHARED,
    tenants.Agency.__tablename__: TableClass.TENANT,
    tenants.Client.__tablename__: TableClass.TENANT,
    tenants.Campaign.__tablename__: TableClass.TENANT,
    tenants.ClientBrand.__tablename__: TableClass.TENANT,
    jobs.Job.__tablename__: TableClass.TENANT,
    jobs.Chunk.__tablename__: TableClass.TENANT,
    jobs.Item.__tablename__: TableClass.TENANT,
    jobs.JobInput.__tablename__: TableClass.TENANT,
    drafts.UploadDraft.__tablename__: TableClass.TENANT,
    cards.Provision.__tablename__: TableClass.TENANT,
    cards.RedemptionCode.__tablename__: TableClass.TENANT,
    cards.ProviderOrder.__tablename__: TableClass.TENANT,
    ledger.Account.__tablename__: TableClass.TENANT,
    ledger.Hold.__tablename__: TableClass.TENANT,
    ledger.Transfer.__tablename__: TableClass.TENANT,
    ledger.Posting.__tablename__: TableClass.TENANT,
    approvals.Approval.__tablename__: TableClass.TENANT,
    oversight.AuditEntry.__tablename__: TableClass.TENANT,
    oversight.Erasure.__tablename__: TableClass.TENANT,
    oversight.AuditHead.__tablename__: TableClass.PLUMBING,
    oversight.AuditWitness.__tablename__: TableClass.PLUMBING,
}


def metadata() -> MetaData:
    return Base.metadata
