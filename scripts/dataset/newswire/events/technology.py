"""Events of the technology section."""

from scripts.dataset.newswire.event import Event, Section

SECTION = Section(
    events=(
        Event(
            "launch",
            "TECHNOLOGY",
            styles=(
                (
                    "{company} [unveiled|presented] the {product}, a {gadget} with a battery that lasts {count} hours.",
                    "{company} unveils {product} {gadget}",
                ),
                (
                    "The {product}, a {gadget} by {company}, [runs|works] for {count} hours on one charge.",
                    "{product} {gadget} by {company} runs {count} hours",
                ),
                (
                    "A battery that lasts {count} hours [sets apart|marks out] the {product}, the new "
                    "{gadget} from {company}.",
                    "New {company} {gadget} lasts {count} hours",
                ),
            ),
            details=(
                "Chief designer {person} [hopes|aims] to sell {crowd} of them.",
                "It took {person} and a small team {soon}.",
            ),
            choices={"gadget": ("phone", "laptop", "watch", "drone", "headset", "camera")},
        ),
        Event(
            "breach",
            "TECHNOLOGY",
            styles=(
                (
                    "Hackers [stole|copied] the {data} of {crowd} customers of {company}, security chief "
                    "{person} said.",
                    "Hackers steal {data} of {crowd} {company} customers",
                ),
                (
                    "{company} [admitted|confirmed] that hackers took the {data} of {crowd} customers, "
                    "security chief {person} said.",
                    "{company} admits theft of customer {data}",
                ),
                (
                    "Some {crowd} customers of {company} had their {data} [stolen|copied], security chief "
                    "{person} said.",
                    "{crowd} {company} customers have {data} stolen",
                ),
            ),
            details=(
                "The attackers had [access|a way in] for {count} days, {person.last} added.",
                "{person.last} [advised|told] users to change passwords.",
            ),
            choices={"data": ("passwords", "addresses", "bank details", "photos", "emails")},
        ),
        Event(
            "outage",
            "TECHNOLOGY",
            styles=(
                (
                    "An outage at {company} [cut off|stopped] {service} in {country} for {count} hours.",
                    "{company} outage stops {service} in {country}",
                ),
                (
                    "{country} [was|went] without {service} for {count} hours because of an outage at {company}.",
                    "{country} without {service} for {count} hours",
                ),
                (
                    "For {count} hours, {service} [failed|were down] in {country} after an outage at {company}.",
                    "{service} fail in {country} for {count} hours",
                ),
            ),
            details=(
                "Engineer {person} [blamed|cited] a faulty update.",
                "Technical head {person} [apologized|said sorry] to {crowd} users.",
            ),
            choices={"service": ("card payments", "phone calls", "ticket sales", "train bookings", "mobile networks")},
        ),
        Event(
            "funding",
            "TECHNOLOGY",
            styles=(
                (
                    "{company}, a startup for {field} in {place}, [raised|collected] {money} from {rival}.",
                    "{field} startup {company} raises {money}",
                ),
                (
                    "{rival} [invested|put] {money} in {company}, a startup for {field} in {place}.",
                    "{rival} invests {money} in {company}",
                ),
                (
                    "A startup for {field} in {place}, {company}, [won|drew] {money} from {rival}.",
                    "{place} {field} startup wins {money} from {rival}",
                ),
            ),
            details=(
                "Founder {person} will [hire|add] {count} engineers.",
                "{person} [founded|started] it {years} ago in a garage.",
            ),
            choices={"field": ("solar cells", "robot arms", "quantum chips", "voice software", "smart farming")},
        ),
    ),
    asides=(
        "A rival model from {other_rival} [sells|goes] with {other_percent} off.",
        "Critic {other_person} [doubts|questions] the figures.",
        "Competitor {other_rival} lost {other_percent} of its users last year.",
        "[Separately|Meanwhile], {other_person} opened a lab in {other_place}.",
        "Regulators in {other_country} [ask for|want] a report within {other_soon}.",
    ),
)
