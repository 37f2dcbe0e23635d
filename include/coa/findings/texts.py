"""What findings say, and what to do next: one entry for each code.

`coa.finding` keeps the code, by which code decides, and the filled sentences, which people read. To add a finding: an
entry here, a row in docs/preflight.md, and the check that calls `finding` with it. Placeholders are those of
`coa.wording.filled`; `tests/unit/test_findings.py` compares them with the facts that the checks give.
A key with a colon is a variant of the sentence of the code before the colon.
"""

from __future__ import annotations

from coa.wording import Text

DEPLOY = (
    "make setup-target, or the DAG coa_setup_target (docs/setup-target.md); or deploy include/salesforce_metadata to "
    "the target and assign its permission set COA_Migration to the user of the connection coa_target."
)
ADMIN_USER = "assign the permission set COA Admin User to that user."
SWITCH_OFF = "for the load, switch off what must not act on historical orders; switch it on again afterwards."
ALLOWANCE = "run again when the 24-hour allowance has recovered, or raise chunk_size."
MOVE_LATER = "move them afterwards with id_map.csv, or accept that they stay behind."
REFRESH = "refresh the target's Channel Order App (Partner Contract Terms > Refresh Data)"
CATALOG = "have Salesforce correct the target's terms or catalog, or accept the difference."


def _each_role(code: str, text: Text) -> dict[str, Text]:
    return {f"{code}_{role}": text for role in ("source", "target")}


def _left_behind(what: str) -> Text:
    return Text(f"{{count}} {what} belong to COA records of the source and are not moved.", MOVE_LATER)


def _automation(what: str, next_step: str = SWITCH_OFF) -> Text:
    return Text(f"{{count}} {what} of the target act on {{sobject}}: {{names}}.", next_step)


def _matching(what: str, mapped: str = "") -> tuple[Text, Text]:
    """Not found, ambiguous."""
    mend = f", or map them in the mapping file ({mapped}); mapping_template.yaml is a start" if mapped else ""
    used = " in use" if mapped else ""
    return (
        Text(f"{{count}} {what}{used} are not in the target: {{names}}.", f"{REFRESH}{mend}."),
        Text(
            f"{{count}} {what}{used} fit several records of the target equally well: {{names}}.",
            f"{REFRESH}{mend}.",
        ),
    )


CONTRACTS = _matching("contract terms", "contracts")
PRODUCTS = _matching("products", "products")
PRICEBOOK_ENTRIES = _matching("pricebook entries")

