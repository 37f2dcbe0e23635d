"""What Salesforce wants a case for when partner business orgs are consolidated, and what breaks when it is late.

From article 000389952 (review and approval; LMA, AgentExchange listings and Partner Community are separate cases) and
from the ISVforce guide's list of what lives in a partner business org (appexchange_partner_pbo_reference). The texts of
the cases are templates of `coa.report`, one file a topic.
"""

from __future__ import annotations

from dataclasses import dataclass

from coa.codes import CaseTopic, Scenario


@dataclass(frozen=True)
class Topic:
    """`field`: of the gate's form. `late`: what breaks when the case is late."""

    code: CaseTopic
    title: str
    field: str
    late: str
    from_article: bool = False


TOPICS = (
    Topic(
        CaseTopic.CONSOLIDATION,
        "Consolidation: review and approval",
        "approval_case",
        "Nothing may be consolidated. Contract terms and catalog are missing in the target, and orders that need "
        "them are blocked.",
        from_article=True,
    ),
    Topic(
        CaseTopic.LMA,
        "License Management App (LMA)",
        "lma_case",
        "New installations and trials go on creating leads and licenses in the org that is given up; seats and expiry "
        "can be changed there only.",
        from_article=True,
    ),
    Topic(
        CaseTopic.AGENTEXCHANGE,
        "AgentExchange listings and publishing org",
        "agentexchange_case",
        "Listings stay tied to the org that is given up: their leads arrive there, and new package versions cannot be "
        "listed from the org that stays.",
        from_article=True,
    ),
    Topic(
        CaseTopic.CHECKOUT,
        "Checkout",
        "checkout_case",
        "Subscriptions sold through Checkout are reported to the org that is given up, and licenses are no longer "
        "changed by their payments.",
    ),
    Topic(
        CaseTopic.PARTNER_COMMUNITY,
        "Partner Community users",
        "community_case",
        "Your users lose the Partner Community, and with it the way to log cases, "
        "when the org that is given up closes.",
        from_article=True,
    ),
    Topic(
        CaseTopic.ENVIRONMENT_HUB,
        "Environment Hub and Dev Hub",
        "environment_hub_case",
        "Scratch orgs, second-generation packages and namespaces are tied to the Dev Hub: no new package version can "
        "be made. Partner Developer Editions can only be created from the hub.",
    ),
    Topic(
        CaseTopic.TRIALFORCE,
        "Trialforce templates",
        "trialforce_case",
        "Trials from your web site and your listings fail, for sign-ups name templates of the org that is given up.",
    ),
    Topic(
        CaseTopic.COA_CONNECTION,
        "Connection of the Channel Order App",
        "coa_connection_case",
        "No order can be submitted from the org that stays, and its contract terms and catalog are not refreshed. "
        "Orders under way go on reporting to the org that is given up.",
    ),
)
BY_CODE = {topic.code: topic for topic in TOPICS}

SCENARIOS = {
    Scenario.INTO_OWN: "An acquired partner's org is merged into our own",
    Scenario.INTO_OTHER: "Our org is merged into the other partner's",
    Scenario.TAKEN_OVER: "The other partner's org is taken over whole",
}
