"""One Salesforce org over HTTP: login, describe, Bulk API 2.0, composite requests, metadata."""