ORGS: dict[str, Text] = {
    "same_org": Text(
        "The connections coa_source and coa_target lead to the same org {org_id} ({name}).",
        "point coa_target at the org that the orders are to be moved to.",
    ),
    "orgs_swapped": Text(
        "The source has the migration fields ({key}) and the target has none: the connections coa_source "
        "and coa_target look swapped.",
        "swap the two connections; if they are right, deploy the fields to the target: make setup-target.",
    ),
    # What stands in the way of a connection is told by the error itself.
    **_each_role("connection", Text("{said}", "{remedy}")),
    **{
        f"connection_{role}:old_api": Text(
            "The {role} org is asked by API version {version}; Bulk API 2.0 queries need {needed} or newer.",
            "take the extra `version` out of the connection coa_{role}, or use an org that offers a newer version.",
        )
        for role in ("source", "target")
    },
    **_each_role(
        "connection_extra_unknown",
        Text(
            "The connection {connection} has unknown extras: {extras}.",
            "correct their names, or remove them; docs/connect-your-orgs.md lists the known ones.",
        ),
    ),
    **_each_role(
        "coa_missing",
        Text(
            "The {role} org (connection coa_{role}) does not show {objects}.",
            "install or update the Channel Order App there, or assign the permission set COA Admin User to the user.",
        ),
    ),
    "package_older": Text(
        "The target has version {target} of the Channel Order App, the source {source}: fields, lengths and "
        "picklist values of the newer version may be missing.",
        "update the app in the target before the migration.",
    ),
    "currencies_differ": Text(
        "Currencies of the source that the target lacks: {names}. Records in them are blocked (currency_missing).",
        "add or activate those in use in the target (Setup, Manage Currencies).",
    ),
    "currency_rates_differ": Text(
        "The orgs convert by other rates: {names}. Amounts arrive in the currency of their record; what an org "
        "converts itself is another number: sums in reports, and totals of orders with details in another currency.",
        "nothing, if this is wanted; else give the target the source's rates (Setup, Manage Currencies).",
    ),
    **_each_role(
        "currency_rates_dated",
        Text(
            "The {role} has dated conversion rates. They apply to opportunities; records of the app are converted by "
            "the rates of today, and their amounts arrive in the currency of their record.",
            "nothing; the dated rates themselves are set up in the target by hand.",
        ),
    ),
    "validation_rules_off": Text(
        "The target does not enforce {count} validation rules of the package: {rules}. Records that they would "
        "refuse are not blocked.",
        "nothing, if they are meant to be off.",
    ),
    "workflow_rules_off": Text(
        "The target has switched off {count} workflow rules of the package: {rules}. The migration does not rely on "
        "them.",
        "when the last load is over, switch them on again: {clicks}.",
    ),
    "workflow_rules_off:in_a_load": Text(
        "The target has switched off {count} workflow rules of the package: {rules}. They were off when an earlier "
        "run loaded; while they are off, your own new orders are not treated as the package intends.",
        "when the last load is over, switch them on again: {clicks}.",
    ),
    **_each_role(
        "not_checked",
        Text(
            "The {role} org did not let us check: {topics}.",
            "look at these in the {role} org's Setup, or give the user of coa_{role} the permission View Setup and "
            "Configuration and run preflight again.",
        ),
    ),
    "orders_where_refused": Text(
        "The source refuses the param orders_where: {said}.",
        "correct orders_where: a SOQL condition on fields of Service Order, without the word WHERE.",
    ),
    "orders_where_empty": Text(
        "No order of the source matches orders_where.", "widen it, unless nothing is to be moved."
    ),
    "mapping_without_source": Text(
        "Mapping file, line {line}: `sources` has no section for this source, org {org_id}, connection "
        "{connection}.",
        "name a section {org_id} or {connection}, unless the rest of the file is enough for this source.",
    ),
    "mapping_wrong": Text("{said}", "correct the mapping file and run preflight again."),
}

