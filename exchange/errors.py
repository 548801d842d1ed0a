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


class SignInNeeded(ExchangeError):
    """When a customer's request has no session, or one that has ended."""

    slug = "sign-in-needed"
    title = "A customer must sign in"
    status = 401
    action = "Sign in with a passkey or a wallet (POST /v1/sign-in/…), then repeat the request with the cookie."


class FreshSignInNeeded(ExchangeError):
    """When what is wanted needs a sign-in of the last minutes."""

    slug = "fresh-sign-in-needed"
    title = "This needs a sign-in of the last minutes"
    status = 403
    action = "Sign in again (POST /v1/sign-in/…), then repeat the request within five minutes."


class ForeignOrigin(ExchangeError):
    """When a request that signs in, or changes something by a cookie, does not come from our own pages."""

    slug = "foreign-origin"
    title = "The request does not come from our own pages"
    status = 403
    action = "Send it from a page of the gateway's origin: browsers then add the right header Origin."


class SignInRefused(ExchangeError):
    """When the answer to a sign-in's challenge is not right."""

    slug = "sign-in-refused"
    title = "The sign-in was refused"
    status = 403
    action = "Ask for a new challenge and sign exactly that, with the passkey or the wallet that you have here."


class PinNeeded(ExchangeError):
    """When a card customer spends so much that the merchant asks for the PIN, and none came."""

    slug = "pin-needed"
    title = "The card's PIN is needed"
    status = 403
    action = "Let the customer type the PIN at the till and send it as `pin`."


class PinRefused(ExchangeError):
    """When a PIN is not the card's."""

    slug = "pin-refused"
    title = "The PIN is wrong"
    status = 403
    action = "Let the customer try again; after five wrong tries the merchant must unlock the card."


class PinWait(ExchangeError):
    """When a card's PIN was wrong so often that the next try has to wait. `wait` is in seconds."""

    slug = "pin-wait"
    title = "The next try of the PIN must wait"
    status = 429
    action = "Wait as long as Retry-After says; the right PIN is not taken before either."

    def __init__(self, wait: int | str) -> None:
        seconds = 1 if isinstance(wait, str) else wait
        super().__init__(f"The next PIN is looked at in {seconds} s.")
        self.retry_after = seconds


class PinLocked(ExchangeError):
    """When a card's PIN was wrong five times."""

    slug = "pin-locked"
    title = "The card is locked"
    status = 403
    action = "The merchant unlocks it with DELETE /v1/customers/{id}/pin/lock, or gives a code for a new PIN."


class PinTooEasy(ExchangeError):
    """When a new PIN is one digit repeated, a run, a short pattern, a year or a well-known one."""

    slug = "pin-too-easy"
    title = "This PIN is too easy to guess"
    status = 422
    action = "Let the customer choose another one, of 4 to 12 digits."


class CodeRefused(ExchangeError):
    """When a one-time code is unknown, used or too old."""

    slug = "code-refused"
    title = "The one-time code is not good"
    status = 403
    action = "Ask the merchant for a new code; each works once."


class CredentialExists(ExchangeError):
    """When a passkey is a customer's already, or is the last one."""

    slug = "credential-exists"
    title = "This passkey is in use"
    status = 409
    action = "Sign in with it; or attach another one before you remove it."


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


class SessionNotFound(ExchangeError):
    """When the customer has no such session, or it has ended."""

    slug = "session-not-found"
    title = "No such session"
    status = 404
    action = "GET /v1/me/sessions lists those that there are."


class CredentialNotFound(ExchangeError):
    """When the customer has no such passkey."""

    slug = "credential-not-found"
    title = "No such passkey"
    status = 404
    action = "GET /v1/me/credentials lists those that there are."


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


class LinkCodeRefused(ExchangeError):
    """When a link code is unknown, has expired, or was used by another merchant."""

    slug = "link-code-refused"
    title = "The link code is not usable"
    status = 409
    action = "Ask for a new code where the customer is a member: it lasts ten minutes and serves one merchant."


