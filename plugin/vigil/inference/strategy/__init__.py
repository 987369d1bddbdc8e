"""How a network goes over a prepared volume."""
