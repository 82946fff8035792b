"""Events of the health section."""

from scripts.dataset.newswire.event import Event, Section

SECTION = Section(
    events=(
        Event(
            "trial",
            "HEALTH",
            styles=(
                (
                    "{product}, a drug from {company}, [cut|reduced] {illness} by {percent} in a trial.",
                    "{product} drug cuts {illness} by {percent} in trial",
                ),
                (
                    "{company} said its drug {product} [lowered|reduced] {illness} by {percent} in a trial.",
                    "{company} says {product} cuts {illness} by {percent}",
                ),
                (
                    "Cases of {illness} [fell|dropped] by {percent} in a trial of {product}, a drug from {company}.",
                    "{illness} falls {percent} in trial of {product}",
                ),
            ),
            details=(
                "The study [followed|tracked] {crowd} patients for {soon}.",
                "Doctor {person}, who [led|ran] the study, called the result clear.",
            ),
            choices={"illness": ("asthma", "migraine", "heart failure", "stroke", "kidney disease", "arthritis")},
        ),
        Event(
            "outbreak",
            "HEALTH",
            styles=(
                (
                    "An outbreak of {illness} in {place} has [sickened|infected] {crowd} people, health "
                    "chief {person} said.",
                    "{illness} outbreak in {place} sickens {crowd}",
                ),
                (
                    "{place} [closed|shut] its {sites} after {illness} sickened {crowd} people, health chief "
                    "{person} said.",
                    "{place} closes {sites} over {illness} outbreak",
                ),
                (
                    "Health chief {person} [warned|alerted] {place} about {illness} after {crowd} people fell sick.",
                    "{person.last} warns {place} about {illness} outbreak",
                ),
            ),
            details=(
                "{person.last} said the {sites} would [stay|remain] shut for {count} days.",
                "{person.last} [traced|linked] the first cases to the {sites}.",
            ),
            choices={
                "illness": ("measles", "cholera", "flu", "hepatitis", "mumps"),
                "sites": ("pools", "markets", "schools", "kitchens"),
            },
        ),
        Event(
            "clinic",
            "HEALTH",
            styles=(
                (
                    "{place} will [get|receive] a {money} {ward} hospital, paid for by {company}.",
                    "{place} to get {money} {ward} hospital",
                ),
                (
                    "{company} will [pay|spend] {money} on a {ward} hospital in {place}.",
                    "{company} to pay {money} for {place} {ward} hospital",
                ),
                (
                    "A {ward} hospital with {count} beds will [open|rise] in {place}, paid for by {company} "
                    "with {money}.",
                    "{ward} hospital to open in {place}",
                ),
            ),
            details=(
                "Its head will be {person}, a surgeon with {years} of [practice|experience].",
                "The surgeon {person} [asked|campaigned] {years} for it.",
            ),
            choices={"ward": ("cancer", "skin", "children's", "heart", "burns")},
        ),
        Event(
            "recall",
            "HEALTH",
            styles=(
                (
                    "{company} [recalled|withdrew] {crowd} packs of {food} after {germ} was found in {place}.",
                    "{company} recalls {food} over {germ}",
                ),
                (
                    "Inspectors in {place} [found|detected] {germ} in {food} made by {company}, which "
                    "recalled {crowd} packs.",
                    "{germ} found in {company} {food} in {place}",
                ),
                (
                    "Some {crowd} packs of {food} from {company} were [recalled|withdrawn] over {germ} found "
                    "in {place}.",
                    "{crowd} packs of {food} recalled over {germ}",
                ),
            ),
            details=(
                "At least {count} people [fell ill|were treated], inspector {person} said.",
                "Inspector {person} [advised|told] customers to return them.",
            ),
            choices={
                "food": ("cheese", "salad", "baby milk", "frozen fish", "sausage", "peanut butter"),
                "germ": ("salmonella", "listeria", "mold", "lead"),
            },
        ),
    ),
    asides=(
        "Nurse {other_person} said {other_place} had seen nothing like it.",
        "A drug by {other_rival} had cost {other_fortune} last year.",
        "Insurers set aside {other_money}, adviser {other_person} said.",
        "In {other_country}, some {other_count} clinics [report|face] a shortage of beds.",
        "[Separately|Meanwhile], {other_rival} raised prices by {other_percent}.",
    ),
)
