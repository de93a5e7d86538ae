"""Models beside each other: trained on the same data, ranked, and told what is noise."""
