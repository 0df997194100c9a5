"""What an installer's `headroom commission` needs: what the site runs with, trial limits, and a signature."""

from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field

from domain.ids import EvseId, SiteId
from domain.site import Phase
from ems.failsafe import Proof, prove
from ems.phase_mapping import metered_feeder
from headroom.access.roles import Caller
from headroom.access.seals import Seal, public_key, signed
from headroom.api.entry import caller_of
from headroom.api.problems import ApiError
from headroom.control_loop import SiteController
from headroom.service import Service
from headroom.trial_limits import TrialLimit
from inventory import access

_KEY = "seals"


class EvseTerms(BaseModel):
    """What one EVSE is run with."""

    evse: str
    charger: str
    connector: int
    feeder: str
    phases: list[Phase]
    path: list[str] = Field(description="the feeders above it, the nearest first")
    metered_by: str | None = Field(description="the nearest feeder whose meter sees it; null: none does")
    min_a: float
    max_a: float
    failsafe_a: float
    failsafe_proven: bool
    response_s: float
    hold_s: float = Field(description="how long a limit holds without a link before the fall-back: the dead-man time")


class ProofLineDocument(BaseModel):
    """One phase of a feeder in the fail-safe proof."""

    feeder: str
    phase: Phase
    group: str | None
    failsafe_a: float
    base_a: float | None
    usable_a: float
    holds: bool


class TermsDocument(BaseModel):
    """What a site is run with, as far as commissioning asks."""

    site: str
    at: datetime
    accept_unproven_failsafe: bool
    evses: list[EvseTerms]
    proof_holds: bool
    proof: list[ProofLineDocument]


class TrialRequest(BaseModel):
    """A limit for a while."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"limit_a": 8, "seconds": 120}})
    limit_a: float = Field(ge=0, le=10_000, description="A per conductor; it never raises, and never goes below min_a")
    seconds: float = Field(gt=0, le=900)


class TrialDocument(BaseModel):
    """A trial limit that stands."""

    evse: str
    limit_a: float
    ends_at: datetime


class SealRequest(BaseModel):
    """What is to be signed."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"digest": "0" * 64}})
    digest: str = Field(pattern="^[0-9a-f]{64}$", description="SHA-256 of the record, in hexadecimal")


class SealDocument(BaseModel):
    """A signature of this installation: that it was shown this record, when, and by whom."""

    model_config = ConfigDict(from_attributes=True)
    site: str
    digest: str
    at: datetime
    by: str
    public_key: str = Field(description="Ed25519, base64")
    signature: str = Field(description="Ed25519 over the other fields, base64")


class PublicKeyDocument(BaseModel):
    """The key by which seals of this installation are known."""

    public_key: str = Field(description="Ed25519, base64")


def router(service: Service) -> APIRouter:
    """`/sites/{site}/commissioning`, `/sites/{site}/seals`, `/evses/{evse}/trial-limit`, `/seal-key`."""
    routes = APIRouter(tags=["commissioning"])

    @routes.get("/sites/{site}/commissioning")
    async def terms(site: SiteId) -> TermsDocument:
        """What the site's EVSEs and fall-backs are run with, and the fail-safe proof that follows from it."""
        controller = service.controller(site)
        return _terms(controller, prove(controller.site), service.clock.now())

    @routes.put("/evses/{evse}/trial-limit")
    async def put(evse: EvseId, body: TrialRequest) -> TrialDocument:
        """Lower one EVSE for a while: for load steps at a meter. It ends by itself."""
        controller = service.controller_of_evse(evse)
        limit = TrialLimit(body.limit_a, service.clock.now() + timedelta(seconds=body.seconds))
        controller.trials.put(evse, limit)
        controller.trigger(f"a trial limit at {evse}")
        return TrialDocument(evse=evse, limit_a=limit.limit_a, ends_at=limit.ends_at)

    @routes.delete("/evses/{evse}/trial-limit", status_code=204)
    async def lift(evse: EvseId) -> None:
        """End a trial limit before its time."""
        controller = service.controller_of_evse(evse)
        if not controller.trials.lift(evse):
            raise ApiError(404, "No such limit", f"no trial limit stands at {evse}")
        controller.trigger(f"a trial limit at {evse} was lifted")

    @routes.post("/sites/{site}/seals", status_code=201)
    async def seal(site: SiteId, body: SealRequest, caller: Annotated[Caller, Depends(caller_of)]) -> SealDocument:
        """Sign the digest of a commissioning record with the key of this installation."""
        found = service.controller(site).site.id
        made = signed(await _secret(service), Seal(found, body.digest, service.clock.now(), caller.name))
        return SealDocument.model_validate(made)

    @routes.get("/seal-key")
    async def key() -> PublicKeyDocument:
        """The public key of this installation, to be compared with that of a report."""
        return PublicKeyDocument(public_key=public_key(await _secret(service)))

    return routes


async def _secret(service: Service) -> bytes:
    if _KEY not in service.keys:
        service.keys[_KEY] = await service.store.transact(lambda conn: access.signing_key(conn, _KEY))
    return service.keys[_KEY]


def _terms(controller: SiteController, proof: Proof, now: datetime) -> TermsDocument:
    site = controller.site
    evses = []
    for evse in site.evses:
        metered = metered_feeder(site, evse)
        evses.append(
            EvseTerms(
                evse=evse.id,
                charger=evse.charger,
                connector=evse.connector,
                feeder=evse.feeder,
                phases=list(evse.phases),
                path=[feeder.id for feeder in site.path(evse.feeder)],
                metered_by=None if metered is None else metered.id,
                min_a=evse.min_a,
                max_a=evse.max_a,
                failsafe_a=evse.failsafe_a,
                failsafe_proven=evse.failsafe_proven,
                response_s=evse.response_s,
                hold_s=controller.picture.hold_s(evse.id),
            )
        )
    lines = [
        ProofLineDocument(
            feeder=line.feeder,
            phase=line.phase,
            group=line.group,
            failsafe_a=line.failsafe_a,
            base_a=line.base_a,
            usable_a=line.usable_a,
            holds=line.holds,
        )
        for line in proof.lines
    ]
    return TermsDocument(
        site=site.id,
        at=now,
        accept_unproven_failsafe=site.accept_unproven_failsafe,
        evses=evses,
        proof_holds=proof.holds,
        proof=lines,
    )
