"""What the product takes for true of a Salesforce org, as data, and the questions that an org answers itself.

`catalogue` has the facts, `probes` the questions, `probe_org` the session that asks and writes down, `ask` the walk
through all of them. What was learnt leaves as a cassette: the partner's own ids, names and texts do not.
"""
