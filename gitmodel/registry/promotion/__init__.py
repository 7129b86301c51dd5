"""Stages and aliases: promotion, the rules of stages, and putting changes in force."""