RIGHTS_AND_FIELDS: dict[str, Text] = {
    "migration_fields_missing": Text("The target's {sobject} has no writeable field {fields}.", DEPLOY),
    "migration_key_not_unique": Text(
        "{sobject}.{field} of the target is not a unique external id, so nothing would stop a record from being "
        "created twice.",
        DEPLOY,
    ),
    "migration_field_type": Text(
        "{sobject}.{field} of the target is {found}; it has to be {needed}.", DEPLOY
    ),
    "ledger_missing": Text(
        "Orders of {source} were moved into this target before, and the migration fields, which say which they are, "
        "were removed since. This staging database does not know them: every one would be created a second time.",
        "run with the staging database of that migration, or import the id map that the removal exported: "
        "make setup-target IMPORT=id_map-{target}-....csv (docs/setup-target.md).",
    ),
    "masking_needs_sandbox": Text(
        "The mapping file masks values, and the target {org_id} ({name}) is no sandbox: masked orders in a production "
        "org would be taken for real ones.",
        "point the target's connection at a sandbox, or take masking out of the mapping file.",
    ),
    "masking_not_of_files": Text(
        "The mapping file masks values, and what {params} would take along cannot be masked.",
        "leave attachments and activities at report and history at off in a rehearsal.",
    ),
    "rehearsal_in_target": Text(
        "The target holds {count} records of a rehearsal with masked values (run {run}): "
        "real ones would stand beside them.",
        "roll the rehearsal back by coa_rollback, or refresh the sandbox, which gives it another org id; "
        "then run again.",
    ),
    "rehearsal_in_target:real": Text(
        "The target holds {count} records that were moved unmasked (run {run}): a rehearsal would put masked ones "
        "beside them, and the names are there already.",
        "rehearse in a sandbox that holds none of them, or roll that run back first.",
    ),
    "field_not_writeable": Text(
        "The user of coa_target may not write {sobject}.{field}, which each new record needs.", ADMIN_USER
    ),
    "no_right_to_write": Text("The user of coa_target may not create and edit {sobject}.", ADMIN_USER),
    "field_not_updateable": Text("The user of coa_target may not edit {sobject}.{field}.", ADMIN_USER),
    "audit_fields_not_writeable": Text(
        "The user of coa_target may not set {field} of {sobject}: every record would get the time of the load.",
        "switch on 'Set Audit Fields upon Record Creation' in Setup > User Interface and give the user that "
        "permission and Modify All Data, or set created_dates to auto or off.",
    ),
    **_each_role(
        "not_all_records_visible",
        Text(
            "The user of coa_{role} sees only the {sobject} that are shared with it.",
            "assign the permission set COA Admin User or View All Data to that user.",
        ),
    ),
    "inactive_owner_permission": Text(
        "The user of coa_target may not update records of inactive owners: an owner who is deactivated between two "
        "runs makes the org refuse later changes.",
        "give the user 'Update Records with Inactive Owners' (Setup > User Interface switches it on).",
    ),
    "hard_delete_permission": Text(
        "The user of coa_target may not hard-delete by Bulk API: a roll-back puts records into the recycle "
        "bin, where they count against storage for 15 days.",
        "nothing, unless that storage is needed.",
    ),
    "type_differs": Text(
        "{sobject}.{field} is {conflict}.",
        "change the target's field, or drop or rename the field in the mapping file.",
    ),
    "required_without_source": Text(
        "The target requires {sobject}.{field}, and the source has no such field.",
        "give it a constant or a default in the mapping file, or make it optional in the target.",
    ),
    "field_not_carried": Text(
        "{sobject}.{field} holds data in {count} records and is not carried: {why}.",
        "create the field in the target and give the user write access, or accept the loss.",
    ),
    "field_hidden": Text(
        "{sobject}.{field} is not visible in the {roles}: {because}, and its values would be lost unseen.",
        "give the user of {connections} read access to it (field-level security); if it is not wanted, or the org "
        "has no such field, drop it in the mapping file, or set hidden_fields to report.",
    ),
    "field_hidden:needed": Text(
        "{sobject}.{field} is not visible in the {roles}: {because}, and its values would be lost unseen.",
        "give the user of {connections} read access to it (field-level security); if it is not wanted, or the org "
        "has no such field, drop it in the mapping file.",
    ),
    **{
        f"field_masked_{role}:{policy}": Text(
            "{sobject}.{field} is encrypted, and the user of coa_{role} sees only its mask. " + effect,
            "give the user of coa_{role} the permission View Encrypted Data, or drop the field in the mapping file.",
        )
        for role in ("source", "target")
        for policy, effect in (
            ("block_record", "Records with a value in it are blocked."),
            ("stop", "A record with a value in it stops the run."),
        )
    },
}

AUTOMATION_AND_ROOM: dict[str, Text] = {
    "partner_triggers": _automation("Apex triggers"),
    "partner_flows": _automation("record-triggered flows"),
    "partner_flows:object_unknown": Text(
        "The target has {count} active record-triggered flows and does not say on which objects: {names}.",
        f"look up which of them start from COA objects; {SWITCH_OFF}",
    ),
    "partner_validation_rules": _automation(
        "own validation rules",
        "check whether historical records pass them; a record that does not is refused by the org and listed.",
    ),
    "partner_workflow_rules": _automation("own workflow rules"),
    "submit_jobs": Text(
        "{count} scheduled jobs or flows of the target could submit Draft orders to Salesforce: {names}. While "
        "they are loaded, orders are Drafts for a short time.",
        "pause them while the load runs; if you have checked that they are harmless, set accept_submit_jobs to true.",
    ),
    "submit_jobs_not_checked": Text(
        "The target does not let us see its scheduled Apex: a job that submits Draft orders could send historical "
        "orders to Salesforce again.",
        "check Setup > Scheduled Jobs in the target; pause what submits Service Orders while the load runs.",
    ),
    "package_jobs": Text(
        "Jobs of the Channel Order App itself are scheduled in the target: {names}. What they do to imported orders "
        "is not documented.",
        "nothing; what they change while the load runs is corrected or reported.",
    ),
    **_each_role(
        "api_allowance",
        Text(
            "The {role} org has {count} of {allowed} API calls left today; the run needs about {needed} and leaves "
            "{kept} to others.",
            ALLOWANCE,
        ),
    ),
    "bulk_allowance": Text(
        "The target has {count} of {allowed} Bulk batches left today; the run needs about {needed}.",
        ALLOWANCE,
    ),
    "data_storage": Text(
        "The target has {left} MB of data storage left; the records to be created take about {count} MB (2 KB each).",
        "free storage in the target or have it extended, or narrow the run by orders_where.",
    ),
    "notes_not_carried": _left_behind("notes"),
    "attachments_not_carried": _left_behind("attachments"),
    "tasks_not_carried": _left_behind("tasks"),
    "events_not_carried": _left_behind("events"),
    "emails_not_carried": _left_behind("e-mails"),
    "files_not_carried": _left_behind("links to files"),
    "history_not_carried": Text(
        "{count} entries of field history of {sobject} stay in the source: no API can insert them.",
        "export them for the archive if you need them.",
    ),
    "attached_not_seen": Text(
        "The source does not show {sobject}, so none of its {what} are carried.",
        "if the org has them, give the user of coa_source the right to read them; otherwise nothing.",
    ),
    "attached_not_writeable": Text(
        "{param} is carry, and the user of coa_target has no right to {sobject}: it may not {right}.",
        "give the user that right (files need Salesforce Files, e-mails Enhanced Email), or set {param} to report.",
    ),
    "records_pointing_here": Text(
        "{count:record} of {sobject} {count:points|point} at COA records by {field}, and {count:is|are} not moved.",
        "after the load, let coa_relink set the lookups of records whose old id stands in a text, the others by hand "
        "with relink.csv.",
    ),
}

