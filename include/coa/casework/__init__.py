"""The cases that Salesforce wants beside the data: what each is about (`topics`), and how far it is (`checklist`)."""
