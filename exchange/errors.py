"""The refusals of the gateway: one tree, one RFC 9457 form.

Each class says when it is raised; its `slug` is stable and documented, clients may branch on it. `title` is the same
for every occurrence, `detail` is about this one, `action` says what the caller can do. No detail ever carries a
secret or another merchant's data. Pure: how a problem travels over HTTP is in `exchange/api/problems.py`.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

PREFIX = "urn:points-exchange:problem:"


class ExchangeError(Exception):
    """When the gateway refuses. `members` are further members of the problem, plain JSON."""

    slug: ClassVar[str] = "internal-error"
    title: ClassVar[str] = "Something failed on our side"
    status: ClassVar[int] = 500
    action: ClassVar[str] = "Send the same request again later; it has had no effect."
    retry_after: int | None = None

    def __init__(self, detail: str, **members: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.members = members

    def problem(self) -> dict[str, Any]:
        return {
            "type": PREFIX + self.slug,
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "action": self.action,
            **self.members,
        }


# --- the request itself


class InvalidRequest(ExchangeError):
    """When a field is missing, unknown or of the wrong form."""

    slug = "invalid-request"
    title = "The request is not well formed"
    status = 422
    action = "Correct the named fields; the API's description has the form and an example of each."


class RequestTooLarge(ExchangeError):
    """When a body is larger than any request needs to be."""

    slug = "request-too-large"
    title = "The request is too large"
    status = 413
    action = "Send fewer items at once: 1,000 at most."


class IdempotencyKeyMissing(ExchangeError):
    """When a request that creates money has no `Idempotency-Key`."""

    slug = "idempotency-key-missing"
    title = "An Idempotency-Key is needed"
    status = 400
    action = "Send a header `Idempotency-Key` of 1 to 255 characters, a new one for each new request."


class IdempotencyKeyReused(ExchangeError):
    """When a key comes again with another request."""

    slug = "idempotency-key-reused"
    title = "This Idempotency-Key belongs to another request"
    status = 422
    action = "Use a new key for a new request; repeat a request byte for byte to read its answer again."


class RequestInFlight(ExchangeError):
    """When the same request is being worked on at this moment."""

    slug = "request-in-flight"
    title = "This very request is being worked on"
    status = 409
    action = "Repeat it in a second to read its answer."
    retry_after = 1


class NotFound(ExchangeError):
    """When a path leads nowhere."""

    slug = "not-found"
    title = "There is nothing at this address"
    status = 404
    action = "See /docs for the addresses that exist."


class MethodNotAllowed(ExchangeError):
    """When a path exists, but not with this method."""

    slug = "method-not-allowed"
    title = "This address has no such method"
    status = 405
    action = "See /docs for what this address can do."


# --- who asks


class Unauthenticated(ExchangeError):
    """When no valid API key came with the request."""

    slug = "unauthenticated"
    title = "An API key is needed"
    status = 401
    action = "Send `Authorization: Bearer <API key>` with a key that is neither revoked nor expired."


class Forbidden(ExchangeError):
    """When the key is valid but of the wrong role, or without the scope that this needs."""

    slug = "forbidden"
    title = "This API key may not do that"
    status = 403
    action = "Use a key with the role and the scope that this operation asks for."


class TooManyRequests(ExchangeError):
    """When a key or an address asks faster than it may. `wait` is in seconds."""

    slug = "too-many-requests"
    title = "Too many requests"
    status = 429
    action = "Wait as long as Retry-After says, then go on more slowly; the bulk forms take 1,000 items at once."

    def __init__(self, wait: float | str) -> None:
        seconds = 1 if isinstance(wait, str) else max(1, math.ceil(wait))
        super().__init__(f"The rate limit is used up; the next request is taken in {seconds} s.")
        self.retry_after = seconds


# --- what is not there (or not the caller's: the answer is the same)


class MerchantNotFound(ExchangeError):
    """When there is no such merchant, or it is not the caller."""

    slug = "merchant-not-found"
    title = "No such merchant"
    status = 404
    action = "Check the id; a merchant sees only itself."


class ProgrammeNotFound(ExchangeError):
    """When no programme has this slug or address."""

    slug = "programme-not-found"
    title = "No such programme"
    status = 404
    action = "GET /v1/programmes lists all of them; a new one appears once its creation is on the chain."


class CustomerNotFound(ExchangeError):
    """When there is no such customer, or it is not a member of the caller."""

    slug = "customer-not-found"
    title = "No such customer"
    status = 404
    action = "Enrol the customer with POST /v1/customers first, then repeat the request."


class PurchaseNotFound(ExchangeError):
    """When the caller has no such purchase."""

    slug = "purchase-not-found"
    title = "No such purchase"
    status = 404
    action = "Check the id or reference; a merchant sees only its own purchases."


class IntentNotFound(ExchangeError):
    """When there is no such intent."""

    slug = "intent-not-found"
    title = "No such intent"
    status = 404
    action = "Check the id that the intent was accepted under."


class HoldNotFound(ExchangeError):
    """When the caller has no hold with this id."""

    slug = "hold-not-found"
    title = "There is no such hold"
    status = 404
    action = "Check the id; holds are seen only by the merchant that made them."


class CharityNotFound(ExchangeError):
    """When no charity is registered under this slug or address."""

    slug = "charity-not-found"
    title = "No such charity"
    status = 404
    action = "GET /v1/charities lists all of them; a new one can be given to once it is on the chain."


class CampaignNotFound(ExchangeError):
    """When there is no such campaign of this charity."""

    slug = "campaign-not-found"
    title = "No such campaign"
    status = 404
    action = "GET /v1/campaigns lists all of them; a new one can be given to once it is on the chain."


class ApiKeyNotFound(ExchangeError):
    """When a merchant has no key with this prefix."""

    slug = "key-not-found"
    title = "No such API key"
    status = 404
    action = "Check the prefix, the third part of the key."


# --- what is there already


class MerchantExists(ExchangeError):
    """When the slug of a new merchant is taken."""

    slug = "merchant-exists"
    title = "There is a merchant of this slug"
    status = 409
    action = "Choose another slug, or GET the merchant that has it."


class CharityExists(ExchangeError):
    """When the slug or address of a new charity is taken."""

    slug = "charity-exists"
    title = "There is a charity of this slug or address"
    status = 409
    action = "Choose another slug, or GET the charity that has it."


class MemberConflict(ExchangeError):
    """When a member reference, or a customer, is enrolled already in another way."""

    slug = "member-conflict"
    title = "This member is enrolled otherwise"
    status = 409
    action = "Use the customer that the member has, or another member reference."


class ReferenceConflict(ExchangeError):
    """When a purchase reference comes again with other facts."""

    slug = "reference-conflict"
    title = "This reference belongs to another purchase"
    status = 409
    action = "Give every purchase a reference of its own; GET /v1/purchases?reference= shows the first."


# --- amounts


class RefundTooLarge(ExchangeError):
    """When more would be refunded than was paid."""

    slug = "refund-exceeds-purchase"
    title = "The refund is more than what is left of the purchase"
    status = 409
    action = "Refund at most what the purchase's earlier refunds have left; GET its refunds to see them."


class RefundWindowClosed(ExchangeError):
    """When the purchase's batch is no longer among those that the programme remembers."""

    slug = "refund-window-closed"
    title = "The purchase is too old for its points to be taken back"
    status = 409
    action = "Refund the money; the points stay with the customer."


