"""The stages of models: their tags, and the rules and signatures that decide if a tag counts."""
