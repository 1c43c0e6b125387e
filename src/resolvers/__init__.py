"""Answers as plain functions: who asks, which sources there are, fan-out, joins."""
