"""The reference trainer: VALOR's model and pretext tasks over our own releases."""