DATA: dict[str, Text] = {
    "file_storage": Text(
        "The target has {left} MB of file storage left; what hangs on the records takes {count} MB.",
        "free file storage in the target or have it extended, narrow the run by orders_where, or set attachments to "
        "report.",
    ),
    "attachments_allowance": Text(
        "The target has {left} API calls left today; what hangs on the records needs about {count}, each file several "
        "of its own.",
        "run again when the 24-hour allowance has recovered, narrow the run by orders_where, or set attachments to "
        "report.",
    ),
    "attached_left": Text(
        "{count:record} of {sobject} {count:stays|stay} in the source: {why}.",
        "move them by hand with id_map.csv if they are needed.",
    ),
    "history_not_read": Text(
        "The source does not give the field history of {sobject}: {said}.",
        "switch field history tracking on for the object, or let the user of coa_source see it; nothing else of the "
        "run depends on it.",
    ),
    **_each_role(
        "count_differs",
        Text(
            "The {role} org counts {counted} {sobject}; the extract holds {read}.",
            "records were added or deleted while the extract ran; the next delta brings them.",
        ),
    ),
    "contract_not_found": CONTRACTS[0],
    "contract_ambiguous": CONTRACTS[1],
    "product_not_found": PRODUCTS[0],
    "product_ambiguous": PRODUCTS[1],
    "pricebook_entry_not_found": PRICEBOOK_ENTRIES[0],
    "pricebook_entry_ambiguous": PRICEBOOK_ENTRIES[1],
    "catalog_price_differs": Text(
        "{count} matched records of {sobject} differ between the orgs in {field}: formulas of details that use it "
        "change with it; the stored prices are carried and corrected.",
        CATALOG,
    ),
    "contract_terms_differ": Text(
        "{count} matched records of {sobject} differ between the orgs in {field}: the package checks details against "
        "the target's terms.",
        CATALOG,
    ),
    "currency_unknown": Text(
        "The target has several currencies, the source one: the currency of the amounts of {sobject} is unknown.",
        "give CurrencyIsoCode a constant in the mapping file: the source's currency.",
    ),
    "currency_not_carried": Text(
        "The source has several currencies, the target one; records of {sobject} are in {currencies}.",
        "switch multi-currency on in the target, or make sure that this is the target's currency.",
    ),
    "currency_not_carried:several": Text(
        "The source has several currencies, the target one; records of {sobject} are in {currencies}.",
        "switch multi-currency on in the target, or move only the orders of the target's currency (orders_where).",
    ),
    "mapping_unused": Text(
        "{count} entries of the mapping file have no effect: {entries}.", "correct or remove them."
    ),
    **_each_role(
        "customers_collide",
        Text(
            "{count} customers of the {role} share their org id with another one, if ids of 15 and 18 characters are "
            "taken as the same org.",
            "merge them, or accept that their orders are linked to the record that fits best.",
        ),
    ),
    "migration_key_duplicate": Text(
        "{count} records of the target's {sobject} share {field} with another one.",
        "delete or clear the wrong ones: a source record can have one counterpart only.",
    ),
    "earlier_migration": Text(
        "{count:record} of {sobject} came into the source by an earlier migration; in the target they get the "
        "source's ids and numbers, not those of the original org.",
        "keep the id_map.csv of the earlier migration if you need the original ids.",
    ),
    **{
        f"draft_orders:{policy}": Text(
            "{count:order} {count:is|are} {statuses}: such orders could be submitted from both orgs. They "
            + fate,
            "submit or delete them in the source; draft_orders says whether they are moved.",
        )
        for policy, fate in (("load", "are moved."), ("hold", "stay in the source."))
    },
    **{
        f"orders_in_flight:{policy}": Text(
            "{count:order} {count:is|are} {statuses}: Salesforce keeps reporting on such orders to the source org, "
            "whose e-mail service it knows. They " + fate,
            "wait until they are completed, or watch them in the source; in_flight_orders says whether they are moved.",
        )
        for policy, fate in (("load", "are moved."), ("hold", "stay in the source."))
    },
    "owners_unmatched": Text(
        "{owners:owner} of {count:record} {owners:has|have} no counterpart among the target's users: {most}; "
        "owner_policy {policy} decides about their records.",
        "map them in the mapping file (mapping_template.yaml lists them under owners), create or activate the users, "
        "or set owner_policy.",
    ),
    "owners_inactive": Text(
        "{owners:owner} of {count:record} {owners:is|are} inactive in the target: {most}; owner_policy {policy} "
        "decides about their records.",
        "map them in the mapping file (mapping_template.yaml lists them under owners), create or activate the users, "
        "or set owner_policy.",
    ),
    "owner_policy_user": Text(
        "owner_policy names {user}, which is not an active user of the target.",
        "set owner_policy to running_user, stop, or the user name of an active user of the target.",
    ),
    "id_stored_as_text": Text(
        "{count:record} of {sobject} {count:stores|store} a record id of the source as text in {field}; it is "
        "carried unchanged and means nothing in the target.",
        "name the object it points at in the mapping file (id_fields), or drop the field.",
    ),
    "reference_in_text": Text(
        "{count} records of {sobject} name the source org in {field}: {links} links, {images} images, {ids} ids. They "
        "are carried unchanged, and lead nowhere when the source is closed.{too_long}",
        "see references.csv, which has the new ids of what was moved; have links to moved records rewritten "
        "(rewrite_links in the mapping file), or correct the texts after the cut-over.",
    ),
    "links_rewritten": Text(
        "{links} links in {field} of {count} records of {sobject} lead to records of the source; they are rewritten "
        "as soon as these records are in the target, and stay unchanged until then.",
        "nothing; references.csv has each link and what became of it.",
    ),
}