class PurchaseErased(ExchangeError):
    """When what a key stands for was erased with its customer."""

    slug = "purchase-erased"
    title = "The purchase's customer was erased"
    status = 410
    action = "Do nothing: the points were minted, and nothing is known of whom they were for."


class NotYetFinal(ExchangeError):
    """When a customer cannot be erased because something of theirs is still on its way."""

    slug = "not-yet-final"
    title = "Something of the customer is not final yet"
    status = 409
    action = "Release open holds, wait until all else is final on the chain, then repeat the request."
    retry_after = 60


class NothingMinted(ExchangeError):
    """When a proof is wanted of a purchase for which nothing was or will be minted."""

    slug = "nothing-minted"
    title = "Nothing is minted for this purchase"
    status = 409
    action = "Keep the receipt itself, or that of the refund which undid it: the issuer's signature is all there is."


class NotOnTheChainYet(ExchangeError):
    """When a proof is wanted of a purchase that is in no block yet."""

    slug = "not-on-the-chain-yet"
    title = "The purchase is in no block yet"
    status = 409
    action = "Repeat the request once GET /v1/purchases/{id} says that the purchase is confirmed or final."
    retry_after = 5


class BatchForgotten(ExchangeError):
    """When a proof is wanted of a purchase whose batch the contract keeps nothing of any more."""

    slug = "batch-forgotten"
    title = "The contract keeps nothing of this batch any more"
    status = 409
    action = (
        "Let `points audit` prove it: it derives every batch from the chain's history. What the holder has now is"
        " proved by GET /v1/holders/{holder}/balances/{programme}/proof."
    )


class PointsRemain(ExchangeError):
    """When a card customer that is to be erased still has points."""

    slug = "points-remain"
    title = "The customer still has points"
    status = 409
    action = (
        "Let the customer spend or send them, or give them to a charity (POST /v1/customers/{id}/give), and repeat the"
        " request once that is final; or send `forfeit: true`, and nobody can ever spend them again."
    )


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


class PeriodTooLong(ExchangeError):
    """When a period is more lines than one answer has."""

    slug = "period-too-long"
    title = "The period is too long"
    status = 422
    action = "Ask for less at a time, or for months instead of days."


class BlockNotReached(ExchangeError):
    """When an answer is asked for as of a block that the copy of the chain has not, or not yet."""

    slug = "block-not-reached"
    title = "This block is not known"
    status = 409
    action = "Ask as of a block that `as_of` of an answer named, or leave `block` out for the newest."


class InvalidEstimate(ExchangeError):
    """When an accounting estimate is not a day, a price and perhaps a share."""

    slug = "invalid-estimate"
    title = "The estimate is not usable"
    status = 422
    action = (
        'Send `estimate` as "2026-01-01,0.10,0.85": from when on, a point\'s price, and the share redeemed, if known.'
    )


class SettlementPriceNeeded(ExchangeError):
    """When revenue depends on settlement tokens and nothing says what one is worth."""

    slug = "settlement-price-needed"
    title = "The price of a settlement token is needed"
    status = 422
    action = "Send `settlement_price`, what one is worth in the merchant's currency."


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


class NoRecovery(ExchangeError):
    """When no recovery of the holder's points is due."""

    slug = "no-recovery"
    title = "No recovery of these points is due"
    status = 409
    action = "GET /v1/merchants/{id}/recoveries/{holder} says whether there is one and when it is due."


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


class ChainUnavailable(ExchangeError):
    """When the node does not answer what only it can."""

    slug = "chain-unavailable"
    title = "The chain cannot be asked"
    status = 503
    action = "Send the same request again after the time in Retry-After."
    retry_after = 5


class MirrorUnavailable(ExchangeError):
    """When the copy of the chain is being rebuilt, so that nothing can be said about balances."""

    slug = "mirror-unavailable"
    title = "The copy of the chain is being rebuilt"
    status = 503
    action = "Send the same request again after the time in Retry-After; purchases are accepted meanwhile."
    retry_after = 10
