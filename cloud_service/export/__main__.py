"""`python -m cloud_service.export`."""

from cloud_service.export.program import app

app(prog_name="python -m cloud_service.export")
