"""Events of the crime section."""

from scripts.dataset.newswire.event import Event, Section

SECTION = Section(
    events=(
        Event(
            "robbery",
            "CRIME",
            styles=(
                (
                    "Thieves [stole|took] {loot} worth {money} from a {venue} in {place}, detective {person} said.",
                    "Thieves steal {loot} worth {money} in {place}",
                ),
                (
                    "A {venue} in {place} was [robbed|emptied] of {loot} worth {money}, detective {person} said.",
                    "{place} {venue} robbed of {loot}",
                ),
                (
                    "Detective {person} [hunts|seeks] thieves who took {loot} worth {money} from a {venue} in {place}.",
                    "{person.last} hunts thieves after {place} {venue} robbery",
                ),
            ),
            details=(
                "The break-in [lasted|took] {count} minutes, {person.last} added.",
                "{person.last} [asked|called on] witnesses to come forward.",
            ),
            choices={
                "loot": ("diamonds", "paintings", "gold bars", "watches", "rare stamps"),
                "venue": ("museum", "bank", "hotel", "castle", "gallery"),
            },
        ),
        Event(
            "sentence",
            "CRIME",
            styles=(
                (
                    "{person} was [sentenced|sent] to {years} in prison in {place} for {crime}.",
                    "{person.last} gets {years} in prison for {crime}",
                ),
                (
                    "A court in {place} [gave|handed] {person} {years} in prison for {crime}.",
                    "{place} court jails {person.last} for {crime}",
                ),
                (
                    "For {crime}, a {job} named {person} will [spend|serve] {years} in prison in {place}.",
                    "{crime} earns {place} {job} {years} in prison",
                ),
            ),
            details=(
                "The {job}, {person.last}, [will appeal|plans an appeal].",
                "{person.last}, a {job}, had [gained|made] {money} from it.",
            ),
            choices={
                "crime": ("arson", "bribery", "smuggling", "forgery", "kidnapping", "tax fraud"),
                "job": ("banker", "dentist", "pilot", "lawyer", "builder"),
            },
        ),
        Event(
            "fraud",
            "CRIME",
            styles=(
                (
                    "{person}, a former {job} at {company}, was [charged|accused] over {money} that went missing.",
                    "Former {company} {job} {person.last} charged over {money}",
                ),
                (
                    "{company} [accused|sued] a former {job}, {person}, over {money} that went missing.",
                    "{company} accuses former {job} {person.last} of theft",
                ),
                (
                    "Some {money} [went missing|vanished] at {company}, and former {job} {person} is "
                    "[charged|accused].",
                    "{money} missing at {company}, former {job} charged",
                ),
            ),
            details=(
                "Prosecutors said {person.last} [used|hid it in] {count} accounts.",
                "{person.last} had [worked|been] there for {years}.",
            ),
            choices={"job": ("manager", "accountant", "director", "trader", "cashier")},
        ),
        Event(
            "arrests",
            "CRIME",
            styles=(
                (
                    "Police in {place} [arrested|detained] {count} people in a raid on a {ring} ring run by {person}.",
                    "{place} police arrest {count} in {ring} raid",
                ),
                (
                    "{person} was among {count} people [arrested|detained] in {place} over a {ring} ring.",
                    "{person.last} among {count} held over {ring} ring",
                ),
                (
                    "A {ring} ring run by {person} was [broken|smashed] in {place} with {count} arrests.",
                    "{ring} ring broken in {place} with {count} arrests",
                ),
            ),
            details=(
                "Officers [seized|found] {money} at the home of {person.last}.",
                "The hunt for {person.last} had [lasted|gone on] {years}.",
            ),
            choices={"ring": ("car theft", "drug", "betting", "fur", "passport", "cigarette")},
        ),
    ),
    asides=(
        "A second suspect, {other_person}, was released in {other_place}.",
        "The lawyer {other_person} [spoke|complained] of a mistake.",
        "In {other_place}, a similar case ended after {other_years}.",
        "Insurer {other_rival} offered a reward of {other_money}.",
        "Officers from {other_country} [joined|helped] later, said {other_person}.",
    ),
)
