"""The demo: footage that is rendered, a server for it, and the chain that it goes through."""
