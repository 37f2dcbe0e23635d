"""What the product assumes about a Salesforce org, as data, and the probes that test it in an org.

`catalogue` lists the facts, `probes` the tests, `probe_org` the session that carries them out and records them,
`ask` runs all of them. The answers are written to a cassette, without the partner's own ids, names and texts.
"""
