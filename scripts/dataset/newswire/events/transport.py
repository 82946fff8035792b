"""Events of the transport section."""

from scripts.dataset.newswire.event import Event, Section

SECTION = Section(
    events=(
        Event(
            "crash",
            "TRANSPORT",
            styles=(
                (
                    "A {vehicle} of {company} [crashed|went off its course] near {place} and {count} people were hurt.",
                    "{company} {vehicle} crashes near {place}, {count} hurt",
                ),
                (
                    "Some {count} people were [hurt|injured] near {place} when a {vehicle} of {company} crashed.",
                    "{count} hurt in {vehicle} crash near {place}",
                ),
                (
                    "{place} [rescuers|helpers] pulled {count} people from a {vehicle} of {company} that crashed.",
                    "{place} rescuers pull {count} from {vehicle}",
                ),
            ),
            details=(
                "Investigator {person} [blames|suspects] a worn brake.",
                "Investigator {person} [expects|needs] weeks to find the cause.",
            ),
            choices={"vehicle": ("bus", "ferry", "tram", "cable car", "train")},
        ),
        Event(
            "line",
            "TRANSPORT",
            styles=(
                (
                    "{company} will [build|lay] a {mode} line between {place} and {country} for {fortune}.",
                    "{company} to build {mode} line from {place} to {country}",
                ),
                (
                    "{place} will [get|have] a {mode} line to {country}, built by {company} for {fortune}.",
                    "{place} to get {fortune} {mode} line",
                ),
                (
                    "A {mode} line for {fortune} will [link|connect] {place} with {country}, and {company} "
                    "will build it.",
                    "{fortune} {mode} line to link {place} with {country}",
                ),
            ),
            details=(
                "Work [takes|lasts] {soon}, planner {person} said.",
                "The trip will [take|need] {count} minutes, said planner {person}.",
            ),
            choices={"mode": ("rail", "metro", "freight", "night train")},
        ),
        Event(
            "route",
            "TRANSPORT",
            styles=(
                (
                    "{company} will [fly|run] {count} flights a week from {place} to {country}.",
                    "{company} to fly from {place} to {country}",
                ),
                (
                    "{place} [gains|gets] {count} flights a week to {country} from {company}.",
                    "{place} gains {count} weekly flights to {country}",
                ),
                (
                    "From {season}, there will be {count} flights a week [linking|between] {country} and "
                    "{place} with {company}.",
                    "{country} flights to start from {place}",
                ),
            ),
            details=(
                "Airport head {person} [counts|hopes] on {crowd} passengers.",
                "Manager {person} had [sought|wanted] the route for {years}.",
            ),
            choices={"season": ("spring", "summer", "fall", "winter")},
        ),
        Event(
            "closure",
            "TRANSPORT",
            styles=(
                (
                    "The {structure} in {place} will [close|shut] for {count} weeks after {person} found {fault}.",
                    "{place} {structure} to close for {count} weeks",
                ),
                (
                    "Inspector {person} [found|discovered] {fault} in the {structure} of {place}, which will "
                    "close for {count} weeks.",
                    "{person.last} finds {fault} in {place} {structure}",
                ),
                (
                    "Because of {fault} that {person} found, {place} will [close|lose] its {structure} for "
                    "{count} weeks.",
                    "{fault} to close {structure} in {place}",
                ),
            ),
            details=(
                "Some {crowd} drivers a day [need|must take] another road.",
                "{company} will [do|handle] the repair for {money}.",
            ),
            choices={
                "structure": ("east bridge", "harbor tunnel", "main station", "ring road", "north terminal"),
                "fault": ("cracks", "rust", "loose bolts", "a leak", "burned cables"),
            },
        ),
    ),
    asides=(
        "The driver {other_person} [lives|was] in {other_place}.",
        "Rival {other_rival} [dropped|ended] a similar plan {other_years} ago.",
        "Fares in {other_country} rose by {other_percent} this year.",
        "Union official {other_person} [asked|called] for {other_count} more workers.",
        "Near {other_place}, a repair cost {other_money}.",
    ),
)
