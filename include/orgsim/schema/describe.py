"""Describe answers: the real key sets, 57 keys a field (contract E1, E2)."""

from __future__ import annotations

from typing import Any

from orgsim.schema.model import NUMBERS, SOAP_TYPES, Field, Schema, SObject


def field_describe(one: Field, sobject: SObject) -> dict[str, Any]:
    """All 57 keys of a field."""
    text = SOAP_TYPES.get(one.type, "xsd:string") == "xsd:string"
    compound = one.type in ("address", "location")
    length = one.length if text or one.type in ("id", "reference") else 0
    default = one.default if isinstance(one.default, bool) else None
    return {
        "aggregatable": not (compound or one.long_text or one.type == "boolean"),
        "aiPredictionField": False,
        "autoNumber": bool(one.auto_number),
        "byteLength": length if one.type in ("id", "reference") else length * 3,
        "calculated": one.calculated,
        "calculatedFormula": one.formula or None,
        "cascadeDelete": one.master_detail,
        "caseSensitive": one.case_sensitive,
        "compoundFieldName": None,
        "controllerName": None,
        "createable": one.createable and sobject.createable,
        "custom": one.custom,
        "defaultValue": default,
        "defaultValueFormula": None,
        "defaultedOnCreate": _defaulted(one),
        "dependentPicklist": False,
        "deprecatedAndHidden": False,
        "digits": 9 if one.type == "int" else 0,
        "displayLocationInDecimal": False,
        "encrypted": one.type == "encryptedstring",
        "externalId": one.external_id,
        "extraTypeInfo": ("plaintextarea" if one.type == "textarea" else None),
        "filterable": not (compound or one.long_text),
        "filteredLookupInfo": None,
        "formulaTreatNullNumberAsZero": False,
        "groupable": not (compound or one.long_text or one.type in NUMBERS or one.type == "datetime"),
        "highScaleNumber": False,
        "htmlFormatted": False,
        "idLookup": one.id_lookup,
        "inlineHelpText": one.help or None,
        "label": one.label,
        "length": length,
        "mask": "asterisk" if one.type == "encryptedstring" else None,
        "maskType": "all" if one.type == "encryptedstring" else None,
        "name": one.name,
        "nameField": one.name_field,
        "namePointing": one.polymorphic,
        "nillable": one.nillable and one.type != "boolean",
        "permissionable": one.custom and one.nillable and not one.master_detail,
        "picklistValues": [
            {
                "active": True,
                "defaultValue": value == one.default,
                "label": value,
                "validFor": None,
                "value": value,
            }
            for value in one.picklist
        ],
        "polymorphicForeignKey": one.polymorphic,
        "precision": one.precision,
        "queryByDistance": False,
        "referenceTargetField": None,
        "referenceTo": list(one.reference_to),
        "relationshipName": one.relationship_name,
        "relationshipOrder": 0 if one.master_detail else None,
        "restrictedDelete": False,
        "restrictedPicklist": one.restricted,
        "scale": one.scale,
        "searchPrefilterable": one.type == "reference",
        "soapType": SOAP_TYPES.get(one.type, "xsd:string"),
        "sortable": not (compound or one.long_text),
        "type": one.type,
        "unique": one.unique,
        "updateable": one.updateable and sobject.updateable,
        "writeRequiresMasterRead": False,
    }


def _defaulted(one: Field) -> bool:
    """Filled by the platform when a create leaves it out: what `required` tests must except (contract E2)."""
    system = one.name in ("Id", "IsDeleted", "OwnerId", "SystemModstamp") or one.audit
    return system or bool(one.auto_number) or one.type == "boolean" or one.default is not None


def summary(sobject: SObject, base: str) -> dict[str, Any]:
    """One entry of the global describe; ``base`` is ``/services/data/vXX.X``."""
    path = f"{base}/sobjects/{sobject.name}"
    return {
        "activateable": False,
        "associateEntityType": None,
        "associateParentEntity": None,
        "createable": sobject.createable,
        "custom": sobject.custom,
        "customSetting": sobject.name.endswith("COA_BatchConfiguration__c"),
        "deepCloneable": False,
        "deletable": sobject.deletable,
        "deprecatedAndHidden": False,
        "feedEnabled": False,
        "hasSubtypes": False,
        "isInterface": False,
        "isSubtype": False,
        "keyPrefix": sobject.prefix or None,
        "label": sobject.label,
        "labelPlural": sobject.plural,
        "layoutable": True,
        "mergeable": sobject.name in ("Account", "Contact"),
        "mruEnabled": not sobject.custom,
        "name": sobject.name,
        "queryable": True,
        "replicateable": True,
        "retrieveable": True,
        "searchable": True,
        "triggerable": sobject.createable,
        "undeletable": sobject.deletable,
        "updateable": sobject.updateable,
        "urls": {
            "rowTemplate": f"{path}/{{ID}}",
            "describe": f"{path}/describe",
            "sobject": path,
        },
    }


def full(schema: Schema, sobject: SObject, base: str, record_types: list[dict[str, Any]]) -> dict[str, Any]:
    """The describe of one object, as the integration user sees it."""
    children = []
    for child, one in schema.children(sobject.name):
        if child.tooling or schema.is_hidden(child, one):
            continue
        children.append(
            {
                "cascadeDelete": one.master_detail,
                "childSObject": child.name,
                "deprecatedAndHidden": False,
                "field": one.name,
                "junctionIdListNames": [],
                "junctionReferenceTo": [],
                "relationshipName": one.child_relationship,
                "restrictedDelete": False,
            }
        )
    answer = summary(sobject, base) | {
        "actionOverrides": [],
        "childRelationships": children,
        "compactLayoutable": True,
        "defaultImplementation": None,
        "extendedBy": None,
        "extendsInterfaces": None,
        "fields": [
            field_describe(one, sobject) for one in sobject.fields if not schema.is_hidden(sobject, one)
        ],
        "implementedBy": None,
        "implementsInterfaces": None,
        "listviewable": None,
        "lookupLayoutable": None,
        "namedLayoutInfos": [],
        "networkScopeFieldName": None,
        "recordTypeInfos": record_types,
        "searchLayoutable": True,
        "sobjectDescribeOption": "FULL",
        "supportedScopes": [{"label": f"All {sobject.plural}", "name": "everything"}],
    }
    return dict(sorted(answer.items()))
