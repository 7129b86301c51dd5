"""The stages of models: their tags, and the rules and signatures by which a tag counts."""