class InvalidAmount(ExchangeError):
    """When an amount is no decimal number, negative, zero, or has too many decimals."""

    slug = "invalid-amount"
    title = "The amount is not usable"
    status = 422
    action = 'Send a positive decimal string such as "12.34", with no more decimals than the unit has.'


class AmountTooLarge(ExchangeError):
    """When an amount is beyond what one entry may carry."""

    slug = "amount-too-large"
    title = "The amount is too large"
    status = 422
    action = "Split it, or check for a misplaced decimal point."


class WrongCurrency(ExchangeError):
    """When a purchase is in another currency than the merchant's."""

    slug = "wrong-currency"
    title = "The merchant does not trade in this currency"
    status = 422
    action = "Report the purchase in the merchant's own currency."


class InvalidPurchaseTime(ExchangeError):
    """When a purchase lies in the future, or before 1970."""

    slug = "invalid-purchase-time"
    title = "The time of purchase is not possible"
    status = 422
    action = "Send the time of the sale as RFC 3339 with its offset, and check the clock of the till."


class InvalidAddress(ExchangeError):
    """When an address is not 20 bytes of hex, or fails its checksum."""

    slug = "invalid-address"
    title = "This is not an address"
    status = 422
    action = "Send 0x and 40 hex digits, all in one case or with a right EIP-55 checksum."


