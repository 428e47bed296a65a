"""The door to Label Studio: the server, its pages, and what is sent to it and read back."""