PLAN: dict[str, Text] = {
    # The code is the reason's, and so are sentence and next step (`coa.reasons`).
    "problem": Text("{count} records of {sobject}: {reason} Examples: {some}.", "{remedy}"),
    "match_changed": Text(
        "{count} customers were matched by an org id that has changed since: {created} are created, the others are "
        "matched with another record, and their orders are linked to them.",
        "check these customers: their orders follow the org id, even if it is a typing error.",
    ),
    "value_changed_by_policy": Text(
        "{count} records of {sobject}: {field}: {why}.",
        "nothing, if this is wanted; the records are listed in differences.csv as explained.",
    ),
    "hazard": Text(
        "{field} is set in the target on {count:record} of {sobject} that this migration created: they could be sent "
        "to Salesforce again.",
        "find out who set it and whether the order was sent to Salesforce; then clear the field.",
    ),
    "deletions_not_looked_for": Text(
        "Because orders_where is set, the run does not look for records deleted in the source.",
        "run without orders_where to carry deletions.",
    ),
    "deleted_in_source": Text(
        "{count} records of {sobject} that were moved are gone from the source and stay in the target.",
        "delete them by hand, or set deletions to carry; plan.json lists them with reasons.",
    ),
    "deletions_carried": Text(
        "{count} records of {sobject} that were moved are gone from the source and will be deleted in the target.",
        "nothing, if this is wanted (deletions is carry).",
    ),
}