# --- intents


class NotEnoughPoints(ExchangeError):
    """When the holder has fewer points than wanted, pending intents and holds counted."""

    slug = "not-enough-points"
    title = "The holder has too few points"
    status = 409
    action = "Ask for less, or wait until points earned lately are confirmed."


class HoldClosed(ExchangeError):
    """When a hold was captured or released, or its time ran out."""

    slug = "hold-closed"
    title = "The hold is no longer open"
    status = 409
    action = "Authorise a new hold."


class HoldExceeded(ExchangeError):
    """When more would be captured than was set aside."""

    slug = "hold-exceeded"
    title = "The hold is smaller"
    status = 409
    action = "Capture at most the amount of the hold, or release it and authorise a larger one."


class TooManyStreams(ExchangeError):
    """When as many long answers as this process gives at a time are under way."""

    slug = "too-many-streams"
    title = "Too many streams are open"
    status = 429
    action = "Close another stream, or ask again after the time in Retry-After."
    retry_after = 5


class InvalidPeriod(ExchangeError):
    """When a period ends before it begins."""

    slug = "invalid-period"
    title = "The period is empty"
    status = 422
    action = "Give an end after the start; the end is not part of the period."


class WebhookUrlRefused(ExchangeError):
    """When an endpoint's URL is not https, has no host, or carries a user, a password or a fragment."""

    slug = "webhook-url-refused"
    title = "Webhooks are not sent to such a URL"
    status = 422
    action = "Give an https URL without a user, a password and a fragment."


class WebhookAddressRefused(ExchangeError):
    """When an endpoint's URL names an address that is not of the public internet."""

    slug = "webhook-address-refused"
    title = "Webhooks are sent to public addresses only"
    status = 422
    action = "Give an endpoint that can be reached from the public internet."


class WebhookNotFound(ExchangeError):
    """When the merchant has no such endpoint, or the endpoint no such event."""

    slug = "webhook-not-found"
    title = "There is no such endpoint or event"
    status = 404
    action = "List the endpoints with GET /v1/webhooks, and their events with GET /v1/webhooks/{id}/deliveries."


class TooManyWebhooks(ExchangeError):
    """When a merchant has as many endpoints as it may have."""

    slug = "too-many-webhooks"
    title = "The merchant has no room for another endpoint"
    status = 409
    action = "Remove an endpoint first, or let one of them receive more kinds of events."


class NotEnoughMargin(ExchangeError):
    """When a programme's margin cannot pay for this swap or gift."""

    slug = "not-enough-margin"
    title = "The programme's margin is too low"
    status = 409
    action = "Ask for less, or wait until the programme has added margin."


class QuoteExpired(ExchangeError):
    """When one of the programmes has no valid quote now."""

    slug = "quote-expired"
    title = "There is no valid quote"
    status = 409
    action = "Wait until the programme posts a new quote."


class NotPartners(ExchangeError):
    """When the pair has not been opened by both programmes."""

    slug = "not-partners"
    title = "These programmes do not trade with each other"
    status = 409
    action = "Choose another programme; both must have opened the pair."


