"""The words that generated contexts are made of. Editing any of them changes contexts."""

from __future__ import annotations

# `|slot|` in a template is filled from SLOTS.
SLOTS: dict[str, tuple[str, ...]] = {
    "person": (
        "Amara",
        "Bruno",
        "Chen",
        "Dalia",
        "Edvin",
        "Farah",
        "Goran",
        "Helene",
        "Idris",
        "Jonas",
        "Katya",
        "Liam",
        "Mireille",
        "Noor",
        "Oskar",
        "Priya",
        "Quentin",
        "Rosa",
        "Sven",
        "Tamsin",
        "Uma",
        "Viktor",
        "Wanda",
        "Yusuf",
    ),
    "team": (
        "Facilities",
        "the night shift",
        "Procurement",
        "the platform group",
        "Customer Care",
        "the audit office",
        "Logistics",
        "the safety board",
        "Payroll",
        "the archive",
        "Field Service",
        "the training desk",
    ),
    "thing": (
        "order",
        "invoice",
        "session",
        "upload",
        "audit",
        "payment",
        "tenant",
        "ledger",
        "shipment",
        "quota",
        "ticket",
        "contract",
        "voucher",
        "parcel",
        "sensor",
        "permit",
        "crate",
        "route",
    ),
    "action": (
        "reviews",
        "archives",
        "countersigns",
        "forwards",
        "reconciles",
        "postpones",
        "registers",
        "inspects",
        "returns",
        "relabels",
        "publishes",
        "withdraws",
    ),
    "when": (
        "before the end of the quarter",
        "within two working days",
        "every second Tuesday",
        "after the morning round",
        "once the deposit has cleared",
        "during the yearly stocktaking",
        "as soon as a supervisor agrees",
        "unless the weather service warns of frost",
        "on the first day of each month",
        "in the week after delivery",
    ),
    "place": (
        "Hall 3",
        "the north depot",
        "Building C",
        "the river warehouse",
        "the Lindholm site",
        "Room 214",
        "the loading dock",
        "the cold store",
        "the visitor centre",
        "the Marstrand office",
    ),
    "reason": (
        "because two earlier attempts had failed",
        "since the insurer asks for it",
        "to keep the ledgers comparable",
        "so that nobody has to wait at the gate",
        "as agreed with the works council",
        "for want of a better procedure",
        "although the manual of 2019 says otherwise",
        "to spare the older machines",
    ),
    "amount": tuple(
        f"{n} {unit}"
        for n in (12, 18, 25, 40, 64, 75, 110, 150, 220, 360)
        for unit in ("euros", "units", "pallets")
    ),
    "adjective": (
        "minor",
        "urgent",
        "routine",
        "disputed",
        "seasonal",
        "unclaimed",
        "duplicate",
        "overdue",
        "sealed",
    ),
    "topic": (
        "handling",
        "storage",
        "returns",
        "approval",
        "transport",
        "inspection",
        "reporting",
        "disposal",
    ),
    "number": tuple(str(n) for n in range(3, 60)),
}
HEADINGS = (
    "|adjective| |thing|s: |topic|",
    "|topic| of |thing|s at |place|",
    "Duties of |team| in |topic|",
    "Exceptions for |adjective| |thing|s",
)
SENTENCES = (
    "|team| |action| each |adjective| |thing| |when|.",
    "A |thing| over |amount| goes to |person|, who |action| it |when|.",
    "At |place|, |adjective| |thing|s are kept apart |reason|.",
    "Where a |thing| is |adjective|, |team| may wait up to |number| days |reason|.",
    "|person| keeps a copy of every |thing| at |place| |reason|.",
    "No |thing| leaves |place| without a slip that |person| or |team| has signed.",
    "The limit of |amount| applies to |adjective| |thing|s only, |reason|.",
    "If |team| cannot be reached, |person| |action| the |thing| and tells |team| |when|.",
    "Last year |number| |thing|s were found at |place|, most of them |adjective|.",
    "Training in |topic| takes |number| minutes and is repeated |when|.",
    "|adjective| cases are listed by |team|, and |person| |action| the list |when|.",
    "This clause does not apply at |place|, |reason|.",
    "|person| and |person| share the keys of |place|, |reason|.",
    "A |adjective| |thing| is counted twice in the report, once by |team| and once by |team|.",
)
REMARKS = (
    "I still think the |thing| at |place| should wait.",
    "|team| said it would look at the |adjective| |thing|s |when|.",
    "Can we move that to next week, |reason|?",
    "I counted |number| of them at |place|, so |amount| may not be enough.",
    "Let us not decide that today.",
    "|person| wanted to check the |topic| of |adjective| |thing|s first.",
    "Fine with me, as long as |team| |action| it |when|.",
    "We had the same at |place| with |number| |thing|s.",
    "That is a question for |person|, not for us.",
    "My proposal was |amount|, but nobody has agreed to it yet.",
    "Sorry, I was muted. I said the |adjective| |thing| is no problem |reason|.",
)
SERVICES = (
    "gateway",
    "intake",
    "billing-worker",
    "ledger-api",
    "cache",
    "indexer",
    "mailer",
    "scheduler",
    "auth",
    "report-builder",
    "stock-sync",
    "webhook",
)
LOG_LINES: dict[str, tuple[str, ...]] = {
    "INFO": (
        "|thing| accepted status=200",
        "|thing| stored shard=|number|",
        "cache hit key=|thing|:|number|",
        "job done kind=|thing| rows=|number|",
        "session opened user=u|number||number|",
        "GET /v2/|thing|s/|number||number| status=200",
        "heartbeat ok queue=|number|",
        "|thing| indexed segment=|number|",
    ),
    "WARN": (
        "slow query table=|thing|s rows=|number||number|",
        "retry 1 of 3 target=|thing|-store",
        "queue length |number||number| over soft limit",
        "deprecated field |thing|_ref used by client=c|number|",
    ),
    "ERROR": (
        "timeout calling |thing|-store after 3 retries",
        "POST /v2/|thing|s status=502 upstream reset",
        "could not parse |thing| payload: unexpected end",
    ),
}
MODULES = (
    "service",
    "repository",
    "parser",
    "rules",
    "limits",
    "cache",
    "report",
    "schedule",
    "views",
    "sync",
)
FUNCTIONS = (
    '''def keep_open_$THING_$N(items, limit=$LIMIT):
    """At most `limit` items whose $THING is open, in their order."""
    kept = [item for item in items if item.$THING_open]
    if len(kept) > limit:
        kept = kept[:limit]
    return kept
''',
    '''def total_$THING_$N($OTHERs):
    """Sum of the amounts of all $OTHERs that are not cancelled."""
    total = 0
    for $OTHER in $OTHERs:
        if not $OTHER.cancelled:
            total += $OTHER.amount
    return total
''',
    '''def retry_$THING_$N(send, attempts=$LIMIT):
    """Call `send` until it succeeds, at most `attempts` times; the last error is raised."""
    for attempt in range(attempts):
        try:
            return send()
        except ConnectionError:
            if attempt == attempts - 1:
                raise
''',
    '''class $CLASSCache$N:
    """Keeps the $LIMIT most recently stored $THINGs."""

    def __init__(self):
        self.items = {}

    def put(self, key, value):
        self.items.pop(key, None)
        self.items[key] = value
        while len(self.items) > $LIMIT:
            self.items.pop(next(iter(self.items)))
''',
    '''def page_$OTHER_$N(rows, page, size=$LIMIT):
    """Rows of one page; pages count from 1."""
    start = (page - 1) * size
    return rows[start : start + size]
''',
    '''def late_$THING_$N(rows, now):
    """Rows whose due time has passed and that are unpaid."""
    return [row for row in rows if row.due < now and not row.paid]
''',
    '''def merge_$THING_$N(left, right):
    """Both mappings as one; values of `right` win."""
    merged = dict(left)
    merged.update(right)
    return merged
''',
    '''def average_$OTHER_$N(values):
    """Mean of the values, 0.0 where there are none."""
    if not values:
        return 0.0
    return sum(values) / len(values)
''',
    '''def parse_$THING_$N(line):
    """(key, value) of a `key=value` line; ValueError where there is no '='."""
    key, found, value = line.partition("=")
    if not found:
        raise ValueError(line)
    return key.strip(), value.strip()
''',
    '''def clamp_$OTHER_$N(value, low=0, high=$LIMIT):
    """The value, no lower than `low` and no higher than `high`."""
    return max(low, min(high, value))
''',
)