LOAD_AND_PROOF: dict[str, Text] = {
    "canary_unexpected": Text(
        "The target changed {field} of {short} in a way that no rule of the package explains: {effects}.",
        "nothing, if the proof is clean: all records of this object are read back and corrected. To avoid that, switch "
        "off the automation that does it (Setup > Apex Triggers, Flows, Workflow Rules).",
    ),
    "canary_did_not_happen": Text(
        "The expected effect of the package's rules on {field} of {short} did not happen: {effects}.",
        "check whether the rule is switched off in the target, or works differently in its version.",
    ),
    "canary_reuse_ended": Text(
        "What the canary of run {run_id} showed is no longer true for {objects}: the first chunk, which was "
        "read back in full, needed other corrections. Everything after it was read back as well.",
        "check what was changed in the target since that run; the next run begins with its own canary.",
    ),
    "one_pass_ended": Text(
        "One pass ended: {why} ({hit}). These orders went through all passes, as do all that were not yet created.",
        "check which rule or automation of the target does this; the orders are completed and proved like all others.",
    ),
    "mended": Text(
        "{count} records of {sobject} were changed by the target in a way that the canary had not shown ({fields}); "
        "they were corrected before the proof.",
        "nothing, if the proof is clean; above a hundredth of its records the object is read back before it is "
        "corrected in the next run.",
    ),
    "source_not_frozen": Text(
        "{count:record} of {sobject} changed in the source since the run read it.",
        "run another delta, and remove edit rights in the source before the last one.",
    ),
    "source_not_frozen:deleted": Text(
        "{count:record} of {sobject} changed in the source since the run read it; {deleted} of them were deleted.",
        "run another delta, and remove edit rights in the source before the last one.",
    ),
    "freeze_not_checked": Text(
        "Whether the source has changed since the run read it could not be checked: {said}",
        "run another delta before the source is closed; it checks again.",
    ),
    "readers_disagree": Text(
        "{count} values or records of {sobject} differ between Bulk and database on one side and REST on the other.",
        "see differences.csv, kind disagreement; trust neither the proof nor the moved values of these fields until "
        "you know which of the two readings is wrong.",
    ),
    "sample_changed": Text(
        "{count} sampled records changed between the two readings; only {compared} could be compared.",
        "verify again when nobody works in the orgs.",
    ),
    "differences_migration": Text(
        "{count} differences are errors of the migration: these records were never proved equal.",
        "see differences.csv, column origin.",
    ),
    "differences_source": Text(
        "{count} differences come from changes in the source since the migration.",
        "see differences.csv, column origin. The next delta carries them.",
    ),
    "differences_target": Text(
        "{count} differences come from changes in the target since the migration.",
        "see differences.csv, column origin.",
    ),
    "differences_both": Text(
        "{count} differences come from changes on both sides since the migration.",
        "see differences.csv, column origin.",
    ),
    "differences_unknown": Text(
        "{count} differences cannot be told apart: other fields are compared than in the last proof.",
        "see differences.csv, column origin.",
    ),
    "orders_not_moved": Text(
        "{count} orders of the source are not in the target: new, blocked or held.",
        "the next run of coa_migrate moves them, or says why not.",
    ),
    "sources_do_not_add_up": Text(
        "All sources together are not what the target holds: {what}.",
        "see all_sources in summary.json, and differences.csv of this run and of the runs named there.",
    ),
    "attached_read_again": Text(
        "{count:record} that were carried beside the orders were looked for in the target; the {files} files among "
        "them were read again ({megabytes} MB) and compared by SHA-256.",
        "nothing; attached.csv lists each with its hash.",
    ),
    "attached_changed": Text(
        "{count:record} of what was carried beside the orders {count:is|are} not in the target as "
        "{count:it was|they were} carried.",
        "differences.csv names each; files that somebody deleted or replaced are in the target's recycle bin or among "
        "the versions of their document.",
    ),
    "attached_not_read": Text(
        "The target does not let {sobject} be read, so what was carried of it is not proved: {said}.",
        "give the user of coa_target the right to read it (files of others: Query All Files), and verify again.",
    ),
    "migration_under_way": Text(
        "Run {run_id} was writing to the target during the verification.", "verify again when it has ended."
    ),
}

