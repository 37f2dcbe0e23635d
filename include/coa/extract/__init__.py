"""One Bulk query an sObject, streamed into the staging database."""
