"""The predecessor's results: read as they are, kept whole, and never mixed with our own.

`text` reads damaged files and `values` their figures, `runs` and `reviews` what they hold, `unread`
names what is not read, `attach` finds a review's run, `store` keeps the originals, `history` puts
them together, `summary` is the predecessor's own table and `differences` compares it with the
archive's, `tables` and `page` are ours.
"""

from __future__ import annotations

PROFILE = "legacy-epyc-9655"
