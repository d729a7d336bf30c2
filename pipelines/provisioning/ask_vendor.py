"""Put recovery's question to the vendor, outside of any transaction."""

from pipelines.providers.ports import (
    AuthFailed,
    Conflicting,
    LookUp,
    NotSent,
    OrderRequest,
    Provider,
    Refused,
    Throttled,
    Unknown,
)
from pipelines.provisioning.orders import OrderInHand
from pipelines.provisioning.questions import Question


def ask_vendor(
    provider: Provider, order: OrderInHand, question: Question, *, send_by: float
) -> LookUp:
    """What the vendor says of the order; a repeat is not sent after `send_by` (monotonic)."""
    request = OrderRequest(
        reference=order.reference,
        product=order.product,
        face_value_minor=order.face_value_minor,
        currency=order.currency,
        sent_at=order.sent_at,
        send_by=send_by if question is Question.RESEND else None,
    )
    match question:
        case Question.POLL:
            return _polled(provider, request, order.vendor_order_id or "")
        case Question.LOOK_UP:
            return provider.look_up(request)
        case Question.RESEND:
            return _repeated(provider, request)


def _polled(provider: Provider, request: OrderRequest, vendor_order_id: str) -> LookUp:
    """A number that is no order's, or another's, says nothing about ours: the reference does.

    A person may have mistyped it.
    """
    match provider.poll(request, vendor_order_id):
        case Unknown(reason="order_gone") | Conflicting(reason="other_reference"):
            return provider.look_up(request)
        case answer:
            return answer


def _repeated(provider: Provider, request: OrderRequest) -> LookUp:
    """What the same reference, sent again, says about the first send.

    A refusal says nothing about it, as it may have come for this send only: then the reference is
    looked up. Nor does a repeat that proves itself not to have run (`never_ran`).
    """
    match provider.place_order(request):
        case Refused():
            return provider.look_up(request)
        case answer:
            return answer


def never_ran(answer: LookUp) -> bool:
    """Whether a repeat is proven not to have been sent, or not to have been let in."""
    return isinstance(answer, NotSent | Throttled | AuthFailed)
