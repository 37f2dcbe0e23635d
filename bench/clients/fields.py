"""What the peers are told to move: every field that both orgs have and the target lets be created."""

from __future__ import annotations

from bench.check import CUSTOMER, DETAIL, KEY, NS, ORDER, PARENT
from bench.clients.naive import LEFT_OUT, Move

PRODUCT_OF_DETAIL, CONTRACT_OF_DETAIL = NS + "Product_Name__c", NS + "pc_Partner_Contract_Term__c"
CONTRACT_OF_ORDER, CLONED = NS + "Partner_Contract_Rules__c", NS + "Cloned_Service_Order__c"
CUSTOMER_OF_ORDER, OPPORTUNITY = NS + "Customer__c", NS + "Related_Opportunity__c"
ACCOUNT = NS + "Account__c"

__all__ = ["CUSTOMER", "DETAIL", "KEY", "LEFT_OUT", "NS", "ORDER", "PARENT", "carried"]


def carried(source_url: str, target_url: str) -> dict[str, list[str]]:
    """Fields of customers, orders and details, without the migration key."""
    move = Move(source_url, target_url, 0.1)
    return {name: move.fields(name) for name in (CUSTOMER, ORDER, DETAIL)}