ROLLBACK: dict[str, Text] = {
    "other_target": Text(
        "The connection {connection} leads to {org_id} ({name}); run {run_id} wrote to {expected_id} "
        "({expected_name}).",
        "point {connection} at the org that the run wrote to.",
    ),
    "no_right_to_delete": Text(
        "The user of coa_target may not delete {sobject}.",
        "assign the permission set COA Admin User to that user, or grant the right for the roll-back.",
    ),
    "not_a_migration": Text(
        "Run {run_id} is itself a roll-back.", "to bring back what it removed, run coa_migrate again."
    ),
    "nothing_written": Text(
        "Run {run_id} wrote nothing to the target.",
        "name a run that did; the table coa.run and the artifacts folders list them.",
    ),
    "run_purged": Text(
        "The tables of run {run_id} were purged, and its pre-image with them.",
        "delete by hand what id_map.csv of that run lists.",
    ),
    "tables_too_old": Text(
        "The tables of run {run_id} have schema version {version}; this program reads those of version {readable} "
        "and newer.",
        "roll back with the version of coa-migration that made the run, or delete by hand what id_map.csv of that run "
        "lists.",
    ),
}

RELINK: dict[str, Text] = {
    "relink_without_rules": Text(
        "No rule says which lookups are to be set.",
        "fill in the section relink of the mapping file; relink_template.yaml of this run has a start.",
    ),
    "relink_object": Text(
        "The target has no sObject {sobject}, or the user of coa_target does not see it.",
        "correct the section relink of the mapping file, or give the user access.",
    ),
    "relink_field": Text(
        "{sobject} has no field {field} that the user of coa_target sees.",
        "correct the section relink of the mapping file, or make the field visible.",
    ),
    "relink_field:leads_elsewhere": Text(
        "{sobject}.{field} is no lookup to {to}.", "correct the section relink of the mapping file."
    ),
    "relink_field:not_updateable": Text(
        "The user of coa_target may not edit {sobject}.{field}.", "grant the right to edit it."
    ),
    "relink_text": Text(
        "{sobject}.{field} is no text field that the user of coa_target sees.",
        "correct the section relink of the mapping file, or make the field visible.",
    ),
}

SETUP: dict[str, Text] = {
    "no_right_to_deploy": Text(
        "The user of coa_target may not deploy: it has neither 'Modify Metadata Through Metadata API Functions' nor "
        "'Modify All Data'.",
        "give the user one of them for this, or have an administrator deploy include/salesforce_metadata with the "
        "Salesforce CLI.",
    ),
    "no_right_to_assign": Text(
        "The user of coa_target may not assign the permission set {permission_set}: it lacks 'Assign Permission Sets'.",
        "give the user that permission for this, or have an administrator assign the permission set in Setup.",
    ),
}

CONTRACT_STATUS = (
    "leave status_probes off; or check them, and confirm with accept_submit_jobs or in the approval form."
)
CONTRACT: dict[str, Text] = {
    "contract_in_production": Text(
        "The org {org_id} of the connection {connection} is not a sandbox.",
        "point the connection at a sandbox; set allow_production to true only if there is none.",
    ),
    "contract_in_production:allowed": Text(
        "The org {org_id} of the connection {connection} is not a sandbox; the contract runs there because "
        "allow_production is true.",
        "point the connection at a sandbox; set allow_production to true only if there is none.",
    ),
    "submit_triggers": Text("{count} triggers on orders could submit them.", CONTRACT_STATUS),
    "submit_flows": Text("{count} flows of records could submit orders.", CONTRACT_STATUS),
    "connection_live": Text(
        "The app of this org exchanged data with Salesforce in the last {days} days: its connection is live.",
        CONTRACT_STATUS,
    ),
    "strange_marks": Text(
        "{count} records look like those of a contract that ran with another staging database: {objects}.",
        "run the contract with that database, or delete by hand the records whose mark begins with {mark}.",
    ),
    # The code is the fact's (`coa.contract.catalogue`).
    "fact": Text(
        "{sentence} This org: {answer} (the catalogue: {expected}). It matters for: {rests}.", "{change}."
    ),
}

TEXTS: dict[str, Text] = {
    **ORGS,
    **RIGHTS_AND_FIELDS,
    **AUTOMATION_AND_ROOM,
    **DATA,
    **PLAN,
    **LOAD_AND_PROOF,
    **ROLLBACK,
    **RELINK,
    **CONTRACT,
    **SETUP,
}
