"""The verbs of the chain. Stages introduce doors to pure logic and do not import one another."""
