"""The predecessor's results: kept whole, and shown apart from what this project measured.

`text` reads damaged files, `values` their figures; `runs` and `reviews` hold what is in them, and
`unread` names what is not read. `attach` finds a review's run, `store` keeps the original files,
`history` puts everything together. `summary` is the predecessor's own table, which `differences`
compares with the archive's copy; `tables` and `page` are this project's.
"""

from __future__ import annotations

PROFILE = "legacy-epyc-9655"
