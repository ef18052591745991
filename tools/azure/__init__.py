"""Takes deploy/azure/queries, gives the workbook and the ARM template beside them: ``python -m tools.azure``."""
