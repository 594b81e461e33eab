"""The status page, its metrics and health; it reads what the node keeps and runs beside it."""
