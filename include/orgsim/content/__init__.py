"""What hangs on records, in full: files with their versions and links, attachments, notes, activities, field history.

Only where the setting `attachments` asks for it: other orgs have the short objects of `orgsim.schema.attached`.
"""
