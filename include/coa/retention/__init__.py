"""What runs keep of personal data, for how long, and how it is deleted: `register` names every place, `purge`
and `person` delete.
"""
