"""Which customers and products could move to the AgentExchange Go-To-Market app, as far as the order data tells.

`rules`: what Salesforce asks, in one file that says where it is from; `contracts`: when the contract of each customer
and product ends; `assess`: the rules held against them.
"""
