"""What objects and fields an org has, and how describe shows them."""
