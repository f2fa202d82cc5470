"""The words of contexts made of chunks (`chunks`). Editing any of them changes contexts."""

from __future__ import annotations

_MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
# `|slot|` in a template is filled from here.
SLOTS: dict[str, tuple[str, ...]] = {
    "date": tuple(
        f"{day} {month} {year}"
        for year in range(2019, 2025)
        for month in _MONTHS
        for day in range(1, 29, 3)
    ),
    "amount": tuple(f"EUR {n * 250:,}" for n in range(5, 400, 7)),
    "days": tuple(str(n) for n in (5, 7, 10, 14, 15, 20, 21, 28, 30, 42, 45, 60, 75, 90, 120, 180)),
    "count": tuple(str(n) for n in range(3, 98)),
    "percent": tuple(f"{n / 10:.1f} %" for n in range(4, 390, 3)),
    "millions": tuple(f"EUR {n / 10:.1f} million" for n in range(11, 2400, 17)),
    "year": tuple(str(year) for year in range(2016, 2024)),
    "person": (
        "Aiko Brandt",
        "Benedikt Ferreira",
        "Carla Nyström",
        "Dmitri Okafor",
        "Elif Vasquez",
        "Fiona Haldane",
        "Gustav Moreau",
        "Hanna Petrov",
        "Ibrahim Castell",
        "Jolanta Reyes",
        "Kwame Lindqvist",
        "Leonie Abara",
        "Matteo Dvorak",
        "Nadia Thorsen",
        "Olivier Kimura",
        "Paloma Sørensen",
        "Rafael Unger",
        "Sunniva Patel",
        "Teodor Walsh",
        "Ulrike Mensah",
        "Vikram Olsson",
        "Yara Schneider",
        "Zoltan Marchetti",
        "Ingrid Bellamy",
    ),
    "company": (
        "Halvorsen Metals",
        "Corbel Systems",
        "Northlight Freight",
        "Ostara Foods",
        "Pinewharf Energy",
        "Quillon Labs",
        "Redfern Optics",
        "Sablewood Paper",
        "Tarn Valley Dairies",
        "Umbra Textiles",
        "Velmar Shipping",
        "Wexley Tools",
        "Arkwright Glass",
        "Bramble & Stone",
        "Cindermoor Power",
        "Delphin Marine",
        "Eastgate Print",
        "Fallow Seeds",
    ),
    # Law.
    "party": (
        "the Supplier",
        "the Customer",
        "the Licensee",
        "the Lessor",
        "the Carrier",
        "the Contractor",
        "the Trustee",
        "the Guarantor",
        "the Operator",
        "the Assignee",
        "the Surveyor",
        "the Depositary",
    ),
    "object": (
        "the Goods",
        "the Premises",
        "the Deliverables",
        "the Software",
        "the Deposit",
        "the Records",
        "the Equipment",
        "the Licence",
        "the Site",
        "the Materials",
        "the Drawings",
        "the Confidential Papers",
        "the Shares",
    ),
    "duty": (
        "keep in good order",
        "insure at its own cost",
        "hand back on request",
        "describe in writing",
        "hold in trust",
        "deliver without delay",
        "make ready for inspection",
        "replace where defective",
        "mark as its property",
        "store apart from other goods",
        "release from any charge",
        "account for in full",
    ),
    "event": (
        "a change of control",
        "a default in payment",
        "the expiry of the term",
        "an order of a court",
        "the loss of a permit",
        "a fire or flood on the site",
        "the merger of either party",
        "a failed acceptance test",
        "the death of a named signatory",
        "a strike of more than one week",
        "an audit with findings",
    ),
    "condition": (
        "save where the parties agree otherwise in writing",
        "provided that the fees then due are paid",
        "unless the delay lies beyond its reasonable control",
        "without prejudice to any earlier claim",
        "subject to the schedule of exceptions",
        "as far as the law of the seat allows",
        "if so asked in good time",
        "for as long as the security remains in force",
        "whether or not an invoice has been issued",
    ),
    "matter": (
        "deliveries",
        "payment",
        "warranties",
        "liability",
        "confidential matters",
        "termination",
        "inspection",
        "insurance",
        "subcontractors",
        "transport",
        "title",
        "force majeure",
        "notices",
        "disputes",
        "records",
        "taxes",
        "acceptance",
        "personnel",
        "licences",
        "changes of scope",
        "storage",
        "price reviews",
        "security",
    ),
    # Business.
    "market": (
        "cold storage",
        "marine coatings",
        "regional freight",
        "specialty paper",
        "industrial pumps",
        "grid batteries",
        "protective glass",
        "packaged bakery goods",
        "hospital linen",
        "precision tools",
        "greenhouse lighting",
        "laboratory consumables",
        "railway signalling",
        "plant-based dairy",
        "contract printing",
        "timber framing",
    ),
    "region": (
        "the Baltic states",
        "Iberia",
        "the Benelux countries",
        "the Nordics",
        "the Danube region",
        "the Alpine states",
        "the Adriatic coast",
        "Ireland and Wales",
        "the Rhine corridor",
        "the eastern ports",
        "southern Italy",
    ),
    "driver": (
        "longer contracts with public buyers",
        "a mild winter",
        "higher prices of resin",
        "a second shift at the plant",
        "the new warehouse",
        "fewer returns",
        "delays at two harbours",
        "a weaker krone",
        "the closing of a rival's site",
        "better terms from the carriers",
        "a late start of the season",
        "wage rounds in three countries",
        "the change to monthly billing",
        "stricter rules for packaging",
        "a recall in the spring",
    ),
    "measure": (
        "gross margin",
        "order intake",
        "net revenue",
        "operating cost",
        "inventory",
        "cash conversion",
        "headcount",
        "customer churn",
        "delivery reliability",
        "capital spending",
        "overdue receivables",
        "energy use per unit",
    ),
    "moved": ("rose", "fell", "improved", "slipped", "recovered", "eased", "climbed", "declined"),
    "plan": (
        "open a depot",
        "hire two key account managers",
        "retire the oldest line",
        "renegotiate the freight contract",
        "trial a leasing offer",
        "merge two sales offices",
        "certify the second plant",
        "raise list prices",
        "move invoicing to one system",
        "buy a minority stake in a distributor",
        "end the smallest product range",
    ),
    # Technology.
    "component": (
        "write-ahead log",
        "request router",
        "lock manager",
        "schema registry",
        "page cache",
        "message broker",
        "rate limiter",
        "lease keeper",
        "query planner",
        "health checker",
        "token service",
        "snapshot store",
        "retry queue",
        "index builder",
        "connection pool",
        "metrics pipeline",
        "feature gate",
        "backup agent",
        "session store",
        "certificate rotator",
        "change feed",
        "object store",
        "job scheduler",
        "config loader",
    ),
    "aspect": (
        "Design goals",
        "Data model",
        "Failure handling",
        "Capacity",
        "Deployment",
        "Security",
        "Observability",
        "Upgrade path",
        "Consistency",
        "Tuning",
        "Known limits",
        "Client behaviour",
        "Recovery",
        "Testing",
        "Interfaces",
        "Backpressure",
        "Access control",
        "Storage layout",
        "Migration",
        "Operations",
    ),
    "quality": (
        "latency at the ninety-ninth percentile",
        "memory held per connection",
        "time to recover",
        "disk traffic",
        "the number of round trips",
        "fairness between tenants",
        "start-up time",
        "the size of a snapshot",
        "stale reads",
        "write amplification",
        "queue depth",
        "the cost of a cache miss",
        "clock skew",
    ),
    "technique": (
        "batching small writes",
        "hashing keys onto a ring",
        "a bounded buffer with timeouts",
        "copy-on-write pages",
        "a two-phase handover",
        "exponential back-off with jitter",
        "checksums on each block",
        "a shadow deployment",
        "a lease that is renewed each second",
        "range scans over sorted runs",
        "compression by column",
        "reading from the nearest replica",
        "a separate pool of worker threads",
        "idempotency keys",
    ),
    "circumstance": (
        "under heavy load",
        "after a network partition",
        "during a rolling upgrade",
        "when a disk fills up",
        "while a replica catches up",
        "on machines with many cores",
        "with clients of the previous version",
        "in the smallest configuration",
        "when two regions disagree",
        "after a cold start",
        "with large payloads",
    ),
    # Meetings.
    "subject": (
        "the move to the new depot",
        "the annual audit",
        "the supplier survey",
        "the training plan",
        "the help desk rota",
        "the renewal of the leases",
        "the pilot in the north",
        "the stock count",
        "the intranet pages",
        "the safety walk",
        "the budget for travel",
        "the software licences",
        "the apprentices' schedule",
        "the winter opening hours",
        "the customer newsletter",
        "the accident report",
        "the parking places",
        "the catering contract",
    ),
    "group": (
        "Warehouse Steering Group",
        "Finance Committee",
        "Weekly Operations Round",
        "Product Council",
        "Safety Board",
        "Hiring Panel",
        "Release Meeting",
        "Purchasing Round",
        "Facilities Committee",
        "Customer Advisory Round",
    ),
    "task": (
        "send round a revised draft",
        "ask for two more offers",
        "book a room",
        "collect the figures",
        "call the insurer",
        "write to the works council",
        "check the contract",
        "prepare a page of slides",
        "close the open tickets",
        "walk through the site with the landlord",
        "update the risk list",
        "name a deputy",
        "talk to the night shift",
    ),
    # Logs.
    "entity": (
        "order",
        "invoice",
        "basket",
        "profile",
        "shipment",
        "voucher",
        "document",
        "device",
        "contract",
        "booking",
        "transfer",
        "ticket",
        "report",
        "image",
        "message",
    ),
    "host": tuple(
        f"10.{a}.{b}.{c}" for a in (4, 7, 12) for b in (1, 8, 21, 40) for c in range(3, 250, 13)
    ),
    "number": tuple(str(n) for n in range(101, 9990, 37)),
    "ms": tuple(str(n) for n in range(2, 4900, 23)),
}
LEGAL_HEADINGS = (
    "Provisions on |matter| and |matter|",
    "Rights of |party| in |matter|",
    "General terms of |matter|",
    "|matter| after |event|",
)
LEGAL_SUBHEADINGS = (
    "Duties of |party|",
    "Notice of |event|",
    "Limits to |matter|",
    "Exceptions",
    "Effect of |event|",
    "Costs of |matter|",
    "|matter| by third parties",
    "Evidence",
    "Periods and dates",
    "Records of |matter|",
)
LEGAL_SENTENCES = (
    "|party| shall |duty| |object|, |condition|.",
    "Upon |event|, |party| may within |days| days ask |party| to |duty| |object|.",
    "The sum of |amount| falls due on |date|, |condition|.",
    "Nothing in this clause obliges |party| to |duty| |object| after |event|.",
    (
        "Any claim that concerns |matter| is capped at |amount| for each year of the term, "
        "|condition|."
    ),
    "|party| has given notice of |event| only when |party| holds it in writing, signed and dated.",
    "Where |object| cannot be handed over by |date|, |party| pays |amount| for each week begun.",
    (
        "Rules on |matter| and on |matter| that stand elsewhere in this agreement go before "
        "those of this clause, |condition|."
    ),
    "|party| keeps for |days| days a list of |object| and lets |party| see it, |condition|.",
    "For the purposes of this clause |event| is deemed to include |event|.",
    "The parties reviewed |matter| on |date| and agreed that |party| shall |duty| |object|.",
    (
        "If |party| fails to |duty| |object| for more than |days| days, |party| may "
        "withdraw, |condition|."
    ),
    "An advance of |amount| is set off against the fees for |matter|.",
    "|party| warrants that |object| are free from claims of others, |condition|.",
)
BUSINESS_LINES = (
    "|measure| |moved| by |percent| to |millions|, mainly through |driver|.",
    (
        "In |region| |measure| |moved| by |percent|; without |driver| the change would have "
        "been |percent|."
    ),
    "The segment of |market| brought in |millions|, |percent| of the total.",
    "|millions| went into |driver|, and as much as |millions| may follow.",
    "Management intends to |plan| in |region| before |date|.",
    (
        "|person|, who leads the business in |region|, expects |measure| to stay within "
        "|percent| of plan."
    ),
    (
        "Among the large accounts |count| renewed on the same terms, and |count| asked for a "
        "discount of |percent|."
    ),
    "Compared with |year|, |measure| |moved| by |percent| and the backlog stood at |millions|.",
    "The board set aside |millions| to |plan|.",
)
MARKET_LINES = (
    "Demand for |market| in |region| was worth |millions| in |year| and grows by |percent| a year.",
    "The five largest suppliers hold |percent| of sales; the next |count| share |percent|.",
    (
        "Buyers name price first (|percent|), then delivery times (|percent|), then service "
        "(|percent|)."
    ),
    "Orders have slowed since |date| because of |driver|, most of all in |region|.",
    "Imports cover |percent| of demand, against |percent| in |year|.",
    "Prices |moved| by |percent| after |driver|, with little effect on volumes.",
    "A new entrant would need about |millions| and two years to reach |percent| of the market.",
    "Substitutes took |percent| of volume in |region|, chiefly among small customers.",
    "We expect sales of |millions| by the end of the forecast, give or take |percent|.",
)
RIVAL_LINES = (
    "|company| reported sales of |millions| for |year|, |percent| of them in |region|.",
    "Its strength is |market|, where it holds a share of |percent|.",
    "|measure| |moved| by |percent| after |driver|.",
    "It employs |count| field engineers, up from |count| in |year|.",
    "Customers rate its delivery at |percent| on time and complain about |driver|.",
    "On |date| it announced that it would |plan|.",
    "Its net debt of |millions| leaves little room to |plan|.",
    "|person| joined from |company| on |date| to run the business in |region|.",
    "We lost |count| tenders to it in |year| and won |count|, at a mean price gap of |percent|.",
)
TECHNICAL_SENTENCES = (
    "The |component| relies on |technique| to keep |quality| within bounds |circumstance|.",
    "Where the |component| and the |component| disagree, the |component| decides.",
    "One can lower |quality| by |technique|, at the price of |quality|.",
    "We measured |quality| |circumstance| and gained |count| per cent by |technique|.",
    "Operators should watch |quality|, above all |circumstance|.",
    "A first version used |technique|; it was dropped because |quality| suffered |circumstance|.",
    (
        "By default the |component| keeps |count| entries, which is enough unless |quality| "
        "matters more than |quality|."
    ),
    "Every call to the |component| carries a deadline of |ms| ms, which is met by |technique|.",
    (
        "It is tempting to combine |technique| with |technique|, but the |component| then "
        "has to guess |circumstance|."
    ),
    "The |component| writes a summary every |count| seconds and discards it |circumstance|.",
    "Nothing in the |component| assumes that clocks agree, not even |circumstance|.",
    (
        "If the |component| cannot be reached, clients fall back to the |component| for at "
        "most |count| seconds."
    ),
    "Tests of the |component| run |circumstance|, with |technique| switched off and on.",
    "Of the |count| incidents of last year, most began in the |component| |circumstance|.",
)
MEETING_POINTS = (
    "|person| reported on |subject|: |count| items are done, |count| wait for |person|.",
    "There were questions about |subject|. |person| will bring figures to the next round.",
    "|subject| may cost up to |amount|; |person| thinks that |amount| is nearer.",
    "Since |date| nothing has moved on |subject|, and |person| asked for help.",
    "|person| and |person| disagreed on whether |subject| comes before |subject|.",
    "Feedback on |subject| was good: |count| replies without remarks, |count| with some.",
)
MEETING_DECISIONS = (
    "|subject| goes ahead from |date|, within |amount|.",
    "No change to |subject| before |date|.",
    "|person| takes over |subject| from |person|.",
    "The offer of |company| for |subject| is accepted.",
    "|subject| is put off until |subject| is settled.",
)
LOG_SERVICES = (
    "checkout-api",
    "identity",
    "catalogue",
    "mail-relay",
    "image-resizer",
    "stock-watcher",
    "pricing",
    "audit-sink",
    "gateway-eu",
    "gateway-us",
    "search-front",
    "ledger",
    "notifier",
    "scheduler",
    "edge-cache",
    "report-runner",
)
LOG_MESSAGES: dict[str, tuple[str, ...]] = {
    "DEBUG": (
        "cache lookup for |entity|:|number| took |ms| us",
        "connection |count| to |host| returned to the pool",
        "parsed |entity| payload of |number| bytes",
        "lock on |entity| |number| held for |ms| us",
        "feature gate evaluated for |entity| |number|: off",
    ),
    "INFO": (
        "|entity| |number| created by client |host|",
        "request GET /v3/|entity|s/|number| finished with 200 in |ms| ms",
        "request POST /v3/|entity|s finished with 201 in |ms| ms",
        "worker |count| picked up |entity| |number|",
        "health check of |host| passed in |ms| ms",
        "batch of |count| |entity|s written, |number| remaining",
        "session of user |number| opened from |host|",
        "|entity| |number| moved to state closed",
        "nightly export of |entity|s: |number| rows",
    ),
    "WARN": (
        "slow query on table |entity|s: |ms| ms for |number| rows",
        "attempt 2 of 5 to reach |host| after |ms| ms",
        "queue of |entity|s holds |number| entries, over the mark of |count|",
        "certificate of |host| ends in |count| days",
        "|entity| |number| has an unknown field and was passed on",
        "memory at |count| per cent on |host|",
    ),
    "ERROR": (
        "could not store |entity| |number|: deadline of |ms| ms passed",
        "connection to |host| was reset while reading |entity| |number|",
        "request PUT /v3/|entity|s/|number| finished with 503 in |ms| ms",
        "|entity| |number| rejected: checksum does not fit",
        "worker |count| stopped after |number| jobs: out of file handles",
    ),
}
CODE_THINGS = (
    "Order",
    "Voucher",
    "Parcel",
    "Sensor",
    "Booking",
    "Ledger",
    "Tenant",
    "Invoice",
    "Route",
    "Permit",
    "Device",
    "Meter",
    "Pallet",
    "Roster",
    "Signal",
    "Quota",
    "Folder",
    "Ticket",
    "Wallet",
    "Survey",
    "Batch",
    "Drawer",
)
CODE_MANNERS = (
    "Buffered",
    "Cached",
    "Lazy",
    "Ordered",
    "Shared",
    "Strict",
    "Timed",
    "Tracked",
    "Paged",
    "Remote",
    "Local",
    "Merged",
    "Scoped",
    "Sharded",
)
CODE_ROLES = (
    "Store",
    "Reader",
    "Index",
    "Planner",
    "Gate",
    "Router",
    "Counter",
    "Mapper",
    "Queue",
    "Writer",
    "Registry",
    "Filter",
    "Watcher",
    "Archive",
)
CODE_REMARKS = (
    "Keeps |entity|s of one tenant and forgets them after |count| minutes.",
    "Reads |entity|s in pages of |count|, oldest first.",
    "Counts |entity|s by state; at most |number| are held.",
    "Stands between the |entity| service and its |count| clients.",
    "Joins each |entity| with the |entity| that it belongs to.",
)
# `$T` the thing, `$t` in small letters, `$A`, `$B` numbers, `$V` a verb.
CODE_VERBS = (
    "accept",
    "collect",
    "confirm",
    "drain",
    "expire",
    "extend",
    "gather",
    "group",
    "merge",
    "prune",
    "rank",
    "refresh",
    "replay",
    "settle",
    "split",
    "stage",
    "trim",
    "verify",
)
PYTHON_METHODS = (
    '''    def $V_$t(self, $t_id, amount=$A):
        """Add the amount to one $t; gives the new total."""
        total = self.items.get($t_id, 0) + amount
        if total > self.limit:
            raise ValueError(f"$t {$t_id} is over {self.limit}")
        self.items[$t_id] = total
        return total
''',
    '''    def $V_all(self, rows, step=$B):
        """Every step-th row whose $t is open."""
        chosen = [row for row in rows[::step] if row.state == "open"]
        self.seen += len(chosen)
        return chosen
''',
    '''    def $V_oldest(self, now):
        """Names of the $ts that are older than $A seconds."""
        late = {key for key, at in self.times.items() if now - at > $A}
        for key in late:
            del self.times[key]
        return sorted(late)
''',
    '''    def $V_pages(self, fetch):
        """Call fetch until it gives no more $ts, at most $B times."""
        found = []
        for page in range($B):
            part = fetch(page, size=$A)
            if not part:
                break
            found.extend(part)
        return found
''',
    '''    def can_$V(self, $t):
        """True where the $t has fewer than $A entries and is not locked."""
        return len($t.entries) < $A and not $t.locked
''',
)
SCRIPT_METHODS = (
    """  async $V$T(id, amount = $A) {
    const $t = await this.client.get(`/$ts/${id}`);
    if ($t.total + amount > this.limit) {
      throw new RangeError(`$t ${id} is over ${this.limit}`);
    }
    return this.client.put(`/$ts/${id}`, { ...$t, total: $t.total + amount });
  }
""",
    """  $VAll(rows, step = $B) {
    const open = rows.filter((row, at) => at % step === 0 && row.state === "open");
    this.seen += open.length;
    return open;
  }
""",
    """  $VOldest(now) {
    const late = [...this.times].filter(([, at]) => now - at > $A);
    late.forEach(([key]) => this.times.delete(key));
    return late.map(([key]) => key).sort();
  }
""",
    """  async $VPages(fetchPage) {
    const found = [];
    for (let page = 0; page < $B; page += 1) {
      const part = await fetchPage(page, $A);
      if (part.length === 0) break;
      found.push(...part);
    }
    return found;
  }
""",
    """  can$T($t) {
    return $t.entries.length < $A && !$t.locked;
  }
""",
)
