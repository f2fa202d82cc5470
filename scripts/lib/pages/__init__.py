"""The generated pages and pictures: RESULTS.md, MODELS.md, QUIRKS.md, report.html."""