class DailyCapReached(ExchangeError):
    """When the programme's daily cap on value out is used up."""

    slug = "daily-cap-reached"
    title = "The programme's daily cap is used up"
    status = 409
    action = "Ask for less, or try again tomorrow (UTC)."


class SupplyCapReached(ExchangeError):
    """When a swap would take a programme beyond its supply cap."""

    slug = "supply-cap-reached"
    title = "The programme cannot issue that many points"
    status = 409
    action = "Ask for less, or choose another programme."


class BelowMinimum(ExchangeError):
    """When a swap would give less than the holder's minimum."""

    slug = "below-minimum"
    title = "The swap would give less than the minimum"
    status = 409
    action = "Ask for a new quote with GET /v1/swaps/quote and sign a minimum that it meets."


class WorthNothing(ExchangeError):
    """When the points are too few to be worth one unit."""

    slug = "worth-nothing"
    title = "The points are too few to be worth anything"
    status = 409
    action = "Use more points."


class CampaignEnded(ExchangeError):
    """When the campaign is over."""

    slug = "campaign-ended"
    title = "The campaign has ended"
    status = 409
    action = "Give to the charity without a campaign, or to another campaign."


class NonceUsed(ExchangeError):
    """When another intent of this holder and programme carries this nonce."""

    slug = "nonce-used"
    title = "This nonce has been used"
    status = 409
    action = "Take the nonce that POST /v1/intents/draft suggests and sign again."


class NonceOutOfWindow(ExchangeError):
    """When a nonce is too far from those used before."""

    slug = "nonce-out-of-window"
    title = "This nonce cannot be used now"
    status = 422
    action = "Take the nonce that POST /v1/intents/draft suggests and sign again."


class DeadlinePassed(ExchangeError):
    """When an intent's deadline is not in the future."""

    slug = "deadline-passed"
    title = "The deadline has passed"
    status = 422
    action = "Sign the intent again with a later deadline."


class BadSignature(ExchangeError):
    """When a signature is malformed, or not the holder's over this very intent."""

    slug = "bad-signature"
    title = "The signature is not the holder's over this intent"
    status = 422
    action = "Sign exactly what POST /v1/intents/draft answers, with the holder's key."


class NotCustodial(ExchangeError):
    """When a merchant acts for a customer that keeps its own key."""

    slug = "not-custodial"
    title = "The customer keeps its own key"
    status = 409
    action = "Let the customer sign the intent: POST /v1/intents/draft, then POST /v1/intents."


class OwnerSignatureNeeded(ExchangeError):
    """When a programme's owner keeps its own key and must sign the act itself; `typed_data` is what to sign."""

    slug = "owner-signature-needed"
    title = "The programme's owner must sign this"
    status = 409
    action = "Sign `typed_data` with the owner's key and repeat the request with `nonce`, `until` and `signature`."


# --- our own state


class OperatorNotReady(ExchangeError):
    """When the operator's lane, which pays for setting things up, is not known yet."""

    slug = "operator-not-ready"
    title = "The operator's lane is not set up"
    status = 503
    action = "Start the relayer, which registers its lanes, and repeat the request."
    retry_after = 5


class Overloaded(ExchangeError):
    """When more requests wait for their turn than can be served soon."""

    slug = "overloaded"
    title = "Too many requests at once"
    status = 503
    action = "Send the same request again, with the same Idempotency-Key, after the time in Retry-After."
    retry_after = 1


class DatabaseUnavailable(ExchangeError):
    """When the database cannot be reached, or did not answer in time."""

    slug = "database-unavailable"
    title = "The database cannot be reached"
    status = 503
    action = "Send the same request again, with the same Idempotency-Key, after the time in Retry-After."
    retry_after = 2


class MirrorUnavailable(ExchangeError):
    """When the copy of the chain is being rebuilt, so that nothing can be said about balances."""

    slug = "mirror-unavailable"
    title = "The copy of the chain is being rebuilt"
    status = 503
    action = "Send the same request again after the time in Retry-After; purchases are accepted meanwhile."
    retry_after = 10
